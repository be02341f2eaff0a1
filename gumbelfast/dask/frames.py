"""Rows of data frames, drawn by weights."""

from __future__ import annotations

import sys
from typing import Any

import dask
import numpy as np
from dask import delayed
from numpy.typing import NDArray

from .. import _items, shards, weighted_sample
from .._engine import checks, sources, table_checks
from .._engine.types import SeedLike
from .._parts import RowNoise, draw_weighted, split_threshold
from ..random.seeding import default_rng
from ..shards import TopK
from . import _checks

Array = NDArray[Any]


def sample_rows(frame: Any, n: int, *, weights: Any = None, rng: SeedLike = None) -> Any:
    """Draw n rows of a data frame without replacement, with probabilities proportional to weights.

    Parameters
    ----------
    frame : DataFrame of dask, pandas or polars, or Table of Arrow
        The frame whose rows are drawn.
    n : int
        How many, at most the number of rows of positive weight.
    weights : column name or array_like of real numbers, optional
        Finite and >= 0; rows of weight 0 are never drawn. Without weights all rows are equally probable. For a dask
        frame only the name of a column is accepted.
    rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
        Where the randomness comes from.

    Returns
    -------
    DataFrame or Table of the same library
        The rows in the order drawn, with their index. They are those that `gumbelfast.weighted_sample` draws from the
        weights of all rows as float64, however they are partitioned. For a dask frame the result is a dask frame with
        one partition.

    Raises
    ------
    TypeError
        For an argument that is not a frame, weights that are not real numbers, or an n that is not an integer.
    ValueError
        For weights that are negative or not finite, and for an n above the number of rows of positive weight.
    KeyError
        For a column that the frame does not have; polars raises its own error.

    Notes
    -----
    The weights of a dask frame are read when this is called, in one pass that Dask's progress bar shows, and n + 1
    numbers of each partition are kept. The rows are fetched when the result is computed, from the partitions that hold
    them. A generator advances only after that pass: do not use it for anything else meanwhile. Dask's own ``sample``
    takes a fraction, and no weights.

    Examples
    --------
    >>> import pandas as pd, dask.dataframe as dd, gumbelfast.dask as gfd
    >>> frame = pd.DataFrame({"city": ["Bern", "Chur", "Genf"], "people": [130, 0, 200]})
    >>> found = gfd.sample_rows(dd.from_pandas(frame, npartitions=2), 2, weights="people", rng=1)
    >>> sorted(found.compute().city)
    ['Bern', 'Genf']
    """
    n = checks.as_integer(n, "n", 0)
    if _is_dask_frame(frame):
        return _of_partitions(frame, n, weights, rng)
    if _items.library(frame) not in ("pandas", "polars", "pyarrow") or not hasattr(frame, "columns"):
        raise TypeError(
            f"expected a data frame of dask, pandas or polars, or an Arrow table, got {type(frame).__name__}"
        )
    w = np.ones(_items.count(frame)) if weights is None else _column(frame[weights] if _is_name(weights) else weights)
    if w.shape != (rows := _items.count(frame),):
        raise ValueError(f"weights of shape {w.shape} do not fit a frame of {rows} rows")
    _checks.check_weights(w, [(0, rows)])
    _checks.check_rows(int(np.count_nonzero(w)), n)
    return _items.take(frame, weighted_sample(w, n, rng=rng).indices)


def _is_dask_frame(frame: Any) -> bool:
    frames = sys.modules.get("dask.dataframe")
    return frames is not None and isinstance(frame, frames.DataFrame)


def _is_name(weights: Any) -> bool:
    return isinstance(weights, str) or np.ndim(weights) == 0


def _column(values: Any) -> Array:
    """Real numbers of a column as float64."""
    found = np.asarray(table_checks.counted(_items.as_array(values)))
    checks.float_dtype(found.dtype)
    return found.astype(np.float64)


def _of_partitions(frame: Any, n: int, weights: Any, rng: SeedLike) -> Any:
    if weights is not None and not _is_name(weights):
        raise TypeError(f"weights of a dask frame must name a column, got {type(weights).__name__}")
    # The pass takes time: without `rng` it draws from a generator of its own, which no other call can use meanwhile.
    with sources.reserved(default_rng() if rng is None else rng, 0) as (key, first):
        drawn, rows = _drawn(frame, n, weights, key, first)
        if sources.is_ours(rng):
            rng.offset = first + rows
    return drawn


def _drawn(frame: Any, n: int, weights: Any, key: int, first: int) -> tuple[Any, int]:
    """The rows drawn, and the number of all rows."""
    # Without weights a column must be read too, to count the rows of each partition.
    name = frame.columns[0] if weights is None else weights
    narrow, parts = frame[[name]].to_delayed(), frame.to_delayed()
    # Dask may read a few columns of several partitions of a file as one: these are not the partitions of whole rows.
    narrow = narrow if len(narrow) == len(parts) else parts
    start, starts, states = delayed(0), [], []
    for part in narrow:
        w = delayed(_weights)(part, name, weights is None)
        starts.append(start)
        states.append(delayed(_state)(w, start, n + 1, key, first))
        start = delayed(_end)(start, w)
    while len(states) > 1:
        states = [delayed(_merged)(states[i : i + 8], n + 1) for i in range(0, len(states), 8)]
    state, found, rows = dask.compute(states[0], starts, start)
    index = split_threshold(state, n)[0]
    _checks.check_rows(int((index >= 0).sum()), n)
    return _fetched(parts, frame._meta, index, np.array(found)), rows


def _fetched(parts: list[Any], meta: Any, index: NDArray[np.int64], starts: NDArray[np.int64]) -> Any:
    """A frame of one partition with rows of these numbers, of partitions that begin at `starts`."""
    # Partitions without rows begin where the next one does.
    owner = np.searchsorted(starts, index, side="right") - 1
    holders = np.unique(owner).tolist() or [0]
    pieces = [delayed(_items.take)(parts[p], index[owner == p] - starts[p]) for p in holders]
    place = np.argsort(np.argsort(owner, kind="stable"), kind="stable")
    from dask.dataframe import from_delayed

    return from_delayed([delayed(_ordered)(pieces, place)], meta=meta, verify_meta=False)


def _weights(part: Any, name: Any, alike: bool) -> Array:
    return np.ones(len(part)) if alike else _column(part[name])


def _end(start: int, w: Array) -> int:
    return start + w.size


def _state(w: Array, start: int, k: int, key: int, first: int) -> TopK:
    _checks.check_weights(w, [(start, start + w.size)])
    address = RowNoise(np.array(key, np.uint64), np.array(first + start, np.uint64))
    drawn = draw_weighted(w, k, address)
    return TopK(np.where(drawn.indices < 0, drawn.indices, drawn.indices + start), drawn.perturbed)


def _merged(states: list[TopK], k: int) -> TopK:
    found: TopK = shards.merge(states, k=min(k, sum(state.indices.size for state in states)))
    return found


def _ordered(pieces: list[Any], place: NDArray[np.int64]) -> Any:
    return _items.take(_items.join(pieces), place)
