"""The bounds that divide the 2**64 uniforms among categories (``docs/stream.md``), and tables made from them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from . import address
from .backend import active
from .refused import refuse
from .types import SeedLike

Array = NDArray[Any]
U64 = NDArray[np.uint64]

END = np.uint64(2**64 - 1)  # stands for 2**64


def weights_of_logits(
    x: Array,
    axis: int,
    scale: float | NDArray[np.float64],
    mask: Array | None,
    threads: int,
    empty_allowed: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """``softmax(x * scale)`` in float64, as (rows, K), and in the batch shape which rows are empty; those hold ones.

    Bad logits that `checks.rows` laid out are refused, empty rows too where they are not allowed.
    """
    wide: NDArray[np.float64] = x.astype(np.float64, order="C").reshape(-1, x.shape[-1])
    if mask is not None:
        np.copyto(wide, -np.inf, where=~mask.reshape(-1, x.shape[-1]))
    largest = wide.max(axis=-1)
    empty = np.isneginf(largest)
    if not np.isfinite(largest[~empty]).all() or (empty.any() and not empty_allowed):
        refuse(x, mask, axis)
    active().softmax(wide, scale, wide, threads)
    wide[empty] = 1
    return wide, empty.reshape(x.shape[:-1])


def bounds_of(weights: Array) -> U64:
    """``ceil(2**64 * F)`` of the distribution functions F of rows of float64; what reaches 1 gets `END`."""
    bounds = np.empty(weights.shape, np.uint64)
    _core.bounds_of(np.ascontiguousarray(weights), bounds)
    return bounds


def bits_of(columns: int) -> int:
    """Tables have a power of two entries, at least as many as there are categories, and two."""
    return max((columns - 1).bit_length(), 1)


def guide_of(bounds: U64) -> NDArray[np.int64]:
    """For each of 2**bits equal parts of the uniforms, how many bounds are at most its first (Chen and Asau 1974)."""
    guide = np.empty((len(bounds), 1 << bits_of(bounds.shape[-1])), np.int64)
    _core.guide_of(bounds, guide)
    return guide


class Tables:
    """Tables of some rows of float64 weights, each built when it is first drawn from."""

    def __init__(self, weights: Array) -> None:
        self._bounds = bounds_of(weights)
        self._alias: U64 | None = None
        self._guide: NDArray[np.int64] | None = None

    def kernel(self, method: str, threads: int) -> Callable[..., int]:
        """The kernel of a method, as a function of an index (rows last), threads and an address."""
        bounds = self._bounds
        if method == "alias":
            if self._alias is None:
                table = np.empty((len(bounds), 1 << bits_of(bounds.shape[-1])), np.uint64)
                active().alias_table(bounds, table, threads)
                self._alias = table
            return partial(active().draw_alias, self._alias)
        if self._guide is None:
            self._guide = guide_of(bounds)
        return partial(active().draw_inverse, bounds, self._guide)

    def draw(self, method: str, index: NDArray[np.int64], rng: SeedLike, offset: Any, threads: int) -> None:
        """Draws into `index`."""
        address.draw_flat(partial(self.kernel(method, threads), index, threads), index.size, rng, offset)


def first_above(function: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.int64]:
    """The first place of a distribution function that exceeds each u, looked for from where a guide says.

    A binary search for each of 10**6 uniforms took four times as long, at 1000 categories.
    """
    if u.size < 4 * function.size:
        return np.searchsorted(function, u, side="right").astype(np.int64)
    bits = bits_of(function.size)
    guide = np.searchsorted(function, np.arange(1 << bits) / (1 << bits), side="right")
    index = guide[np.ldexp(u, bits).astype(np.intp)].astype(np.int64)
    short = np.flatnonzero(function[index] <= u)
    for _ in range(3):
        index[short] += 1
        short = short[function[index[short]] <= u[short]]
    index[short] = np.searchsorted(function, u[short], side="right")
    return index
