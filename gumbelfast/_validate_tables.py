"""What distributions, uniforms and categories are accepted, and what is said of others."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._validate import Array, first_place, float_dtype, row_name, work_dtype


def counted(values: ArrayLike) -> ArrayLike:
    """Weights may be counts: integers as float64, all else as it is."""
    try:
        array = np.asarray(values)
    except ValueError:
        return values
    return array.astype(np.float64) if array.dtype.kind in "iu" else array


def weights(x: Array, axis: int) -> None:
    """Checks float64 probabilities that `rows` laid out; they need not sum to 1."""
    fault = ~((x >= 0) & (x < np.inf))
    if fault.any():
        raise ValueError(f"probs must be finite and >= 0, got {x[fault][0]} at index {first_place(fault, axis)}")
    with np.errstate(over="ignore"):
        total = x.sum(axis=-1)
    bad = ~((total > 0) & (total < np.inf))
    if bad.any():
        row = int(bad.ravel().argmax())
        raise ValueError(f"probs of row {row_name(row, x.shape)} sum to {total.ravel()[row]}")


def sums(x: Array, axis: int) -> None:
    """Checks cumulative sums that `rows` laid out."""
    fault = ~((x >= 0) & (x < np.inf))
    if fault.any():
        raise ValueError(f"cdf must be finite and >= 0, got {x[fault][0]} at index {first_place(fault, axis)}")
    falls = np.diff(x, axis=-1, prepend=0) < 0
    if falls.any():
        raise ValueError(f"cdf must not decrease, got {x[falls][0]} at index {first_place(falls, axis)}")
    if (x[..., -1] == 0).any():
        raise ValueError(f"cdf of row {row_name(int((x[..., -1] == 0).ravel().argmax()), x.shape)} ends at 0")


def uniforms(u: ArrayLike) -> NDArray[np.float64]:
    """Uniforms as float64, in [0, 1)."""
    array = np.asarray(u)
    float_dtype(array.dtype)
    array = array.astype(np.float64)
    fault = ~((array >= 0) & (array < 1))
    if fault.any():
        at = f" at index {first_place(fault)}" if array.ndim else ""
        raise ValueError(f"u must lie in [0, 1), got {array[fault][0]}{at}")
    return array


def broadcast_last(values: Array, name: str, batch: tuple[int, ...]) -> Array:
    """Values whose last axes are the batch, for one row each."""
    try:
        return np.broadcast_to(values, np.broadcast_shapes(values.shape, batch))
    except ValueError:
        raise ValueError(f"{name} of shape {values.shape} does not broadcast to rows of shape {batch}") from None


def categories(value: ArrayLike, columns: int) -> Array:
    """Integers that number categories."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"value must be integers, got {array.dtype}")
    fault = (array < 0) | (array >= columns)
    if fault.any():
        at = f" at index {first_place(fault)}" if array.ndim else ""
        raise ValueError(f"value must lie in [0, {columns}), got {array[fault][0]}{at}")
    return array


def one_of(value: Any, name: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be {', '.join(map(repr, known[:-1]))} or {known[-1]!r}, got {value!r}")


def exactly_one(logits: Any, probs: Any) -> None:
    if (logits is None) == (probs is None):
        raise TypeError(f"give logits or probs, got {'neither' if logits is None else 'both'}")


def refuse_weights(x: Array, axis: int) -> NoReturn:
    """Says which weight is negative or not finite."""
    fault = ~((x >= 0) & (x < np.inf))
    raise ValueError(f"weights must be finite and >= 0, got {x[fault][0]} at index {first_place(fault, axis)}")


def condition(index: Any, maximum: Any, upper: Any) -> None:
    if index is None and maximum is None and upper is None:
        raise TypeError("give index, maximum or upper, got none")
    if upper is not None and (index is not None or maximum is not None):
        raise TypeError(f"upper stands alone, got {'index' if index is not None else 'maximum'} as well")


def winners(index: ArrayLike, x: Array) -> NDArray[np.int64]:
    """One column a row of logits that `rows` laid out, with a logit above -inf."""
    batch, columns = x.shape[:-1], x.shape[-1]
    given = np.asarray(index)
    if given.dtype.kind not in "iu":
        raise TypeError(f"index must be integers, got {given.dtype}")
    try:
        which = np.broadcast_to(given, batch)
    except ValueError:
        raise ValueError(f"index of shape {given.shape} does not broadcast to one a row, shape {batch}") from None
    fault = (which < 0) | (which >= columns)
    if fault.any():
        place = row_name(int(fault.ravel().argmax()), x.shape)
        raise ValueError(f"index must lie in [0, {columns}), got {which[fault][0]} in row {place}")
    which = np.array(which, np.int64, order="C")
    fault = np.isneginf(np.take_along_axis(x, which[..., None].astype(np.intp), axis=-1)[..., 0].astype(np.float64))
    if fault.any():
        place = row_name(int(fault.ravel().argmax()), x.shape)
        raise ValueError(f"index must have a logit above -inf, got {which[fault][0]} in row {place}")
    return which


def tops(values: ArrayLike, name: str, x: Array) -> NDArray[np.float64]:
    """One maximum or upper bound a row: no NaN, and a maximum is finite in the dtype that logits are computed in."""
    given = np.asarray(values)
    if given.dtype.kind != "f":
        given = given.astype(np.float64) if given.dtype.kind in "iu" else given
        float_dtype(given.dtype)
    batch, work = x.shape[:-1], work_dtype(x.dtype)
    try:
        top = np.array(np.broadcast_to(given, batch), np.float64, order="C")
    except ValueError:
        raise ValueError(f"{name} of shape {given.shape} does not broadcast to one a row, shape {batch}") from None
    fault = np.isnan(top) if name == "upper" else ~(np.abs(top) <= float(np.finfo(work).max))
    if fault.any():
        place = row_name(int(fault.ravel().argmax()), x.shape)
        what = "not be NaN" if name == "upper" else f"be finite in {work}"
        raise ValueError(f"{name} must {what}, got {top[fault][0]} in row {place}")
    return top


def columns_of(order: ArrayLike, shape: tuple[int, ...], axis: int) -> NDArray[np.int64]:
    """Different columns per row of an array of that shape, laid out as `rows` lays it out."""
    given = np.asarray(order)
    if given.dtype.kind not in "iu" and given.size:
        raise TypeError(f"order must be integers, got {given.dtype}")
    if given.ndim != len(shape):
        raise ValueError(f"order of shape {given.shape} does not fit logits with {len(shape)} axes")
    columns = np.moveaxis(given, axis, -1).astype(np.int64)
    if columns.shape[:-1] != shape[:-1]:
        raise ValueError(f"order of shape {given.shape} does not fit the batch {shape[:-1]} of the logits")
    for fault, what in (
        ((columns < 0) | (columns >= shape[-1]), f"columns in [0, {shape[-1]})"),
        (np.sort(columns, -1)[..., 1:] == np.sort(columns, -1)[..., :-1], "different columns"),
    ):
        if fault.any():
            row = np.argwhere(fault)[0][:-1]
            raise ValueError(f"order must hold {what}, got {columns[tuple(row)].tolist()}")
    return columns
