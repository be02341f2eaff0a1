"""Samples that remember their logarithms, or logits, without the rounding of their values.

A sample is a plain ndarray. The object that owns its memory knows how to draw its logarithms again. So views of the
sample find them, and copies, pickles and results of arithmetic, which have other memory, do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._engine import address, checks
from .._engine.types import Address, SeedLike
from ..random.generator import Generator

Array = NDArray[Any]


class _Memory:
    """Owns the memory of a sample, by NumPy's array interface."""

    def __init__(self, values: Array, draw: Callable[[], Array]) -> None:
        self.values, self.draw = values, draw
        # bfloat16 has no name in the interface.
        self.__array_interface__ = values.view(f"u{values.itemsize}").__array_interface__

    @cached_property
    def unrounded(self) -> Array:
        return np.ascontiguousarray(self.draw()).reshape(-1)


def _smallest_normal(dtype: np.dtype[Any]) -> float:
    return 2.0**-14 if dtype == np.float16 else float(np.finfo(checks.work_dtype(dtype)).tiny)


def drawn(
    draw: Callable[..., Array], again: Callable[..., Array], shape: tuple[int, ...], rng: SeedLike, offset: Any
) -> Array:
    """What ``draw(rng=, offset=)`` returns for rows of that shape; it remembers what `again` returns at its place.

    Where each row has an offset of its own, there is no single place, and nothing is remembered.
    """
    found: list[Array] = []

    def call(given: Address) -> int:
        key, first, _, _, starts = given
        place = {"rng": Generator(key), "offset": first if starts is None else offset}
        values = np.ascontiguousarray(draw(**place)).reshape(shape)
        if starts is None:
            memory = _Memory(values, lambda: again(**place))
            values = np.asarray(memory).view(values.dtype)
        found.append(values)
        return 0

    address.draw_rows(call, shape or (1,), math.prod(shape), rng, offset=offset)
    return found[0]


def recall(y: Any) -> Array | None:
    """The logarithms or logits of a sample or a view of it, read-only and not rounded to its dtype."""
    owner = y
    while type(owner) is np.ndarray:
        owner = owner.base
    if type(owner) is not _Memory or y.dtype != owner.values.dtype or not y.size:
        return None
    start, begin = (a.__array_interface__["data"][0] for a in (owner.values, y))
    if any(n % y.itemsize for n in (begin - start, *y.strides)):
        return None
    flat = owner.unrounded
    strides = [n // y.itemsize * flat.itemsize for n in y.strides]
    first = flat[(begin - start) // y.itemsize :]
    return np.lib.stride_tricks.as_strided(first, y.shape, strides, writeable=False)


def same(again: NDArray[np.float64], y: Array) -> NDArray[np.bool_]:
    """Where the values of a sample are still what was drawn, given exp or the sigmoid of what it remembers."""
    work = checks.work_dtype(y.dtype)
    # exp(v) multiplies an error of v, one of its own last place, by |v|: at most 745 where the result is not 0.
    rounding = 2 * checks.eps_of(y.dtype) + 4096 * np.finfo(work).eps
    bound = rounding * again + _smallest_normal(y.dtype)
    result: NDArray[np.bool_] = np.abs(again - y.astype(np.float64)) <= bound
    return result
