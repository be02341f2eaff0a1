"""The Gumbel distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._engine import checks
from .._engine.types import SeedLike
from .._sampling import noise
from . import _checks as check


class Gumbel:
    r"""The Gumbel distribution of maxima, :math:`P(X \le x) = \exp(-e^{-z})` with :math:`z = (x - \mu) / \beta`.

    Parameters
    ----------
    loc : array_like of real numbers, default 0.0
        :math:`\mu`, the mode; finite.
    scale : array_like of real numbers, default 1.0
        :math:`\beta`, finite and > 0. Both broadcast against each other; their common shape is the batch shape.

    Raises
    ------
    TypeError
        For parameters that are not real numbers.
    ValueError
        For a `loc` that is not finite, a `scale` that is not finite and > 0, or shapes that do not broadcast.

    Notes
    -----
    Gumbel, *Statistical Theory of Extreme Values* (1954). Everything but samples is float64. Values broadcast against
    the batch shape; NaN passes through, and infinities get the limits. Each tail has functions that keep its relative
    accuracy: `cdf` and `log_cdf` the left one, `sf`, `log_sf` and `isf` the right one.

    Examples
    --------
    >>> import gumbelfast as gf
    >>> law = gf.distributions.Gumbel(loc=[0.0, 1.0], scale=2.0)
    >>> law.sample(3, rng=0).shape
    (3, 2)
    >>> law.cdf(law.icdf(0.25)).tolist()
    [0.25, 0.25]
    """

    def __init__(self, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> None:
        self._loc, self._scale = check.location(loc), check.positive_scale(scale)
        try:
            self._shape = np.broadcast_shapes(self._loc.shape, self._scale.shape)
        except ValueError:
            shapes = f"loc of shape {self._loc.shape} does not broadcast with scale of shape {self._scale.shape}"
            raise ValueError(shapes) from None

    def __repr__(self) -> str:
        return f"gumbelfast.distributions.Gumbel(batch_shape={self.batch_shape})"

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The shape of one draw."""
        return self._shape

    def _each(self, value: Any) -> Any:
        """A result of both parameters, as an array of the batch shape or a scalar."""
        return np.broadcast_to(value, self._shape).copy()[()]

    def _standard(self, value: ArrayLike) -> NDArray[np.float64]:
        with np.errstate(over="ignore"):
            return np.asarray((checks.real(value, "value") - self._loc) / self._scale)

    def sample(
        self,
        size: int | tuple[int, ...] | None = None,
        rng: SeedLike = None,
        *,
        dtype: DTypeLike = np.float32,
        offset: int | None = None,
        num_threads: int | None = None,
    ) -> Any:
        """Draw as `gumbelfast.gumbel` does.

        Parameters
        ----------
        size : int or tuple of ints, optional
            Draws per entry of the batch; the result has shape ``size + batch shape``.
        rng, dtype, offset, num_threads
            As in `gumbelfast.gumbel`.

        Returns
        -------
        ndarray, or a scalar where the shape is ()
        """
        shape = (() if size is None else checks.size_tuple(size)) + self._shape
        loc, scale = (p if p.ndim else float(p) for p in (self._loc, self._scale))
        return noise.gumbel(loc, scale, shape, dtype=dtype, rng=rng, offset=offset, num_threads=num_threads)

    def log_prob(self, value: ArrayLike) -> Any:
        r"""The logarithm of the density, :math:`-z - e^{-z} - \log \beta`."""
        z = self._standard(value)
        with np.errstate(over="ignore", invalid="ignore"):
            # At -inf the exponential wins.
            return np.where(np.isneginf(z), z, -(z + np.exp(-z)) - np.log(self._scale))[()]

    def log_cdf(self, value: ArrayLike) -> Any:
        r""":math:`\log P(X \le x) = -e^{-z}`."""
        with np.errstate(over="ignore", under="ignore"):
            return -np.exp(-self._standard(value))[()]

    def cdf(self, value: ArrayLike) -> Any:
        r""":math:`P(X \le x) = \exp(-e^{-z})`."""
        with np.errstate(under="ignore"):
            return np.exp(self.log_cdf(value))

    def sf(self, value: ArrayLike) -> Any:
        r""":math:`P(X > x) = 1 - \exp(-e^{-z})`, accurate where it is small."""
        with np.errstate(under="ignore"):
            return -np.expm1(self.log_cdf(value))

    def log_sf(self, value: ArrayLike) -> Any:
        r""":math:`\log P(X > x)`."""
        z = self._standard(value)
        with np.errstate(over="ignore", under="ignore", divide="ignore"):
            t = np.exp(-z)
            # Three forms of log(1 - exp(-t)): t is below half an ulp of 1, and above log(2), in the outer ones.
            near = np.where(z > -0.36, np.log(-np.expm1(-t)), np.log1p(-np.exp(-t)))
        return np.where(z > 37, -z, near)[()]

    def icdf(self, q: ArrayLike) -> Any:
        r"""The quantile, :math:`\mu - \beta \log(-\log q)`; infinite at 0 and 1.

        Raises
        ------
        TypeError, ValueError
            For `q` outside [0, 1].
        """
        with np.errstate(divide="ignore"):
            return (self._loc - self._scale * np.log(-np.log(check.probabilities(q))))[()]

    def isf(self, q: ArrayLike) -> Any:
        r"""The value that is exceeded with probability q, :math:`\mu - \beta \log(-\log(1 - q))`; errors as `icdf`."""
        with np.errstate(divide="ignore"):
            return (self._loc - self._scale * np.log(-np.log1p(-check.probabilities(q))))[()]

    def mean(self) -> Any:
        r"""The mean, :math:`\mu + \gamma \beta` with Euler's constant."""
        return self._each(self._loc + np.euler_gamma * self._scale)

    def var(self) -> Any:
        r"""The variance, :math:`\pi^2 \beta^2 / 6`."""
        return self._each(np.pi**2 / 6 * self._scale**2)

    def mode(self) -> Any:
        r"""The mode, :math:`\mu`."""
        return self._each(self._loc)

    def entropy(self) -> Any:
        r"""The differential entropy in nats, :math:`\log \beta + \gamma + 1`."""
        return self._each(np.log(self._scale) + np.euler_gamma + 1)
