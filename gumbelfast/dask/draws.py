"""Draws from chunked arrays, in one pass: only the states of `gumbelfast.shards` are sent between workers."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from .. import shards
from .._engine import checks, table_checks
from .._engine.types import SeedLike
from .._parts import check_count, check_drawn, draw_argmax, draw_top_k, draw_weighted, split_threshold
from .._sampling.weighted import WeightedSample
from ..shards import Argmax, TopK
from . import _blocks, _checks
from ._blocks import Address
from ._checks import Location

Array = NDArray[Any]
Blocks = dict[str, Array]


def categorical(
    logits: Any,
    *,
    axis: int = -1,
    size: int | tuple[int, ...] | None = None,
    temperature: Any = 1.0,
    mask: Any = None,
    rng: SeedLike = None,
    seeds: Any = None,
    positions: Any = None,
    offset: int | None = None,
    return_perturbed: bool = False,
    empty: int | None = None,
    num_threads: int | None = 1,
) -> Any:
    """Draw from the categorical distribution of each row of a chunked array, as `gumbelfast.categorical`.

    Parameters
    ----------
    logits : dask array of float16, bfloat16, float32 or float64
        Chunked along any axes, even the one that is drawn from. NumPy arrays are accepted too; a `numpy.memmap` is read
        by the workers (`from_memmap`).
    axis, size, empty
        As in `gumbelfast.categorical`.
    temperature, mask, seeds, positions : optional
        As in `gumbelfast.categorical`; each may be a dask array, in any chunks. Seeds with None among them must be in
        memory.
    rng : optional
        As in `gumbelfast.categorical`. A generator advances when this is called, even if the result is never computed.
    offset : int, optional
        The first row's first element of the noise of `rng`'s key; the generator then stays where it is.
    return_perturbed : bool, default False
        Return an `Argmax` of dask arrays: the winning perturbed logits as well.
    num_threads : int or None, default 1
        The most threads for one block; Dask works on several blocks at once.

    Returns
    -------
    dask array of int64, or `Argmax` with `return_perturbed`
        Byte for byte what `gumbelfast.categorical` draws from the same array in memory, whatever the chunks.

    Raises
    ------
    TypeError, ValueError
        As in `gumbelfast.categorical`: at once where the arguments show the fault, else when the result is computed. If
        several blocks hold NaN or +inf, or several rows have nothing to draw, one of them is named. ValueError also for
        unknown chunk sizes.

    Notes
    -----
    Each block is reduced to the index and the value of its largest perturbed logit, and these are merged in a tree: the
    maximum of the maxima is that of the whole (``docs/stream.md``). Each block is read once and is not sent to another
    worker.

    Examples
    --------
    >>> import dask.array as da, numpy as np, gumbelfast as gf, gumbelfast.dask as gfd
    >>> x = np.random.default_rng(0).normal(size=(4, 1000))
    >>> drawn = gfd.categorical(da.from_array(x, chunks=(3, 300)), rng=7)
    >>> bool((drawn.compute() == gf.categorical(x, rng=7)).all())
    True
    """
    x, place, lead, blocks, given = _logits(logits, axis, size, temperature, mask)
    if empty is not None:
        empty = table_checks.empty_value(empty)
    address = _blocks.address_of(x, lead, place, rng, seeds, positions, offset)
    if 0 in x.shape[:lead]:
        chunks = _blocks.without(x.chunks, (place,))
        index = da.empty(address.rows, dtype=np.int64, chunks=chunks)
        return Argmax(index, index.astype(np.float64)) if return_perturbed else index
    state = argmax_state(x, blocks, address, given | {"num_threads": num_threads})
    settings: dict[str, Any] = {"chunks": row_chunks(x, place), "address": address.plain(), "empty": empty}
    index = _blocks.finished(_index, state, np.int64, dropped=(place,), **settings)
    if not return_perturbed:
        return index
    return Argmax(index, _blocks.finished(_value, state, np.float64, dropped=(place,), **settings))


def gumbel_top_k(
    logits: Any,
    k: int,
    *,
    axis: int = -1,
    temperature: Any = 1.0,
    mask: Any = None,
    rng: SeedLike = None,
    seeds: Any = None,
    positions: Any = None,
    offset: int | None = None,
    num_threads: int | None = 1,
) -> TopK:
    """Draw k categories per row of a chunked array without replacement, as `gumbelfast.gumbel_top_k`.

    Parameters
    ----------
    logits, axis, temperature, mask, rng, seeds, positions, offset, num_threads
        As in `categorical`.
    k : int
        How many, ``0 <= k <= columns``. Of each block k entries are kept, or all if it has fewer.

    Returns
    -------
    TopK
        Dask arrays: byte for byte what `gumbelfast.gumbel_top_k` draws from the same array in memory.

    Raises
    ------
    TypeError, ValueError
        As in `gumbelfast.gumbel_top_k`, when `categorical` raises them.

    Examples
    --------
    >>> import dask.array as da, gumbelfast.dask as gfd
    >>> found = gfd.gumbel_top_k(da.zeros(4, chunks=3), 4, rng=7)
    >>> sorted(found.indices.compute().tolist())
    [0, 1, 2, 3]
    """
    x, place, lead, blocks, given = _logits(logits, axis, None, temperature, mask)
    k = checks.count(k, x.shape[place])
    address = _blocks.address_of(x, lead, place, rng, seeds, positions, offset)
    settings = {"address": address.plain(), "num_threads": num_threads, "k": k}
    index, value, _ = _successive(_top_k, x, k, "allowed entries", address, blocks, given | settings)
    return TopK(index, value)


def weighted_sample(
    weights: Any,
    k: int,
    *,
    axis: int = -1,
    rng: SeedLike = None,
    seeds: Any = None,
    positions: Any = None,
    offset: int | None = None,
    num_threads: int | None = 1,
) -> WeightedSample:
    """Draw k items per row of a chunked array without replacement, as `gumbelfast.weighted_sample`.

    Parameters
    ----------
    weights : dask array of real numbers
        Finite and >= 0; items of weight 0 are never drawn.
    k : int
        How many, ``0 <= k <= columns``. Of each block k + 1 entries are kept, or all if it has fewer.
    axis, rng, seeds, positions, offset, num_threads
        As in `categorical`.

    Returns
    -------
    WeightedSample
        Dask arrays: byte for byte what `gumbelfast.weighted_sample` draws from the same array in memory.

    Raises
    ------
    TypeError, ValueError
        As in `gumbelfast.weighted_sample`, when `categorical` raises them.

    Examples
    --------
    >>> import dask.array as da, gumbelfast.dask as gfd
    >>> sorted(gfd.weighted_sample(da.from_array([0, 3, 0, 1], chunks=1), 2, rng=0).indices.compute().tolist())
    [1, 3]
    """
    x = _blocks.as_dask(weights)
    if x.dtype.kind in "iu":
        x = x.astype(np.float64)
    place = _checks.axis_of(x, axis)
    k = checks.count(k, x.shape[place])
    address = _blocks.address_of(x, 0, place, rng, seeds, positions, offset)
    settings = {"address": address.plain(), "num_threads": num_threads, "k": k + 1}
    return WeightedSample(*_successive(_weighted, x, k, "positive weights", address, {}, settings))


def argmax_state(x: da.Array, blocks: dict[str, da.Array], address: Address, given: dict[str, Any]) -> da.Array:
    """What is drawn from all rows, as one `Argmax` for each block of them; the axis is kept."""
    axes = (address.axis,)
    found = _blocks.states(_argmax, x, axes, blocks | address.arrays, address=address.plain(), **given)
    return _blocks.merged(found, axes, shards.merge)


def hard_index(state: da.Array, address: Address, x: da.Array) -> da.Array:
    """The indices of such states, with the axis kept."""
    chunks = row_chunks(x, address.axis)
    return _blocks.finished(_index, state, np.int64, chunks, address=address.plain(), empty=None)


def row_chunks(x: da.Array, axis: int) -> tuple[Any, ...]:
    """Chunks of an array with one entry for each row, with the axis kept."""
    return tuple((1,) if place == axis else c for place, c in enumerate(x.chunks))


def _logits(
    logits: Any, axis: Any, size: Any, temperature: Any, mask: Any
) -> tuple[da.Array, int, int, dict[str, da.Array], dict[str, Any]]:
    """Logits with axes of draws in front, the axis, the number of those axes, and settings as blocks and as numbers."""
    x = _blocks.as_dask(logits)
    place = _checks.axis_of(x, axis)
    drawn = () if size is None else checks.size_tuple(size)
    blocks, given = {}, {}
    allowed = None if mask is None else _checks.mask_of(mask, x.shape)
    temperatures = temperature_of(temperature, "temperature", x, (place,))
    x, place = _blocks.spread(x, drawn), place + len(drawn)
    if allowed is not None:
        blocks["mask"] = _blocks.beside(allowed, x.chunks)
    if isinstance(temperatures, float):
        given["temperature"] = temperatures
    else:
        blocks["temperature"] = _blocks.beside(temperatures, x.chunks)
    return x, place, len(drawn), blocks, given


def temperature_of(values: Any, name: str, x: da.Array, axes: tuple[int, ...]) -> Any:
    """A float, or one temperature per row, with all axes of `x`."""
    _checks.check_temperature(values, name, x.dtype)
    if not isinstance(values, da.Array) and np.ndim(values) == 0:
        return float(values)
    return _blocks.with_axes(_checks.one_a_row(values, name, _blocks.without(x.shape, axes)), axes)


def _successive(
    draw: Any, x: da.Array, k: int, what: str, address: Address, blocks: dict[str, da.Array], given: dict[str, Any]
) -> tuple[da.Array, da.Array, da.Array]:
    """Indices, perturbed values and thresholds of draws without replacement; a state holds ``given["k"]`` entries."""
    place = address.axis
    found = _blocks.states(draw, x, (place,), blocks | address.arrays, **given)
    held = min(given["k"], x.shape[place])
    state = _blocks.merged(found, (place,), _MergeLargest(held), held)
    entries = tuple((k,) if axis == place else c for axis, c in enumerate(x.chunks))
    settings: dict[str, Any] = {"address": address.plain(), "k": k, "what": what}
    return (
        _blocks.finished(_entries, state, np.int64, entries, part=0, **settings),
        _blocks.finished(_entries, state, np.float64, entries, part=1, **settings),
        _blocks.finished(_threshold, state, np.float64, row_chunks(x, place), (place,), **settings),
    )


class _MergeLargest:
    """Merges states of draws without replacement, and keeps so many entries."""

    def __init__(self, entries: int) -> None:
        self._entries = entries

    def __call__(self, found: list[TopK]) -> TopK:
        most = sum(state.indices.shape[-1] for state in found)
        merged: TopK = shards.merge(found, k=min(self._entries, most))
        return merged

    def __dask_tokenize__(self) -> Any:
        return "merge largest", self._entries


def _rows_of(x: Array, blocks: Blocks, location: Location, address: Address, temperature: Any) -> Any:
    """A block and its mask with the rows' axis last and no axes of draws, and one temperature per row."""
    one, axis = (0,) * address.lead, address.axis - address.lead
    x = x[one]
    if "temperature" in blocks:
        temperature = np.squeeze(blocks["temperature"][one], axis)
        _checks.check_positive(temperature, "temperature", _blocks.without(location[address.lead :], (axis,)))
    mask = np.broadcast_to(blocks["mask"][one], x.shape) if "mask" in blocks else None
    moved = np.moveaxis(x, axis, -1)
    return (
        moved,
        None if mask is None else np.moveaxis(mask, axis, -1),
        temperature,
        (x, location[address.lead :], mask),
    )


