"""softmax, log_softmax, logsumexp and their backward passes.

These are plain functions of their input: NaN and infinities propagate as in SciPy, and nothing is random.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import out_checks, row_checks, thread_count
from .._engine.backend import active
from .._engine.direct import in_one_step
from . import merged_axes, signed_sum, softmax_checks
from .merged_axes import Axes

Array = NDArray[Any]


def _place(
    x: Array, out: Array | None, shape: tuple[int, ...], axes: int | tuple[int, ...], inputs: tuple[Any, ...]
) -> Array:
    """Where a kernel writes its result, with `axis` last: `out` itself if its layout fits, else a new array."""
    if out is not None and out_checks.output(out, shape, x.dtype, inputs) and axes == -1:
        return out
    return np.empty(x.shape, x.dtype)


def _give(result: Array, out: Array | None, axes: int | tuple[int, ...], shape: tuple[int, ...]) -> Array:
    if result is out or (out is None and axes == -1):
        return result
    moved = merged_axes.restored(result, axes, shape)
    if out is None:
        return moved
    out[...] = moved
    return out


def _forward(
    kernel: str, x: ArrayLike, axis: Axes, temperature: ArrayLike, out: Array | None, threads: int | None
) -> Array:
    rows, axes = merged_axes.rows(x, axis)
    scale = row_checks.positive_reciprocals(temperature, "temperature", rows.shape[:-1], rows.dtype)
    shape = np.shape(x)
    result = _place(rows, out, shape, axes, (x,))
    getattr(active(), kernel)(rows, scale, result, thread_count.resolve(threads))
    return _give(result, out, axes, shape)


def backward(
    kernel: str,
    grad: ArrayLike,
    y: ArrayLike,
    y_name: str,
    temperature: ArrayLike,
    temperature_name: str,
    axis: Axes,
    out: Array | None,
    threads: int | None,
) -> Array:
    """What all backward passes share: `grad` and `y` of one shape and dtype, one kernel, one result."""
    if np.shape(grad) != (shape := np.shape(y)):
        raise ValueError(f"grad has shape {np.shape(grad)}, expected that of {y_name}, {shape}")
    y_rows, axes = merged_axes.rows(y, axis)
    grad_rows, _ = merged_axes.rows(grad, axes)
    if grad_rows.dtype != y_rows.dtype:
        raise TypeError(f"grad has dtype {grad_rows.dtype}, expected that of {y_name}, {y_rows.dtype}")
    scale = row_checks.positive_reciprocals(temperature, temperature_name, y_rows.shape[:-1], y_rows.dtype)
    result = _place(y_rows, out, shape, axes, (grad, y))
    getattr(active(), kernel)(grad_rows, y_rows, scale, result, thread_count.resolve(threads))
    return _give(result, out, axes, shape)


@in_one_step
def softmax(
    x: ArrayLike,
    *,
    axis: Axes = -1,
    temperature: ArrayLike = 1.0,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Array:
    r"""Softmax, :math:`\exp(x_i / T) / \sum_j \exp(x_j / T)`.

    Parameters
    ----------
    x : array_like of float16, bfloat16, float32 or float64
        Any shape with the axes that `axis` names.
    axis : int, tuple of ints or None, default -1
        Axis or axes that the sum runs over; None: all of them.
    temperature : float or array_like of float, default 1.0
        T: one number, or one per row, which broadcasts to the shape without `axis`.
    out : ndarray, optional
        Takes the result; shape and dtype of `x`, which it may be itself.
    num_threads : int, optional
        The most threads to use; the result does not depend on it.

    Returns
    -------
    ndarray
        Shape and dtype of `x`; half types are computed in float32 and rounded once.

    Raises
    ------
    TypeError
        For a dtype outside the four.
    ValueError
        For an axis of size 0 or named twice, a bad temperature or an unfit `out`.
    numpy.exceptions.AxisError
        For an axis that `x` does not have.

    Notes
    -----
    The maximum is subtracted first, so nothing overflows: Blanchard, Higham and Higham, "Accurately computing the
    log-sum-exp and softmax functions" (2021). Sums are taken in a fixed order: results do not depend on threads or SIMD
    width. NaN and infinities propagate as in `scipy.special.softmax`.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> y = gf.softmax(np.zeros((2, 2, 2)), axis=(1, 2))
    >>> y.shape, y[0].tolist()
    ((2, 2, 2), [[0.25, 0.25], [0.25, 0.25]])
    """
    return _forward("softmax", x, axis, temperature, out, num_threads)


@in_one_step
def log_softmax(
    x: ArrayLike,
    *,
    axis: Axes = -1,
    temperature: ArrayLike = 1.0,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Array:
    r"""Logarithm of the softmax, :math:`x_i / T - \log \sum_j \exp(x_j / T)`.

    Parameters, results and errors are those of `softmax`.

    Examples
    --------
    A row so uneven that the logarithm of its softmax would be -inf:

    >>> import numpy as np, gumbelfast as gf
    >>> gf.log_softmax(np.array([800.0, 0.0])).tolist()
    [0.0, -800.0]
    >>> gf.log_softmax(np.zeros((2, 4)), axis=None).round(4)[0].tolist()  # -log(8)
    [-2.0794, -2.0794, -2.0794, -2.0794]
    """
    return _forward("log_softmax", x, axis, temperature, out, num_threads)


@in_one_step
def logsumexp(
    x: ArrayLike,
    *,
    axis: Axes = -1,
    b: ArrayLike | None = None,
    temperature: ArrayLike = 1.0,
    keepdims: bool = False,
    return_sign: bool = False,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Any:
    r"""Logarithm of a sum of exponentials, :math:`\log \sum_j b_j \exp(x_j / T)`.

    Parameters
    ----------
    x, axis, temperature, num_threads
        As in `softmax`.
    b : array_like of real numbers, optional
        Factors, 1 by default; `x` and `b` are broadcast against each other. They may be negative. Where one is 0 its
        entry adds nothing, even if `x` is inf or NaN there.
    keepdims : bool, default False
        Keep the axes that are summed over, with size 1.
    return_sign : bool, default False
        Return the sign of the sum as well, and the logarithm of its absolute value. Otherwise a negative sum gives NaN.
    out : ndarray, optional
        Takes the logarithm.

    Returns
    -------
    ndarray, or a scalar where no axis is left
        Dtype of `x`; -inf for a sum of 0.
    sign : ndarray or scalar
        Only with `return_sign`: 1, 0, -1 or NaN, in the dtype of `x`.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As in `softmax`, and for a `b` that is not real or does not fit.

    Notes
    -----
    NaN and infinities propagate as in `scipy.special.logsumexp`: a sum that is 0 or infinite becomes NaN if an entry
    with factor 0 is inf or NaN, since 0 times these is.

    With `b` the terms :math:`x_j / T + \log |b_j|` are formed in float64. The positive and the negative ones are summed
    apart, to P and N say, and joined as :math:`\log P + \log(1 - N / P)` if P is larger. The result is rounded once.
    The relative error of the sum is a few times
    :math:`2^{-52} (1 + \max_j |x_j / T + \log |b_j||) (P + N) / |P - N|`: signs that cancel cost digits, as in any
    subtraction.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> float(gf.logsumexp([1000.0, 1000.0]).round(4))  # 1000 + log(2)
    1000.6931
    >>> value, sign = gf.logsumexp([0.0, 0.0], b=[1, -3], return_sign=True)  # 1 - 3 = -2
    >>> float(value.round(4)), float(sign)
    (0.6931, -1.0)
    """
    x, factors = (x, None) if b is None else softmax_checks.factors(b, x)
    rows, axes = merged_axes.rows(x, axis)
    scale = row_checks.positive_reciprocals(temperature, "temperature", rows.shape[:-1], rows.dtype)
    plain = axes == -1 and not keepdims  # the usual call: this keeps small ones cheap
    shape = rows.shape[:-1] if plain else merged_axes.reduced_shape(np.shape(x), axes, keepdims)
    direct = out is not None and out_checks.output(out, shape, rows.dtype, (x, b)) and out is not x
    result = out if out is not None and direct else np.empty(shape, rows.dtype)
    threads = thread_count.resolve(num_threads)
    if factors is None:
        active().logsumexp(rows, scale, result, threads)
        sign = signed_sum.sign_of_positive(result) if return_sign else None
    else:
        logs, sign = signed_sum.logsumexp(rows, merged_axes.rows(factors, axes)[0], scale, threads)
        with np.errstate(over="ignore"):
            result.reshape(logs.shape)[...] = logs if return_sign else np.where(sign < 0, np.nan, logs)
    if out is None:
        result = result if shape else result[()]
    elif not direct:
        out[...] = result
        result = out
    if not return_sign or sign is None:
        return result
    return result, sign.astype(rows.dtype).reshape(shape)[()]


def softmax_backward(
    grad: ArrayLike,
    y: ArrayLike,
    *,
    axis: Axes = -1,
    temperature: ArrayLike = 1.0,
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
        For dtypes, shapes, `axis`, `temperature` or `out` that do not fit.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> gf.softmax_backward([1.0, 0.0], [0.25, 0.75]).tolist()  # the first column of diag(y) - y y^T
    [0.1875, -0.1875]
    """
    return backward("softmax_backward", grad, y, "y", temperature, "temperature", axis, out, num_threads)


def log_softmax_backward(
    grad: ArrayLike,
    log_y: ArrayLike,
    *,
    axis: Axes = -1,
    temperature: ArrayLike = 1.0,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Array:
    r"""Gradient of `log_softmax` with respect to its input.

    Parameters are those of `softmax_backward`, with the result of `log_softmax` as `log_y`.

    Returns
    -------
    ndarray
        :math:`(\mathrm{grad}_i - \exp(\mathrm{log\_y}_i) \sum_j \mathrm{grad}_j) / T`.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> gf.log_softmax_backward([1.0, 0.0], np.log([0.25, 0.75])).tolist()
    [0.75, -0.75]
    """
    return backward("log_softmax_backward", grad, log_y, "log_y", temperature, "temperature", axis, out, num_threads)
