"""Generators of addressable noise."""

from .generator import Generator
from .seeding import default_rng

__all__ = ["Generator", "default_rng"]
