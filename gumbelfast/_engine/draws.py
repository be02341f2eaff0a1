"""The engine of all doors: from logits, settings and a place in the noise to draws, or to `Refused`.

Logits are as `checks.rows` lays them out. `where` says where the noise lies: what `address.draw_rows` takes behind the
size, `rng` first, which may be a source; a door with addresses of its own brings a function in its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import address
from .backend import active
from .refused import refuse
from .types import LACKING, REFUSED, Logits, RowCall

Array = NDArray[Any]
Where = tuple[Any, ...]
DrawRows = Callable[..., int]

_INT64 = np.dtype(np.int64)


def run(
    call: RowCall,
    logits: Logits,
    axis: int,
    shape: tuple[int, ...],
    size: int,
    where: Where,
    draw_rows: DrawRows = address.draw_rows,
    wanted: int | None = None,
    what: str = "",
) -> None:
    """Run a kernel on the noise of an array of that shape and size; `wanted` is what a row has to offer of `what`."""
    status = draw_rows(call, shape, size, *where)
    if status < 0:
        refuse(logits[0], logits[1], axis, wanted=wanted if status == LACKING else None, what=what)


def tolerate(call: RowCall, lacks: Callable[[], bool]) -> RowCall:
    """The call, in which rows with too few entries are a failure only if `lacks` says so."""

    def tolerant(place: Any) -> int:
        status = call(place)
        return 0 if status == LACKING and not lacks() else status

    return tolerant


def choose(
    logits: Logits,
    size: tuple[int, ...],
    axis: int,
    threads: int,
    where: Where,
    *,
    perturbed: bool = False,
    empty_allowed: bool = False,
    draw_rows: DrawRows = address.draw_rows,
) -> tuple[NDArray[np.int64], Array | None]:
    """The place of the largest perturbed logit of each row, `size` times, and its value where that is wanted.

    A row without a finite logit is refused, or has the place -1.
    """
    x = logits[0]
    shape = size + x.shape
    index = np.empty(shape[:-1], _INT64)
    best = np.empty(shape[:-1]) if perturbed else None
    call: RowCall = partial(active().gumbel_max, logits, index, best, threads)
    if empty_allowed:
        call = tolerate(call, lambda: False)
    run(call, logits, axis, shape, index.size * shape[-1], where, draw_rows)
    return index, best


def choose_distinct(
    logits: Logits,
    k: int,
    axis: int,
    threads: int,
    where: Where,
    *,
    needed: int | None = None,
    what: str = "",
    draw_rows: DrawRows = address.draw_rows,
) -> tuple[NDArray[np.int64], Array]:
    """The places of the k largest perturbed logits of each row, in order, and their values.

    A row with less than `needed`, by default k, is refused; missing places hold -1 and -inf.
    """
    x = logits[0]
    shape = (*x.shape[:-1], k)
    index, best = np.empty(shape, _INT64), np.empty(shape)
    call: RowCall = partial(active().gumbel_top_k, logits, index, best, threads)
    wanted = k if needed is None else needed
    if wanted < k:
        call = tolerate(call, lambda: wanted > 0 and bool((index[..., wanted - 1] < 0).any()))
    run(call, logits, axis, x.shape, x.size, where, draw_rows, wanted, what)
    return index, best


def race(
    weights: Array,
    index: NDArray[np.int64],
    threads: int,
    where: Where,
    *,
    perturbed: Array | None = None,
    sums: Array | None = None,
    tops: Array | None = None,
    needed: int | None = None,
    refuses: Callable[[], bool] = lambda: False,
    draw_rows: DrawRows = address.draw_rows,
) -> int:
    """The places of the k largest w / E of each row of `index`, in order, into it, and log(w / E) into `perturbed`.

    Returns the status of the kernel: a row without `needed`, by default k, positive weights is `LACKING`, and a weight
    that is none is refused, as is what `refuses` refuses when all is drawn: the generator is back then.
    """
    k = index.shape[-1]
    kernel: RowCall = partial(active().race, (weights, None, 1.0), tops, index, perturbed, sums, threads)
    wanted = k if needed is None else needed
    if wanted < k:
        kernel = tolerate(kernel, lambda: wanted > 0 and bool((index[..., wanted - 1] < 0).any()))

    def call(place: Any) -> int:
        status = kernel(place)
        return REFUSED if status >= 0 and refuses() else status

    shape = (*index.shape[:-1], weights.shape[-1])
    return draw_rows(call, shape, math.prod(shape), *where)


def relax(
    logits: Logits,
    soft: Array | None,
    hard: Array | None,
    axis: int,
    threads: int,
    where: Where,
    *,
    is_target: bool = False,
    draw_rows: DrawRows = address.draw_rows,
) -> None:
    """Relaxed samples, with 1/tau as scale, into `soft`, and one-hot ones into `hard`, or one of them.

    With `is_target` nothing is written to a user's array before the logits are found good.
    """
    x = logits[0]
    if is_target and soft is not None:
        check_drawable(logits, axis, threads)
    run(partial(active().gumbel_softmax, logits, soft, hard, threads), logits, axis, x.shape, x.size, where, draw_rows)


def check_drawable(logits: Logits, axis: int, threads: int) -> None:
    """Refuses the logits that `relax` would refuse, before any row is written."""
    if active().refuses(logits, threads):
        refuse(logits[0], None, axis)
