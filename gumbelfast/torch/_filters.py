"""Filters of token sampling on rows whose columns several processes share: `gumbelfast.reference`'s, exactly.

Probabilities are integer masses, as docs/api.md defines them, so that their sums depend on no order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._group import Shard, all_gathered, all_reduced

Array = NDArray[Any]

_DIGIT = 8  # bits of a logit that one round of `_edges` settles


def keep_top_k(shard: Shard, x: Array, k: NDArray[np.int64]) -> Array:
    """Rows without what does not reach their k-th largest logit; 0, or all columns and more, keeps everything."""
    filtering = (k > 0) & (k < shard.vocab_size)
    if not filtering.any():
        return x
    most = int(k[filtering].max())
    mine = np.full((len(x), most), -np.inf)
    held = min(most, x.shape[1])
    mine[:, :held] = -np.partition(-x, held - 1, axis=1)[:, :held] if held else 0
    largest = -np.sort(-np.concatenate(all_gathered(mine, shard.group), axis=1), axis=1)
    edge = np.take_along_axis(largest, np.where(filtering, k - 1, 0)[:, None], axis=1)
    return np.where(filtering[:, None] & (x < edge), -np.inf, x).astype(x.dtype)


def keep_top_p(shard: Shard, x: Array, most: Array, scale: Array, p: Array) -> Array:
    """Rows without what comes after the most probable logits that add up to p; the lower index first among equals."""
    filtering = (p < 1) & np.isfinite(most)
    if not filtering.any():
        return x
    masses = _masses(x, most, scale, shard.vocab_size)
    total = all_reduced(masses.sum(axis=1), shard.group, "sum")
    limit = p * total.astype(np.float64)
    keys = _ordered(x)
    edge, above = _edges(shard, keys, masses, limit)
    tied = keys == edge[:, None]
    mass = all_reduced(np.where(tied, masses, 0).max(axis=1, initial=0), shard.group, "max")
    counts = all_gathered(np.stack([np.full(len(x), shard.start), tied.sum(axis=1)]), shard.group)
    # Logits of one value have one mass; as many stay as have less than the limit before them, the lowest indices.
    before = sum(np.where(start < shard.start, count, 0) for start, count in counts)
    staying = np.array([_count_below(*row) for row in zip(above, mass, limit, sum(c for _, c in counts), strict=True)])
    rank = np.cumsum(tied, axis=1) - 1 + np.asarray(before)[:, None]
    stays = (keys > edge[:, None]) | (tied & (rank < staying[:, None]))
    return np.where(filtering[:, None] & ~stays, -np.inf, x).astype(x.dtype)


def keep_min_p(x: Array, most: Array, scale: Array, p: Array) -> Array:
    """Rows without what is less than p times as probable as the largest."""
    filtering = (p > 0) & np.isfinite(most)
    limit = np.log(np.maximum(p, 2.0**-1022)).astype(x.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        below = ~(_scaled(x, most, scale) >= limit[:, None])
    return np.where(filtering[:, None] & below, -np.inf, x).astype(x.dtype)


def _scaled(x: Array, most: Array, scale: Array) -> Array:
    """fl(fl(x - max) * s), in the dtype of the work."""
    with np.errstate(over="ignore", invalid="ignore"):
        found: Array = (x - most[:, None]) * scale.astype(x.dtype)[:, None]
    return found


def _masses(x: Array, most: Array, scale: Array, columns: int) -> NDArray[np.int64]:
    unit = 2.0 ** min(50, 62 - columns.bit_length())
    wide = np.float64 if x.dtype == np.float32 else np.longdouble
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        weight = np.exp(_scaled(x, most, scale).astype(wide)).astype(x.dtype).astype(np.float64)
    return np.rint(np.where(np.isneginf(x), 0.0, weight) * unit).astype(np.int64)


def _ordered(x: Array) -> NDArray[np.uint64]:
    """Integers in the order of the floats, equal for equal ones."""
    unsigned = np.dtype(f"u{x.dtype.itemsize}").type
    bits = (x + 0).view(unsigned)  # -0 as 0
    sign = unsigned(1) << unsigned(8 * x.dtype.itemsize - 1)
    found: NDArray[np.uint64] = np.where(bits & sign, ~bits, bits | sign).astype(np.uint64)
    return found


def _edges(shard: Shard, keys: Array, masses: Array, limit: Array) -> tuple[Array, Array]:
    """Of each row the least key with less than the limit above it, and the mass above it, digit by digit."""
    rows, digits = len(keys), 1 << _DIGIT
    edge, above = np.zeros(rows, np.uint64), np.zeros(rows, np.int64)
    bits = 8 * shard.x.dtype.itemsize
    for shift in range(bits - _DIGIT, -1, -_DIGIT):
        among = keys >> np.uint64(shift + _DIGIT) == (edge >> np.uint64(shift + _DIGIT))[:, None]
        row, column = np.nonzero(among)
        digit = (keys[row, column] >> np.uint64(shift)) & np.uint64(digits - 1)
        mine = np.zeros(rows * digits, np.int64)
        np.add.at(mine, row * digits + digit.astype(np.int64), masses[row, column])
        mass = all_reduced(mine, shard.group, "sum").reshape(rows, digits)
        # What lies above the largest key of each digit.
        higher = above[:, None] + np.flip(np.cumsum(np.flip(mass, 1), axis=1), 1) - mass
        chosen = (higher.astype(np.float64) < limit[:, None]).argmax(axis=1)
        above = higher[np.arange(rows), chosen]
        edge |= chosen.astype(np.uint64) << np.uint64(shift)
    return edge, above


def _count_below(above: int, mass: int, limit: float, count: int) -> int:
    """How many of equal logits have less than the limit before them."""
    low, high = 0, int(count)
    while low < high:
        middle = (low + high) // 2
        if float(int(above) + middle * int(mass)) < limit:
            low = middle + 1
        else:
            high = middle
    return low
