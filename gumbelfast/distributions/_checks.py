"""Checks of parameters and values of continuous distributions, and the errors for what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine.checks import Array, eps_of, finite_number, first_place, real, row_name
from .._engine.row_checks import positive_reciprocals, real_rows

# Entries that are rounded, or were computed in float32, need not add up to 1 exactly.
_SUM_TOLERANCE = 1e-6


def _refuse(fault: Array, values: Array, what: str, axis: int = -1, why: str = "") -> None:
    if fault.any():
        at = f" at index {first_place(fault, axis)}" if fault.ndim else ""
        raise ValueError(f"{what}, got {values[fault][0]}{at}{why}")


def location(values: ArrayLike) -> NDArray[np.float64]:
    loc = real(values, "loc")
    _refuse(~np.isfinite(loc), loc, "loc must be finite")
    return loc


def temperature(value: ArrayLike, shape: tuple[int, ...], dtype: np.dtype[Any]) -> float | NDArray[np.float64]:
    """One temperature, or one per row as an array of that shape, whose reciprocals are numbers of the working dtype."""
    positive_reciprocals(value, "tau", shape, dtype)
    if np.ndim(value) == 0:
        return float(value)  # type: ignore[arg-type]
    return real_rows(value, "tau", shape).reshape(shape).copy()


def positive_scale(values: ArrayLike) -> NDArray[np.float64]:
    """A scale that a density can have: not 0."""
    scale = real(values, "scale")
    _refuse(~((scale > 0) & (scale < math.inf)), scale, "scale must be finite and > 0")
    return scale


def stretch(low: Any, high: Any) -> tuple[float, float]:
    """The ends of the interval that a hard concrete law stretches gates to."""
    ends = finite_number(low, "low"), finite_number(high, "high")
    if not ends[0] < 0:
        raise ValueError(f"low must be < 0, got {low!r}")
    if not ends[1] > 1:
        raise ValueError(f"high must be > 1, got {high!r}")
    return ends


def gates(values: ArrayLike) -> NDArray[np.float64]:
    z = real(values, "z")
    _refuse(~((z >= 0) & (z <= 1)), z, "z must lie in [0, 1]")
    return z


def probabilities(values: ArrayLike) -> NDArray[np.float64]:
    q = real(values, "q")
    _refuse(~((q >= 0) & (q <= 1)), q, "q must lie in [0, 1]")
    return q


def _categories(values: ArrayLike, name: str, columns: int, axis: int) -> tuple[NDArray[np.float64], float]:
    """Values with the categories last, and how far from 1 their rows may sum."""
    y = real(values, name)
    if y.ndim < -axis or y.shape[axis] != columns:
        raise ValueError(f"{name} of shape {y.shape} does not have {columns} categories on axis {axis}")
    eps = eps_of(np.asarray(values).dtype)
    return np.ascontiguousarray(np.moveaxis(y, axis, -1)), max(_SUM_TOLERANCE, (16 + 4 * math.log(columns)) * eps)


def _refuse_sums(total: Array, tolerance: float, shape: tuple[int, ...], name: str, known: Any = False) -> None:
    off = ~(np.abs(total - 1) <= tolerance) & ~np.asarray(known)
    if off.any():
        row = int(off.ravel().argmax())
        raise ValueError(f"{name} must sum to 1, got {total.ravel()[row]} in row {row_name(row, shape)}")


def simplex(values: ArrayLike, columns: int, axis: int, known: Any = False) -> NDArray[np.float64]:
    """Points inside the simplex, with the categories last; rows that are `known` may lie on the boundary."""
    y, tolerance = _categories(values, "y", columns, axis)
    why = "; ExpConcrete takes the logarithms of points that round to the boundary"
    known = np.broadcast_to(known, y.shape[:-1])
    _refuse(~((y > 0) & (y <= 1 + tolerance)) & ~known[..., None], y, "y must lie in (0, 1)", axis, why)
    _refuse_sums(y.sum(axis=-1), tolerance, y.shape, "y", known)
    return y


def log_simplex(values: ArrayLike, columns: int, axis: int) -> NDArray[np.float64]:
    """Logarithms of points inside the simplex, with the categories last."""
    y, tolerance = _categories(values, "y", columns, axis)
    _refuse(~(np.isfinite(y) & (y <= tolerance)), y, "y must be logarithms, finite and <= 0", axis)
    _refuse_sums(np.exp(y).sum(axis=-1), tolerance, y.shape, "exp(y)")
    return y


def inside_unit(values: ArrayLike, known: Any = False) -> NDArray[np.float64]:
    """Numbers in (0, 1); those that are `known` may be 0 or 1."""
    y = real(values, "y")
    why = "; log_prob_logits takes the logits of numbers that round to 0 or 1"
    _refuse(~((y > 0) & (y < 1)) & ~np.asarray(known), y, "y must lie in (0, 1)", -1, why)
    return y
