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


def top_p(x: Array, scale: Any, p: float) -> Array:
    """Keep the most probable logits until their probabilities, softmax(x * scale), add up to p.

    In descending order, the lower index first among equals, a logit stays while those before it weigh less than p of
    all. Weights exp((x - max x) * scale) are rounded to integer multiples of 2**-b, so that sums of them are exact in
    any order; b is the most that keeps the sum of len(x) weights below 2**62, and at most 50.
    """
    if p >= 1 or np.isneginf(x).all():
        return x
    with np.errstate(over="ignore", under="ignore"):
        weight = np.exp(((x - x.max()) * scale).astype(np.longdouble)).astype(x.dtype).astype(np.float64)
    unit = 2.0 ** min(50, 62 - len(x).bit_length())
    grid = np.rint(weight * unit).astype(np.int64)
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
