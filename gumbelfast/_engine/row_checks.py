"""Which values are accepted that are given per row, such as seeds and temperatures, and the errors for all others."""

from __future__ import annotations

import math
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .checks import INT64_END, Array, as_integers, positive_reciprocal, row_name, work_dtype, work_range
from .refused import check_inverses

_UINT64_END = 2**64
_OBJECT, _UINT64 = np.dtype(object), np.dtype(np.uint64)  # cheaper to pass than their classes


def _one_a_row(values: ArrayLike, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    array = np.asarray(values, dtype)
    if array.shape == shape and array.flags.c_contiguous:
        return array.reshape(-1)
    try:
        return np.ascontiguousarray(np.broadcast_to(array, shape)).reshape(-1)
    except ValueError:
        refuse_shape(array.shape, name, shape)


def refuse_shape(given: tuple[int, ...], name: str, shape: tuple[int, ...]) -> NoReturn:
    raise ValueError(f"{name} of shape {given} does not broadcast to one per row, shape {shape}") from None


def uint64_rows(values: ArrayLike, name: str, shape: tuple[int, ...], end: int = _UINT64_END) -> NDArray[np.uint64]:
    """One integer in [0, end) per row, as uint64; a scalar serves all rows."""
    if type(values) is int and 0 <= values < end:  # the usual form of positions
        return np.full(math.prod(shape), values, np.uint64)
    array = as_integers(values, name)
    for place in (int(array.argmin()), int(array.argmax())) if array.size else ():
        value = array.item(place)
        if not 0 <= value < end:
            last = f"2**{end.bit_length() - 1}" if end & (end - 1) == 0 else str(end)
            raise ValueError(f"{name} must lie in [0, {last}), got {value} at index {place}")
    # A copy: checked values must not change while the kernel reads them.
    return _one_a_row(array.astype(_UINT64), name, shape, _UINT64)


def seed_rows(seeds: ArrayLike, shape: tuple[int, ...]) -> tuple[NDArray[np.uint64], NDArray[np.bool_] | None]:
    """One seed per row, and which rows have none: None in a list, masked entries of a masked array."""
    given: Any = seeds
    if isinstance(seeds, np.ma.MaskedArray):
        missing, given = np.ma.getmaskarray(seeds), seeds.filled(0)
    elif isinstance(seeds, list | tuple) or getattr(seeds, "dtype", None) == _OBJECT:
        array = np.asarray(seeds, dtype=object)
        missing = np.array([seed is None for seed in array.ravel()], bool).reshape(array.shape)
        given = np.where(missing, 0, array) if missing.any() else seeds
    else:
        return uint64_rows(seeds, "seeds", shape), None
    found = uint64_rows(given, "seeds", shape)
    return found, _one_a_row(missing, "seeds", shape, np.bool_) if missing.any() else None


def different_noise(seeds: ArrayLike, positions: ArrayLike | None, shape: tuple[int, ...]) -> None:
    """Refuses a seed and position that would serve several rows, which would then have the same noise."""
    if math.prod(shape) <= 1:
        return
    given = [np.shape(seeds), np.shape(positions)]  # type: ignore[arg-type]
    for axis, rows in enumerate(shape, -len(shape)):
        if rows > 1 and not any(len(each) >= -axis and each[axis] == rows for each in given):
            raise ValueError(
                f"seeds of shape {given[0]} and positions of shape {given[1]} give all {rows} rows along an axis the"
                f" same noise: give one seed per row, shape {shape}, or positions that differ"
            )


def real_rows(values: ArrayLike, name: str, shape: tuple[int, ...]) -> Array:
    """One real number per row, as float64."""
    given = np.asarray(values)
    if given.dtype.kind not in "fiu":
        raise TypeError(f"{name} must be real numbers, got {values!r}")
    return _one_a_row(given, name, shape, np.float64)


def _refuse_rows(bad: Array, seen: Array, what: str, shape: tuple[int, ...], why: str = "") -> None:
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"{what}, got {seen[row]} in row {row_name(row, (*shape, 1))}{why}")


