"""Weighted sampling without replacement: successive draws, each in proportion to the weights that are left."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, draws, table_checks, thread_count
from .._engine.types import LACKING, SeedLike

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
    weights : array_like of float16, bfloat16, float32, float64 or integers
        Weights or probabilities, finite and >= 0; they need not sum to 1. What weighs 0 is never drawn. Floats are read
        as they lie, integers are taken as float64.
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
    that an item is among the k is not proportional to its weight. The k largest :math:`w_i / E_i` with standard
    exponentials E are such a draw (Efraimidis and Spirakis 2006; Vieira 2014); their logarithms are the perturbed
    log-weights :math:`\log w_i + g_i` of Gumbel-top-k. Weights race as they are, so that none underflows or overflows,
    and a logarithm is taken of what is drawn alone (``docs/stream.md``). On kappa: Duffield, Lund and Thorup (2007);
    Kool, van Hoof and Welling (2019).

    `gumbelfast.distributions.PlackettLuce` draws the same from weights that it has looked at before.

    Examples
    --------
    >>> import gumbelfast as gf
    >>> sorted(gf.weighted_sample([0, 3, 0, 1], 2, rng=0).indices.tolist())
    [1, 3]
    """
    x, axis = checks.rows(table_checks.counted(weights), axis)
    where = rng, seeds, positions, offset, row_stride
    return race_weights(x, None, checks.count(k, x.shape[-1]), axis, where, num_threads)


def race_weights(
    x: Array,
    tops: Array | None,
    k: int,
    axis: int,
    where: draws.Where,
    num_threads: int | None,
    size: tuple[int, ...] = (),
) -> WeightedSample:
    """The sample from weights that `checks.rows` laid out, `size` times; with `tops` (`Backend.race`) all are good."""
    # One more than asked for: its perturbed value is the threshold.
    more = min(k + 1, x.shape[-1])
    index = np.empty((*size, *x.shape[:-1], more), np.int64)
    perturbed = np.empty(index.shape)
    threads = thread_count.resolve(num_threads)
    status = draws.race(x, index, threads, where, perturbed=perturbed, tops=tops, needed=k)
    if status == LACKING:
        table_checks.refuse_few_weights(x, k)
    if status < 0:
        table_checks.refuse_weights(x, axis)
    drawn = _split(index, perturbed, k)
    place = axis if axis == -1 else axis - x.ndim
    return WeightedSample(
        checks.restored(drawn.indices, place), checks.restored(drawn.perturbed, place), drawn.kappa[()]
    )


def with_threshold(logits: Array, k: int, what: str, *given: Any, num_threads: int | None = None) -> WeightedSample:
    """The k largest perturbed logits of rows that `checks.rows` laid out, and the next one.

    `what` names the entries of which a row may have too few; `given` is all that `address.draw_rows` takes.
    """
    threads = thread_count.resolve(num_threads)
    more = min(k + 1, logits.shape[-1])
    index, perturbed = draws.choose_distinct((logits, None, 1.0), more, -1, threads, given, needed=k, what=what)
    return _split(index, perturbed, k)


def _split(index: Array, perturbed: Array, k: int) -> WeightedSample:
    """The first k entries, and the value of the next one."""
    kappa = perturbed[..., k] if perturbed.shape[-1] > k else np.full(perturbed.shape[:-1], -np.inf, perturbed.dtype)
    drawn, values = (np.ascontiguousarray(part[..., :k]) for part in (index, perturbed))
    return WeightedSample(drawn, values, kappa.copy())
