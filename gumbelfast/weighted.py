"""Weighted sampling without replacement: successive draws, each in proportion to the weights that are left."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _address, _threads, _validate, _validate_tables
from ._backend import active
from ._types import SeedLike
from .softmax import logsumexp

Array = NDArray[Any]


class WeightedSample(NamedTuple):
    """What `weighted_sample` returns: the items in the order drawn, their perturbed log-weights, and the threshold."""

    indices: NDArray[np.int64]
    perturbed: Array
    kappa: Any


def weighted_sample(
    weights: ArrayLike,
    k: int,
    *,
    axis: int = -1,
    rng: SeedLike = None,
    seeds: ArrayLike | None = None,
    positions: ArrayLike | None = None,
    offset: int | ArrayLike | None = None,
    row_stride: int | None = None,
    num_threads: int | None = None,
) -> WeightedSample:
    r"""Draw k items per row without replacement, with probabilities proportional to weights.

    Parameters
    ----------
    weights : array_like of real numbers
        Weights or probabilities, finite and >= 0; they need not sum to 1. What weighs 0 is never drawn. Integers are
        taken as float64.
    k : int
        How many, ``0 <= k <= columns``.
    axis, rng, seeds, positions, offset, row_stride, num_threads
        As in `categorical`.

    Returns
    -------
    WeightedSample
        ``indices`` (int64) and ``perturbed`` (float32, or float64 for float64 weights) hold k entries along `axis` in
        the order of the draw; ``kappa`` has the shape of the batch: the largest perturbed log-weight that was not
        drawn, -inf where nothing is left. Given kappa, item i was drawn with probability
        :math:`1 - \exp(-\exp(\log w_i - \kappa))`, which estimators without replacement divide by.

    Raises
    ------
    TypeError
        For weights that are not real numbers, or a k that is no integer.
    ValueError
        For negative, NaN or infinite weights, or a k above the columns or above the positive weights of a row.

    Notes
    -----
    This is successive sampling, the Plackett-Luce model: the first item has probability :math:`w_i / \sum_j w_j`, the
    next the same among the rest, and so on, as in `numpy.random.Generator.choice` with ``replace=False``. So the chance
    that an item is among the k is not proportional to its weight. The k largest :math:`\log w_i + g_i` with standard
    Gumbels g are such a draw: Efraimidis and Spirakis (2006); Vieira (2014). On kappa: Duffield, Lund and Thorup
    (2007); Kool, van Hoof and Welling (2019).

    Examples
    --------
    >>> import gumbelfast as gf
    >>> sorted(gf.weighted_sample([0, 3, 0, 1], 2, rng=0).indices.tolist())
    [1, 3]
    """
    x, axis = _validate.rows(_validate_tables.counted(weights), axis)
    if x.size and not (x.min() >= 0 and x.max() < np.inf):
        _validate_tables.refuse_weights(x, axis)
    k = _validate.count(k, x.shape[-1])
    with np.errstate(divide="ignore"):
        logits = np.log(x, dtype=_validate.work_dtype(x.dtype))
    # One more than asked for: its perturbed value is the threshold.
    shape = (*x.shape[:-1], min(k + 1, x.shape[-1]))
    index, perturbed = np.empty(shape, np.int64), np.empty(shape, logits.dtype)
    draw = partial(active().gumbel_top_k, logits, None, 1.0, index, perturbed, _threads.resolve(num_threads))

    def call(*address: Any) -> int:
        tiles = draw(*address)
        return tiles if tiles >= 0 or (k and (index[..., k - 1] < 0).any()) else -2 - tiles

    if _address.draw_rows(call, x.shape, x.size, rng, seeds, positions, offset, row_stride) < 0:
        _validate.too_few(x, k, index[..., :k], "positive weights")
    kappa = perturbed[..., k] if shape[-1] > k else np.full(shape[:-1], -np.inf, perturbed.dtype)
    drawn, values = (_validate.restored(np.ascontiguousarray(a[..., :k]), axis) for a in (index, perturbed))
    return WeightedSample(drawn, values, kappa.copy()[()])


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
        For logits as in `categorical`, columns that are no integers, out of range or repeated, and shapes that differ.

    Notes
    -----
    Plackett (1975); Luce (1959). Sums are taken from what is left at the end, so no remainder is a difference.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> round(float(np.exp(gf.plackett_luce_log_prob(np.log([0.2, 0.3, 0.5]), [2, 0]))), 3)
    0.2
    """
    x, axis = _validate.rows(logits, axis)
    if x.size and not x.max(initial=-np.inf) < np.inf:
        _validate.refuse(x, None, axis, empty_allowed=True)
    chosen = _validate_tables.columns_of(order, x.shape, axis)
    wide = x.astype(np.float64)
    picked = np.take_along_axis(wide, chosen, -1)
    np.put_along_axis(wide, chosen, -np.inf, -1)
    ends = np.concatenate([logsumexp(wide)[..., None], picked[..., ::-1]], axis=-1)
    left = np.logaddexp.accumulate(ends, axis=-1)[..., :0:-1]
    with np.errstate(invalid="ignore"):
        terms = np.where(np.isneginf(picked), -np.inf, picked - left)
    return terms.sum(axis=-1)[()]
