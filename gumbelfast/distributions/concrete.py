"""The Concrete or Gumbel-softmax distributions."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks
from .._engine.types import SeedLike
from .._sampling import noise, relaxed
from .._sampling.softmax import log_softmax
from . import _checks as check
from . import _unrounded

Array = NDArray[Any]


class _Relaxed:
    """Logits with the categories last, their axis counted from the end, and a temperature."""

    def __init__(self, logits: ArrayLike, tau: ArrayLike, *, axis: int = -1) -> None:
        x, from_front = checks.rows(logits, axis)
        checks.finite_logits(x, from_front)
        self._x, self._tau = x.copy(), check.temperature(tau, x.shape[:-1], x.dtype)
        self._axis = -1 if from_front == -1 else from_front - x.ndim

    def __repr__(self) -> str:
        tau = self.tau if isinstance(self.tau, float) else f"array of shape {self.tau.shape}"
        name = f"gumbelfast.distributions.{type(self).__name__}"
        return f"{name}(categories={self._x.shape[-1]}, tau={tau}, batch_shape={self.batch_shape})"

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The shape of the logits without the axis of the categories."""
        return self._x.shape[:-1]

    @property
    def tau(self) -> float | NDArray[np.float64]:
        """The temperature, or one per row, of the batch shape."""
        return self._tau

    def _rows(self, size: int | tuple[int, ...] | None) -> Array:
        """The logits, once for each draw."""
        shape = () if size is None else checks.size_tuple(size)
        return np.broadcast_to(self._x, shape + self._x.shape)

    def _logarithms(self, x: Array, rng: SeedLike, offset: Any, num_threads: Any) -> Array:
        """Logarithms of samples, in the working dtype."""
        work = checks.work_dtype(x.dtype)
        z: Array = noise.gumbel(size=x.shape, dtype=work, rng=rng, offset=offset, num_threads=num_threads)
        wide = x.astype(work, copy=False)
        with np.errstate(over="ignore"):  # as gumbel_softmax
            z += wide - wide.max(axis=-1, keepdims=True)
        y: Array = log_softmax(z, temperature=self._tau, out=z, num_threads=num_threads)
        return y

    def _log_density(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """The log-density of logarithms y, with the categories last.

        The sum over k of log(alpha_k exp(-tau y_k)) less its logsumexp, taken inside the sum: nothing cancels.
        """
        k, tau = self._x.shape[-1], np.asarray(self._tau)
        s = np.ascontiguousarray(self._x.astype(np.float64) - tau[..., None] * y)
        total: NDArray[np.float64] = log_softmax(s, out=s).sum(axis=-1)
        total += math.lgamma(k) + (k - 1) * np.log(tau)
        return total


class Concrete(_Relaxed):
    r"""The Concrete or Gumbel-softmax distribution, of :math:`y = \mathrm{softmax}((x + g) / \tau)` on the simplex.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        x, the logarithms of unnormalised probabilities :math:`\alpha`; finite. They are copied.
    tau : float or array_like of floats
        The temperature :math:`\tau`, or one per row: an array that broadcasts to the batch shape. It is copied.
    axis : int, default -1
        The axis of the categories; the others are the batch.

    Raises
    ------
    TypeError
        For logits that are not floats.
    ValueError
        For logits that are not finite, or a `tau` that is not finite and > 0, with its row.

    Notes
    -----
    Maddison, Mnih and Teh, "The Concrete distribution" (2016); Jang, Gu and Poole, "Categorical reparameterization with
    Gumbel-softmax" (2016). With n categories the density is, in the form of either paper,

    .. math:: p(y) = (n-1)!\, \tau^{n-1} \prod_k \frac{\alpha_k y_k^{-\tau-1}}{\sum_i \alpha_i y_i^{-\tau}}
              = \Gamma(n)\, \tau^{n-1} \Big(\sum_i \alpha_i y_i^{-\tau}\Big)^{-n} \prod_k \alpha_k y_k^{-\tau-1}

    with respect to :math:`dy_1 \dots dy_{n-1}`. The largest entry is at k with probability
    :math:`\mathrm{softmax}(x)_k`, whatever :math:`\tau`.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> law = gf.distributions.Concrete(np.log([0.2, 0.3, 0.5]), tau=0.5)
    >>> y = law.sample(4, rng=0)
    >>> y.shape, law.log_prob(y).shape
    ((4, 3), (4,))
    """

    def sample(
        self,
        size: int | tuple[int, ...] | None = None,
        rng: SeedLike = None,
        *,
        offset: int | None = None,
        num_threads: int | None = None,
    ) -> Array:
        """Draw as `gumbelfast.gumbel_softmax` does.

        Parameters
        ----------
        size : int or tuple of ints, optional
            Draws per row; the result has shape ``size + logits.shape``.
        rng, offset, num_threads
            As in `gumbelfast.gumbel_softmax`.

        Returns
        -------
        ndarray of the dtype of the logits
            Entries far below the largest round to 0. The array, and views of it, remember their logarithms for
            `log_prob`; copies, pickles and results of arithmetic do not. `ExpConcrete` draws the logarithms.
        """
        x = self._rows(size)

        def draw(rng: SeedLike, offset: Any) -> Array:
            y: Array = relaxed.gumbel_softmax(x, self._tau, rng=rng, offset=offset, num_threads=num_threads)
            return y

        again = partial(self._logarithms, x, num_threads=num_threads)
        return np.moveaxis(_unrounded.drawn(draw, again, x.shape, rng, offset), -1, self._axis)

    def log_prob(self, y: ArrayLike) -> Any:
        """The logarithm of the density.

        Parameters
        ----------
        y : array_like of real numbers
            What `sample` returned, or points inside the simplex: entries > 0 that sum to 1 within 1e-6, or within the
            rounding of their dtype. Other axes broadcast against the batch shape.

        Returns
        -------
        ndarray of float64, or a scalar
            Samples are scored by the logarithms that they remember, rows that were overwritten by their values.

        Raises
        ------
        TypeError, ValueError
            For what is not inside the simplex, with its place.
        """
        log_y = self._log(y)
        with np.errstate(invalid="ignore"):
            density = self._log_density(log_y) - log_y.sum(axis=-1)
        # Where a sample's logarithms overflow, its density does.
        return np.where(np.isinf(log_y).any(axis=-1), np.inf, density)[()]

    def _log(self, y: ArrayLike) -> NDArray[np.float64]:
        """The logarithms of y with the categories last."""
        k, found = self._x.shape[-1], _unrounded.recall(y)
        if found is None or found.ndim < -self._axis or found.shape[self._axis] != k:
            log_y: NDArray[np.float64] = np.log(check.simplex(y, k, self._axis))
            return log_y
        log_y = np.moveaxis(found, self._axis, -1).astype(np.float64)
        with np.errstate(under="ignore"):
            again = np.exp(log_y)
        same = _unrounded.same(again, np.moveaxis(np.asarray(y), self._axis, -1))
        known = np.asarray(same.all(axis=-1, keepdims=True))
        inside = check.simplex(y, k, self._axis, known[..., 0])
        return np.where(known, log_y, np.log(np.where(known, 1.0, inside)))


class ExpConcrete(_Relaxed):
    r"""The distribution of the logarithm of a `Concrete` sample, :math:`y = \log \mathrm{softmax}((x + g) / \tau)`.

    Parameters and errors are those of `Concrete`. Samples do not underflow, so it is the better choice for computing
    densities.

    Notes
    -----
    Maddison, Mnih and Teh (2016), appendix C. The density is that of `Concrete` at :math:`e^y`, times
    :math:`\prod_k e^{y_k}`; it is taken with respect to :math:`e^{-y_n} dy_1 \dots dy_{n-1}` on the surface
    :math:`\sum_k e^{y_k} = 1`, the same measure whichever category is the n-th:

    .. math:: p(y) = (n-1)!\, \tau^{n-1} \Big(\sum_k \alpha_k e^{-\tau y_k}\Big)^{-n} \prod_k \alpha_k e^{-\tau y_k}

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> law = gf.distributions.ExpConcrete(np.log([0.2, 0.3, 0.5]), tau=1e-3)
    >>> y = law.sample(4, rng=0)
    >>> bool(np.isfinite(law.log_prob(y)).all())
    True
    """

    def sample(
        self,
        size: int | tuple[int, ...] | None = None,
        rng: SeedLike = None,
        *,
        offset: int | None = None,
        num_threads: int | None = None,
    ) -> Array:
        """Draw the logarithms of what `Concrete` draws at the same address; parameters are the same.

        Returns
        -------
        ndarray of the dtype of the logits, shape ``size + logits.shape``
            -inf where float16 has no such number.
        """
        x = self._rows(size)
        y = self._logarithms(x, rng, offset, num_threads)
        with np.errstate(over="ignore"):
            return np.moveaxis(y.astype(x.dtype, copy=False), -1, self._axis)

    def log_prob(self, y: ArrayLike) -> Any:
        """The logarithm of the density.

        Parameters
        ----------
        y : array_like of real numbers
            Logarithms of points inside the simplex: finite, and their exponentials sum to 1 within 1e-6, or within the
            rounding of their dtype. Other axes broadcast against the batch shape.

        Returns
        -------
        ndarray of float64, or a scalar

        Raises
        ------
        TypeError, ValueError
            For what is not the logarithm of such points, with its place.
        """
        return self._log_density(check.log_simplex(y, self._x.shape[-1], self._axis))[()]
