"""Draws of tokens: the settings of requests, one value per row, and the calls of the kernel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import address, checks, draws, row_checks
from .backend import active
from .refused import refuse
from .types import LACKING, REFUSED, Address, Logits

Array = NDArray[Any]

_VALUES_AT_ONCE = 2**18  # how many are compared at once, so that they fit a cache
SMALLEST_SHARE = 1e-300  # normal, also when multiplied by a sum of weights


class Settings(NamedTuple):
    """Arrays of one entry per row, in the order in which kernels take them; None filters no row."""

    scale: NDArray[np.float64]  # 1/temperature of the draw
    top_k: NDArray[np.int64] | None = None
    top_p: NDArray[np.float64] | None = None
    min_p: NDArray[np.float64] | None = None
    seen_scale: NDArray[np.float64] | None = None  # of the probabilities that filters see, where it is another
    least: NDArray[np.int64] | None = None  # so many tokens are left by each filter
    sigmas: NDArray[np.float64] | None = None
    typical_p: NDArray[np.float64] | None = None
    epsilon: NDArray[np.float64] | None = None
    eta: NDArray[np.float64] | None = None

    def changed(self, change: Callable[[Array], Array]) -> Settings:
        """The settings with another array for each that is there."""
        return Settings(*(None if each is None else change(each) for each in self))  # type: ignore[arg-type]

    def part(self, rows: slice) -> Settings:
        """Those of some rows."""
        return self.changed(lambda each: each[rows])


# What stands in an array of settings for a row that asks for nothing; the scale of the draw is always there.
NO_FILTER = {
    "top_k": 0, "top_p": 1.0, "min_p": 0.0, "least": 0, "sigmas": 0.0, "typical_p": 1.0, "epsilon": 0.0, "eta": 0.0,
}  # fmt: skip


class Asked(NamedTuple):
    """Settings of token sampling as callers give them: for all rows, or one per row."""

    temperature: Any = 1.0
    top_k: Any = None
    top_p: Any = None
    min_p: Any = None
    temperature_last: Any = False
    min_tokens_to_keep: Any = None
    top_n_sigma: Any = None
    typical_p: Any = None
    epsilon_cutoff: Any = None
    eta_cutoff: Any = None


def as_settings(asked: Asked, batch: tuple[int, ...], dtype: np.dtype[Any]) -> Settings:
    """Checked settings, each given for all rows or one per row."""
    scale = row_checks.reciprocal_rows(row_checks.where_none(asked.temperature, 1.0), "temperature", batch, dtype)
    count = row_checks.count_rows(asked.top_k, "top_k", batch)
    share = _share_rows(asked.top_p, "top_p", batch)
    weight = row_checks.fraction_rows(asked.min_p, "min_p", batch, nothing=0.0)
    check_order(asked.temperature_last)
    least = row_checks.count_rows(asked.min_tokens_to_keep, "min_tokens_to_keep", batch)
    sigmas = row_checks.least_rows(asked.top_n_sigma, "top_n_sigma", batch)
    typical_p = _share_rows(asked.typical_p, "typical_p", batch)
    epsilon = row_checks.fraction_rows(asked.epsilon_cutoff, "epsilon_cutoff", batch, nothing=0.0)
    eta = row_checks.fraction_rows(asked.eta_cutoff, "eta_cutoff", batch, nothing=0.0)
    seen_scale = np.ones_like(scale) if asked.temperature_last and not (scale == 1).all() else None
    return Settings(scale, count, share, weight, seen_scale, least, sigmas, typical_p, epsilon, eta)


def _share_rows(values: ArrayLike | None, name: str, batch: tuple[int, ...]) -> NDArray[np.float64] | None:
    """One share per row. A share of 0 keeps the first token, as every share below its probability does."""
    share = row_checks.fraction_rows(values, name, batch, nothing=1.0)
    return None if share is None else np.maximum(share, SMALLEST_SHARE)


def as_mask(mask: ArrayLike, shape: tuple[int, ...]) -> Array:
    """The mask as `checks.mask_for` lays it out; of int32 words of 32 tokens as well, the lowest bit first."""
    words = np.asarray(mask)
    if words.dtype.newbyteorder("=") != np.int32 or words.ndim == 0:
        return checks.mask_for(words, shape, -1)
    if words.ndim > len(shape) or any(
        given not in (1, wanted) for given, wanted in zip(words.shape[-2::-1], shape[-2::-1], strict=False)
    ):
        checks.refuse_mask(words.shape, shape, "packed mask")
    most = -(-shape[-1] // 32)
    if words.shape[-1] > most:  # probably a mask of 0 and 1, one per token
        raise ValueError(
            f"mask has {words.shape[-1]} words of 32 tokens per row, more than the {most} of {shape[-1]} tokens"
        )
    octets = np.ascontiguousarray(words, "<i4").view(np.uint8)
    # `count` drops bits beyond the last column, and forbids columns beyond the last bit.
    allowed = np.unpackbits(octets, axis=-1, count=shape[-1], bitorder="little").view(np.bool_)
    return checks.mask_for(allowed, shape, -1)


def check_order(temperature_last: Any) -> None:
    if not isinstance(temperature_last, bool | np.bool_):
        raise TypeError(f"temperature_last must be True or False, got {temperature_last!r}")


def kept(logits: Logits, settings: Settings, threads: int, invalid_allowed: bool = False) -> NDArray[np.bool_]:
    """What the filters leave, in the shape of the logits; nothing of a row that is refused."""
    x, mask, _ = logits
    columns = x.shape[-1]
    rows = x.reshape(-1, columns)
    found = edges(logits, settings, threads, invalid_allowed)
    least, last, upper = found[:, 1:2].astype(checks.work_dtype(x.dtype)), found[:, 2:3], found[:, 3:4]
    left = np.empty(rows.shape, np.bool_)
    step = max(1, _VALUES_AT_ONCE // columns)
    for begin in range(0, len(rows), step):
        some = slice(begin, begin + step)
        value = _comparable(rows[some])
        left[some] = (value > least[some]) | ((value == least[some]) & (np.arange(columns) <= last[some]))
        if settings.typical_p is not None:  # all others keep the largest
            left[some] &= value <= upper[some]
    all_left = left.reshape(x.shape)
    return all_left if mask is None else all_left & mask


def _comparable(x: Array) -> Array:
    """The logits as NumPy compares them: bfloat16, which it does not know, as float32."""
    return (x.view(np.uint16).astype(np.uint32) << 16).view(np.float32) if x.dtype.kind == "V" else x


def _best_of_row(logits: Logits, row: int, least: float, count: int) -> NDArray[np.int64]:
    """The columns of the `count` largest logits among those that reach `least`, in descending order."""
    x, mask, _ = logits
    columns = x.shape[-1]
    own = _comparable(x.reshape(-1, columns)[row])
    reaching = np.asarray(own >= least)
    if mask is not None:
        reaching = reaching & np.broadcast_to(mask.reshape(-1, columns), (x.size // columns, columns))[row]
    best = np.flatnonzero(reaching)
    return best[np.argsort(-own[best].astype(np.float64), kind="stable")[:count]]


def draw(
    logits: Logits,
    settings: Settings,
    size: tuple[int, ...],
    threads: int,
    where: draws.Where,
    invalid: int | None = None,
    draw_rows: draws.DrawRows = address.draw_rows,
    masses: NDArray[np.float64] | None = None,
) -> NDArray[np.int64]:
    """One token per row, `size` times. With `invalid`, a row that cannot be drawn from gets it, instead of an error.

    The noise of draw i is that of row i of the result, whatever `invalid` says. `masses` gets what the kernel tells of
    each row, and nothing of one that cannot be drawn from.
    """
    x = logits[0]
    shape = size + x.shape[:-1]
    index = np.empty(shape, np.int64)
    each = index.reshape(math.prod(size), math.prod(x.shape[:-1]))
    call = _Call(logits, settings, each, threads, invalid, masses)
    draws.run(call, logits, -1, (*shape, x.shape[-1]), index.size * x.shape[-1], where, draw_rows)
    return index


class _Call:
    """The kernel's calls for all draws of all rows, on the noise of an address; nothing is copied."""

    def __init__(
        self,
        logits: Logits,
        settings: Settings,
        index: NDArray[np.int64],
        threads: int,
        invalid: int | None,
        masses: NDArray[np.float64] | None,
    ) -> None:
        x, self._mask, _ = logits
        self._columns = x.shape[-1]
        self._x = x.reshape(index.shape[1], self._columns)
        self._settings, self._index, self._threads, self._invalid = settings, index, threads, invalid
        self._masses = masses

    def __call__(self, place: Address) -> int:
        rows = self._index.shape[1]
        status = self._draw(0, rows, place)
        if status >= 0 or self._invalid is None:
            return status
        good = np.array([self._is_good(row) for row in range(rows)], bool)
        self._index[:, ~good] = self._invalid
        # Runs of good rows, each as its first row and the row after its last.
        edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
        return sum(self._draw(int(begin), int(end), place) for begin, end in edges.reshape(-1, 2))

    def _draw(self, begin: int, end: int, place: Address) -> int:
        """All draws of some rows: row by row, or draw by draw, whatever takes fewer calls."""
        draws_a_row, rows = self._index.shape
        if draws_a_row == 1 and end - begin == rows:  # the usual call: this keeps small ones cheap
            return self._run(self._x, slice(begin, end), self._settings, self._index[0], place, self._masses)
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
                if self._masses is not None:
                    one = slice(row, row + 1)
                    first = _strided(place, row, 1, 1)
                    self._run(self._x[one], one, self._settings.part(one), index[:1], first, self._masses[one])
            return opened
        some = slice(begin, end)
        settings = self._settings.part(some)
        for i, index in enumerate(self._index):
            masses = self._masses[some] if self._masses is not None and i == 0 else None
            where = _strided(place, i * rows + begin, 1, end - begin)
            status = self._run(self._x[some], some, settings, index[some], where, masses)
            if status < 0:
                return status
            opened += status
        return opened

    def _run(
        self, x: Array, rows: slice, settings: Settings, index: Array, place: Address, masses: Array | None = None
    ) -> int:
        mask = self._mask
        if mask is not None and mask.size != self._columns:
            mask = mask.reshape(-1, self._columns)[rows]
            mask = mask[0] if len(mask) == 1 else mask
        return int(active().sample_tokens((x, mask, 1.0), settings, index, masses, self._threads, place))

    def _is_good(self, row: int) -> bool:
        """Whether the greedy choice of a row succeeds, which asks for no noise."""
        one = slice(row, row + 1)
        greedy = Settings(np.zeros(1))
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
    found = np.empty((len(rows), 4))
    status = active().token_edges(logits, settings, found, threads)
    if status < 0 and not invalid_allowed:
        refuse(x, mask, -1)
    if status == REFUSED:
        each_mask = None if mask is None else np.broadcast_to(mask.reshape(-1, columns), rows.shape)
        for i in range(len(rows)):
            one = rows[i : i + 1], None if each_mask is None else each_mask[i], 1.0
            if active().token_edges(one, settings.part(slice(i, i + 1)), found[i : i + 1], 1) == REFUSED:
                found[i] = np.nan
    found[found[:, 2] < 0] = np.nan
    return found


