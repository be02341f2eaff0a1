"""Weighted sampling without replacement: successive draws, each in proportion to the weights that are left."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, draws, table_checks, thread_count
from .._engine.types import SeedLike

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
        ``indices`` (int64) and ``perturbed`` (float64) hold k entries along `axis` in
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
    x, axis = checks.rows(table_checks.counted(weights), axis)
    if x.size and not (x.min() >= 0 and x.max() < np.inf):
        table_checks.refuse_weights(x, axis)
    k = checks.count(k, x.shape[-1])
    with np.errstate(divide="ignore"):
        logits = np.log(x, dtype=checks.work_dtype(x.dtype))
    drawn = with_threshold(
        logits, k, "positive weights", rng, seeds, positions, offset, row_stride, num_threads=num_threads
    )
    return WeightedSample(checks.restored(drawn.indices, axis), checks.restored(drawn.perturbed, axis), drawn.kappa[()])


def with_threshold(logits: Array, k: int, what: str, *given: Any, num_threads: int | None = None) -> WeightedSample:
    """The k largest perturbed logits of rows that `checks.rows` laid out, and the next one.

    `what` names the entries of which a row may have too few; `given` is all that `address.draw_rows` takes.
    """
    # One more than asked for: its perturbed value is the threshold.
    more = min(k + 1, logits.shape[-1])
    threads = thread_count.resolve(num_threads)
    index, perturbed = draws.choose_distinct((logits, None, 1.0), more, -1, threads, given, needed=k, what=what)
    kappa = perturbed[..., k] if more > k else np.full(logits.shape[:-1], -np.inf, perturbed.dtype)
    drawn, values = (np.ascontiguousarray(part[..., :k]) for part in (index, perturbed))
    return WeightedSample(drawn, values, kappa.copy())
