"""``python -m gumbelfast bench``: how many times as long others take, on this CPU."""
