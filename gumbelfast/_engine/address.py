"""From a call's `rng`, `seeds`, `positions`, `offset` and `row_stride` to the place of each row's noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from . import checks, row_checks, sources
from .backend import active
from .types import Address, RowCall, SeedLike


def draw_rows(
    call: RowCall,
    shape: tuple[int, ...],
    size: int,
    rng: SeedLike,
    seeds: Any = None,
    positions: Any = None,
    offset: Any = None,
    row_stride: Any = None,
) -> int:
    """Run `call` on the noise of an array of that shape and size, rows along its last axis; return what it returns.

    Nothing moves before the arguments are found good, and a negative answer puts back what has moved.
    """
    if seeds is None and offset is None and positions is None and row_stride is None:
        return sources.draw(sources.source(rng), size, call, shape[-1])
    shape, columns = shape[:-1], shape[-1]
    if seeds is not None:
        for name, value in (("offset", offset), ("row_stride", row_stride)):
            if value is not None:
                raise ValueError(f"seeds addresses rows by itself: {name} must be None")
        return _draw_seeded(call, shape, columns, rng, seeds, 0 if positions is None else positions)
    if positions is not None:
        raise ValueError("positions needs seeds")
    if offset is None:
        raise ValueError("row_stride needs offset")
    stride = columns if row_stride is None else checks.as_integer(row_stride, "row_stride", below=2**63)
    if stride < columns:
        raise ValueError(f"row_stride must be at least the {columns} columns, got {stride}")
    if np.ndim(offset):
        if row_stride is not None:
            raise ValueError("row_stride needs a single offset, not one per row")
        starts = row_checks.uint64_rows(offset, "offset", shape, checks.LAST_ELEMENT - columns + 1)
        return _with_key(rng, lambda key: call((key, 0, 0, None, starts)))
    first = _first_element(offset, max(math.prod(shape) - 1, 0) * stride + columns)
    return _with_key(rng, lambda key: call((key, first, stride, None, None)))


def _draw_seeded(call: RowCall, shape: tuple[int, ...], columns: int, rng: SeedLike, seeds: Any, positions: Any) -> int:
    """Rows with a seed take its noise; the others take the next elements of `rng`, as if the call had no more rows."""
    width = columns + -columns % 32
    given, missing = row_checks.seed_rows(seeds, shape)
    places = row_checks.uint64_rows(positions, "positions", shape, checks.LAST_ELEMENT // width)
    row_checks.different_noise(seeds, positions, shape)
    keys, starts = np.empty_like(given), places * np.array(width, np.uint64)
    active().row_keys(given, keys)
    if missing is None:
        return call((0, 0, 0, keys, starts))
    unseeded = int(missing.sum())

    def mixed(place: Address) -> int:
        key, first, *_ = place
        keys[missing] = key
        starts[missing] = np.uint64(first) + np.arange(unseeded, dtype=np.uint64) * np.uint64(columns)
        return call((0, 0, 0, keys, starts))

    return sources.draw(sources.source(rng), unseeded * columns, mixed, columns)


def draw_flat(call: RowCall, elements: int, rng: SeedLike, offset: Any) -> None:
    """Run `call` on a flat slice of noise; with an `offset`, of the noise of `rng`'s key, and no generator moves."""
    if offset is None:
        sources.draw(sources.source(rng), elements, call, elements)
    else:
        first = _first_element(offset, elements)
        _with_key(rng, lambda key: call((key, first, elements, None, None)))


def _with_key(rng: SeedLike, call: Callable[[int], int]) -> int:
    """``call(key)``; a generator of ours does not move, a NumPy Generator moves only if the call succeeds."""
    if rng is None:
        raise ValueError("offset addresses the noise of a key: rng must be given")
    if sources.is_ours(rng):
        return call(rng.key)
    return sources.draw(sources.source(rng), 0, lambda place: call(place[0]), 0)


def _first_element(offset: Any, extent: int) -> int:
    first = checks.as_integer(offset, "offset")
    if not 0 <= first <= checks.LAST_ELEMENT - extent:
        raise ValueError(f"offset must keep all elements in [0, 2**62), got {first}")
    return first
