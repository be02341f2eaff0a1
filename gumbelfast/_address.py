"""From a call's `rng`, `seeds`, `positions`, `offset` and `row_stride` to the place of each row's noise."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _validate, random

_U64 = NDArray[np.uint64]
# (key, offset, row_stride, seeds, offsets), as backends take them.
RowCall = Callable[[int, int, int, "_U64 | None", "_U64 | None"], int]


def draw_rows(
    call: RowCall,
    shape: tuple[int, ...],
    columns: int,
    rng: random.SeedLike,
    seeds: Any = None,
    positions: Any = None,
    offset: Any = None,
    row_stride: Any = None,
) -> bool:
    """Run `call` on the noise of ``shape`` rows of ``columns`` elements; False if the kernel refuses its input.

    Nothing moves before the arguments are found good, and a refusal puts back what has moved.
    """
    if seeds is None and offset is None:
        if positions is not None:
            raise ValueError("positions needs seeds")
        if row_stride is not None:
            raise ValueError("row_stride needs offset")
        return random.source(rng)._draw(
            math.prod(shape) * columns, lambda key, first: call(key, first, columns, None, None)
        )
    if seeds is not None:
        for name, value in (("rng", rng), ("offset", offset), ("row_stride", row_stride)):
            if value is not None:
                raise ValueError(f"seeds addresses rows by itself: {name} must be None")
        width = columns + -columns % 32
        keys = _validate.uint64_rows(seeds, "seeds", shape)
        places = _validate.uint64_rows(
            0 if positions is None else positions, "positions", shape, _validate.LAST_ELEMENT // width
        )
        return call(0, 0, 0, keys, places * np.uint64(width)) != -1
    if positions is not None:
        raise ValueError("positions needs seeds")
    stride = columns if row_stride is None else operator.index(row_stride)
    if stride < columns:
        raise ValueError(f"row_stride must be at least the {columns} columns, got {stride}")
    key = _key_at_offset(rng)
    if np.ndim(offset):
        if row_stride is not None:
            raise ValueError("row_stride needs a single offset, not one per row")
        starts = _validate.uint64_rows(offset, "offset", shape, _validate.LAST_ELEMENT - columns + 1)
        return call(key, 0, 0, None, starts) != -1
    first = _first_element(offset, max(math.prod(shape) - 1, 0) * stride + columns)
    return call(key, first, stride, None, None) != -1


def draw_at(call: Callable[[int, int], None], elements: int, rng: random.SeedLike, offset: Any) -> None:
    """Run `call` on a flat slice of the noise of `rng`'s key; the generator stays where it is."""
    call(_key_at_offset(rng), _first_element(offset, elements))


def _key_at_offset(rng: random.SeedLike) -> int:
    if rng is None:
        raise ValueError("offset addresses the noise of a key: rng must be given")
    return random.default_rng(rng).key


def _first_element(offset: Any, extent: int) -> int:
    first = operator.index(offset)
    if not 0 <= first <= _validate.LAST_ELEMENT - extent:
        raise ValueError(f"offset must keep all elements in [0, 2**62), got {first}")
    return first
