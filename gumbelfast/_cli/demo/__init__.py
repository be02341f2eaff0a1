"""``python -m gumbelfast demo``: a tour on real data."""
