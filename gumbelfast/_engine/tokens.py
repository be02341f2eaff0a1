"""Draws of tokens: what a request asks for, one value a row, and the kernel's calls for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import address, draws, row_checks
from .backend import active
from .refused import refuse
from .types import LACKING, REFUSED, Address, Logits

Array = NDArray[Any]

SMALLEST_SHARE = 1e-300  # a normal number, and still one when it is multiplied by a sum of weights


class Settings(NamedTuple):
    """One entry a row, as kernels take them: 1/temperature, and filters; None filters no row."""

    scale: NDArray[np.float64]
    top_k: NDArray[np.int64] | None
    top_p: NDArray[np.float64] | None
    min_p: NDArray[np.float64] | None

    def changed(self, change: Callable[[Array], Array]) -> Settings:
        """The settings with another array for each that is there."""
        return Settings(*(None if each is None else change(each) for each in self))  # type: ignore[arg-type]

    def part(self, rows: slice) -> Settings:
        """Those of some rows."""
        return self.changed(lambda each: each[rows])


def as_settings(
    temperature: ArrayLike | None,
    top_k: ArrayLike | None,
    top_p: ArrayLike | None,
    min_p: ArrayLike | None,
    batch: tuple[int, ...],
    dtype: np.dtype[Any],
) -> Settings:
    """Checked settings, each given for all rows or one a row."""
    scale = row_checks.reciprocal_rows(row_checks.where_none(temperature, 1.0), "temperature", batch, dtype)
    count = row_checks.count_rows(top_k, "top_k", batch)
    share = row_checks.fraction_rows(top_p, "top_p", batch, nothing=1.0)
    least = row_checks.fraction_rows(min_p, "min_p", batch, nothing=0.0)
    # A share of 0 keeps the best, as every share does that is below its probability.
    return Settings(scale, count, None if share is None else np.maximum(share, SMALLEST_SHARE), least)


def draw(
    logits: Logits,
    settings: Settings,
    size: tuple[int, ...],
    threads: int,
    where: draws.Where,
    invalid: int | None = None,
    draw_rows: draws.DrawRows = address.draw_rows,
) -> NDArray[np.int64]:
    """One token a row, `size` times; `invalid` is what a row that cannot be drawn from yields, instead of an error.

    The noise of draw i is that of row i of the result, whatever `invalid` says.
    """
    x = logits[0]
    shape = size + x.shape[:-1]
    index = np.empty(shape, np.int64)
    call = _Call(logits, settings, index.reshape(math.prod(size), math.prod(x.shape[:-1])), threads, invalid)
    draws.run(call, logits, -1, (*shape, x.shape[-1]), index.size * x.shape[-1], where, draw_rows)
    return index


class _Call:
    """The kernel's calls for all draws of all rows, on the noise of an address; nothing is copied."""

    def __init__(
        self, logits: Logits, settings: Settings, index: NDArray[np.int64], threads: int, invalid: int | None
    ) -> None:
        x, self._mask, _ = logits
        self._columns = x.shape[-1]
        self._x = x.reshape(index.shape[1], self._columns)
        self._settings, self._index, self._threads, self._invalid = settings, index, threads, invalid

    def __call__(self, place: Address) -> int:
        rows = self._index.shape[1]
        status = self._draw(0, rows, place)
        if status >= 0 or self._invalid is None:
            return status
        good = np.array([self._is_good(row) for row in range(rows)], bool)
        self._index[:, ~good] = self._invalid
        # Runs of good rows, each from its first to behind its last.
        edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
        return sum(self._draw(int(begin), int(end), place) for begin, end in edges.reshape(-1, 2))

    def _draw(self, begin: int, end: int, place: Address) -> int:
        """All draws of some rows: row by row, or draw by draw, whatever takes fewer calls."""
        draws_a_row, rows = self._index.shape
        opened = 0
        if end - begin < draws_a_row:
            index = np.empty(draws_a_row, np.int64)
            for row in range(begin, end):
                x = np.broadcast_to(self._x[row], (draws_a_row, self._columns))
                same = self._settings.changed(lambda each, row=row: np.full(draws_a_row, each[row]))  # type: ignore[misc]
                status = self._run(x, slice(row, row + 1), same, index, _strided(place, row, rows, draws_a_row))
                if status < 0:
                    return status
                self._index[:, row] = index
                opened += status
            return opened
        some = slice(begin, end)
        settings = self._settings.part(some)
        for i, index in enumerate(self._index):
            status = self._run(
                self._x[some], some, settings, index[some], _strided(place, i * rows + begin, 1, end - begin)
            )
            if status < 0:
                return status
            opened += status
        return opened

    def _run(self, x: Array, rows: slice, settings: Settings, index: Array, place: Address) -> int:
        mask = self._mask
        if mask is not None and mask.size != self._columns:
            mask = mask.reshape(-1, self._columns)[rows]
            mask = mask[0] if len(mask) == 1 else mask
        return int(active().sample_tokens((x, mask, 1.0), *settings, index, self._threads, place))

    def _is_good(self, row: int) -> bool:
        """Whether the greedy choice of a row succeeds, which asks for no noise."""
        one = slice(row, row + 1)
        greedy = Settings(np.zeros(1), None, None, None)
        return self._run(self._x[one], one, greedy, np.empty(1, np.int64), (0, 0, 0, None, None)) not in (
            REFUSED,
            LACKING,
        )


