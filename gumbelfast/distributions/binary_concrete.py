"""The Concrete distribution of two categories."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks
from .._engine.types import SeedLike
from .._sampling import noise
from . import _checks as check
from . import _unrounded

Array = NDArray[Any]


def logistic_noise(e: Array) -> Array:
    """Logistic noise from exponential noise; both tails have full range."""
    result: Array = np.log(np.expm1(e))
    return result


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow, accurate where it is small."""
    with np.errstate(under="ignore"):
        e = np.exp(-np.abs(x))
    result: Array = np.where(x >= 0, 1, e) / (1 + e)
    return result.astype(x.dtype, copy=False)


class BinaryConcrete:
    r"""The Binary Concrete or relaxed Bernoulli distribution, of :math:`y = \mathrm{sigmoid}((x + l) / \tau)`.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        :math:`x = \log \alpha`, the log-odds of a value above 1/2; finite. They are copied; their shape is the batch
        shape.
    tau : float or array_like of floats
        The temperature :math:`\tau`, or an array of them that broadcasts to the batch shape. It is copied.

    Raises
    ------
    TypeError
        For logits that are not floats.
    ValueError
        For logits that are not finite, or a `tau` that is not finite and > 0, with its row.

    Notes
    -----
    Maddison, Mnih and Teh (2016), appendix B, with logistic noise l: y is the first entry of a `Concrete` sample from
    the logits x and 0, and exceeds 1/2 with probability :math:`\mathrm{sigmoid}(x)`, whatever :math:`\tau`. The
    density on (0, 1) is

    .. math:: p(y) = \frac{\tau \alpha\, y^{-\tau-1} (1-y)^{-\tau-1}}{(\alpha y^{-\tau} + (1-y)^{-\tau})^2}

    and that of :math:`\mathrm{logit}(y) = (x + l) / \tau`, the logistic one with location :math:`x / \tau` and scale
    :math:`1 / \tau`. The noise is :math:`l = \log(e^E - 1)` with exponentials E as `gumbelfast.exponential` gives them,
    one element of the stream per draw: both tails have full range, l from -45.05 to 46.4.

    Examples
    --------
    >>> import gumbelfast as gf
    >>> law = gf.distributions.BinaryConcrete([0.5, -1.0], tau=0.5)
    >>> y = law.sample(4, rng=0)
    >>> y.shape, law.log_prob(y).shape
    ((4, 2), (4, 2))
    """

    def __init__(self, logits: ArrayLike, tau: ArrayLike) -> None:
        x = np.asarray(logits)
        self._x = x.astype(checks.float_dtype(x.dtype))
        checks.finite_logits(self._x)
        self._tau = check.temperature(tau, x.shape, x.dtype)

    def __repr__(self) -> str:
        tau = self.tau if isinstance(self.tau, float) else f"array of shape {self.tau.shape}"
        return f"gumbelfast.distributions.BinaryConcrete(tau={tau}, batch_shape={self.batch_shape})"

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The shape of the logits."""
        return self._x.shape

    @property
    def tau(self) -> float | NDArray[np.float64]:
        """The temperature, or one for each entry of the batch."""
        return self._tau

    def _shape(self, size: int | tuple[int, ...] | None) -> tuple[int, ...]:
        return (() if size is None else checks.size_tuple(size)) + self._x.shape

    def _draw(self, shape: tuple[int, ...], rng: SeedLike, offset: int | None, num_threads: int | None) -> Array:
        work = checks.work_dtype(self._x.dtype)
        e = noise.exponential(size=shape, dtype=work, rng=rng, offset=offset, num_threads=num_threads)
        with np.errstate(over="ignore"):
            return np.asarray((self._x.astype(work) + logistic_noise(e)) * np.asarray(1 / self._tau).astype(work))

    def sample_logits(
        self,
        size: int | tuple[int, ...] | None = None,
        rng: SeedLike = None,
        *,
        offset: int | None = None,
        num_threads: int | None = None,
    ) -> Any:
        """Draw the logits of what `sample` draws at the same address; they round to no boundary but that of float16."""
        with np.errstate(over="ignore"):
            return self._draw(self._shape(size), rng, offset, num_threads).astype(self._x.dtype)[()]

    def sample(
        self,
        size: int | tuple[int, ...] | None = None,
        rng: SeedLike = None,
        *,
        offset: int | None = None,
        num_threads: int | None = None,
    ) -> Array:
        """Draw numbers between 0 and 1.

        Parameters
        ----------
        size : int or tuple of ints, optional
            Draws per entry of the batch; the result has shape ``size + batch shape``.
        rng, offset, num_threads
            As in `gumbelfast.exponential`.

        Returns
        -------
        ndarray of the dtype of the logits
            An array even where the shape is (). Numbers may round to 0 or 1. Arrays, and views of them, remember their
            logits for `log_prob` and `cdf`; copies, pickles, results of arithmetic and scalars that are taken out do
            not. `sample_logits` draws the logits.
        """
        shape = self._shape(size)

        def draw(rng: SeedLike, offset: Any) -> Array:
            return np.asarray(sigmoid(self._draw(shape, rng, offset, num_threads)).astype(self._x.dtype))

        again = partial(self._draw, shape, num_threads=num_threads)
        return _unrounded.drawn(draw, again, shape, rng, offset)

    def log_prob_logits(self, y: ArrayLike) -> Any:
        r"""The logarithm of the density of :math:`\mathrm{logit}(y)`, at values that broadcast against the batch."""
        t = np.abs(self._tau * checks.real(y, "y") - self._x.astype(np.float64))
        with np.errstate(under="ignore"):
            return (np.log(self._tau) - t - 2 * np.log1p(np.exp(-t)))[()]

    def log_prob(self, y: ArrayLike) -> Any:
        """The logarithm of the density.

        Parameters
        ----------
        y : array_like of real numbers
            What `sample` returned, or numbers in (0, 1), of a shape that broadcasts against the batch shape.

        Returns
        -------
        ndarray of float64, or a scalar
            Samples are scored by the logits that they remember, entries that were overwritten by their values.

        Raises
        ------
        TypeError, ValueError
            For numbers outside (0, 1), with the place.
        """
        logit, log_volume = self._logit(y)
        with np.errstate(invalid="ignore"):
            density = self.log_prob_logits(logit) - log_volume
        # Where a sample's logit overflows, its density does.
        return np.where(np.isinf(logit), np.inf, density)[()]

    def cdf(self, y: ArrayLike) -> Any:
        r"""The probability of values up to y, :math:`\mathrm{sigmoid}(\tau\, \mathrm{logit}(y) - x)`; y as above."""
        logit, _ = self._logit(y)
        return sigmoid(self._tau * logit - self._x.astype(np.float64))[()]

    def _logit(self, y: ArrayLike) -> tuple[Any, Any]:
        """The logits of y, and log(y (1 - y))."""
        found = _unrounded.recall(y)
        if found is None:
            inside = check.inside_unit(y)
            log_y, log_rest = np.log(inside), np.log1p(-inside)
            return log_y - log_rest, log_y + log_rest
        logit = found.astype(np.float64)
        known = _unrounded.same(sigmoid(logit), np.asarray(y))
        inside = np.where(known, 0.5, check.inside_unit(y, known))
        log_y, log_rest = np.log(inside), np.log1p(-inside)
        size = np.abs(logit)
        with np.errstate(under="ignore"):
            log_volume = -size - 2 * np.log1p(np.exp(-size))
        return np.where(known, logit, log_y - log_rest)[()], np.where(known, log_volume, log_y + log_rest)[()]
