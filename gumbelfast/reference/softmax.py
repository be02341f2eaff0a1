"""Softmax, its logarithm, their normaliser, and both gradients, along the last axis.

Arrays are float32 or float64. The work is done one precision above and returned unrounded, so that the caller rounds
once. The scale s is 1 / T rounded to the dtype of x, one number or one per row in a column. NaN and infinities come out
as from scipy.special.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


def softmax(x: Array, scale: float | Array = 1.0) -> Array:
    """exp(s x_i) / sum_j exp(s x_j).

    Subtracting the maximum first makes overflow impossible: the largest exponent is 0.
    """
    x, s = widen(x, scale)
    with np.errstate(invalid="ignore", under="ignore"):
        e: Array = np.exp(times(x - x.max(axis=-1, keepdims=True), s))
        y: Array = e / e.sum(axis=-1, keepdims=True)
    return y


def log_softmax(x: Array, scale: float | Array = 1.0) -> Array:
    """The logarithm of `softmax`: s x_i - logsumexp(s x)."""
    x, s = widen(x, scale)
    pivot, log_sum = log_sum_exp_above(x, s)
    with np.errstate(invalid="ignore"):
        return times(x - pivot, s) - log_sum


def logsumexp(x: Array, scale: float | Array = 1.0) -> Array:
    """log(sum_j exp(s x_j)), one value per row."""
    x, s = widen(x, scale)
    pivot, log_sum = log_sum_exp_above(x, s)
    return (times(pivot, s) + log_sum)[..., 0]


def softmax_backward(grad: Array, y: Array, scale: float | Array = 1.0) -> Array:
    """Gradient by x of a loss whose gradient by y = softmax(s x) is ``grad``.

    The Jacobian is s (diag(y) - y y^T); it is symmetric.
    """
    grad, s = widen(grad, scale)
    y, _ = widen(y)
    with np.errstate(invalid="ignore"):
        result: Array = s * y * (grad - (grad * y).sum(axis=-1, keepdims=True))
    return result


def log_softmax_backward(grad: Array, log_y: Array, scale: float | Array = 1.0) -> Array:
    """Gradient by x of a loss whose gradient by log_y = log_softmax(s x) is ``grad``."""
    grad, s = widen(grad, scale)
    log_y, _ = widen(log_y)
    with np.errstate(over="ignore", invalid="ignore"):
        result: Array = s * (grad - np.exp(log_y) * grad.sum(axis=-1, keepdims=True))
    return result


def widen(x: Array, scale: float | Array = 1.0) -> tuple[Array, Any]:
    """Take x and its rounded scale one precision up: float32 to float64, float64 to longdouble."""
    wide = np.longdouble if x.dtype == np.float64 else np.float64
    return x.astype(wide), np.asarray(scale, x.dtype).astype(wide)[()]


def times(x: Array, s: Any) -> Array:
    """The product x * s, where infinities stay: 1 / T is positive even where s has rounded to 0."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(x), x, x * s)


def log_sum_exp_above(x: Array, s: Any) -> tuple[Array, Array]:
    """A pivot (the maximum; 0 if that is not finite) and log(sum_j exp(s (x_j - pivot))), both with the axis kept.

    The maximum contributes exactly 1, so log1p of the rest keeps the small logarithms of a dominated row.
    """
    top = x.max(axis=-1, keepdims=True)
    pivot = np.where(np.isfinite(top), top, 0)
    with np.errstate(over="ignore", under="ignore"):
        rest = np.exp(times(x - pivot, s))
    np.put_along_axis(rest, x.argmax(axis=-1, keepdims=True), 0, axis=-1)
    return pivot, np.where(np.isfinite(top), np.log1p(rest.sum(axis=-1, keepdims=True)), top)