def _argmax(
    x: Array, blocks: Blocks, location: Location, address: Address, num_threads: Any, temperature: Any = None
) -> Argmax:
    rows, mask, temperature, seen = _rows_of(x, blocks, location, address, temperature)
    noise = address.noise(_of_address(blocks), location)
    try:
        found = draw_argmax(rows, noise, x.shape[: address.lead], mask, temperature, num_threads)
    except ValueError:
        _checks.check_logits(*seen)
        raise
    return found._replace(indices=_counted_from(location[address.axis][0], found.indices))


def _top_k(
    x: Array, blocks: Blocks, location: Location, address: Address, k: int, num_threads: Any, temperature: Any = None
) -> TopK:
    rows, mask, temperature, seen = _rows_of(x, blocks, location, address, temperature)
    try:
        found = draw_top_k(rows, k, address.noise(_of_address(blocks), location), mask, temperature, num_threads)
    except ValueError:
        _checks.check_logits(*seen)
        raise
    return found._replace(indices=_counted_from(location[address.axis][0], found.indices))


def _weighted(x: Array, blocks: Blocks, location: Location, address: Address, k: int, num_threads: Any) -> TopK:
    noise = address.noise(blocks, location)
    try:
        found = draw_weighted(np.moveaxis(x, address.axis, -1), k, noise, num_threads)
    except ValueError:
        _checks.check_weights(x, location)
        raise
    return found._replace(indices=_counted_from(location[address.axis][0], found.indices))


