"""Distributions of perturbed and relaxed draws: densities, quantiles, moments, and samples from addressable noise.

Densities and everything computed from values is float64; samples have a dtype of their own. The formulas and their
sources are in the docstrings of the classes, examples in ``docs/distributions.md``.
"""

from .binary_concrete import BinaryConcrete
from .concrete import Concrete, ExpConcrete
from .gumbel import Gumbel
from .hard_concrete import HardConcrete
from .inverse import inverse_transform
from .plackett_luce import (
    PlackettLuce,
    plackett_luce_log_prob,
    plackett_luce_log_prob_backward,
    plackett_luce_set_log_prob,
)

__all__ = [
    "BinaryConcrete",
    "Concrete",
    "ExpConcrete",
    "Gumbel",
    "HardConcrete",
    "PlackettLuce",
    "inverse_transform",
    "plackett_luce_log_prob",
    "plackett_luce_log_prob_backward",
    "plackett_luce_set_log_prob",
]