def reciprocal_rows(values: ArrayLike, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """1/value for one temperature per row, as `positive_reciprocal`; 0 stays 0."""
    if type(values) is float and 1e-30 < values < 1e30:  # the usual input: this keeps small calls cheap
        return np.full(math.prod(shape), 1.0 / values)
    return _reciprocals(real_rows(values, name, shape), name, shape, dtype, zero_allowed=True)


def positive_reciprocals(
    values: ArrayLike, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> float | NDArray[np.float64]:
    """1/value for one temperature, or for one per row; as `positive_reciprocal`."""
    if type(values) is float or np.ndim(values) == 0:
        return positive_reciprocal(values, name, dtype)
    return _reciprocals(real_rows(values, name, shape), name, shape, dtype, zero_allowed=False)


def _reciprocals(
    value: Array, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], zero_allowed: bool
) -> NDArray[np.float64]:
    if value.size and value.min() > 1e-30 and value.max() < 1e30:
        quick: NDArray[np.float64] = 1.0 / value
        return quick
    least, relation = (value >= 0, ">=") if zero_allowed else (value > 0, ">")
    _refuse_rows(~(least & (value < math.inf)), value, f"{name} must be finite and {relation} 0", shape)
    largest, smallest = work_range(dtype)
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.where(value > 0, 1.0 / value, 0.0)
    why = f", whose reciprocal overflows {work_dtype(dtype)}"
    _refuse_rows(
        ~(inverse <= largest), value, f"{name} must {'be 0 or ' * zero_allowed}have a finite reciprocal", shape, why
    )
    return np.where(value > 0, np.maximum(inverse, smallest), 0.0)


def inverses(values: Array) -> float | NDArray[np.float64]:
    """1/value for one number, or one per row, as kernels take them."""
    check_inverses(values)
    return values.astype(np.float64).reshape(-1) if values.ndim else float(values)


def where_none(values: Any, nothing: float) -> Any:
    """Settings with `nothing` in place of None, which may stand for all rows or for some entries of a list."""
    if values is None:
        return nothing
    if isinstance(values, list | tuple) or getattr(values, "dtype", None) == _OBJECT:
        array = np.asarray(values, dtype=object)
        missing = np.array([value is None for value in array.ravel()], bool).reshape(array.shape)
        return np.where(missing, nothing, array).tolist()
    return values


def count_rows(values: ArrayLike | None, name: str, shape: tuple[int, ...]) -> Array | None:
    """One integer per row, as int64, with 0 for None, -1 and 0; None if no row has one above 0."""
    if values is None or (type(values) is int and values == 0):
        return None
    if type(values) is int and 0 < values < INT64_END:
        return np.full(math.prod(shape), values, np.int64)
    try:
        given = as_integers(where_none(values, 0), name)
    except TypeError:
        raise TypeError(f"{name} must be integers, got {values!r}") from None
    _refuse_rows(given.ravel() < -1, given.ravel(), f"{name} must be >= 0, or -1 for no filter", given.shape)
    most = np.full(given.shape, INT64_END - 1, np.int64)
    np.copyto(most, given, casting="unsafe", where=np.asarray(given < INT64_END))
    number = _one_a_row(np.maximum(most, 0), name, shape, np.int64)
    return number if number.any() else None


def fraction_rows(values: ArrayLike | None, name: str, shape: tuple[int, ...], nothing: float) -> Array | None:
    """One number in [0, 1] per row; `nothing` and None filter nothing. None if no row filters."""
    if values is None or (type(values) is float and values == nothing):
        return None
    if type(values) is float and 0 < values <= 1:
        return np.full(math.prod(shape), values)
    value = real_rows(where_none(values, nothing), name, shape)
    _refuse_rows(~((value >= 0) & (value <= 1)), value, f"{name} must lie in [0, 1]", shape)
    return value if (value != nothing).any() else None


def least_rows(values: ArrayLike | None, name: str, shape: tuple[int, ...]) -> Array | None:
    """One finite number >= 0 per row; 0 and None filter nothing. None if no row filters."""
    if values is None:
        return None
    value = real_rows(where_none(values, 0.0), name, shape)
    _refuse_rows(~((value >= 0) & (value < math.inf)), value, f"{name} must be finite and >= 0", shape)
    return value if value.any() else None


def finite_rows(
    values: ArrayLike | None, name: str, shape: tuple[int, ...], nothing: float, positive: bool = False
) -> Array:
    """One finite number per row, > 0 if `positive`; `nothing` for None."""
    value = real_rows(where_none(values, nothing), name, shape)
    good = np.isfinite(value) & ((value > 0) | (not positive))
    _refuse_rows(~good, value, f"{name} must be finite{' and > 0' * positive}", shape)
    return value
