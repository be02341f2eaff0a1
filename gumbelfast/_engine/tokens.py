"""Draws of tokens: what a request asks for, one value a row, and the kernel's calls for it."""

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

_VALUES_AT_ONCE = 2**18  # so many are compared in one go, in memory that a cache holds
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
    if words.shape[-1] > most:  # as if 0 and 1 had been meant, one a token
        raise ValueError(
            f"mask has {words.shape[-1]} words of 32 tokens a row, more than the {most} of {shape[-1]} tokens"
        )
    octets = np.ascontiguousarray(words, "<i4").view(np.uint8)
    # `count` leaves out bits behind the last column, and forbids columns behind the last bit.
    allowed = np.unpackbits(octets, axis=-1, count=shape[-1], bitorder="little").view(np.bool_)
    return checks.mask_for(allowed, shape, -1)


def check_order(temperature_last: Any) -> None:
    if not isinstance(temperature_last, bool | np.bool_):
        raise TypeError(f"temperature_last must be True or False, got {temperature_last!r}")


class Further(NamedTuple):
    """What is asked beside the filters that kernels know, as it was given."""

    temperature_last: bool = False
    min_tokens_to_keep: ArrayLike | None = None
    top_n_sigma: ArrayLike | None = None
    epsilon_cutoff: ArrayLike | None = None
    eta_cutoff: ArrayLike | None = None


def narrow(
    logits: Logits, settings: Settings, further: Further, threads: int, invalid_allowed: bool = False
) -> tuple[Logits, Settings]:
    """Logits and settings for `draw` that do what is asked further.

    A cutoff compares probabilities with a number of the row, so it is a min-p of its own. Where the filters see another
    temperature than the draw, or have to leave a least number, what they leave becomes the mask.
    """
    check_order(further.temperature_last)
    x = logits[0]
    batch = x.shape[:-1]
    least = row_checks.count_rows(further.min_tokens_to_keep, "min_tokens_to_keep", batch)
    sigmas = row_checks.least_rows(further.top_n_sigma, "top_n_sigma", batch)
    epsilon = row_checks.fraction_rows(further.epsilon_cutoff, "epsilon_cutoff", batch, nothing=0.0)
    eta = row_checks.fraction_rows(further.eta_cutoff, "eta_cutoff", batch, nothing=0.0)
    scale, top_k, top_p, min_p = settings
    if least is not None and top_k is not None:
        top_k = np.where(top_k > 0, np.maximum(top_k, least), 0)
    settings = Settings(scale, top_k, top_p, min_p)
    if all(each is None for each in (top_p, min_p, sigmas, epsilon, eta)):
        return logits, settings
    asked = settings
    if further.temperature_last:
        asked = settings._replace(scale=np.where(scale == 0, 0.0, 1.0))
    by_mask = not np.array_equal(asked.scale, scale) or (least is not None and bool((least > 1).any()))
    source = logits

    def settle(source: Logits, asked: Settings) -> tuple[Logits, Settings]:
        if not by_mask:
            return source, asked
        left = kept(source, asked, threads, invalid_allowed)
        if least is not None:
            count = np.where(scale == 0, 0, least)
            _keep_first(source, count, left.reshape(-1, x.shape[-1]), threads, invalid_allowed)
        return (x, left, 1.0), Settings(asked.scale, None, None, None)

    if sigmas is not None:
        asked = _with_min_p(asked, np.exp(-sigmas * _deviations(logits) * asked.scale) * (sigmas > 0))
    source, asked = settle(source, asked)
    for cutoff, by_entropy in ((epsilon, False), (eta, True)):
        if cutoff is None:
            continue
        found = edges(source, asked, threads, invalid_allowed)
        limit = cutoff
        if by_entropy:
            entropy = _entropies(source, asked, found, threads, invalid_allowed)
            limit = np.minimum(cutoff, np.sqrt(cutoff) * np.exp(-entropy))
        source, asked = settle(source, _with_min_p(asked, np.nan_to_num(np.minimum(limit * found[:, 3], 1.0))))
    return source, asked._replace(scale=scale)


