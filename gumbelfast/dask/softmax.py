"""softmax, log_softmax and logsumexp of chunked arrays.

Where all axes that are summed over lie in one chunk, NumPy's function computes each block. Else each block gives the
logarithm of its sum in float64, relative to its maximum, and these are merged in the order of the columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from .. import log_softmax as _log_softmax
from .. import logsumexp as _logsumexp
from .. import softmax as _softmax
from .._engine import checks
from . import _blocks, _checks
from ._checks import Location
from .draws import temperature_of

Array = NDArray[Any]
Blocks = dict[str, Array]
Axes = Any  # int, tuple of ints or None

_PIECE = 1 << 18  # numbers that are float64 at a time: 2 MB


def softmax(x: Any, *, axis: Axes = -1, temperature: Any = 1.0, num_threads: int | None = 1) -> da.Array:
    r"""Softmax of a chunked array, :math:`\exp(x_i / T) / \sum_j \exp(x_j / T)`, as `gumbelfast.softmax`.

    Parameters
    ----------
    x : dask array of float16, bfloat16, float32 or float64
        Chunked along any axes; chunk sizes may be unknown.
    axis : int, tuple of ints or None, default -1
        Axis or axes that the sum runs over; None: all of them.
    temperature : float, array_like or dask array, default 1.0
        One number, or one per row, which broadcasts to the shape without `axis`.
    num_threads : int or None, default 1
        The most threads for one block; Dask works on several blocks at once.

    Returns
    -------
    dask array
        Shape, dtype and chunks of `x`. Where the axes lie in one chunk, byte for byte the result of
        `gumbelfast.softmax`. Where they are cut, everything is computed in float64 and rounded once: the result is
        within 2 ulp of the exact one, and other chunks may change its last bit. For float64 logits the relative error
        is a few :math:`2^{-53}` times one plus the range of x / T.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As in `gumbelfast.softmax`: for temperatures in a dask array when the result is computed.

    Notes
    -----
    Cut rows are read twice, once for their sums and once for the result. NaN and infinities propagate as in
    `scipy.special.softmax`.

    Examples
    --------
    >>> import dask.array as da, gumbelfast.dask as gfd
    >>> gfd.softmax(da.zeros((2, 4), chunks=(1, 3))).compute().tolist()
    [[0.25, 0.25, 0.25, 0.25], [0.25, 0.25, 0.25, 0.25]]
    """
    return _elementwise(_softmax, _probabilities, x, axis, temperature, num_threads)


def log_softmax(x: Any, *, axis: Axes = -1, temperature: Any = 1.0, num_threads: int | None = 1) -> da.Array:
    r"""Logarithm of the softmax of a chunked array, :math:`x_i / T - \log \sum_j \exp(x_j / T)`.

    Parameters, results and errors are those of `softmax`; here an ulp is that of the larger of the two terms.

    Examples
    --------
    >>> import dask.array as da, gumbelfast.dask as gfd
    >>> gfd.log_softmax(da.zeros((1, 2), chunks=1)).compute().round(4)  # -log(2)
    array([[-0.6931, -0.6931]])
    """
    return _elementwise(_log_softmax, _log_probabilities, x, axis, temperature, num_threads)


def logsumexp(
    x: Any, *, axis: Axes = -1, temperature: Any = 1.0, keepdims: bool = False, num_threads: int | None = 1
) -> da.Array:
    r"""Logarithm of a sum of exponentials of a chunked array, :math:`\log \sum_j \exp(x_j / T)`, in one pass.

    Parameters
    ----------
    x, axis, temperature, num_threads
        As in `softmax`.
    keepdims : bool, default False
        Keep the axes that are summed over, with size 1.

    Returns
    -------
    dask array
        Dtype of `x`; as exact as `softmax`.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As in `softmax`.

    Examples
    --------
    >>> import dask.array as da, gumbelfast.dask as gfd
    >>> float(gfd.logsumexp(da.full(8, 1000.0, chunks=3)).compute().round(4))  # 1000 + log(8)
    1002.0794
    """
    array, axes, blocks, given = _arguments(x, axis, temperature)
    chunks = tuple((1,) if place in axes else c for place, c in enumerate(array.chunks))
    if _is_whole(array, axes):
        settings = given | {"axes": axes, "keepdims": True, "num_threads": num_threads, "function": _logsumexp}
        result = {"chunks": chunks, "dtype": array.dtype, "meta": np.empty((0,) * array.ndim, array.dtype)}
        found = _blocks.map_located(_whole, array, blocks, result, **settings)
    else:
        state = log_sums(array, axes, blocks, given)
        found = _blocks.finished(_logarithms, state, array.dtype, chunks, rounded_to=array.dtype)
    return found if keepdims else found.squeeze(axes)


class LogSum(NamedTuple):
    """The state of a block: the logarithm of the sum of exp((x - shift - most) * inverse), in float64, axes kept.

    `shift` was subtracted before noise was added, so that large numbers round none of it away; without noise it is 0.
    """

    log_sum: Array
    most: Array
    inverse: Array
    shift: Array


def log_sums(x: da.Array, axes: tuple[int, ...], blocks: dict[str, da.Array], given: dict[str, Any]) -> da.Array:
    """One `LogSum` for each block of rows."""
    return _blocks.merged(_blocks.states(_log_sum, x, axes, blocks, axes=axes, **given), axes, merge_log_sums)


def log_sum_of(x: Array, axes: tuple[int, ...], temperature: Any, num_threads: Any = 1) -> LogSum:
    """The state of a block, a piece at a time; the temperature is a number, or an array with the axes kept."""
    longest = max(axes, key=lambda axis: x.shape[axis])
    step = max(1, _PIECE * x.shape[longest] // max(x.size, 1))
    parts = range(0, max(x.shape[longest], 1), step)
    whole = (slice(None),) * longest
    return merge_log_sums(
        [_piece_sum(x[(*whole, slice(start, start + step))], axes, temperature, num_threads) for start in parts]
    )


def _piece_sum(x: Array, axes: tuple[int, ...], temperature: Any, num_threads: Any) -> LogSum:
    wide = x.astype(np.float64)
    most = wide.max(axis=axes, keepdims=True, initial=-np.inf)
    most = np.where(np.isfinite(most), most, 0.0)
    inverse = np.broadcast_to(1.0 / np.asarray(temperature, np.float64), most.shape)
    if 0 in (x.shape[axis] for axis in axes):
        return LogSum(np.full(most.shape, -np.inf), most, inverse, np.zeros(most.shape))
    rows = np.squeeze(temperature, axes) if np.ndim(temperature) else temperature
    with np.errstate(over="ignore"):
        wide -= most
    log_sum = _logsumexp(wide, axis=axes, temperature=rows, keepdims=True, num_threads=num_threads)
    return LogSum(np.asarray(log_sum), most, inverse, np.zeros(most.shape))


def merge_log_sums(found: list[LogSum]) -> LogSum:
    """The sum of all, relative to the largest maximum."""
    sums, mosts, _, shifts = (np.stack(parts, axis=-1) for parts in zip(*found, strict=True))
    empty = np.isneginf(sums)

    def largest(values: Array) -> Array:
        most = np.where(empty, -np.inf, values).max(axis=-1)
        return np.where(np.isfinite(most), most, 0.0)

    shift = largest(shifts)
    with np.errstate(over="ignore", invalid="ignore"):
        mosts = mosts + (shifts - shift[..., None])
        most = largest(mosts)
        terms = np.where(empty, -np.inf, sums + (mosts - most[..., None]) * found[0].inverse[..., None])
    return LogSum(np.asarray(_logsumexp(terms, axis=-1)), most, found[0].inverse, shift)


def probabilities(x: Array, total: LogSum) -> Array:
    """Softmax in float64, from the state of the whole rows."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        exponentials = np.exp((x.astype(np.float64) - total.most) * total.inverse)
        return np.where(np.isfinite(total.log_sum), exponentials / np.exp(total.log_sum), np.nan)


