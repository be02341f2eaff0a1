"""What tables are made from: the bounds that cut the 2**64 uniforms into categories (``docs/stream.md``)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
U64 = NDArray[np.uint64]

END = np.uint64(2**64 - 1)  # stands for 2**64


def distribution(weights: Array) -> NDArray[np.float64]:
    """The cumulative sums of float64 rows, divided by their totals: each division rounded once.

    NumPy accumulates in order, so the sums are the same everywhere.
    """
    sums = np.cumsum(weights, axis=-1)
    return np.divide(sums, sums[..., -1:], out=sums)


def bounds_of(weights: Array) -> U64:
    """``ceil(2**64 * F)`` of the distribution functions F; what reaches 1 gets `END`."""
    scaled = distribution(weights)
    done = scaled >= 1
    scaled *= 2.0**64
    np.ceil(scaled, out=scaled)
    scaled[done] = 0
    bounds = scaled.astype(np.uint64)
    bounds[done] = END
    return bounds


def bits_of(columns: int) -> int:
    """Tables have a power of two entries, at least as many as there are categories, and two."""
    return max((columns - 1).bit_length(), 1)


def guide_of(bounds: U64) -> NDArray[np.int64]:
    """For each of 2**bits equal parts of the uniforms, how many bounds are at most its first (Chen and Asau 1974)."""
    bits = bits_of(bounds.shape[-1])
    starts = np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
    guide = np.empty((len(bounds), starts.size), np.int64)
    for row, out in zip(bounds, guide, strict=True):
        out[...] = np.searchsorted(row, starts, side="right")
    return guide
