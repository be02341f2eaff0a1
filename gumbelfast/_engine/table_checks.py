"""Which distributions, uniforms and categories are accepted, and the errors for all others."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import INT64_END, Array, as_integer, as_integers, first_place, float_dtype, is_outside, row_name


def counted(values: ArrayLike) -> ArrayLike:
    """Weights may be counts: integers become float64, all else is returned unchanged."""
    try:
        array = np.asarray(values)
    except ValueError:
        return values
    return array.astype(np.float64) if array.dtype.kind in "iu" else array


def weights(x: Array, axis: int, name: str = "probs") -> None:
    """Checks float64 weights that `rows` laid out; they need not sum to 1."""
    fault = ~((x >= 0) & (x < np.inf))
    if fault.any():
        raise ValueError(f"{name} must be finite and >= 0, got {x[fault][0]} at index {first_place(fault, axis)}")
    with np.errstate(over="ignore"):
        total = x.sum(axis=-1)
    bad = ~((total > 0) & (total < np.inf))
    if bad.any():
        row = int(bad.ravel().argmax())
        raise ValueError(f"{name} of row {row_name(row, x.shape)} sum to {total.ravel()[row]}")


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
    array = as_integers(value, "value")
    fault = is_outside(array, 0, columns)
    if fault.any():
        at = f" at index {first_place(fault)}" if array.ndim else ""
        raise ValueError(f"value must lie in [0, {columns}), got {array[fault][0]}{at}")
    return array


def empty_value(empty: Any, name: str = "empty") -> int:
    """What stands for the index of a row that has none."""
    number = as_integer(empty, name)
    if not -INT64_END <= number < INT64_END:
        raise ValueError(f"{name} must fit int64, got {number}")
    return number


def one_of(value: Any, name: str, known: tuple[Any, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be {', '.join(map(repr, known[:-1]))} or {known[-1]!r}, got {value!r}")


def for_tables(**given: Any) -> None:
    """Refuses arguments that draws from tables do not have."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"method='alias' takes no {name}, got {value!r}")


def exactly_one(logits: Any, probs: Any) -> None:
    if (logits is None) == (probs is None):
        raise TypeError(f"give logits or probs, got {'neither' if logits is None else 'both'}")


def refuse_weights(x: Array, axis: int, given: Array | None = None) -> NoReturn:
    """Says which weight is negative or not finite; `given` holds the values before they were rounded to `x`."""
    fault = ~((x >= 0) & (x < np.inf))
    value, place = x[fault][0], first_place(fault, axis)
    if given is not None and given[fault][0] < np.inf and value == np.inf:
        raise ValueError(f"weights must be finite in {x.dtype}, got {given[fault][0]} at index {place}")
    raise ValueError(f"weights must be finite and >= 0, got {value} at index {place}")


def refuse_few_weights(x: Array, k: int, name: str = "k") -> NoReturn:
    """Says which row has fewer than k weights above 0; callers know that number by `name`."""
    count = (x > 0).sum(axis=-1).ravel()
    row = int((count < k).argmax())
    raise ValueError(f"{name}={k} exceeds the {count[row]} positive weights of row {row_name(row, x.shape)}")


def columns_of(values: ArrayLike, shape: tuple[int, ...], axis: int, name: str) -> NDArray[np.int64]:
    """Different columns per row of an array of that shape, laid out as `rows` lays it out."""
    given = as_integers(values, name)
    if given.ndim != len(shape):
        raise ValueError(f"{name} of shape {given.shape} does not fit logits with {len(shape)} axes")
    columns = np.moveaxis(given, axis, -1)
    if columns.shape[:-1] != shape[:-1]:
        raise ValueError(f"{name} of shape {given.shape} does not fit the batch {shape[:-1]} of the logits")
    ordered = np.sort(columns, -1)
    for fault, what in (
        (is_outside(columns, 0, shape[-1]), f"columns in [0, {shape[-1]})"),
        (ordered[..., 1:] == ordered[..., :-1], "different columns"),
    ):
        if fault.any():
            row = tuple(np.argwhere(fault)[0][:-1].tolist())
            place = f" at index {row}" if row else ""
            raise ValueError(f"{name} must hold {what}, got {columns[row].tolist()}{place}")
    return columns.astype(np.int64)


def threshold_sample(log_p: Array, perturbed: Array, kappa: Array, values: Array) -> None:
    """Checks a sample without replacement: its shapes, and that the threshold is below what was drawn."""
    if log_p.ndim == 0:
        raise ValueError("log_probs must have an axis of samples, got shape ()")
    for fits, array, name in (
        (perturbed.shape == log_p.shape, perturbed, "perturbed"),
        (kappa.shape == log_p.shape[:-1], kappa, "kappa"),
        (values.shape[: log_p.ndim] == log_p.shape, values, "values"),
    ):
        if not fits:
            raise ValueError(f"{name} of shape {array.shape} does not fit log_probs of shape {log_p.shape}")
    for fault, given, what in (
        (~(log_p <= 1e-3), log_p, "log_probs must be <= 0"),
        (~((perturbed >= kappa[..., None]) | np.isneginf(log_p)), perturbed, "perturbed must be >= kappa"),
    ):
        if fault.any():
            raise ValueError(f"{what}, got {given[fault][0]} at index {first_place(fault)}")


def all_drawn(there: Array, kappa: Array) -> None:
    """Checks that nothing is left to draw where samples are missing."""
    fault = ~(there.all(axis=-1) | np.isneginf(kappa))
    if fault.any():
        raise ValueError(
            f"kappa must be -inf where samples are missing, got {kappa[fault][0]} at index {first_place(fault)}"
        )
