"""The common start of all estimators: logits with their categories last, and functions whose results are checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks
from .._engine.checks import returned
from .._engine.refused import refuse
from .._engine.sources import reserved
from .._engine.types import SeedLike
from .._sampling.relaxed import gumbel_softmax
from .._sampling.softmax import softmax
from ..random.generator import Generator
from . import _checks

Array = NDArray[Any]
Function = Callable[[Array], ArrayLike]

TILE = 32  # a generator's draws begin at multiples of this


class Estimate(NamedTuple):
    """The result of an estimator.

    Attributes
    ----------
    samples : ndarray of shape (num_samples, *logits.shape)
        The samples at which `f` was evaluated.
    values : ndarray of shape (num_samples, *lead)
        The values of `f`.
    grads : ndarray of shape (num_samples, *logits.shape)
        The estimate of d E[f] / d logits from each sample.
    """

    samples: Array
    values: Array
    grads: Array

    @property
    def grad(self) -> Array:
        """The estimate: the mean of `grads` over the samples, of the shape of the logits."""
        mean: Array = self.grads.mean(axis=0)
        return mean


class Problem:
    """An expectation over categorical variables; a Bernoulli variable is one of two categories with logits (0, x)."""

    def __init__(
        self, logits: ArrayLike, num_samples: int, family: str, f: Function, grad_f: Function | None = None
    ) -> None:
        _checks.check_family(family)
        x = np.asarray(logits)
        x = x.astype(checks.work_dtype(checks.float_dtype(x.dtype)), copy=False)
        self.binary = family == "bernoulli"
        self.logits = np.stack([np.zeros_like(x), x], axis=-1) if self.binary else x
        self.num_samples = checks.positive_count(num_samples, "num_samples")
        self.mean = softmax(self.logits)
        if np.isnan(self.mean).any():
            refuse(x, None, -1)
        self.size = self.num_samples * self.logits.size
        self._f, self._grad_f = f, grad_f

    def repeated(self) -> Array:
        """The logits once per sample."""
        return np.broadcast_to(self.logits, (self.num_samples, *self.logits.shape))

    def drawn(self, rng: SeedLike, draws: int, size: int, make: Callable[[Generator], Estimate]) -> Estimate:
        """What `make` returns; it draws so many times, `size` elements each, from a generator that it is given.

        If it raises, `rng` stays where it is.
        """
        apart = size + -size % TILE
        with reserved(rng, (draws - 1) * apart + size) as (key, first):
            return make(Generator(key, first))

    def hard(self, rng: Generator) -> Array:
        """One-hot samples."""
        y: Array = gumbel_softmax(self.repeated(), hard=True, rng=rng)
        return y

    def samples(self, z: Array) -> Array:
        """Samples in the shape that the user sees."""
        return z[..., 1] if self.binary else z

    def values(self, z: Array, ndim: int | None = None) -> Array:
        """The values of f at the samples, with as many axes as another call of f returned."""
        found = returned(self._f(self.samples(z)), "f")
        lead = z.shape[:-1]
        if found.ndim == 0 or found.shape != lead[: found.ndim]:
            raise ValueError(f"f returned shape {found.shape}, expected a leading part of {lead}")
        if ndim not in (None, found.ndim):
            raise ValueError(f"f returned shape {found.shape}, expected {lead[:ndim]}, as of another call")
        return found

    def slopes(self, z: Array) -> Array:
        """The gradient of f at the samples, by category."""
        assert self._grad_f is not None
        return self.by_category(self._grad_f(self.samples(z)), "grad_f", z)

    def by_category(self, slope: ArrayLike, name: str, z: Array) -> Array:
        found, wanted = returned(slope, name), self.samples(z).shape
        if found.shape != wanted:
            raise ValueError(f"{name} returned shape {found.shape}, expected {wanted}")
        found = found.astype(z.dtype, copy=False)
        return np.stack([np.zeros_like(found), found], axis=-1) if self.binary else found

    def estimate(self, z: Array, values: Array, grads: Array) -> Estimate:
        """The result in the shape that the user sees."""
        grads = grads.astype(z.dtype, copy=False)
        return Estimate(self.samples(z), values, grads[..., 1] if self.binary else grads)
