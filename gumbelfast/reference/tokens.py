"""Filters of token sampling: which of a row's logits may be drawn.

In the order in which text generation applies them: top-k (Fan, Lewis, Dauphin 2018), top-p or nucleus (Holtzman et al.
2020), min-p (Nguyen et al. 2024). Each looks at what the ones before it left. Rows are 1-d arrays of float32 or float64
without NaN and +inf; what a filter removes becomes -inf.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


def top_k(x: Array, k: int) -> Array:
    """Keep what reaches the k-th largest logit: those equal to it all stay. k < 1 or k >= len(x) keeps everything."""
    if not 1 <= k < len(x):
        return x
    return np.where(x >= np.sort(x)[-k], x, x.dtype.type(-np.inf))


def unit_of_mass(columns: int) -> float:
    """What a weight of 1 counts as: 2**b, the most that keeps the sum of so many below 2**62, and b at most 50."""
    return float(2.0 ** min(50, 62 - columns.bit_length()))


def masses(x: Array, scale: Any) -> NDArray[np.int64]:
    """The weights exp((x - max x) * scale), rounded to integer multiples of 2**-b.

    So sums of them are exact in any order.
    """
    with np.errstate(over="ignore", under="ignore"):
        weight = np.exp(((x - x.max()) * scale).astype(np.longdouble)).astype(x.dtype).astype(np.float64)
    grid: NDArray[np.int64] = np.rint(weight * unit_of_mass(len(x))).astype(np.int64)
    return grid


def top_p(x: Array, scale: Any, p: float) -> Array:
    """Keep the most probable logits until their probabilities, softmax(x * scale), add up to p.

    In descending order, the lower index first among equals, a logit stays while those before it weigh less than p of
    all.
    """
    if p >= 1 or np.isneginf(x).all():
        return x
    grid = masses(x, scale)
    order = np.argsort(-x, kind="stable")
    before = np.cumsum(grid[order]) - grid[order]
    stays = np.empty(len(x), bool)
    stays[order] = before.astype(np.float64) < p * float(grid.sum())
    return np.where(stays, x, x.dtype.type(-np.inf))


def min_p(x: Array, scale: Any, p: float) -> Array:
    """Keep the logits whose probability is at least p times the largest: (x - max x) * scale >= log(p)."""
    if p <= 0 or np.isneginf(x).all():
        return x
    limit = x.dtype.type(np.log(max(p, 2.0**-1022)))
    with np.errstate(over="ignore"):
        return np.where((x - x.max()) * scale >= limit, x, x.dtype.type(-np.inf))


def survivors(x: Array, scale: Any, k: int, p: float, m: float) -> Array:
    """One row behind all filters; a scale of 0 leaves the first of the largest logits alone."""
    if scale == 0:
        return np.where(np.arange(len(x)) == x.argmax(), x, x.dtype.type(-np.inf))
    return min_p(top_p(top_k(x, k), scale, p), scale, m)


def edge(x: Array, scale: Any, k: int, p: float, m: float) -> tuple[float, float, int, float, float]:
    """What the filters leave of a row: the first of its logits in descending order, the lower index among equals.

    The largest logit, the least that stays, the last index of one equal to it that stays, the weight of what stays, and
    that of all: 1 each for a scale of 0.
    """
    kept = ~np.isneginf(survivors(x, scale, k, p, m))
    if not kept.any():
        return -np.inf, -np.inf, -1, 0.0, 0.0
    most, least = x.max(), x[kept].min()
    last = int(np.flatnonzero(kept & (x == least))[-1])
    if scale == 0:
        return float(most), float(least), last, 1.0, 1.0
    mass, unit = masses(x, scale), unit_of_mass(len(x))
    return float(most), float(least), last, float(mass[kept].sum()) / unit, float(mass.sum()) / unit