def _arguments(x: Any, axis: Axes, temperature: Any) -> Any:
    """The array, its axes counted from the front, and the temperature either as blocks or as a number."""
    array = _blocks.as_dask(x)
    checks.float_dtype(array.dtype)
    several = range(array.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(checks.axis_index(each, array.ndim) for each in several)
    if len(set(axes)) != len(axes):
        raise ValueError("duplicate value in 'axis'")
    for each in axes:
        if array.shape[each] == 0:
            raise ValueError(f"axis {each} has size 0")
    axes = tuple(sorted(axes))
    temperatures = temperature_of(temperature, "temperature", array, axes)
    if isinstance(temperatures, float):
        return array, axes, {}, {"temperature": temperatures}
    return array, axes, {"temperature": _blocks.beside(temperatures, array.chunks)}, {}


def _is_whole(x: da.Array, axes: tuple[int, ...]) -> bool:
    return all(x.numblocks[axis] == 1 for axis in axes)


def _elementwise(
    function: Callable[..., Any], finish: Callable[..., Any], x: Any, axis: Axes, temperature: Any, num_threads: Any
) -> da.Array:
    array, axes, blocks, given = _arguments(x, axis, temperature)
    result = _blocks.like(array)
    if _is_whole(array, axes):
        settings = given | {"axes": axes, "num_threads": num_threads, "function": function}
        return _blocks.map_located(_whole, array, blocks, result, **settings)
    total = log_sums(array, axes, blocks, given)
    return _blocks.map_located(finish, array, {"total": total}, result)


def _whole(x: Array, blocks: Blocks, location: Location, axes: Any, function: Any, **given: Any) -> Any:
    if "temperature" in blocks:
        given["temperature"] = rows_temperature(blocks["temperature"], "temperature", axes, location)
    return function(x, axis=axes, **given)


def rows_temperature(block: Array, name: str, axes: tuple[int, ...], location: Location) -> Array:
    """One temperature for each row of a block, checked."""
    found: Array = np.squeeze(block, axes)
    _checks.check_positive(found, name, _blocks.without(location, axes))
    return found


def _log_sum(x: Array, blocks: Blocks, location: Location, axes: tuple[int, ...], temperature: Any = None) -> LogSum:
    if "temperature" in blocks:
        rows_temperature(blocks["temperature"], "temperature", axes, location)
        temperature = blocks["temperature"].astype(np.float64)
    return log_sum_of(x, axes, temperature)


def _probabilities(x: Array, blocks: dict[str, Any], location: Location) -> Array:
    return probabilities(x, blocks["total"]).astype(x.dtype)


def _log_probabilities(x: Array, blocks: dict[str, Any], location: Location) -> Array:
    total = blocks["total"]
    with np.errstate(over="ignore", invalid="ignore"):
        found: Array = ((x.astype(np.float64) - total.most) * total.inverse - total.log_sum).astype(x.dtype)
    return found


def _logarithms(total: LogSum, blocks: Blocks, location: Location, rounded_to: Any) -> Array:
    with np.errstate(over="ignore"):
        found: Array = (total.most * total.inverse + total.log_sum).astype(rounded_to)
    return found
