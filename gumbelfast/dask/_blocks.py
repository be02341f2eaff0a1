"""From the arguments of a call to operations on blocks, and the noise of each block's rows.

Inside a call an array of logits has the axes of `size`, if any, in front: views of the same blocks. An array with one
entry for each row has all axes of the logits, of size 1 along those that are drawn from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from .._engine import row_checks
from .._engine.types import SeedLike
from .._parts import RowNoise, end_of_positions, noise_of_rows, reserve, seeded_noise
from . import _checks
from ._checks import Location
from .memmap import from_memmap, is_whole

Array = NDArray[Any]


def as_dask(x: Any) -> da.Array:
    """A dask array: one that refers to the file for a whole memory map, else one in Dask's default chunks."""
    if isinstance(x, da.Array):
        return x
    return from_memmap(x) if is_whole(x) else da.asarray(x)


def spread(x: da.Array, size: tuple[int, ...]) -> da.Array:
    """The array with axes of draws in front, each in one chunk."""
    if not size:
        return x
    return da.broadcast_to(x, size + x.shape, chunks=tuple((n,) for n in size) + x.chunks)


def beside(values: Any, chunks: Any, axes: tuple[int, ...] = ()) -> da.Array:
    """Values with these additional axes, and then axes in front, in blocks that match those of an array in chunks."""
    values = with_axes(values, axes)
    values = values[(None,) * (len(chunks) - values.ndim)]
    chunks = tuple((1,) if n == 1 else own for n, own in zip(values.shape, chunks, strict=True))
    if isinstance(values, da.Array):
        return values.rechunk(chunks)
    return da.from_array(values, chunks=chunks)


def with_axes(values: Any, axes: tuple[int, ...]) -> Any:
    """An array with these additional axes, of size 1; `dask.array.expand_dims` fails for empty chunks."""
    return values[tuple(None if axis in axes else slice(None) for axis in range(values.ndim + len(axes)))]


