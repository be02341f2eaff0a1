"""What input is accepted, and what is said of input that is not. Error texts are written here and in _validate_*.py."""

from __future__ import annotations

import math
import operator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Array = NDArray[Any]

LAST_ELEMENT = 2**62  # elements of the noise array are numbered below this

_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)
_F32_RANGE, _F64_RANGE = ((float(f.max), float(f.smallest_subnormal)) for f in (np.finfo(_F32), np.finfo(_F64)))
_NAMES = ("float16", "bfloat16", "float32", "float64")


def float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """One of the four dtypes, in native byte order."""
    if dtype is np.float32:
        return _F32
    found = np.dtype(dtype)
    if found.name not in _NAMES:
        raise TypeError(f"expected float16, bfloat16, float32 or float64, got {found.name}")
    return found if found.isnative else found.newbyteorder("=")


def is_real(dtype: np.dtype[Any]) -> bool:
    """Whether it is of integers or one of the four of floats."""
    return dtype.kind in "iu" or dtype.name in _NAMES


def work_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What a dtype is computed in."""
    return _F64 if dtype == _F64 else _F32


def eps_of(dtype: np.dtype[Any]) -> float:
    """The spacing of numbers just above 1; 0 for integers."""
    return 2.0**-7 if dtype.name == "bfloat16" else float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0


def work_range(dtype: np.dtype[Any]) -> tuple[float, float]:
    """The largest and the smallest positive number of what a dtype is computed in."""
    return _F64_RANGE if dtype == _F64 else _F32_RANGE


def axis_index(axis: int, ndim: int) -> int:
    index = operator.index(axis)
    if not -ndim <= index < ndim:
        raise np.exceptions.AxisError(index, ndim)
    return index % ndim


def rows(x: ArrayLike, axis: int) -> tuple[Array, int]:
    """The array with `axis` last, C-contiguous, aligned, native, copied only where it must be; the axis, -1 if last.

    Raises TypeError for a dtype outside the four, ValueError for an axis of size 0.
    """
    if type(x) is np.ndarray and axis == -1 and x.dtype is _F32 and x.flags.carray and x.ndim and x.size:
        return x, -1  # what most calls bring, so that small ones stay cheap
    if type(x) is not np.ndarray:
        try:
            x = np.asarray(x)
        except ValueError as error:
            raise TypeError(f"expected an array of float16, bfloat16, float32 or float64: {error}") from None
    dtype = x.dtype
    if dtype is not _F32 and dtype is not _F64:
        dtype = float_dtype(dtype)
    ndim, given = x.ndim, axis
    if axis != -1 or ndim == 0:
        axis = axis_index(axis, ndim)
        if axis == ndim - 1:
            axis = -1
        else:
            x = np.moveaxis(x, axis, -1)
    if x.shape[-1] == 0:
        raise ValueError(f"axis {given} has size 0")
    flags = x.flags
    if not (flags.c_contiguous and flags.aligned and x.dtype is dtype):
        x = np.array(x, dtype=dtype, order="C")
    return x, axis


def restored(x: Array, axis: int) -> Array:
    """Undoes what `rows` did to the order of the axes."""
    return x if axis == -1 else np.moveaxis(x, -1, axis)


def _number(value: Any, name: str) -> float:
    """A real number as a float; infinite for an integer above all floats."""
    try:
        if isinstance(value, str | bytes):  # which float would read
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a real number, got {value!r}") from None
    except OverflowError:
        return math.inf


def finite_number(value: Any, name: str) -> float:
    number = _number(value, name)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {value!r}")
    return number


def positive_reciprocal(value: Any, name: str, dtype: np.dtype[Any]) -> float:
    """1/value for a temperature; kept off zero, so that -inf times it stays -inf.

    The kernel rounds it to the working dtype, where it must be finite too.
    """
    if type(value) is float and value == 1.0:
        return 1.0
    number = _number(value, name)
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be finite and > 0, got {value!r}")
    largest, smallest = work_range(dtype)
    inverse = 1.0 / number
    if not inverse <= largest:
        work = work_dtype(dtype)
        raise ValueError(f"{name} must be finite and > 0, got {value!r}, whose reciprocal overflows {work}")
    return max(inverse, smallest)


def inverse(value: float, name: str) -> None:
    """Checks 1/value where only that is known."""
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be finite and > 0, and 1/{name} as well, got 1/{name} = {value}")


def _real(value: Any, name: str) -> Array:
    array = np.asarray(value)
    if array.dtype.kind == "c":
        raise TypeError(f"{name} must be real, got {value!r}")
    return array


def finite(value: Any, name: str) -> None:
    if not (type(value) is float and math.isfinite(value)) and not np.isfinite(_real(value, name)).all():
        raise ValueError(f"{name} must be finite, got {value!r}")


def scale(value: Any) -> None:
    if type(value) is float and 0 <= value < math.inf:
        return
    array = _real(value, "scale")
    if not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(f"scale must be finite and >= 0, got {value!r}")


def mask_for(mask: ArrayLike, shape: tuple[int, ...], axis: int) -> Array:
    """The mask laid out as `rows` lays out logits: all of it, or one row that serves all."""
    array = np.asarray(mask)
    if array.dtype != np.bool_:
        raise TypeError(f"mask must be boolean (True: allowed), got {array.dtype}")
    if array.ndim <= 1 and axis == -1 and array.shape == shape[-1:]:
        return np.ascontiguousarray(array)
    try:
        whole = np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(f"mask of shape {array.shape} does not broadcast to logits of shape {shape}") from None
    return np.ascontiguousarray(np.moveaxis(whole, axis, -1))


def count(k: Any, columns: int) -> int:
    try:
        number = operator.index(k)
    except TypeError:
        raise TypeError(f"k must be an integer, got {k!r}") from None
    if number < 0:
        raise ValueError(f"k must be >= 0, got {number}")
    if number > columns:
        raise ValueError(f"k={number} exceeds the {columns} columns")
    return number


def size_tuple(size: Any) -> tuple[int, ...]:
    shape = tuple(operator.index(n) for n in size) if np.iterable(size) else (operator.index(size),)
    if any(n < 0 for n in shape):
        raise ValueError("negative dimensions are not allowed")
    return shape


def first_place(fault: Array, axis: int = -1) -> tuple[int, ...]:
    """Where the first fault lies, in the array whose `axis` was moved last."""
    place = [int(i) for i in np.argwhere(fault)[0]]
    if place:
        place.insert(axis % fault.ndim, place.pop())
    return tuple(place)


def row_name(row: int, shape: tuple[int, ...]) -> str:
    return str(row) if len(shape) <= 2 else str(tuple(int(i) for i in np.unravel_index(row, shape[:-1])))


def refuse(x: Array, mask: Array | None, axis: int, empty_allowed: bool = False) -> NoReturn:
    """Says why a kernel refused logits that `rows` laid out."""
    seen = x.astype(work_dtype(x.dtype), copy=False)
    allowed = np.broadcast_to(True if mask is None else mask, x.shape)
    for fault, what in ((np.isnan(seen), "NaN"), (np.isposinf(seen), "+inf")):
        if (fault & allowed).any():
            raise ValueError(f"logits contain {what} at index {first_place(fault & allowed, axis)}")
    if not empty_allowed:
        none = ~(np.isfinite(seen) & allowed).any(axis=-1).ravel()
        if none.any():
            raise ValueError(f"row {row_name(int(none.argmax()), x.shape)} has no finite logit")
    raise ValueError("logits overflow when divided by the temperature")


def too_few(x: Array, k: int, index: NDArray[np.int64], what: str = "allowed entries") -> NoReturn:
    """Says which row has fewer than k entries to draw."""
    short = index.reshape(-1, k)[:, -1] < 0
    row = int(short.argmax())
    found = int((index.reshape(-1, k)[row] >= 0).sum())
    raise ValueError(f"k={k} exceeds the {found} {what} of row {row_name(row, x.shape)}")
