"""Which ids of columns and which bounds of rows are accepted, and the errors for all others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import LAST_ELEMENT, Array, as_array, as_integer, as_integers, first_place, float_dtype, is_outside

U64 = NDArray[np.uint64]


def as_columns(columns: Any) -> int:
    """How many columns the space has; it must be given."""
    if columns is None:
        raise ValueError("ids and indptr need columns: how many there are in the whole space")
    return as_integer(columns, "columns", 1, LAST_ELEMENT)


def as_ids(ids: ArrayLike, columns: int | None = None) -> U64:
    """Ids in [0, columns) as uint64, in their shape and C order, copied only where they must be."""
    array = as_integers(ids, "ids")
    end = LAST_ELEMENT if columns is None else columns
    if array.size and not (array.min() >= 0 and array.max() < end):
        fault = is_outside(array, 0, end)
        last = "2**62" if columns is None else str(end)
        at = f" at index {first_place(fault)}" if array.ndim else ""
        raise ValueError(f"ids must lie in [0, {last}), got {array[fault][0]}{at}")
    if array.dtype == np.int64 and array.flags.carray:
        return array.view(np.uint64)
    return np.ascontiguousarray(array, np.uint64).reshape(array.shape)


def as_rows_of_ids(ids: ArrayLike, columns: int, shape: tuple[int, ...], axis: int) -> U64:
    """One id for each logit of an array of that shape, laid out as `checks.rows` lays it out."""
    given = as_ids(ids, columns)
    try:
        whole = np.broadcast_to(given, shape)
    except ValueError:
        raise ValueError(f"ids of shape {given.shape} do not broadcast to logits of shape {shape}") from None
    return np.ascontiguousarray(np.moveaxis(whole, axis, -1))


def as_bounds(indptr: ArrayLike, entries: int) -> NDArray[np.int64]:
    """Where each row begins and ends among so many entries, as int64."""
    array = as_integers(indptr, "indptr")
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"indptr must have one axis and an entry more than there are rows, got shape {array.shape}")
    for place, wanted in ((0, 0), (-1, entries)):
        if array[place] != wanted:
            raise ValueError(f"indptr must run from 0 to the {entries} entries, got {array[0]} to {array[-1]}")
    falls = np.asarray(array[1:] < array[:-1])
    if falls.any():
        row = int(falls.argmax())
        raise ValueError(f"indptr must not decrease, got {array[row]} and {array[row + 1]} for row {row}")
    return np.ascontiguousarray(array, np.int64)


def as_entries(logits: ArrayLike) -> Array:
    """Logits of rows that lie one behind the other."""
    x = as_array(logits)
    dtype = float_dtype(x.dtype)
    if x.ndim != 1:
        raise ValueError(f"logits must have one axis where indptr tells the rows, got shape {x.shape}")
    return np.ascontiguousarray(x, dtype)


def check_ragged(axis: Any) -> None:
    if as_integer(axis, "axis") not in (-1, 0):
        raise ValueError(f"axis must be -1 where indptr tells the rows, got {axis}")


def check_lengths(bounds: NDArray[np.int64], columns: int) -> None:
    """Checks rows without ids, in which places stand for them."""
    lengths = np.diff(bounds)
    if lengths.size and lengths.max() > columns:
        raise ValueError(f"row {int(lengths.argmax())} has {lengths.max()} entries, columns are {columns}")


def check_no_columns(columns: Any) -> None:
    if columns is not None:
        raise ValueError(f"columns needs ids or indptr, got {columns!r}")


def check_columns_given(columns: Any, name: str) -> None:
    if columns is None:
        raise ValueError(f"{name} needs columns: how many there are in the whole space")