def without(parts: Any, axes: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(part for axis, part in enumerate(parts) if axis not in axes)


@dataclass(frozen=True)
class Address:
    """The address of the noise of all rows: a key and the place of the first row, or seeds and positions of rows.

    `rows` is the shape of the rows, whose first `lead` axes are those of `size`; `columns` is the length of a row,
    along `axis`. The blocks of `arrays` match those of the logits.
    """

    key: int
    first: int
    rows: tuple[int, ...]
    lead: int
    columns: int
    axis: int
    arrays: dict[str, da.Array] = field(default_factory=dict, compare=False)

    def plain(self) -> Address:
        """Without the arrays, for use in tasks."""
        return Address(self.key, self.first, self.rows, self.lead, self.columns, self.axis)

    @property
    def batch(self) -> tuple[int, ...]:
        return self.rows[self.lead :]

    def noise(self, blocks: dict[str, Array], location: Location) -> RowNoise:
        """The noise of the rows of a block of the logits."""
        rows, column = without(location, (self.axis,)), location[self.axis][0]
        shape = tuple(end - start for start, end in rows)
        if "seeds" not in blocks:
            number = np.zeros(shape, np.uint64)
            for axis, (start, end) in enumerate(rows):
                step = math.prod(self.rows[axis + 1 :])
                each = np.arange(start, end, dtype=np.uint64) * np.uint64(step)
                number += each.reshape((-1,) + (1,) * (len(rows) - 1 - axis))
            return noise_of_rows(self.key, self.first + column, number, self.columns)
        given = {name: np.squeeze(block, self.axis) for name, block in blocks.items()}
        for name, end in (("seeds", 2**64), ("positions", end_of_positions(self.columns))):
            _checks.check_range(given[name], name, end, rows)
        given = {name: np.broadcast_to(block, shape) for name, block in given.items()}
        noise = seeded_noise(given["seeds"], given["positions"], self.columns, location[self.axis])
        if "missing" not in given:
            return noise
        keys = np.where(given["missing"], np.uint64(self.key), noise.keys)
        return RowNoise(keys, np.where(given["missing"], given["own"] + np.uint64(column), noise.starts))


def address_of(
    x: da.Array, lead: int, axis: int, rng: SeedLike, seeds: Any = None, positions: Any = None, offset: Any = None
) -> Address:
    """The address of the rows of logits with `lead` axes of draws; generators advance here, after all checks."""
    _checks.check_known(x)
    rows, columns = without(x.shape, (axis,)), x.shape[axis]
    if seeds is None:
        if positions is not None:
            raise ValueError("positions needs seeds")
        key, first = reserve(rng, math.prod(x.shape), offset)
        return Address(key, first, rows, lead, columns, axis)
    if offset is not None:
        raise ValueError("seeds addresses rows by itself: offset must be None")
    positions = 0 if positions is None else positions
    missing = None
    if isinstance(seeds, da.Array):
        _checks.check_integers(seeds, "seeds")
    else:
        shape = np.shape(seeds)
        given, missing = row_checks.seed_rows(seeds, shape)
        seeds, missing = given.reshape(shape), None if missing is None else missing.reshape(shape)
    if isinstance(positions, da.Array):
        _checks.check_integers(positions, "positions")
    else:
        positions = row_checks.uint64_rows(
            positions, "positions", np.shape(positions), end_of_positions(columns)
        ).reshape(np.shape(positions))
    row_checks.different_noise(seeds, positions, rows)
    arrays = {
        "seeds": _checks.one_a_row(seeds, "seeds", rows),
        "positions": _checks.one_a_row(positions, "positions", rows),
    }
    key = first = 0
    if missing is not None:
        absent = np.broadcast_to(_checks.one_a_row(missing, "seeds", rows), rows)
        key, first = reserve(rng, int(absent.sum()) * columns)
        number = np.cumsum(absent, dtype=np.uint64).reshape(rows) - absent.astype(np.uint64)
        arrays |= {"missing": absent, "own": number * np.uint64(columns) + np.uint64(first)}
    beside_x = {name: beside(values, x.chunks, (axis,)) for name, values in arrays.items()}
    return Address(key, first, rows, lead, columns, axis, beside_x)


def map_located(
    function: Callable[..., Any], x: da.Array, arrays: dict[str, da.Array], result: dict[str, Any], /, **given: Any
) -> da.Array:
    """``function(block, blocks by name, location of the block in x, **given)`` of every block of `x`.

    `result` describes the result, in keywords of `dask.array.map_blocks`.
    """
    return da.map_blocks(_located, x, *arrays.values(), function=function, names=tuple(arrays), given=given, **result)


def _located(block: Any, *arrays: Any, function: Any, names: Any, given: Any, block_info: Any = None) -> Any:
    location = [tuple(each) for each in block_info[0]["array-location"]]
    return function(block, dict(zip(names, arrays, strict=True)), location, **given)


def states(
    function: Callable[..., Any], x: da.Array, axes: tuple[int, ...], arrays: dict[str, da.Array], /, **given: Any
) -> da.Array:
    """The state that `function` makes of every block of `x`, of size 1 along `axes`; states are not arrays."""
    chunks = tuple((1,) * len(c) if axis in axes else c for axis, c in enumerate(x.chunks))
    result = {"chunks": chunks, "dtype": object, "meta": np.empty((0,) * x.ndim, object)}
    return map_located(function, x, arrays, result, **given)


def merged(found: da.Array, axes: tuple[int, ...], merge: Callable[[list[Any]], Any], entries: int = 1) -> da.Array:
    """One state for each block of rows, with `entries` entries along `axes`, merged in a tree."""

    def join(parts: Any, axis: Any, keepdims: Any) -> Any:
        return merge(list(_flat(parts)))

    return da.reduction(
        found, _same, join, axis=axes, keepdims=True, combine=join, concatenate=False, dtype=object,
        meta=np.empty((0,) * found.ndim, object), output_size=entries,
    )  # fmt: skip


def finished(
    function: Callable[..., Any], state: da.Array, dtype: Any, chunks: Any, dropped: tuple[int, ...] = (), **given: Any
) -> da.Array:
    """An array of what ``function(state, {}, location, **given)`` makes of every state, without some axes of size 1."""
    result = {"chunks": chunks, "dtype": dtype, "meta": np.empty((0,) * len(chunks), dtype)}
    found = map_located(function, state, {}, result, **given)
    return found.squeeze(dropped) if dropped else found


def like(x: da.Array) -> dict[str, Any]:
    """The shape, dtype and chunks of `x` as keywords of `map_located`."""
    return {"chunks": x.chunks, "dtype": x.dtype, "meta": np.empty((0,) * x.ndim, x.dtype)}


def _same(state: Any, axis: Any, keepdims: Any) -> Any:
    return state


def _flat(parts: Any) -> Iterator[Any]:
    if isinstance(parts, list):
        for part in parts:
            yield from _flat(part)
    else:
        yield parts
