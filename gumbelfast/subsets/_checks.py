"""Checks of subsets and probabilities of inclusion, and the errors for what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks
from .._engine.checks import Array, first_place, real, row_name
from .._engine.refused import refuse


def logits(x: ArrayLike, axis: Any, k: Any) -> tuple[Array, int, int]:
    """Rows of logits without NaN and +inf, the axis, and a k that every row can fill."""
    rows, axis = checks.rows(x, axis)
    count = checks.count(k, rows.shape[-1])
    if rows.size and not rows.max(initial=-np.inf) < np.inf:
        refuse(rows, None, axis)
    finite = np.isfinite(rows.astype(checks.work_dtype(rows.dtype))).sum(axis=-1)
    if (finite < count).any():
        row = int((finite < count).ravel().argmax())
        place = row_name(row, rows.shape)
        raise ValueError(f"k={count} exceeds the {finite.ravel()[row]} finite logits of row {place}")
    return rows, axis, count


def rows_like(values: ArrayLike, name: str, shape: tuple[int, ...], axis: int) -> NDArray[np.float64]:
    """Real numbers that broadcast to an array of that shape, with its `axis` last, one row each."""
    given = real(values, name)
    wanted = shape if axis == -1 else np.moveaxis(np.empty(shape), -1, axis).shape
    try:
        whole = np.broadcast_to(given, wanted)
    except ValueError:
        raise ValueError(f"{name} of shape {given.shape} does not broadcast to shape {wanted}") from None
    return np.ascontiguousarray(np.moveaxis(whole, axis, -1)).reshape(-1, shape[-1])


def _refuse(fault: Array, values: Array, what: str, axis: int) -> None:
    if fault.any():
        raise ValueError(f"{what}, got {values[fault][0]} at index {first_place(fault, axis)}")


def sizes(values: ArrayLike, axis: Any, k: Any) -> tuple[NDArray[np.float64], int, int]:
    """Rows of finite sizes >= 0 of which at least k are above 0."""
    given = real(values, "sizes")
    index = checks.axis_index(axis, given.ndim)
    axis = -1 if index == given.ndim - 1 else index
    x = np.moveaxis(given, axis, -1)
    _refuse(~((x >= 0) & (x < np.inf)), x, "sizes must be finite and >= 0", axis)
    count = checks.count(k, x.shape[-1])
    positive = (x > 0).sum(axis=-1)
    if (positive < count).any():
        row = int((positive < count).ravel().argmax())
        raise ValueError(f"k={count} exceeds the {positive.ravel()[row]} sizes above 0 of row {row_name(row, x.shape)}")
    return x, axis, count


def inclusion(values: ArrayLike, axis: Any) -> tuple[NDArray[np.float64], int, int]:
    """Rows of probabilities of inclusion, all with the same whole sum."""
    given = real(values, "inclusion")
    index = checks.axis_index(axis, given.ndim)
    axis = -1 if index == given.ndim - 1 else index
    x = np.moveaxis(given, axis, -1)
    _refuse(~((x >= 0) & (x <= 1)), x, "inclusion must lie in [0, 1]", axis)
    total = x.sum(axis=-1)
    k = int(np.rint(total.ravel()[0])) if total.size else 0
    off = np.abs(total - k) > 1e-6
    if off.any():
        row = int(off.ravel().argmax())
        what = "a whole number" if row == 0 else str(k)
        raise ValueError(f"inclusion must sum to {what}, got {total.ravel()[row]} in row {row_name(row, x.shape)}")
    return x, axis, k
