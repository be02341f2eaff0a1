"""Filters of token sampling: which of a row's logits may be drawn.

In the order in which text generation applies them: top-k (Fan, Lewis, Dauphin 2018), top-p or nucleus (Holtzman et al.
2020), min-p (Nguyen et al. 2024), top-n-sigma (Tang et al. 2024), typical (Meister et al. 2023), epsilon and eta
(Hewitt, Manning and Liang 2022). Each looks at what the ones before it left. Rows are 1-d arrays of float32 or float64
without NaN and +inf; what a filter removes becomes -inf.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

SMALLEST = 2.0**-1022  # what a logarithm is taken of at least


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
    limit = x.dtype.type(np.log(max(p, SMALLEST)))
    with np.errstate(over="ignore"):
        return np.where((x - x.max()) * scale >= limit, x, x.dtype.type(-np.inf))


def sigma_threshold(x: Array, sigmas: float) -> Any:
    """``max x - sigmas * std``, with the population deviation of the finite logits; -inf where that is no number."""
    wide = x[np.isfinite(x)].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        least = x.dtype.type(wide.max() - sigmas * wide.std())
    return -np.inf if np.isnan(least) else least


def moments(x: Array, scale: Any, most: Any, columns: int) -> tuple[NDArray[np.int64], float]:
    """The `masses` of a row that had `columns` entries, and the mean of (x - most) * scale under them.

    Distances are multiplied with their weights and rounded as those are.
    """
    with np.errstate(over="ignore", under="ignore"):
        distance = np.maximum((x - most) * scale, np.log(np.finfo(x.dtype).tiny).astype(x.dtype))
        weight = np.exp(distance.astype(np.longdouble)).astype(x.dtype)
        unit = unit_of_mass(columns)
        grid, far = (np.rint(w.astype(np.float64) * unit).astype(np.int64) for w in (weight, weight * -distance))
    grid, far = (np.where(np.isneginf(x), 0, each) for each in (grid, far))
    return grid, -float(far.sum()) / float(grid.sum())


def typical(x: Array, scale: Any, most: Any, columns: int, p: float, least: int) -> Array:
    """Keep the logits of least |log p + H| until their probabilities add up to p, and at least `least` of them.

    A logit stays while those of lower rank weigh less than p of all: those of equal rank all stay. With s = (x - most)
    * scale, H = log(sum w) - mean s, and the rank is |s - mean s|.
    """
    if p >= 1:
        return x
    grid, mean = moments(x, scale, most, columns)
    with np.errstate(over="ignore"):
        rank = np.abs((x - most) * scale - x.dtype.type(mean))
    rank[np.isneginf(x)] = np.inf
    order = np.argsort(rank, kind="stable")
    up_to = np.cumsum(grid[order])
    reaching = int(np.count_nonzero(up_to.astype(np.float64) < p * float(grid.sum())))
    edge = rank[order[min(reaching, len(x) - 1)]]
    if least > 1:
        edge = max(edge, rank[order[min(least, len(x)) - 1]])
    return np.where(rank <= edge, x, x.dtype.type(-np.inf))


def at_least(x: Array, scale: Any, most: Any, log_weight: float) -> Array:
    """Keep the logits of weight exp((x - most) * scale) of so much, and the largest whatever they weigh."""
    with np.errstate(over="ignore"):
        heavy = (x - most) * scale >= x.dtype.type(min(log_weight, 0.0))
    return np.where(heavy | (x == x.max()), x, x.dtype.type(-np.inf))


class Filters(NamedTuple):
    """What one row asks for; the values by default filter nothing. `scale` is what probabilities are taken at."""

    scale: Any
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    least: int = 0
    sigmas: float = 0.0
    typical_p: float = 1.0
    epsilon: float = 0.0
    eta: float = 0.0


def filters_of(settings: Sequence[Array | None], row: int, dtype: np.dtype[Any]) -> tuple[Any, Filters]:
    """1/temperature of the draw and the filters of one row, of settings as backends get them."""
    nothing = 1.0, 0, 1.0, 0.0, None, 0, 0.0, 1.0, 0.0, 0.0
    own: list[Any] = [
        default if each is None else each.flat[row] for each, default in zip(settings, nothing, strict=True)
    ]
    scale, k, p, m, seen, least, *further = own
    scale, seen = dtype.type(scale), dtype.type(scale if seen is None else seen)
    return scale, Filters(seen, int(k), p, m, int(least), *further)


def survivors(x: Array, scale: Any, asked: Filters) -> Array:
    """One row behind all filters; a scale of 0 leaves the first of the largest logits alone."""
    none = x.dtype.type(-np.inf)
    if scale == 0:
        return np.where(np.arange(len(x)) == x.argmax(), x, none)
    if np.isneginf(x).all():
        return x
    seen, most, columns = asked.scale, x.max(), len(x)

    def with_first(left: Array, before: Array) -> Array:
        """No filter leaves fewer than `least` of the largest, the lower index first among equals."""
        if asked.least <= 1:
            return left
        first = np.argsort(-before, kind="stable")[: asked.least]
        left[first] = before[first]
        return left

    left = top_k(x, max(asked.top_k, asked.least) if asked.top_k > 0 else 0)
    left = with_first(top_p(left, seen, asked.top_p), left)
    left = with_first(min_p(left, seen, asked.min_p), left)
    if asked.sigmas > 0:
        left = with_first(np.where(left >= sigma_threshold(x, asked.sigmas), left, none), left)
    left = typical(left, seen, most, columns, asked.typical_p, asked.least)
    if asked.epsilon > 0:
        mass = float(moments(left, seen, most, columns)[0].sum()) / unit_of_mass(columns)
        left = with_first(at_least(left, seen, most, np.log(max(asked.epsilon, SMALLEST)) + np.log(mass)), left)
    if asked.eta > 0:
        # min(eta, sqrt(eta) exp(-H)) of all that is left.
        grid, mean = moments(left, seen, most, columns)
        mass, log_eta = float(grid.sum()) / unit_of_mass(columns), np.log(max(asked.eta, SMALLEST))
        left = with_first(at_least(left, seen, most, min(log_eta + np.log(mass), log_eta / 2 + mean)), left)
    return left


def edge(x: Array, kept: NDArray[np.bool_]) -> tuple[float, float, int, float]:
    """What filters left of a row: a stretch of its logits in descending order, the lower index among equals.

    The largest logit, the least that stays, the last index of one equal to it that stays, the largest that stays.
    """
    if not kept.any():
        return -np.inf, -np.inf, -1, -np.inf
    least = x[kept].min()
    return float(x.max()), float(least), int(np.flatnonzero(kept & (x == least))[-1]), float(x[kept].max())


def weights_of(x: Array, scale: Any, kept: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """The largest logit; sums of weights of what stays and of all, 1 each for a scale of 0, and at 1 of all."""
    with np.errstate(over="ignore", under="ignore"):
        weight, plain = (np.exp(((x - x.max()) * by).astype(np.longdouble)).astype(x.dtype) for by in (scale, 1))
    total = float(plain.sum(dtype=np.float64))
    if scale == 0:
        return float(x.max()), 1.0, 1.0, total
    weight = weight.astype(np.float64)
    return float(x.max()), float(weight[kept].sum()), float(weight.sum()), total
