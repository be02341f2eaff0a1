"""The distribution of draws without replacement: probabilities of orders and of sets, and their gradient.

To draw from it, `gumbel_top_k` takes logits and `weighted_sample` takes weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, row_checks, table_checks
from .._engine.refused import refuse
from .._sampling.softmax import logsumexp
from . import subsets

Array = NDArray[Any]


def plackett_luce_log_prob(logits: ArrayLike, order: ArrayLike, *, axis: int = -1) -> Any:
    r"""Log-probability that successive sampling draws items in this order.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        Log-weights, unnormalised; -inf for what cannot be drawn.
    order : array_like of int
        k different columns along `axis`, in the order drawn; the other axes as in `logits`.
    axis : int, default -1
        The axis of the items.

    Returns
    -------
    float64 or ndarray of float64
        :math:`\sum_i x_{o_i} - \log \sum_{j \notin \{o_1 \dots o_{i-1}\}} \exp x_j`, of the shape of the batch; -inf
        for an order that cannot be drawn.

    Raises
    ------
    TypeError, ValueError
        For logits as in `categorical`, columns that are not integers, out of range or repeated, and shapes that differ.

    Notes
    -----
    Plackett (1975); Luce (1959). Sums are taken from the end, so that no remainder is computed as a difference.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> round(float(np.exp(gf.distributions.plackett_luce_log_prob(np.log([0.2, 0.3, 0.5]), [2, 0]))), 3)
    0.2
    """
    x, axis = _logits(logits, axis)
    picked, others = _split(x, table_checks.columns_of(order, x.shape, axis, "order"))
    with np.errstate(invalid="ignore"):
        terms = np.where(np.isneginf(picked), -np.inf, picked - _remaining(picked, others))
    return terms.sum(axis=-1)[()]


def plackett_luce_log_prob_backward(grad: ArrayLike, logits: ArrayLike, order: ArrayLike, *, axis: int = -1) -> Array:
    r"""Gradient of `plackett_luce_log_prob` with respect to its logits.

    Parameters
    ----------
    grad : array_like of floats
        Gradient with respect to the log-probabilities; broadcasts to the shape of the batch.
    logits, order, axis
        As in `plackett_luce_log_prob`.

    Returns
    -------
    ndarray of float64
        Shape of `logits`: for column j, drawn at place r (k + 1 if it is not drawn), it is ``grad`` times
        :math:`[r \le k] - \exp(x_j) \sum_{i \le \min(r, k)} 1 / R_i`, where :math:`R_i` is the weight that is left
        before draw i. NaN for a row whose order cannot be drawn.

    Raises
    ------
    TypeError, ValueError
        As in `plackett_luce_log_prob`, and for a `grad` of another shape.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> gf.distributions.plackett_luce_log_prob_backward(1.0, np.log([0.2, 0.3, 0.5]), [2]).round(3)
    array([-0.2, -0.3,  0.5])
    """
    x, axis = _logits(logits, axis)
    columns = table_checks.columns_of(order, x.shape, axis, "order")
    outer = row_checks.real_rows(grad, "grad", x.shape[:-1]).reshape(x.shape[:-1])
    picked, others = _split(x, columns)
    with np.errstate(invalid="ignore"):
        shares = np.logaddexp.accumulate(-_remaining(picked, others), axis=-1)
        whole = shares[..., -1:] if columns.shape[-1] else np.full((*x.shape[:-1], 1), -np.inf)
        result = -np.exp(others + whole)
        np.put_along_axis(result, columns, 1 - np.exp(picked + shares), -1)
    result[np.isneginf(picked).any(axis=-1)] = np.nan
    result *= outer[..., None]
    return checks.restored(result, axis)


def plackett_luce_set_log_prob(logits: ArrayLike, items: ArrayLike, *, axis: int = -1) -> Any:
    r"""Log-probability that the first k draws of successive sampling are these items, in any order.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        Log-weights, unnormalised; -inf for what cannot be drawn.
    items : array_like of int
        k different columns along `axis`; the other axes as in `logits`.
    axis : int, default -1
        The axis of the items.

    Returns
    -------
    float64 or ndarray of float64
        Of the shape of the batch; -inf for a set that cannot be drawn.

    Raises
    ------
    TypeError, ValueError
        As in `plackett_luce_log_prob`.

    Notes
    -----
    The sum of the probabilities of all k! orders: for k up to 6 by a recursion over subsets, beyond by quadrature of

    .. math:: \int_0^1 \prod_{i \in S} \left(1 - u^{w_i / W}\right) du, \qquad W = \sum_{j \notin S} w_j,

    with :math:`w = \exp x`, to a relative error of about 1e-13: Kool, van Hoof and Welling, "Estimating gradients for
    discrete random variables by sampling without replacement" (2020), appendix B.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> round(float(np.exp(gf.distributions.plackett_luce_set_log_prob(np.log([0.2, 0.3, 0.5]), [2, 0]))), 3)
    0.325
    """
    x, axis = _logits(logits, axis)
    inside, others = _split(x, table_checks.columns_of(items, x.shape, axis, "items"))
    impossible = np.isneginf(inside).any(axis=-1)
    inside[impossible] = 0
    return np.where(impossible, -np.inf, subsets.set_log_prob(inside, logsumexp(others)))[()]


def _logits(logits: ArrayLike, axis: int) -> tuple[Array, int]:
    x, axis = checks.rows(logits, axis)
    if x.size and not x.max(initial=-np.inf) < np.inf:
        refuse(x, None, axis)
    return x, axis


def _split(x: Array, columns: NDArray[np.int64]) -> tuple[Array, Array]:
    """The logits of the columns, and all others, where those of the columns are -inf; float64."""
    others = x.astype(np.float64)
    picked = np.take_along_axis(others, columns, -1)
    np.put_along_axis(others, columns, -np.inf, -1)
    return picked, others


def _remaining(picked: Array, others: Array) -> Array:
    """The logarithm of the weight that is left before each draw, summed from the end."""
    ends = np.concatenate([logsumexp(others)[..., None], picked[..., ::-1]], axis=-1)
    return np.logaddexp.accumulate(ends, axis=-1)[..., :0:-1]
