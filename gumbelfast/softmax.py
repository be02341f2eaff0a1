"""softmax, log_softmax, logsumexp and their backward passes.

These are plain functions of their input: NaN and infinities propagate as in SciPy, and nothing is random.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _threads, _validate, _validate_out
from ._backend import active

Array = NDArray[Any]


def _place(x: Array, out: Array | None, shape: tuple[int, ...], axis: int, inputs: tuple[Any, ...]) -> Array:
    """Where a kernel writes a result with `axis` last: `out` itself if it lies right, else a new array."""
    if out is not None and _validate_out.output(out, shape, x.dtype, inputs) and axis == -1:
        return out
    return np.empty(x.shape, x.dtype)


def _give(result: Array, out: Array | None, axis: int) -> Array:
    if result is out:
        return result
    moved = _validate.restored(result, axis)
    if out is None:
        return moved
    out[...] = moved
    return out


def _forward(kernel: str, x: ArrayLike, axis: int, temperature: float, out: Array | None, threads: int | None) -> Array:
    rows, axis = _validate.rows(x, axis)
    scale = _validate.positive_reciprocal(temperature, "temperature", rows.dtype)
    result = _place(rows, out, np.shape(x), axis, (x,))
    getattr(active(), kernel)(rows, scale, result, _threads.resolve(threads))
    return _give(result, out, axis)


def backward(
    kernel: str,
    grad: ArrayLike,
    y: ArrayLike,
    y_name: str,
    temperature: float,
    temperature_name: str,
    axis: int,
    out: Array | None,
    threads: int | None,
) -> Array:
    """The way of every backward pass: `grad` and `y` alike in shape and dtype, one kernel, one result."""
    if np.shape(grad) != np.shape(y):
        raise ValueError(f"grad has shape {np.shape(grad)}, expected that of {y_name}, {np.shape(y)}")
    y_rows, axis = _validate.rows(y, axis)
    grad_rows, _ = _validate.rows(grad, axis)
    if grad_rows.dtype != y_rows.dtype:
        raise TypeError(f"grad has dtype {grad_rows.dtype}, expected that of {y_name}, {y_rows.dtype}")
    scale = _validate.positive_reciprocal(temperature, temperature_name, y_rows.dtype)
    result = _place(y_rows, out, np.shape(y), axis, (grad, y))
    getattr(active(), kernel)(grad_rows, y_rows, scale, result, _threads.resolve(threads))
    return _give(result, out, axis)


def softmax(
    x: ArrayLike,
    *,
    axis: int = -1,
    temperature: float = 1.0,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Array:
    r"""Softmax, :math:`\exp(x_i / T) / \sum_j \exp(x_j / T)`.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64
        Any shape with at least one axis.
    axis : int, default -1
        Axis that the sum runs over.
    temperature : float, default 1.0
        T.
    out : ndarray, optional
        Takes the result; shape and dtype of `x`, which it may be itself.
    num_threads : int, optional
        The most threads to use; no number changes a result.

    Returns
    -------
    ndarray
        Shape and dtype of `x`; half types are computed in float32 and rounded once.

    Raises
    ------
    TypeError
        For a dtype outside the four.
    ValueError
        For an axis of size 0, a bad temperature or an unfit `out`.

    Notes
    -----
    The maximum is subtracted first, so nothing overflows: Blanchard, Higham and Higham, "Accurately computing the
    log-sum-exp and softmax functions" (2021). Sums are taken in a fixed order: results do not depend on threads or SIMD
    width. NaN and infinities propagate as in `scipy.special.softmax`.
    """
    return _forward("softmax", x, axis, temperature, out, num_threads)


def log_softmax(
    x: ArrayLike,
    *,
    axis: int = -1,
    temperature: float = 1.0,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Array:
    r"""Logarithm of the softmax, :math:`x_i / T - \log \sum_j \exp(x_j / T)`.

    Parameters, results and errors are those of `softmax`.
    """
    return _forward("log_softmax", x, axis, temperature, out, num_threads)


def logsumexp(
    x: ArrayLike,
    *,
    axis: int = -1,
    temperature: float = 1.0,
    keepdims: bool = False,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Any:
    r"""Logarithm of a sum of exponentials, :math:`\log \sum_j \exp(x_j / T)`.

    Parameters
    ----------
    x, axis, temperature, num_threads
        As in `softmax`.
    keepdims : bool, default False
        Keep `axis` with size 1.
    out : ndarray, optional
        Takes the result.

    Returns
    -------
    ndarray, or a scalar where no axis is left
        Dtype of `x`; -inf for a row of nothing but -inf, as in `scipy.special.logsumexp`.

    Raises
    ------
    TypeError, ValueError
        As in `softmax`.
    """
    rows, axis = _validate.rows(x, axis)
    scale = _validate.positive_reciprocal(temperature, "temperature", rows.dtype)
    shape = rows.shape[:-1]
    if keepdims:
        shape = (*shape[: axis % rows.ndim], 1, *shape[axis % rows.ndim :])
    direct = out is not None and _validate_out.output(out, shape, rows.dtype, (x,)) and out is not x
    result = out if out is not None and direct else np.empty(shape, rows.dtype)
    active().logsumexp(rows, scale, result, _threads.resolve(num_threads))
    if out is None:
        return result if shape else result[()]
    if not direct:
        out[...] = result
    return out


def softmax_backward(
    grad: ArrayLike,
    y: ArrayLike,
    *,
    axis: int = -1,
    temperature: float = 1.0,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Array:
    r"""Gradient of `softmax` with respect to its input.

    Parameters
    ----------
    grad : array_like
        Gradient with respect to the result, of the dtype of `y`.
    y : array_like of float16, bfloat16, float32 or float64
        The result of `softmax`.
    axis, temperature, num_threads
        As in `softmax`.
    out : ndarray, optional
        Takes the result; it may be `grad` or `y` itself.

    Returns
    -------
    ndarray
        :math:`y_i (\mathrm{grad}_i - \sum_j \mathrm{grad}_j y_j) / T`.

    Raises
    ------
    TypeError, ValueError
        For dtypes, shapes, `temperature` or `out` that do not fit.
    """
    return backward("softmax_backward", grad, y, "y", temperature, "temperature", axis, out, num_threads)


def log_softmax_backward(
    grad: ArrayLike,
    log_y: ArrayLike,
    *,
    axis: int = -1,
    temperature: float = 1.0,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Array:
    r"""Gradient of `log_softmax` with respect to its input.

    Parameters are those of `softmax_backward`, with the result of `log_softmax` as `log_y`.

    Returns
    -------
    ndarray
        :math:`(\mathrm{grad}_i - \exp(\mathrm{log\_y}_i) \sum_j \mathrm{grad}_j) / T`.
    """
    return backward("log_softmax_backward", grad, log_y, "log_y", temperature, "temperature", axis, out, num_threads)
