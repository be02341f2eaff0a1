"""Draws by weights for `Generator.choice`: what is good input, which places are drawn, what lies there."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, draws, thread_count
from .._engine.backend import active
from .._engine.tables import first_above

Array = NDArray[Any]

_WORTH_A_KERNEL = 32  # draws
_ROOT_EPS = math.sqrt(np.finfo(np.float64).eps)


def checked(a: Any, size: Any, p: Any, axis: Any, replace: Any) -> NDArray[np.float64] | None:
    """The weights in float64; None where NumPy would refuse something, or nearly so."""
    try:
        length = _length(a, axis)
        given = np.asarray(p)
        weights = given.astype(np.float64, order="C", casting="safe", copy=False)
        shape = () if size is None else checks.size_tuple(size)
        tolerance = _ROOT_EPS
        if isinstance(p, np.ndarray) and p.dtype.kind == "f":
            tolerance = max(tolerance, math.sqrt(np.finfo(p.dtype).eps))
    except (TypeError, ValueError, IndexError):
        return None
    if weights.ndim != 1 or not 0 < length == weights.size:
        return None
    # NumPy's sum is Kahan's: weights at the edge of what it accepts are left to it.
    if not (weights.min() >= 0 and abs(weights.sum() - 1) <= 0.99 * tolerance):
        return None
    count = math.prod(shape)
    if not replace and count > length - (weights.size - np.count_nonzero(weights)):
        return None
    return weights


def _length(a: Any, axis: Any) -> int:
    if type(a) is int:
        return a
    array = np.asarray(a)
    return array.shape[axis] if array.ndim else operator.index(array.item())


def with_replacement(rng: np.random.Generator, weights: NDArray[np.float64], shape: Any) -> Array:
    """Independent places, by inversion: those of NumPy for the same words."""
    shape = checks.size_tuple(shape)
    count = math.prod(shape)
    bits: Any = rng.bit_generator
    if count >= _WORTH_A_KERNEL and (place := bits._take_doubles(count)) is not None:
        index = np.empty(shape, np.int64)
        try:
            block, word = place
            active().choose_by_words(weights, index, block, word, bits.key, thread_count.resolve(None))
        except BaseException:
            bits.advance(-2 * count)
            raise
        return index
    cumulated = weights.cumsum()
    cumulated /= cumulated[-1]
    uniform = np.asarray(rng.random(shape))
    return first_above(cumulated, uniform.reshape(-1)).reshape(uniform.shape)


def successively(rng: np.random.Generator, weights: NDArray[np.float64], shape: Any) -> Array:
    """Distinct places, each by its weight among those left, in the order of drawing."""
    shape = checks.size_tuple(shape)
    index, _ = draws.race(weights, math.prod(shape), thread_count.resolve(None), (rng,))
    return index.reshape(shape)


def taken(a: ArrayLike, index: Array, size: Any, axis: int) -> Any:
    """What lies at the places, of the type that NumPy returns."""
    array = np.asarray(a)
    place = index.item() if size is None else index
    if array.ndim == 0:
        return place
    if size is not None and index.ndim == 0 and array.ndim == 1:
        result = np.empty((), array.dtype)
        result[()] = array[index]
        return result
    return array.take(place, axis=axis)