class LogProbs(NamedTuple):
    """Log-probabilities of drawn tokens and of the best ones, as `TokenSample` holds them."""

    drawn: NDArray[np.float64]
    raw: NDArray[np.float64]
    log_kept: NDArray[np.float64]
    top_tokens: NDArray[np.int64] | None
    top: NDArray[np.float64] | None


def as_count_of_best(top_logprobs: Any, return_logprobs: bool, columns: int) -> int:
    best = checks.as_integer(top_logprobs, "top_logprobs", 0, checks.INT64_END)
    if best and not return_logprobs:
        raise ValueError("top_logprobs needs return_logprobs=True")
    return min(best, columns)


def draw_with_logprobs(
    logits: Logits,
    settings: Settings,
    size: tuple[int, ...],
    threads: int,
    where: draws.Where,
    invalid: int | None,
    best: int,
) -> tuple[NDArray[np.int64], LogProbs]:
    """As `draw`, with log-probabilities of the draws and of so many of the most probable tokens."""
    x = logits[0]
    batch = x.shape[:-1]
    rows = x.reshape(-1, x.shape[-1])
    masses = np.full((len(rows), 4), np.nan)
    index = draw(logits, settings, size, threads, where, invalid, masses=masses)
    if not index.size:  # nothing was drawn, so nothing is known of any row
        draw(logits, settings, (), threads, (0, None, None), invalid, masses=masses)
    most, *sums = masses.T
    drawn = np.where(np.isnan(most), 0, index.reshape(-1, len(rows)))
    below = _comparable(rows[np.arange(len(rows)), drawn]).astype(np.float64) - most
    log_left, log_all, log_sums = np.log(sums)
    top, top_values = None, None
    if best:
        of_best, values = _best_tokens(logits, best, threads, log_sums, invalid is not None)
        top, top_values = of_best.reshape(*batch, best), values.reshape(*batch, best)
    return index, LogProbs(
        (below * settings.scale - log_left).reshape(index.shape),
        (below - log_sums).reshape(index.shape),
        np.minimum(log_left - log_all, 0.0).reshape(batch),  # of sums that are rounded
        top,
        top_values,
    )


def _best_tokens(
    logits: Logits, count: int, threads: int, log_sums: NDArray[np.float64], invalid_allowed: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The most probable tokens of each row, the lower index first among equals, and their log-probabilities."""
    x = logits[0]
    rows = x.reshape(-1, x.shape[-1])
    asked = Settings(np.ones(len(rows)), np.full(len(rows), count, np.int64))
    found = edges(logits, asked, threads, invalid_allowed)
    tokens, values = np.full((len(rows), count), -1, np.int64), np.full((len(rows), count), -np.inf)
    for i, (most, least, *_) in enumerate(found):
        best = _best_of_row(logits, i, least, count)
        tokens[i, : len(best)] = best
        values[i, : len(best)] = _comparable(rows[i, best]).astype(np.float64) - most - log_sums[i]
    return tokens, values
