"""Checks of matrices and scores of permutations, and the errors for what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine.checks import Array, as_integer, float_dtype, real, row_name, work_dtype


def _finite(x: Array, name: str) -> None:
    fault = ~np.isfinite(x)
    if fault.any():
        place = tuple(int(i) for i in np.argwhere(fault)[0])
        raise ValueError(f"{name} must be finite, got {x[fault][0]} at index {place}")


def square(values: ArrayLike, name: str = "logits") -> Array:
    """Finite square matrices in their working dtype."""
    given = np.asarray(values)
    x = np.ascontiguousarray(given, work_dtype(float_dtype(given.dtype)))
    square_shape(given.shape, name)
    _finite(x, name)
    return x


def square_shape(shape: tuple[int, ...], name: str) -> None:
    if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] == 0:
        raise ValueError(f"{name} must be square matrices (..., n, n) with n > 0, got shape {shape}")


def scores(values: ArrayLike) -> Array:
    """Finite scores (..., n) in their working dtype."""
    given = np.asarray(values)
    x = np.ascontiguousarray(given, work_dtype(float_dtype(given.dtype)))
    if x.ndim == 0 or x.shape[-1] == 0 or given.ndim == 0:
        raise ValueError(f"scores must have an axis of at least one item, got shape {given.shape}")
    _finite(x, "scores")
    return x


def gradient(values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    given = real(values, "grad")
    try:
        return np.broadcast_to(given, shape)
    except ValueError:
        raise ValueError(f"grad of shape {given.shape} does not broadcast to shape {shape}") from None


def iterations(value: Any) -> int:
    return as_integer(value, "iterations", 1, 2**31)


def noise_scale(value: Any) -> float:
    number = real(value, "noise_scale")
    if number.ndim or not 0 <= number < np.inf:
        raise ValueError(f"noise_scale must be finite and >= 0, got {value!r}")
    return float(number)


def overflow(z: Array, scale: float | Array, name: str) -> None:
    """Refuses matrices that overflow when divided by their temperature."""
    with np.errstate(over="ignore"):
        fault = ~np.isfinite(z * np.asarray(scale, z.dtype).reshape(-1, 1, 1)).all(axis=(-2, -1))
    if fault.any():
        raise ValueError(f"{name} / tau overflows {z.dtype} in row {row_name(int(fault.argmax()), (len(z), 1))}")
