"""``python -m gumbelfast judge``: asks any sampler of categories what a correct one must answer (docs/judge.md)."""
