"""Checks of potentials, trees, solvers and results of a user's functions, and the errors for what is refused."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine.checks import as_integers, float_dtype, is_outside, real, row_name, work_dtype

Array = NDArray[Any]


def floats(x: ArrayLike, dtype: np.dtype[Any] | None = None) -> Array:
    """An array of floats, C-contiguous, in its working dtype or in the given one."""
    array = np.asarray(x)
    found = float_dtype(array.dtype)
    with np.errstate(over="ignore"):
        return np.require(array, work_dtype(found) if dtype is None else dtype, ["C", "A"])


def unary(x: ArrayLike, axes: tuple[str, ...], sizes: tuple[int | None, ...] = ()) -> Array:
    """Unary potentials whose last axes have these names and, where given, these sizes."""
    array = floats(x)
    if array.ndim < len(axes):
        raise ValueError(f"unary must have axes (..., {', '.join(axes)}), got shape {array.shape}")
    last = array.shape[array.ndim - len(axes) :]
    for name, size, wanted in zip(axes, last, sizes or (None,) * len(axes), strict=True):
        if size == 0 or (wanted is not None and size != wanted):
            what = "at least 1" if wanted is None else wanted
            raise ValueError(f"unary must have {what} {name}, got {size} in shape {array.shape}")
    return array


def no_nan(x: Array, name: str, minus_infinity: bool = True) -> None:
    """Refuses NaN and +inf, and -inf where it is not allowed."""
    for fault, what in ((np.isnan(x), "NaN"), (np.isposinf(x), "+inf"), (np.isneginf(x), "-inf")):
        if (what != "-inf" or not minus_infinity) and fault.any():
            raise ValueError(f"{name} contains {what} at index {tuple(int(i) for i in np.argwhere(fault)[0])}")


def some_label(x: Array) -> None:
    """Refuses a site all of whose labels are forbidden."""
    none = np.isneginf(x).all(axis=-1)
    if none.any():
        raise ValueError(f"unary forbids all labels at index {tuple(int(i) for i in np.argwhere(none)[0])}")


def edges(x: ArrayLike, nodes: int, labels: int, dtype: np.dtype[Any]) -> Array:
    """Pairwise potentials of a tree: one matrix, or one for each node but the first."""
    array = floats(x, dtype)
    edge_shape(array.shape, nodes, labels)
    no_nan(array, "pairwise")
    return array


def edge_shape(shape: tuple[int, ...], nodes: int, labels: int) -> None:
    one = labels, labels
    if shape not in (one, (nodes - 1, *one)):
        raise ValueError(f"pairwise must have shape {one} or {(nodes - 1, *one)}, got {shape}")


def tree(parents: ArrayLike, nodes: int) -> NDArray[np.int64]:
    """Parents in topological order."""
    array = as_integers(parents, "parents")
    if array.shape != (nodes,):
        raise ValueError(f"parents must have shape {(nodes,)}, one a node, got {array.shape}")
    wrong = is_outside(array, -1, np.arange(nodes))
    if wrong.any():
        t = int(wrong.argmax())
        raise ValueError(f"parents[{t}] must lie in [-1, {t}), got {array[t]}")
    return np.ascontiguousarray(array, np.int64)


def gradient(values: ArrayLike, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A gradient with respect to something of that shape."""
    given = real(values, name)
    try:
        return np.broadcast_to(given, shape)
    except ValueError:
        raise ValueError(f"{name} of shape {given.shape} does not broadcast to shape {shape}") from None


def refuse(x: Array) -> NoReturn:
    """Says why a solver refused unary potentials."""
    no_nan(x, "unary")
    raise ValueError(f"potentials overflow {x.dtype} when added up")


def impossible(score: Array) -> NoReturn:
    """Says which problem allows no labelling."""
    row = row_name(int(np.isneginf(score).argmax()), (*score.shape, 1))
    raise ValueError(f"every labelling of row {row} scores -inf")


def labels(found: Any, shape: tuple[int, ...], count: int) -> Array:
    """The labels that a solver returned for potentials of shape (*shape, count)."""
    given = np.asarray(found)
    try:
        array = as_integers(found, "labels")
    except TypeError:
        array = None
    if array is None or array.shape != shape:
        raise ValueError(f"solver returned {given.dtype} of shape {given.shape}, expected integers of shape {shape}")
    wrong = is_outside(array, 0, count)
    if wrong.any():
        raise ValueError(f"solver returned label {array[wrong][0]}, expected one in [0, {count})")
    return array


def one_each(found: ArrayLike, count: int, dtype: np.dtype[Any]) -> Array:
    """The potentials that a user's function returned for `count` labellings."""
    array = floats(found, dtype)
    if array.shape != (count,):
        raise ValueError(f"interaction returned shape {array.shape}, expected {(count,)}")
    no_nan(array, "interaction")
    return array


def submodular(x: ArrayLike, direction: str, shape: tuple[int, int]) -> Array:
    """Pairwise potentials (*shape, 2, 2) in float64 of edges that a minimum cut can represent."""
    name = f"pairwise of {direction} edges"
    array = floats(x, np.dtype(np.float64))
    no_nan(array, name, minus_infinity=False)
    try:
        w = np.broadcast_to(array, (*shape, 2, 2))
    except ValueError:
        raise ValueError(f"{name} has shape {array.shape}, which does not broadcast to {(*shape, 2, 2)}") from None
    like, unlike = w[..., 0, 0] + w[..., 1, 1], w[..., 0, 1] + w[..., 1, 0]
    # Sums that should be equal may differ by their rounding.
    wrong = like < unlike - 4 * np.finfo(np.float64).eps * np.abs(w).sum(axis=(-2, -1))
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"{name} is not submodular at index {place}: {like[place]} for equal, {unlike[place]} for unequal labels"
        )
    return w
