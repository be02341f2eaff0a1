"""Which input is accepted, and the errors for all other input. Error texts are in files named checks."""

from __future__ import annotations

import math
import operator
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Array = NDArray[Any]

LAST_ELEMENT = 2**62  # elements of the noise array are numbered below this
INT64_END = 2**63

_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)
_F32_RANGE, _F64_RANGE = ((float(f.max), float(f.smallest_subnormal)) for f in (np.finfo(_F32), np.finfo(_F64)))
_NAMES = ("float16", "bfloat16", "float32", "float64")


def float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """One of the four dtypes, in native byte order."""
    if dtype is np.float32 or dtype is _F32:
        return _F32
    found = np.dtype(dtype)
    if found.name not in _NAMES:
        raise TypeError(f"expected float16, bfloat16, float32 or float64, got {found.name}")
    return found if found.isnative else found.newbyteorder("=")


def is_real(dtype: np.dtype[Any]) -> bool:
    """Whether it is a dtype of integers, or one of the four dtypes of floats."""
    return dtype.kind in "iu" or dtype.name in _NAMES


def work_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype in which arrays of a dtype are computed."""
    return _F64 if dtype == _F64 else _F32


def eps_of(dtype: np.dtype[Any]) -> float:
    """The spacing of numbers just above 1; 0 for integers."""
    return 2.0**-7 if dtype.name == "bfloat16" else float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0


def work_range(dtype: np.dtype[Any]) -> tuple[float, float]:
    """The largest and the smallest positive number of the dtype in which a dtype is computed."""
    return _F64_RANGE if dtype == _F64 else _F32_RANGE


def real(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Real numbers, integers included, as float64."""
    given = np.asarray(values)
    if not is_real(given.dtype):
        raise TypeError(f"{name} must be real numbers, got {given.dtype}")
    return given.astype(np.float64)


def as_integer(value: Any, name: str, least: int | None = None, below: int | None = None) -> int:
    """An integer of Python, NumPy, PyTorch or JAX, a number or an array without axes; `below` is a power of two."""
    number = value if type(value) is int else _index(value)
    if number is None:
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if least is not None and number < least:
        raise ValueError(f"{name} must be >= {least}, got {number}")
    if below is not None and number >= below:
        raise ValueError(f"{name} must be < 2**{below.bit_length() - 1}, got {number}")
    return number


def _index(value: Any) -> int | None:
    """The result of `operator.index`; None for booleans and for arrays with axes, some of which it would accept."""
    if getattr(value, "shape", ()) != ():
        return None
    try:
        number = operator.index(value)
    except TypeError:
        return None
    return None if isinstance(value.item() if hasattr(value, "item") else value, bool) else number


def positive_count(value: Any, name: str) -> int:
    return as_integer(value, name, 1, INT64_END)


