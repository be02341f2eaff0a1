"""Draws from parts of rows, on the noise of the whole rows: the states of shards, chunks and streams.

A part is an array of shape (..., columns) whose rows lie somewhere within longer ones. It may have fewer columns than
are drawn, or none that may be drawn: what is missing has index -1 and the perturbed value -inf. Indices count the
columns of the part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import shards
from ._engine import checks, sources
from ._engine.types import SeedLike
from ._sampling.argmax import categorical, gumbel_top_k
from ._sampling.weighted import weighted_sample
from .random.generator import Generator
from .random.seeding import default_rng
from .reference.philox import row_key
from .shards import Argmax, TopK

Array = NDArray[Any]


class RowNoise(NamedTuple):
    """Where the noise of the rows of a part begins: the key and the element of the first column of each.

    `keys` has no axes if one key serves all rows; `starts` has the shape of the rows. `seeded` are keywords that mean
    the same, where there are such.
    """

    keys: NDArray[np.uint64]
    starts: NDArray[np.uint64]
    seeded: dict[str, Any] | None = None

    def whole(self) -> dict[str, Any] | None:
        """Keywords that address all rows in one call; None where only a call for each row can."""
        if self.seeded is not None or self.keys.ndim:
            return self.seeded
        return {"rng": Generator(int(self.keys)), "offset": self.starts}

    def row(self, place: tuple[int, ...]) -> dict[str, Any]:
        """Keywords that address a single row."""
        key = self.keys[place] if self.keys.ndim else self.keys
        return {"rng": Generator(int(key)), "offset": int(self.starts[place])}


def reserve(rng: SeedLike, elements: int, offset: Any = None) -> tuple[int, int]:
    """Key and first element of noise that no other call gets; with an offset the key alone, and nothing moves."""
    if offset is not None:
        if rng is None:
            raise ValueError("offset addresses the noise of a key: rng must be given")
        first = checks.as_integer(offset, "offset")
        if not 0 <= first <= checks.LAST_ELEMENT - elements:
            raise ValueError(f"offset must keep all elements in [0, 2**62), got {first}")
        return default_rng(rng).key, first
    with sources.reserved(rng, elements) as taken:
        return taken


def noise_of_rows(key: int, first: int, number: NDArray[np.uint64], columns: int) -> RowNoise:
    """Of rows that lie end to end, by their number, the first of which begins there."""
    return RowNoise(np.array(key, np.uint64), np.asarray(number * np.uint64(columns) + np.uint64(first)))


def end_of_positions(columns: int) -> int:
    """Where the positions of a seed end, of rows of so many columns."""
    return checks.LAST_ELEMENT // _width(columns)


def seeded_noise(seeds: Array, positions: Array, columns: int, part: tuple[int, int]) -> RowNoise:
    """Of rows of so many columns with a seed and a position each, from the first to the last column of a part."""
    seeds, positions = seeds.astype(np.uint64), positions.astype(np.uint64)
    starts = positions * np.uint64(_width(columns)) + np.uint64(part[0])
    is_whole = part == (0, columns)
    return RowNoise(row_key(seeds), starts, {"seeds": seeds, "positions": positions} if is_whole else None)


def _width(columns: int) -> int:
    return columns + -columns % 32


def draw_argmax(
    x: Array, address: RowNoise, size: tuple[int, ...] = (), mask: Any = None, temperature: Any = 1.0,
    num_threads: int | None = 1,
) -> Argmax:  # fmt: skip
    """What `categorical` leaves of a part; `address` has rows of shape ``size + batch``."""
    given: dict[str, Any] = {"return_perturbed": True, "empty": -1, "num_threads": num_threads}
    whole = address.whole()
    batch = x.shape[:-1]
    if x.shape[-1] == 0:
        return Argmax(*_nothing(size + batch))
    if whole is not None:
        found: Argmax = categorical(x, size=size, mask=mask, temperature=temperature, **whole, **given)
        return found
    index, value = np.empty(size + batch, np.int64), np.empty(size + batch)
    for place, row, settings in _rows(x, size, mask, temperature):
        index[place], value[place] = categorical(row, **settings, **address.row(place), **given)
    return Argmax(index, value)


def draw_top_k(
    x: Array, k: int, address: RowNoise, mask: Any = None, temperature: Any = 1.0,
    num_threads: int | None = 1,
) -> TopK:  # fmt: skip
    """What `gumbel_top_k` leaves of a part."""

    def draw(row: Array, k: int, **given: Any) -> TopK:
        return gumbel_top_k(row, k, num_threads=num_threads, **given)

    def drawable() -> Array:
        allowed = True if mask is None else mask
        fault = (np.isnan(x) | np.isposinf(x)) & allowed
        return np.where(fault.any(axis=-1), -1, (np.isfinite(x) & allowed).sum(axis=-1))

    return _largest(draw, x, k, address, drawable, mask=mask, temperature=temperature)


def draw_weighted(weights: Array, k: int, address: RowNoise, num_threads: int | None = 1) -> TopK:
    """What `weighted_sample` leaves of a part: the k largest perturbed log-weights."""

    def draw(row: Array, k: int, **given: Any) -> TopK:
        found = weighted_sample(row, k, num_threads=num_threads, **given)
        return TopK(found.indices, found.perturbed)

    def positive() -> Array:
        fault = ~((weights >= 0) & (weights < np.inf))
        return np.where(fault.any(axis=-1), -1, (weights > 0).sum(axis=-1))

    return _largest(draw, weights, k, address, positive)


def fill_noise(fill: Callable[..., Any], out: Array, address: RowNoise, **given: Any) -> Array:
    """Let `gumbel` or `exponential` write the noise of the rows of `out` there; arrays among `given` have its shape."""
    starts, columns = address.starts.reshape(-1), out.shape[-1]
    rows = out.reshape(-1, columns)
    keys = np.broadcast_to(address.keys, address.starts.shape).reshape(-1)
    end_to_end = (
        len(starts) and (starts == starts[0] + np.arange(len(starts), dtype=np.uint64) * np.uint64(columns)).all()
    )
    if not address.keys.ndim and end_to_end:
        rows, starts, keys = rows.reshape(1, -1), starts[:1], keys[:1]
    arrays = {name: np.reshape(value, rows.shape) for name, value in given.items() if isinstance(value, np.ndarray)}
    for i in range(len(rows)):
        settings = given | {name: value[i] for name, value in arrays.items()}
        fill(out=rows[i], dtype=out.dtype, rng=Generator(int(keys[i])), offset=int(starts[i]), **settings)
    return out


def split_threshold(state: TopK, k: int) -> tuple[Array, Array, Array]:
    """Indices, perturbed values and threshold of a draw of k, of a state that holds k + 1; entries on the last axis."""
    short = state.perturbed.shape[-1] <= k
    kappa = np.full(state.perturbed.shape[:-1], -np.inf, state.perturbed.dtype) if short else state.perturbed[..., k]
    return np.ascontiguousarray(state.indices[..., :k]), np.ascontiguousarray(state.perturbed[..., :k]), kappa.copy()


def message_of(draw: Callable[[], Any], x: Array, mask: Any, start: int, entries: int) -> NDArray[np.float64]:
    """What `draw` leaves of a part that begins at that column, as numbers that other processes understand.

    Of shape (2, ..., entries): perturbed values, and indices in the whole rows. A row with a fault among its logits
    has the value NaN, and the index of a NaN, or -2 minus that of a +inf.
    """
    values, ids = np.full((*x.shape[:-1], entries), -np.inf), np.full((*x.shape[:-1], entries), -1.0)
    try:
        state = draw()
    except ValueError:
        bad = (np.isnan(x) | np.isposinf(x)) & (True if mask is None else mask)
        rows, nan = bad.any(axis=-1), np.isnan(x) & bad
        if not rows.any():
            raise
        column = np.where(nan.any(axis=-1), nan.argmax(axis=-1) + start, -2 - (bad.argmax(axis=-1) + start))
        values[rows], ids[rows] = np.nan, column[rows][..., None]
    else:
        index, value = state if isinstance(state, TopK) else (np.asarray(part)[..., None] for part in state)
        ids[..., : index.shape[-1]] = np.where(index < 0, index, index + start)
        values[..., : index.shape[-1]] = value
    return np.stack([values, ids])


def merge_messages(messages: Sequence[NDArray[np.float64]], entries: int, starts: Sequence[int] = ()) -> TopK:
    """The draw of the whole rows; raises for faults that a message tells of."""
    values, ids = (np.stack(parts) for parts in zip(*messages, strict=True))
    for what, of_kind in (("NaN", ids >= 0), ("+inf", ids < 0)):
        fault = (np.isnan(values) & of_kind).any(axis=-1)
        if fault.any():
            row = place_of(fault.any(axis=0))
            of_row: Any = (slice(None), *row)
            told = ids[of_row][fault[of_row]][..., 0]
            column = int((told if what == "NaN" else -2 - told).min())
            place = place_of(fault.any(axis=0), starts)
            raise ValueError(f"logits contain {what} at index {(*place, column)}")
    states = [TopK(i.astype(np.int64), v) for v, i in messages]
    found: TopK = shards.merge(states, k=entries)
    return found


def check_drawn(none: Array, starts: Sequence[int] = ()) -> None:
    """Refuses rows that had nothing to draw; `starts` is where their first axes begin in all rows."""
    if none.any():
        raise ValueError(f"row {row_name(none, starts)} has no finite logit")


def check_count(index: Array, k: int, what: str, starts: Sequence[int] = ()) -> None:
    """Refuses rows, their draws on the last axis, that had fewer than k entries to draw."""
    found = np.asarray((index >= 0).sum(axis=-1))
    if (short := np.asarray(found < k)).any():
        raise ValueError(f"k={k} exceeds the {int(found[short][0])} {what} of row {row_name(short, starts)}")


def row_name(fault: Array, starts: Sequence[int] = ()) -> str:
    """The name of the first row of a fault."""
    place = place_of(fault, starts) or (0,)
    return str(place[0]) if len(place) == 1 else str(place)


def place_of(fault: Array, starts: Sequence[int] = ()) -> tuple[int, ...]:
    """Where the first fault lies, in an array of which this is a part."""
    return tuple(int(i) + n for i, n in zip_longest(np.argwhere(fault)[0], starts, fillvalue=0)) if fault.ndim else ()


def _largest(
    draw: Callable[..., TopK], x: Array, k: int, address: RowNoise, drawable: Callable[[], Array],
    **given: Any,
) -> TopK:  # fmt: skip
    k = min(k, x.shape[-1])
    if k == 0:
        return TopK(*_nothing((*x.shape[:-1], 0)))
    whole = address.whole()
    if whole is not None:
        try:
            return draw(x, k, **whole, **given)
        except ValueError:
            # Rows may have too little to draw from, which is no fault of a part; all else is.
            left = drawable()
            if left.min(initial=k) < 0 or left.min(initial=k) >= k:
                raise
    else:
        left = drawable()
    index, value = _nothing((*x.shape[:-1], k))
    for place, row, settings in _rows(x, (), given.get("mask"), given.get("temperature")):
        count = k if left[place] < 0 else min(k, int(left[place]))  # of a faulty row: to raise its error
        if count:
            one = draw(row, count, **settings, **address.row(place))
            index[place][:count], value[place][:count] = one.indices, one.perturbed
    return TopK(index, value)


def _rows(x: Array, size: tuple[int, ...], mask: Any, temperature: Any) -> Any:
    """Each row with its place and its settings."""
    batch = x.shape[:-1]
    masks = None if mask is None else np.broadcast_to(mask, x.shape)
    temperatures = None if temperature is None else np.broadcast_to(temperature, batch)
    for place in np.ndindex(size + batch):
        mine = place[len(size) :]
        settings: dict[str, Any] = {} if masks is None else {"mask": masks[mine]}
        if temperatures is not None:
            settings["temperature"] = float(temperatures[mine])
        yield place, x[mine], settings


def _nothing(shape: tuple[int, ...]) -> tuple[Array, Array]:
    return np.full(shape, -1, np.int64), np.full(shape, -np.inf)
