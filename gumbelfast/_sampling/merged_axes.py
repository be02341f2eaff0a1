"""Arrays whose rows run over several axes at once."""

from __future__ import annotations

import math
from types import NoneType
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from .._engine import checks
from .._engine.checks import Array

Axes: TypeAlias = int | tuple[int, ...] | None  # None: all of them

_SEVERAL = (tuple, NoneType)


def sorted_axes(axis: tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """The axes counted from 0, in ascending order, so that sums do not depend on the order in which they were given."""
    if axis is None:
        return tuple(range(ndim))
    axes = sorted(checks.axis_index(a, ndim) for a in axis)
    if len(set(axes)) != len(axes):
        raise ValueError("duplicate value in 'axis'")
    return tuple(axes)


def rows(x: ArrayLike, axis: Axes) -> tuple[Array, int | tuple[int, ...]]:
    """`checks.rows` with several axes merged into the last one; the second result is what `restored` takes."""
    if not isinstance(axis, _SEVERAL):
        return checks.rows(x, axis)
    x = checks.as_array(x)
    axes = sorted_axes(axis, x.ndim)
    moved = np.moveaxis(x, axes, range(-len(axes), 0))
    kept = x.ndim - len(axes)
    size = math.prod(moved.shape[kept:])
    if size == 0:
        checks.float_dtype(x.dtype)
        raise ValueError(f"axis {axis} has size 0")
    return checks.rows(moved.reshape(*moved.shape[:kept], size), -1)[0], axes


def restored(y: Array, axes: int | tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """Undoes what `rows` did to an array of this shape."""
    if not isinstance(axes, tuple):
        return checks.restored(y, axes)
    kept = [n for i, n in enumerate(shape) if i not in axes]
    moved = y.reshape((*kept, *(shape[i] for i in axes)))
    return np.moveaxis(moved, range(-len(axes), 0), axes)


def reduced_shape(shape: tuple[int, ...], axes: int | tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    """What is left of `shape` when `axes`, as `rows` returned them, are summed over."""
    if not isinstance(axes, tuple):
        axes %= len(shape)
        return (*shape[:axes], *((1,) if keepdims else ()), *shape[axes + 1 :])
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)