def _strided(place: Address, first: int, step: int, count: int) -> Address:
    """The address of every step-th row from `first` on, `count` of them."""
    key, offset, stride, keys, offsets = place
    some = slice(first, first + (count - 1) * step + 1, step)
    return (
        key,
        offset + first * stride if offsets is None else offset,
        stride * step,
        None if keys is None else np.ascontiguousarray(keys[some]),
        None if offsets is None else np.ascontiguousarray(offsets[some]),
    )


def edges(logits: Logits, settings: Settings, threads: int, invalid_allowed: bool = False) -> NDArray[np.float64]:
    """What the filters leave of each row, as `token_edges` of the backend says it; NaN for a row that is refused."""
    x, mask, _ = logits
    columns = x.shape[-1]
    rows = x.reshape(-1, columns)
    found = np.empty((len(rows), 5))
    status = active().token_edges(logits, *settings, found, threads)
    if status < 0 and not invalid_allowed:
        refuse(x, mask, -1)
    if status == REFUSED:
        each_mask = None if mask is None else np.broadcast_to(mask.reshape(-1, columns), rows.shape)
        for i in range(len(rows)):
            one = rows[i : i + 1], None if each_mask is None else each_mask[i], 1.0
            if active().token_edges(one, *settings.part(slice(i, i + 1)), found[i : i + 1], 1) == REFUSED:
                found[i] = np.nan
    found[found[:, 2] < 0] = np.nan
    return found


def log_masses(
    logits: Logits, settings: Settings, threads: int, invalid_allowed: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The edges, and the logarithm of each row's sum of weights at temperature 1."""
    found = edges(logits, settings, threads, invalid_allowed)
    plain = Settings(np.ones(len(found)), None, None, None)
    if not (settings.scale == 1).all():
        return found, np.log(edges(logits, plain, threads, invalid_allowed)[:, 4])
    return found, np.log(found[:, 4])


def best_tokens(
    logits: Logits, count: int, threads: int, log_sums: NDArray[np.float64], invalid_allowed: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The most probable tokens of each row, the lower index first among equals, and their log-probabilities."""
    x, mask, _ = logits
    columns = x.shape[-1]
    rows = x.reshape(-1, columns)
    asked = Settings(np.ones(len(rows)), np.full(len(rows), count, np.int64), None, None)
    found = edges(logits, asked, threads, invalid_allowed)
    tokens, values = np.full((len(rows), count), -1, np.int64), np.full((len(rows), count), -np.inf)
    each_mask = None if mask is None else np.broadcast_to(mask.reshape(-1, columns), rows.shape)
    for i, (most, least, *_) in enumerate(found):
        reaching = np.asarray(rows[i] >= least)
        best = np.flatnonzero(reaching if each_mask is None else reaching & each_mask[i])
        value = rows[i, best].astype(np.float64)
        first = np.argsort(-value, kind="stable")[:count]
        tokens[i, : len(first)] = best[first]
        values[i, : len(first)] = value[first] - most - log_sums[i]
    return tokens, values
