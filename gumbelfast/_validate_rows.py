"""What values are accepted that are given one a row, such as seeds and temperatures, and what is said of others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ._validate import Array, row_name, work_dtype, work_range

_UINT64_END = 2**64


def _one_a_row(values: ArrayLike, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    array = np.asarray(values, dtype)
    try:
        return np.ascontiguousarray(np.broadcast_to(array, shape)).reshape(-1)
    except ValueError:
        raise ValueError(f"{name} of shape {array.shape} does not broadcast to one a row, shape {shape}") from None


def uint64_rows(values: ArrayLike, name: str, shape: tuple[int, ...], end: int = _UINT64_END) -> NDArray[np.uint64]:
    """One integer a row in [0, end), as uint64; scalars serve all rows."""
    array = given = np.asarray(values)
    if given.dtype.kind not in "iu":
        # A list of Python integers around 2**63 comes out as float64, an empty one as well.
        array = given if isinstance(values, np.ndarray) else np.asarray(values, dtype=object)
        if array.dtype != object or any(type(v) is bool or not isinstance(v, int) for v in array.ravel().tolist()):
            raise TypeError(f"{name} must be integers, got {given.dtype}")
    for place, value in ((int(f(array)), array.ravel()[int(f(array))]) for f in (np.argmin, np.argmax) if array.size):
        if not 0 <= int(value) < end:
            last = f"2**{end.bit_length() - 1}" if end & (end - 1) == 0 else str(end)
            raise ValueError(f"{name} must lie in [0, {last}), got {value} at index {place}")
    # A copy: what has been checked is not to change while the kernel reads it.
    return _one_a_row(array.astype(np.uint64), name, shape, np.uint64)


def real_rows(values: ArrayLike, name: str, shape: tuple[int, ...]) -> Array:
    """One real number a row, as float64."""
    given = np.asarray(values)
    if given.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be real numbers, got {values!r}")
    return _one_a_row(given, name, shape, np.float64)


def refuse_rows(bad: Array, seen: Array, what: str, shape: tuple[int, ...], why: str = "") -> None:
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"{what}, got {seen[row]} in row {row_name(row, (*shape, 1))}{why}")


def reciprocal_rows(values: ArrayLike, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """1/value for one temperature a row, as `positive_reciprocal`; 0 stays 0."""
    if type(values) is float and 1e-30 < values < 1e30:  # what most calls bring, so that small ones stay cheap
        return np.full(math.prod(shape), 1.0 / values)
    value = real_rows(values, name, shape)
    if value.size and value.min() > 1e-30 and value.max() < 1e30:
        return 1.0 / value
    refuse_rows(~((value >= 0) & (value < math.inf)), value, f"{name} must be finite and >= 0", shape)
    largest, smallest = work_range(dtype)
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.where(value > 0, 1.0 / value, 0.0)
    why = f", whose reciprocal overflows {work_dtype(dtype)}"
    refuse_rows(~(inverse <= largest), value, f"{name} must be 0 or have a finite reciprocal", shape, why)
    return np.where(value > 0, np.maximum(inverse, smallest), 0.0)


def count_rows(values: ArrayLike | None, name: str, shape: tuple[int, ...]) -> Array | None:
    """One integer >= 0 a row, as int64; None if no row has one above 0."""
    if values is None or (type(values) is int and values == 0):
        return None
    if type(values) is int and 0 < values < 2**63:
        return np.full(math.prod(shape), values, np.int64)
    given = np.asarray(values)
    if given.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got {values!r}")
    refuse_rows(given.ravel() < 0, given.ravel(), f"{name} must be >= 0", given.shape)
    number = _one_a_row(np.minimum(given, np.iinfo(np.int64).max), name, shape, np.int64)
    return number if number.any() else None


def fraction_rows(values: ArrayLike | None, name: str, shape: tuple[int, ...], zero_allowed: bool) -> Array | None:
    """One number a row in [0, 1], or (0, 1] where 0 is not allowed; None if no row has one that filters."""
    nothing = 0.0 if zero_allowed else 1.0
    if values is None or (type(values) is float and values == nothing):
        return None
    if type(values) is float and 0 < values <= 1:
        return np.full(math.prod(shape), values)
    value = real_rows(values, name, shape)
    if not value.size or (value.min() > 0 and value.max() <= 1):
        return value
    least = value >= 0 if zero_allowed else value > 0
    refuse_rows(~(least & (value <= 1)), value, f"{name} must lie in {'[' if zero_allowed else '('}0, 1]", shape)
    return value if (value != nothing).any() else None