def as_integers(values: Any, name: str) -> Array:
    """An array of integers with a dtype of integers, or of Python's integers where no dtype holds them all."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise TypeError(f"{name} must be integers: {error}") from None
    whole, kind = hasattr(values, "dtype") or not array.ndim, array.dtype.kind
    if whole and kind in "iu":
        return array
    if whole and kind != "O":
        raise TypeError(f"{name} must be integers, got {array.dtype}")
    # In lists NumPy turns booleans into 1 and 0, and an empty list or mixed signed and unsigned integers into float64.
    entries = np.asarray(values, dtype=object)
    numbers = [_index(entry) for entry in entries.ravel().tolist()]
    if None in numbers:
        what = repr(entries.flat[numbers.index(None)]) if kind in "iuO" else array.dtype
        raise TypeError(f"{name} must be integers, got {what}")
    found = np.array(numbers, None if numbers else np.int64)
    return (found if found.dtype.kind in "iu" else np.array(numbers, object)).reshape(entries.shape)


def is_outside(array: Array, least: Any, end: Any) -> NDArray[np.bool_]:
    """Which of the integers that `as_integers` found do not lie in [least, end)."""
    return np.asarray((array < least) | (array >= end))  # a Python bool for a single Python integer


def axis_index(axis: Any, ndim: int) -> int:
    index = as_integer(axis, "axis")
    if not -ndim <= index < ndim:
        raise np.exceptions.AxisError(index, ndim)
    return index % ndim


def lies_in_rows(x: Array) -> bool:
    """Whether kernels can read an array as it lies: rows without gaps, each at the same distance from the last."""
    shape, strides, size = x.shape, x.strides, x.itemsize
    if strides[-1] != size and shape[-1] != 1:
        return False
    step, count = 0, 1
    for n, stride in zip(reversed(shape[:-1]), reversed(strides[:-1]), strict=True):
        if n != 1:
            step = stride if count == 1 else step
            if stride != step * count:
                return False
            count *= n
    return step >= 0 and step % size == 0


def as_array(x: ArrayLike) -> Array:
    try:
        return np.asarray(x)
    except TypeError:
        if str(getattr(x, "dtype", "")) != "torch.bfloat16":
            raise
        raise TypeError("NumPy does not read tensors of bfloat16; the functions of gumbelfast.torch do") from None
    except ValueError as error:
        raise TypeError(f"expected an array of float16, bfloat16, float32 or float64: {error}") from None


def rows(x: ArrayLike, axis: Any) -> tuple[Array, int]:
    """The array with `axis` last, in aligned native rows, copied only if necessary; and the axis, -1 if it is the last.

    Raises TypeError for a dtype outside the four, ValueError for an axis of size 0.
    """
    if type(axis) is not int:  # -1.0 is equal to -1
        axis = as_integer(axis, "axis")
    if type(x) is np.ndarray and axis == -1 and x.dtype is _F32 and x.flags.carray and x.ndim and x.size:
        return x, -1  # the usual input: this keeps small calls cheap
    if type(x) is not np.ndarray:
        x = as_array(x)
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
    if not (flags.aligned and x.dtype is dtype and (flags.c_contiguous or lies_in_rows(x))):
        x = np.array(x, dtype=dtype, order="C")
    return x, axis


def restored(x: Array, axis: int) -> Array:
    """Undoes what `rows` did to the order of the axes."""
    return x if axis == -1 else np.moveaxis(x, -1, axis)


def _number(value: Any, name: str) -> float:
    """A real number as a float; infinite for an integer above all floats."""
    try:
        # float() would accept text, and drop imaginary parts.
        if type(value) not in (float, int) and np.asarray(value).dtype.kind in "SUc":
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
    is_mask(array.dtype)
    if array.ndim <= 1 and axis == -1 and array.shape == shape[-1:]:
        return np.ascontiguousarray(array)
    try:
        whole = np.broadcast_to(array, shape)
    except ValueError:
        refuse_mask(array.shape, shape)
    return np.ascontiguousarray(np.moveaxis(whole, axis, -1))


def is_mask(dtype: np.dtype[Any], name: str = "mask", meaning: str = "allowed") -> None:
    if dtype != np.bool_:
        raise TypeError(f"{name} must be boolean (True: {meaning}), got {dtype}")


def refuse_mask(given: tuple[int, ...], shape: tuple[int, ...], name: str = "mask", what: str = "logits") -> NoReturn:
    raise ValueError(f"{name} of shape {given} does not broadcast to {what} of shape {shape}") from None


def count(k: Any, columns: int) -> int:
    number = as_integer(k, "k", 0)
    if number > columns:
        raise ValueError(f"k={number} exceeds the {columns} columns")
    return number


def size_tuple(size: Any, name: str = "size") -> tuple[int, ...]:
    several = np.iterable(size) and not isinstance(size, bytes)  # bytes hold integers, but are text
    return tuple([as_integer(n, name, 0) for n in (size if several else (size,))])


def first_place(fault: Array, axis: int = -1) -> tuple[int, ...]:
    """Where the first fault lies, in the array whose `axis` was moved last."""
    place = [int(i) for i in np.argwhere(fault)[0]]
    if place:
        place.insert(axis % fault.ndim, place.pop())
    return tuple(place)


def row_name(row: int, shape: tuple[int, ...]) -> str:
    return str(row) if len(shape) <= 2 else str(tuple(int(i) for i in np.unravel_index(row, shape[:-1])))


def finite_logits(x: Array, axis: int = -1) -> None:
    """Checks the logits of a density, laid out as `rows` lays them out: all categories are possible."""
    wide = x.astype(np.float64, copy=False)
    fault = ~np.isfinite(wide)
    if fault.any():
        at = f" at index {first_place(fault, axis)}" if fault.ndim else ""
        raise ValueError(f"logits must be finite, got {wide[fault][0]}{at}")


def returned(found: ArrayLike, name: str) -> Array:
    """The numbers that a user's function returned, as an array of some real dtype."""
    array = np.asarray(found)
    if array.dtype.kind != "b" and not is_real(array.dtype):
        raise TypeError(f"{name} returned {array.dtype}, expected real numbers")
    return array
