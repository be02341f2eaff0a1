"""Distributions of perturbed and relaxed draws: densities, quantiles, moments, and samples from addressable noise.

Densities and everything computed from values is float64; samples have a dtype of their own. The formulas and their
sources are in the docstrings of the classes, examples in ``docs/distributions.md``.
"""

from ._binary_concrete import BinaryConcrete
from ._concrete import Concrete, ExpConcrete
from ._gumbel_law import Gumbel

__all__ = ["BinaryConcrete", "Concrete", "ExpConcrete", "Gumbel"]