def _of_address(blocks: Blocks) -> Blocks:
    return {name: block for name, block in blocks.items() if name not in ("mask", "temperature")}


def _counted_from(column: int, indices: Any) -> Array:
    """Indices in the whole rows, from indices that count from a column."""
    found: Array = np.where(indices < 0, indices, indices + column)
    return found


def _index(state: Argmax, blocks: Blocks, location: Location, address: Address, empty: int | None) -> Array:
    index = state.indices
    if empty is None:
        none = np.asarray((index < 0).any(axis=tuple(range(address.lead))))
        check_drawn(none, _checks.starts_of(_blocks.without(location[address.lead :], (address.axis - address.lead,))))
    return np.expand_dims(index if empty is None else np.where(index < 0, empty, index), address.axis)


def _value(state: Argmax, blocks: Blocks, location: Location, address: Address, empty: int | None) -> Array:
    _index(state, blocks, location, address, empty)  # refuses a row without a finite logit here too
    return np.expand_dims(state.perturbed, address.axis)


def _entries(state: TopK, blocks: Blocks, location: Location, address: Address, k: int, what: str, part: int) -> Any:
    _check_count(state, location, address, k, what)
    return np.moveaxis(split_threshold(state, k)[part], -1, address.axis)


def _threshold(state: TopK, blocks: Blocks, location: Location, address: Address, k: int, what: str) -> Any:
    _check_count(state, location, address, k, what)
    return np.expand_dims(split_threshold(state, k)[2], address.axis)


def _check_count(state: TopK, location: Location, address: Address, k: int, what: str) -> None:
    check_count(state.indices[..., :k], k, what, _checks.starts_of(_blocks.without(location, (address.axis,))))
