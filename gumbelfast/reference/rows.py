"""Rows of numbers and the elements of noise that they take: what all kernels of the reference share."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .philox import TILE, U64

Array: TypeAlias = NDArray[Any]
Address: TypeAlias = tuple[int, int, int, U64 | None, U64 | None]  # key, offset, row_stride, keys, offsets
Logits: TypeAlias = tuple[Array, Array | None, float | Array]  # array, mask, scale

REFUSED, LACKING = -1, -2  # what kernels return in place of a number of tiles


def working_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """float64 for float64, float32 for all others."""
    return np.dtype(np.float64 if np.dtype(dtype) == np.float64 else np.float32)


def load(x: Array) -> Array:
    """The array in its working dtype, as (rows, K)."""
    return x.astype(working_dtype(x.dtype)).reshape(-1, x.shape[-1])


def store(out: Array, value: Array) -> None:
    """Round a result to the working dtype of ``out`` and from there, for the half types, to ``out`` itself."""
    if out.dtype.kind == "i":
        out[...] = value.reshape(out.shape)
        return
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        out[...] = value.astype(working_dtype(out.dtype)).astype(out.dtype).reshape(out.shape)


def load_logits(logits: Logits) -> Array | None:
    """Logits as a (rows, K) array of the working dtype, -inf where masked out; None if NaN or +inf is among them."""
    given, mask, _ = logits
    x = load(given)
    if mask is not None:
        x = np.where(mask.reshape(-1, x.shape[1]), x, x.dtype.type(-np.inf))
    return None if np.any(np.isnan(x) | np.isposinf(x)) else x


def repeat_rows(x: Array, count: int) -> Array:
    """Row ``i % len(x)`` for each row i of the result."""
    return x[np.arange(count) % max(len(x), 1)]


def scale_rows(scale: float | Array, count: int) -> float | Array:
    """The scale of each row of the result, as a column where there is one per row."""
    return repeat_rows(scale.reshape(-1, 1), count) if isinstance(scale, np.ndarray) else scale


def addresses(rows: int, columns: int, address: Address) -> tuple[U64, int | U64]:
    """Element addresses of shape (rows, columns), and the one key or a column of keys."""
    key, offset, row_stride, keys, offsets = address
    if offsets is None:
        offsets = np.arange(rows, dtype=np.uint64) * np.uint64(row_stride) + np.uint64(offset)
    column: U64 = np.arange(columns, dtype=np.uint64)
    return offsets.reshape(-1, 1) + column, key if keys is None else keys.reshape(-1, 1)


def flat_elements(address: Address, count: int) -> tuple[int, U64]:
    """The key, and as many elements as are wanted from the first on."""
    key, offset, *_ = address
    return key, np.uint64(offset) + np.arange(count, dtype=np.uint64)


def status(elements: U64, index: NDArray[np.int64]) -> int:
    """`count_tiles`, or `LACKING` where some draw is missing."""
    return LACKING if (index < 0).any() else count_tiles(elements)


def count_tiles(elements: U64) -> int:
    """Tiles that the rows touch, those shared by two rows counted for each."""
    return int((elements[:, -1] // TILE - elements[:, 0] // TILE + 1).sum())
