"""Relaxed sorting: the permutation matrix that sorts scores, as rows of softmaxes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import row_checks
from .._sampling.softmax import softmax, softmax_backward
from . import _checks as check

Array = NDArray[Any]


def soft_sort(scores: ArrayLike, tau: ArrayLike = 1.0) -> Array:
    r"""A relaxed permutation matrix that sorts in descending order, :math:`\mathrm{softmax}(-|s_{[i]} - s_j| / \tau)`.

    Parameters
    ----------
    scores : array_like of float16, bfloat16, float32 or float64, shape (..., n)
        Finite. If Gumbel noise was added to them, the limit is a Plackett-Luce draw, that of `gumbel_top_k`.
    tau : float or array_like of float, default 1.0
        Temperature: one number, or one per row, which broadcasts to the batch shape.

    Returns
    -------
    ndarray of shape (..., n, n)
        float32, or float64 for float64 scores. Row i marks where the i-th largest score is; rows sum to 1, and the
        largest entry of each is at the place of the exact permutation.

    Raises
    ------
    TypeError, ValueError
        For scores that are not finite floats, and a bad tau.

    Notes
    -----
    Prillo and Eisenschlos, "SoftSort: a continuous relaxation for the argsort operator" (2020), with the absolute
    difference.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.permutations import soft_sort
    >>> s = np.array([2.0, 5.0, 4.0])
    >>> (soft_sort(s, 0.01) @ s).round(3).tolist()
    [5.0, 4.0, 2.0]
    """
    s, scale, _ = _rows(scores, tau)
    return _soft(s, scale).reshape(*np.shape(scores), s.shape[-1])


def soft_sort_backward(grad: ArrayLike, scores: ArrayLike, tau: ArrayLike = 1.0) -> Array:
    r"""Gradient of `soft_sort` with respect to the scores.

    Parameters
    ----------
    grad : array_like of real numbers
        Gradient with respect to the matrices; broadcasts to their shape.
    scores, tau
        As in `soft_sort`.

    Returns
    -------
    ndarray
        Shape of `scores`; float32, or float64 for float64. Equal scores have the derivative 0 of their difference.

    Raises
    ------
    TypeError, ValueError
        As in `soft_sort`, and for a `grad` that does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.permutations import soft_sort_backward
    >>> grad = soft_sort_backward(np.eye(3), [0.1, 2.0, 1.0], tau=0.5)
    >>> grad.shape, bool(abs(grad.sum()) < 1e-6)  # a constant added to all scores changes nothing
    ((3,), True)
    """
    s, scale, shape = _rows(scores, tau)
    h = _pulled(grad, _soft(s, scale), shape, scale)
    order = np.argsort(-s, axis=-1, kind="stable")
    signed = h * np.sign(np.take_along_axis(s, order, -1)[..., None] - s[..., None, :])
    result: Array = signed.sum(axis=-2)
    moved = np.zeros_like(s)
    np.put_along_axis(moved, order, signed.sum(axis=-1), -1)
    return (result - moved).reshape(shape)


def neural_sort(scores: ArrayLike, tau: ArrayLike = 1.0) -> Array:
    r"""A relaxed permutation matrix that sorts scores in descending order, by NeuralSort.

    Parameters
    ----------
    scores, tau
        As in `soft_sort`.

    Returns
    -------
    ndarray of shape (..., n, n)
        As of `soft_sort`.

    Raises
    ------
    TypeError, ValueError
        As in `soft_sort`.

    Notes
    -----
    Grover, Wang, Zweig and Ermon, "Stochastic optimization of sorting networks via continuous relaxations" (2019):

    .. math:: P_i = \mathrm{softmax}_j\Big( \big( (n + 1 - 2 i)\, s_j - \sum_k |s_j - s_k| \big) / \tau \Big)

    with i from 1 to n.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.permutations import neural_sort
    >>> s = np.array([2.0, 5.0, 4.0])
    >>> (neural_sort(s, 0.01) @ s).round(3).tolist()
    [5.0, 4.0, 2.0]
    """
    s, scale, _ = _rows(scores, tau)
    return _neural(s, scale).reshape(*np.shape(scores), s.shape[-1])


def neural_sort_backward(grad: ArrayLike, scores: ArrayLike, tau: ArrayLike = 1.0) -> Array:
    r"""Gradient of `neural_sort` with respect to the scores.

    Parameters
    ----------
    grad : array_like of real numbers
        Gradient with respect to the matrices; broadcasts to their shape.
    scores, tau
        As in `soft_sort`.

    Returns
    -------
    ndarray
        Shape of `scores`; float32, or float64 for float64. Equal scores have the derivative 0 of their difference.

    Raises
    ------
    TypeError, ValueError
        As in `soft_sort`, and for a `grad` that does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.permutations import neural_sort_backward
    >>> grad = neural_sort_backward(np.eye(3), [0.1, 2.0, 1.0], tau=0.5)
    >>> grad.shape, bool(abs(grad.sum()) < 1e-6)  # a constant added to all scores changes nothing
    ((3,), True)
    """
    s, scale, shape = _rows(scores, tau)
    h = _pulled(grad, _neural(s, scale), shape, scale)
    column = h.sum(axis=-2)
    sign = np.sign(s[..., :, None] - s[..., None, :])
    towards = (sign * (column[..., :, None] + column[..., None, :])).sum(axis=-1)
    found: Array = (h * _weights(s)).sum(axis=-2) - towards
    return found.reshape(shape)


def _rows(scores: ArrayLike, tau: ArrayLike) -> tuple[Array, Array, tuple[int, ...]]:
    """Scores (rows, n), and 1/tau of each."""
    s = check.scores(scores)
    inverse = row_checks.positive_reciprocals(tau, "tau", s.shape[:-1], s.dtype)
    rows = s.reshape(-1, s.shape[-1])
    return rows, np.broadcast_to(np.asarray(inverse, np.float64).reshape(-1, 1), (len(rows), 1)), s.shape


def _each(scale: Array, n: int) -> Array:
    """One temperature for each row of each matrix."""
    return 1 / np.broadcast_to(scale, (len(scale), n))


def _soft(s: Array, scale: Array) -> Array:
    ordered = -np.sort(-s, axis=-1)
    found: Array = softmax(-np.abs(ordered[..., None] - s[..., None, :]), temperature=_each(scale, s.shape[-1]))
    return found


def _neural(s: Array, scale: Array) -> Array:
    spread = np.abs(s[..., :, None] - s[..., None, :]).sum(axis=-1)
    of = _weights(s) * s[..., None, :] - spread[..., None, :]
    found: Array = softmax(of, temperature=_each(scale, s.shape[-1]))
    return found


def _weights(s: Array) -> Array:
    """Factors n + 1 - 2 i, down the rows of the matrix."""
    n = s.shape[-1]
    found: Array = (n + 1 - 2 * np.arange(1, n + 1)).astype(s.dtype)[:, None]
    return found


def _pulled(grad: ArrayLike, p: Array, shape: tuple[int, ...], scale: Array) -> Array:
    """The gradient with respect to the argument of the softmax, before its division by tau."""
    outer = check.gradient(grad, (*shape, shape[-1])).astype(p.dtype).reshape(p.shape)
    return softmax_backward(outer, p, temperature=_each(scale, shape[-1]))
