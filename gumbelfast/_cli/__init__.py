"""The commands of ``python -m gumbelfast``."""
