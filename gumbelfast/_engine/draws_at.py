"""The engine for columns that are ids in a larger space, in rows of any lengths: from logits and ids to draws."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import address, checks, id_checks, row_checks
from .backend import active
from .draws import Where, tolerate
from .refused import refuse, refuse_ragged
from .types import LACKING, RowCall

Array = NDArray[Any]


class Entries(NamedTuple):
    """Logits and their ids, in rows without gaps or given by `bounds`, where places may stand for ids."""

    logits: Array
    scale: float | NDArray[np.float64]
    ids: NDArray[np.uint64] | None
    bounds: NDArray[np.int64] | None
    batch: tuple[int, ...]
    columns: int
    axis: int


def as_entries(
    logits: ArrayLike,
    axis: Any,
    temperature: ArrayLike,
    mask: ArrayLike | None,
    ids: ArrayLike | None,
    indptr: ArrayLike | None,
    columns: int | None,
) -> Entries:
    """The checked arguments of a call. Without ids, places in the rows that `indptr` defines stand for them."""
    space = id_checks.as_columns(columns)
    named: NDArray[np.uint64] | None
    if indptr is None:
        x, axis = checks.rows(logits, axis)
        x, batch, bounds = np.ascontiguousarray(x), x.shape[:-1], None
        named = id_checks.as_rows_of_ids(ids, space, np.shape(logits), axis)  # type: ignore[arg-type]
    else:
        id_checks.check_ragged(axis)
        x, axis = id_checks.as_entries(logits), -1
        bounds = id_checks.as_bounds(indptr, x.size)
        batch = (bounds.size - 1,)
        named = None if ids is None else id_checks.as_rows_of_ids(ids, space, x.shape, axis)
        if ids is None:
            id_checks.check_lengths(bounds, space)
    scale = row_checks.positive_reciprocals(temperature, "temperature", batch, x.dtype)
    if mask is not None:
        x = x.copy()
        x[~np.broadcast_to(checks.mask_for(mask, np.shape(logits), axis), x.shape)] = -np.inf
    return Entries(x, scale, named, bounds, batch, space, axis)


def _run(call: RowCall, entries: Entries, shape: tuple[int, ...], where: Where, wanted: int | None = None) -> None:
    shape = (*shape, entries.columns)
    status = address.draw_rows(call, shape, math.prod(shape), *where)
    if status < 0:
        wanted = wanted if status == LACKING else None
        if entries.bounds is None:
            refuse(entries.logits, None, entries.axis, wanted=wanted)
        refuse_ragged(entries.logits, entries.bounds)


def choose_at(
    entries: Entries,
    size: tuple[int, ...],
    threads: int,
    where: Where,
    *,
    perturbed: bool = False,
    empty_allowed: bool = False,
) -> tuple[NDArray[np.int64], Array | None]:
    """The id of the largest perturbed logit of each row, `size` times, and its value where that is wanted."""
    x, scale, ids, bounds, batch, *_ = entries
    index = np.empty(size + batch, np.int64)
    best = np.empty(index.shape) if perturbed else None
    call: RowCall = partial(active().gumbel_max_at, x, scale, ids, bounds, index, best, threads)
    if empty_allowed:
        call = tolerate(call, lambda: False)
    _run(call, entries, index.shape, where)
    return index, best


def choose_distinct_at(entries: Entries, k: Any, threads: int, where: Where) -> tuple[NDArray[np.int64], Array]:
    """The ids of the k largest perturbed logits of each row, in order, and their values.

    Rows that `bounds` cut out may have fewer: missing places hold -1 and -inf.
    """
    x, scale, ids, bounds, batch, *_ = entries
    ragged = bounds is not None
    k = checks.as_integer(k, "k", 0, checks.INT64_END) if ragged else checks.count(k, x.shape[-1])
    index, best = np.empty((*batch, k), np.int64), np.empty((*batch, k))
    call: RowCall = partial(active().gumbel_top_k_at, x, scale, ids, bounds, index, best, threads)
    _run(tolerate(call, lambda: False) if ragged else call, entries, batch, where, k)
    return index, best
