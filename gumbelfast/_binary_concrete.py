"""The Concrete distribution of two categories."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _validate, noise
from . import _validate_distributions as check
from ._types import SeedLike

Array = NDArray[Any]


def logistic_noise(e: Array) -> Array:
    """Logistic noise from exponential noise: both tails are full."""
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
    tau : float
        The temperature :math:`\tau`.

    Raises
    ------
    TypeError
        For logits that are not floats.
    ValueError
        For logits that are not finite, or a `tau` that is not finite and > 0.

    Notes
    -----
    Maddison, Mnih and Teh (2016), appendix B, with logistic noise l: y is the first entry of a `Concrete` sample from
    the logits x and 0, and exceeds 1/2 with probability :math:`\mathrm{sigmoid}(x)`, whatever :math:`\tau`. The
    density on (0, 1) is

    .. math:: p(y) = \frac{\tau \alpha\, y^{-\tau-1} (1-y)^{-\tau-1}}{(\alpha y^{-\tau} + (1-y)^{-\tau})^2}

    and that of :math:`\mathrm{logit}(y) = (x + l) / \tau`, the logistic one with location :math:`x / \tau` and scale
    :math:`1 / \tau`. The noise is :math:`l = \log(e^E - 1)` with exponentials E as `gumbelfast.exponential` gives them,
    one element of the stream per draw: both tails are full, l spans -45.05 to 46.4.

    Examples
    --------
    >>> import gumbelfast as gf
    >>> law = gf.distributions.BinaryConcrete([0.5, -1.0], tau=0.5)
    >>> y = law.sample(4, rng=0)
    >>> y.shape, law.log_prob(y).shape
    ((4, 2), (4, 2))
    """

    def __init__(self, logits: ArrayLike, tau: float) -> None:
        x = np.asarray(logits)
        self._x = x.astype(_validate.float_dtype(x.dtype))
        check.finite_logits(self._x)
        _validate.positive_reciprocal(tau, "tau", x.dtype)
        self._tau = float(tau)

    def __repr__(self) -> str:
        return f"gumbelfast.distributions.BinaryConcrete(tau={self.tau}, batch_shape={self.batch_shape})"

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The shape of the logits."""
        return self._x.shape

    @property
    def tau(self) -> float:
        """The temperature."""
        return self._tau

    def _draw(
        self, size: int | tuple[int, ...] | None, rng: SeedLike, offset: int | None, threads: int | None
    ) -> Array:
        shape = (() if size is None else _validate.size_tuple(size)) + self._x.shape
        work = _validate.work_dtype(self._x.dtype)
        e = noise.exponential(size=shape, dtype=work, rng=rng, offset=offset, num_threads=threads)
        with np.errstate(over="ignore"):
            return np.asarray((self._x.astype(work) + logistic_noise(e)) * work.type(1 / self._tau))

    def sample_logits(
        self,
        size: int | tuple[int, ...] | None = None,
        rng: SeedLike = None,
        *,
        offset: int | None = None,
        num_threads: int | None = None,
    ) -> Any:
        """Draw the logits of what `sample` draws at the same address; they round to no boundary."""
        return self._draw(size, rng, offset, num_threads).astype(self._x.dtype)[()]

    def sample(
        self,
        size: int | tuple[int, ...] | None = None,
        rng: SeedLike = None,
        *,
        offset: int | None = None,
        num_threads: int | None = None,
    ) -> Any:
        """Draw numbers between 0 and 1.

        Parameters
        ----------
        size : int or tuple of ints, optional
            Draws per entry of the batch; the result has shape ``size + batch shape``.
        rng, offset, num_threads
            As in `gumbelfast.exponential`.

        Returns
        -------
        ndarray of the dtype of the logits, or a scalar where the shape is ()
            Numbers may round to 0 or 1; `sample_logits` has their logits.
        """
        return sigmoid(self._draw(size, rng, offset, num_threads)).astype(self._x.dtype)[()]

    def log_prob_logits(self, y: ArrayLike) -> Any:
        r"""The logarithm of the density of :math:`\mathrm{logit}(y)`, at values that broadcast against the batch."""
        t = np.abs(self._tau * check.real(y, "y") - self._x.astype(np.float64))
        with np.errstate(under="ignore"):
            return (math.log(self._tau) - t - 2 * np.log1p(np.exp(-t)))[()]

    def log_prob(self, y: ArrayLike) -> Any:
        """The logarithm of the density.

        Parameters
        ----------
        y : array_like of real numbers
            Numbers in (0, 1), of a shape that broadcasts against the batch shape.

        Returns
        -------
        ndarray of float64, or a scalar

        Raises
        ------
        TypeError, ValueError
            For numbers outside (0, 1), with the place.
        """
        inside = check.inside_unit(y)
        log_y, log_rest = np.log(inside), np.log1p(-inside)
        return self.log_prob_logits(log_y - log_rest) - (log_y + log_rest)

    def cdf(self, y: ArrayLike) -> Any:
        r"""The probability of values up to y, :math:`\mathrm{sigmoid}(\tau\, \mathrm{logit}(y) - x)`; y as above."""
        inside = check.inside_unit(y)
        logit = np.log(inside) - np.log1p(-inside)
        return sigmoid(self._tau * logit - self._x.astype(np.float64))[()]
