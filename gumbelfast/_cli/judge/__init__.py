"""``python -m gumbelfast judge``: any sampler of categories, asked what a right one must answer (docs/judge.md)."""
