"""Which calls of NumPy's methods our own code draws; the others are left to NumPy, which refuses them or draws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._engine import checks, out_checks

Array = NDArray[Any]

_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
_SIZES = (int, tuple, list, np.integer, np.ndarray)


def shape_of(size: Any, *numbers: Any) -> tuple[int, ...] | None:
    """The shape of a draw; None for a size that is bad, or to which the numbers do not broadcast."""
    try:
        natural: tuple[int, ...] = ()
        for x in numbers:
            if type(x) is not float:
                natural = np.broadcast_shapes(natural, np.shape(x))
        if size is None:
            return natural
        if type(size) is int and size >= 0:
            shape: tuple[int, ...] = (size,)
        elif isinstance(size, _SIZES):
            shape = checks.size_tuple(size)
        else:
            return None
        return shape if not natural or np.broadcast_shapes(natural, shape) == shape else None
    except (TypeError, ValueError):
        return None


def is_finite(x: Any) -> bool:
    if type(x) is float:
        return math.isfinite(x)
    array = np.asarray(x)
    return array.dtype.kind in "fiub" and bool(np.isfinite(array).all())


def is_scale(x: Any) -> bool:
    if type(x) is float:
        return math.copysign(1, x) > 0 and x < math.inf
    return is_finite(x) and not bool(np.signbit(np.asarray(x, np.float64)).any())


def single_or_double(dtype: DTypeLike) -> np.dtype[Any] | None:
    """float64 or float32; None for others."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        return None
    return found if found in _DTYPES else None


def takes(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether NumPy writes to such an array."""
    if type(out) is not np.ndarray or out.shape != shape or out.dtype != dtype:
        return False
    return bool(out.flags.behaved and out.flags.forc)


def converted(drawn: Any, dtype: np.dtype[Any], out: Array | None) -> Any:
    """NumPy's float64 draw in another dtype, or in `out`."""
    if out is not None:
        out_checks.output(out, np.shape(drawn) or out.shape, dtype, ())
        out[...] = drawn
        return out
    return drawn.astype(dtype, copy=False) if isinstance(drawn, np.ndarray) else drawn