def _with_min_p(settings: Settings, least: NDArray[np.float64]) -> Settings:
    """The settings with another bound on probabilities, relative to the largest."""
    return settings._replace(min_p=least if settings.min_p is None else np.maximum(settings.min_p, least))


def _deviations(logits: Logits) -> NDArray[np.float64]:
    """The standard deviation of each row's allowed finite logits; row by row, so that none depends on another."""
    x, mask, _ = logits
    columns = x.shape[-1]
    rows = x.reshape(-1, columns)
    allowed = None if mask is None else np.broadcast_to(mask.reshape(-1, columns), rows.shape)
    found = np.zeros(len(rows))
    for i, row in enumerate(rows):
        value = _comparable(row)
        there = np.isfinite(value) if allowed is None else np.isfinite(value) & allowed[i]
        if there.any():
            found[i] = value[there].astype(np.float64).std()
    return found


def _entropies(
    logits: Logits, settings: Settings, found: NDArray[np.float64], threads: int, invalid_allowed: bool
) -> NDArray[np.float64]:
    """The entropy of what the filters leave of each row, in nats; `found` are its edges."""
    x = logits[0]
    columns = x.shape[-1]
    rows, left = x.reshape(-1, columns), kept(logits, settings, threads, invalid_allowed).reshape(-1, columns)
    entropy = np.zeros(len(rows))
    for i, (most, _, _, total, _) in enumerate(found):
        distance = (_comparable(rows[i][left[i]]).astype(np.float64) - most) * settings.scale[i]
        entropy[i] = np.log(total) - (np.exp(distance) * distance).sum() / total
    return entropy


def kept(logits: Logits, settings: Settings, threads: int, invalid_allowed: bool = False) -> NDArray[np.bool_]:
    """What the filters leave, in the shape of the logits; nothing of a row that is refused."""
    x, mask, _ = logits
    columns = x.shape[-1]
    rows = x.reshape(-1, columns)
    found = edges(logits, settings, threads, invalid_allowed)
    least, last = found[:, 1:2].astype(checks.work_dtype(x.dtype)), found[:, 2:3]
    left = np.empty(rows.shape, np.bool_)
    step = max(1, _VALUES_AT_ONCE // columns)
    for begin in range(0, len(rows), step):
        some = slice(begin, begin + step)
        value = _comparable(rows[some])
        left[some] = (value > least[some]) | ((value == least[some]) & (np.arange(columns) <= last[some]))
    all_left = left.reshape(x.shape)
    return all_left if mask is None else all_left & mask


def _comparable(x: Array) -> Array:
    """The logits as NumPy compares them: bfloat16, which it does not know, as float32."""
    return (x.view(np.uint16).astype(np.uint32) << 16).view(np.float32) if x.dtype.kind == "V" else x


def _keep_first(
    logits: Logits, count: NDArray[np.int64], left: NDArray[np.bool_], threads: int, invalid_allowed: bool
) -> None:
    """Adds to what is left of each row its `count` most probable tokens, the lower index first among equals."""
    lacking = np.count_nonzero(left, axis=-1) < count
    if not lacking.any():
        return
    asked = Settings(np.ones(len(count)), np.maximum(count, 1), None, None)
    least = edges(logits, asked, threads, invalid_allowed)[:, 1]
    for i in np.flatnonzero(lacking).tolist():
        left[i, _best_of_row(logits, i, least[i], int(count[i]))] = True


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
        if draws_a_row == 1 and end - begin == rows:  # as most calls, so that small ones stay cheap
            return self._run(self._x, slice(begin, end), self._settings, self._index[0], place)
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
    x = logits[0]
    rows = x.reshape(-1, x.shape[-1])
    asked = Settings(np.ones(len(rows)), np.full(len(rows), count, np.int64), None, None)
    found = edges(logits, asked, threads, invalid_allowed)
    tokens, values = np.full((len(rows), count), -1, np.int64), np.full((len(rows), count), -np.inf)
    for i, (most, least, *_) in enumerate(found):
        best = _best_of_row(logits, i, least, count)
        tokens[i, : len(best)] = best
        values[i, : len(best)] = _comparable(rows[i, best]).astype(np.float64) - most - log_sums[i]
    return tokens, values
