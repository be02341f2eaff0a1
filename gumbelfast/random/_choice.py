"""Draws by weights for `Generator.choice`: what is good input, which places are drawn, what lies there."""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, draws, thread_count
from .._engine.backend import active
from .._engine.tables import first_above
from .._engine.types import REFUSED

Array = NDArray[Any]

_WORTH_A_KERNEL = 32  # draws
_SUMMED_EITHER_WAY = 4096  # weights, whose last cumulative sum is far nearer to their sum than the tolerance
_ROOT_EPS = math.sqrt(np.finfo(np.float64).eps)


class Weights(NamedTuple):
    """Weights in float64, and how far their sum may be from 1."""

    each: NDArray[np.float64]
    tolerance: float

    def sums_to_one(self, total: Any) -> bool:
        # NumPy's sum is Kahan's: weights at the edge of what it accepts are left to it.
        return bool(abs(total - 1) <= 0.99 * self.tolerance)


def checked(a: Any, size: Any, p: Any, axis: Any, replace: Any) -> Weights | None:
    """The weights; None where NumPy would refuse their number, or that of the draws.

    What they are and their sum is looked at by those who draw, who return None as well.
    """
    try:
        length = _length(a, axis)
        given = np.asarray(p)
        weights = given.astype(np.float64, order="C", casting="safe", copy=False)
        shape = () if size is None else checks.size_tuple(size)
        tolerance = _ROOT_EPS
        if isinstance(p, np.ndarray) and p.dtype.kind == "f" and p.dtype.itemsize != 8:
            tolerance = max(tolerance, math.sqrt(np.finfo(p.dtype).eps))
    except (TypeError, ValueError, IndexError):
        return None
    if weights.ndim != 1 or not 0 < length == weights.size:
        return None
    if not replace and math.prod(shape) > length:
        return None
    return Weights(weights, tolerance)


def _length(a: Any, axis: Any) -> int:
    if type(a) is int:
        return a
    array = np.asarray(a)
    return array.shape[axis] if array.ndim else operator.index(array.item())


def with_replacement(rng: np.random.Generator, p: Weights, shape: Any) -> Array | None:
    """Independent places, by inversion: those of NumPy for the same words."""
    shape, weights = checks.size_tuple(shape), p.each
    count = math.prod(shape)
    bits: Any = rng.bit_generator
    many = count >= _WORTH_A_KERNEL
    if many and not p.sums_to_one(weights.sum()):
        return None
    if many and (place := bits._take_doubles(count)) is not None:
        index = np.empty(shape, np.int64)
        status = REFUSED
        try:
            block, word = place
            status = active().choose_by_words(weights, index, block, word, bits.key, thread_count.resolve(None))
        finally:
            if status < 0:
                bits.advance(-2 * count)
        return index if status >= 0 else None
    cumulated = weights.cumsum()
    total = cumulated[-1] if weights.size < _SUMMED_EITHER_WAY else weights.sum()
    if not (weights.min() >= 0 and p.sums_to_one(total)):
        return None
    cumulated /= cumulated[-1]
    uniform = np.asarray(rng.random(shape))
    return first_above(cumulated, uniform.reshape(-1)).reshape(uniform.shape)


def successively(rng: np.random.Generator, p: Weights, shape: Any) -> Array | None:
    """Distinct places, each by its weight among those left, in the order of drawing."""
    shape = checks.size_tuple(shape)
    index, total = np.empty(math.prod(shape), np.int64), np.empty(1)
    if not index.size:  # which would look at no weight
        return None
    threads = thread_count.resolve(None)
    status = draws.race(p.each, index, threads, (rng,), sums=total, refuses=lambda: not p.sums_to_one(total[0]))
    return index.reshape(shape) if status >= 0 else None


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
