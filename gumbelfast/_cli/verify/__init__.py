"""``python -m gumbelfast verify``: every kernel against the reference."""
