"""Checks of dask arrays, and the errors for faults found in one of their blocks.

Errors have the texts of NumPy's functions, with places and rows counted in the whole array.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NoReturn

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from .. import logsumexp
from .._engine import checks, row_checks
from .._parts import place_of, row_name

Array = NDArray[Any]
Location = Sequence[tuple[int, int]]  # where a block begins and ends, axis by axis


def axis_of(x: da.Array, axis: Any) -> int:
    """The axis, counted from the front, of an array of floats that has columns along it."""
    checks.float_dtype(x.dtype)
    place = checks.axis_index(axis, x.ndim)
    if x.shape[place] == 0:
        raise ValueError(f"axis {axis} has size 0")
    return place


def check_known(x: da.Array) -> None:
    for axis, n in enumerate(x.shape):
        if math.isnan(n):
            raise ValueError(
                f"chunk sizes along axis {axis} are unknown, and with them the place of each row's noise: "
                "call compute_chunk_sizes() on the array first"
            )


def check_temperature(values: Any, name: str, dtype: np.dtype[Any]) -> None:
    """Refuses a temperature, or one of several in memory, with the errors of NumPy's functions."""
    if isinstance(values, da.Array):
        if values.dtype.kind not in "fiu":
            raise TypeError(f"{name} must be real numbers, got {values.dtype}")
        return
    try:
        logsumexp(np.zeros((*np.shape(values), 1), dtype), temperature=values)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("temperature", name)) from None


def check_integers(values: da.Array, name: str) -> None:
    if values.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got {values.dtype}")


def check_range(block: Array, name: str, end: int, rows: Location) -> None:
    """Refuses integers of a block, one per row, outside [0, end)."""
    fault = checks.is_outside(block, 0, end)
    if fault.any():
        row = row_name(fault, starts_of(rows))
        limit = f"2**{end.bit_length() - 1}" if end & (end - 1) == 0 else str(end)
        raise ValueError(f"{name} must lie in [0, {limit}), got {block[fault][0]} in row {row}")


def check_positive(block: Array, name: str, rows: Location) -> None:
    """Refuses temperatures of a block, one per row."""
    fault = ~((block > 0) & (block < math.inf))
    if fault.any():
        row = row_name(fault, starts_of(rows))
        raise ValueError(f"{name} must be finite and > 0, got {block[fault][0]} in row {row}")


def check_logits(x: Array, location: Location, mask: Any = None) -> None:
    """Refuses NaN and +inf among the allowed logits of a block."""
    allowed = True if mask is None else mask
    for fault, what in ((np.isnan(x), "NaN"), (np.isposinf(x), "+inf")):
        if (fault & allowed).any():
            raise ValueError(
                f"logits contain {what} at index {place_of(fault & allowed, starts_of(location))}"
            ) from None


def check_weights(x: Array, location: Location) -> None:
    """Refuses weights of a block that are negative or not finite."""
    fault = ~((x >= 0) & (x < np.inf))
    if fault.any():
        place = place_of(fault, starts_of(location))
        raise ValueError(f"weights must be finite and >= 0, got {x[fault][0]} at index {place}") from None


def one_a_row(values: Any, name: str, shape: tuple[int, ...]) -> Any:
    """Values that broadcast to one per row, with as many axes as there are batch axes."""
    array = values if isinstance(values, da.Array) else np.asarray(values)
    fits = array.ndim <= len(shape) and all(
        n in (1, wanted) for n, wanted in zip(reversed(array.shape), reversed(shape), strict=False)
    )
    if not fits:
        row_checks.refuse_shape(array.shape, name, shape)
    return array[(None,) * (len(shape) - array.ndim)]


def mask_of(mask: Any, shape: tuple[int, ...]) -> Any:
    """A mask that broadcasts to logits, with as many axes."""
    array = mask if isinstance(mask, da.Array) else np.asarray(mask)
    checks.is_mask(array.dtype)
    fits = array.ndim <= len(shape) and all(
        n in (1, wanted) for n, wanted in zip(reversed(array.shape), reversed(shape), strict=False)
    )
    if not fits:
        checks.refuse_mask(array.shape, shape)
    return array[(None,) * (len(shape) - array.ndim)]


def starts_of(location: Location) -> tuple[int, ...]:
    """Where a block begins; 0 where that is unknown."""
    return tuple(0 if math.isnan(start) else start for start, _ in location)


def refuse_size(names: tuple[str, ...], natural: tuple[int, ...], shape: tuple[int, ...]) -> NoReturn:
    plural = "" if len(names) > 1 else "es"
    raise ValueError(f"{' and '.join(names)} of shape {natural} do{plural} not broadcast to size {shape}")


def check_rows(found: int, n: int) -> None:
    if found < n:
        raise ValueError(f"n={n} exceeds the {found} rows that weigh more than 0")
