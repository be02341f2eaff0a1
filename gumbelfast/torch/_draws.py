"""Draws from tensors whose memory is at hand, once their arguments are known to be good."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from .._core import choose_keyed, lies_within, relax_keyed
from .._engine import checks, table_checks, thread_count
from .._engine.backend import active
from .._engine.tables import Tables, weights_of_logits
from .._engine.types import RowCall
from ..random.generator import Generator
from . import _checks, _key, _tensors
from ._tensors import Array

Shared = Sequence[int]

# The memory of results is NumPy's: cheaper, and there whatever torch makes of its factories at the moment.
_STORED = {torch.float16: np.float16, torch.bfloat16: np.int16, torch.float32: np.float32, torch.float64: np.float64}

_ORDINARY = -1e30, 1e30  # logits that no kernel refuses: sums of them with noise are finite


def noise(kind: str, shape: tuple[int, ...], dtype: torch.dtype, generator: Any) -> Tensor:
    result = _tensors.tensor(np.empty(shape, _STORED[dtype]), dtype, -1)
    target, write, threads = _tensors.array(result), getattr(active(), kind), thread_count.resolve(None)

    def call(key: int, first: int, *_: Any) -> int:
        if target.size:
            write(target, 0.0, 1.0, key, first, threads)
        return 0

    _key.draw(generator, target.size, call, target.size)
    return result


def relaxed(logits: Tensor, scale: float | Array, soft: bool, hard: bool, dim: int, generator: Any) -> tuple[Any, Any]:
    """The soft and the hard sample, as far as they are wanted."""
    _tensors.require_columns(logits, dim)
    x = _tensors.rows(logits, dim)
    if soft is not hard and generator is None and dim == -1 and logits.is_contiguous():
        drawn = relax_keyed(active(), x, scale, hard, *_key.default_source())
        if drawn is not None:
            return (None, torch.from_numpy(drawn)) if hard else (torch.from_numpy(drawn), None)
    soft_result, soft_rows = _tensors.result_like(logits, x, dim) if soft else (None, None)
    hard_result, hard_rows = _tensors.result_like(logits, x, dim) if hard else (None, None)
    call = partial(active().gumbel_softmax, x, scale, soft_rows, hard_rows, thread_count.resolve(None))
    if _key.draw(generator, x.size, call, x.shape[-1], lies_within(x, *_ORDINARY)) < 0:
        _tensors.refuse(logits, dim)
    if dim != -1 or not logits.is_contiguous():
        for result, written in ((soft_result, soft_rows), (hard_result, hard_rows)):
            if result is not None and written is not None:
                _tensors.settle(result, written, dim)
    return soft_result, hard_result


# `shared` says of each dimension in front, which a vmap has put there, whether its examples get the same noise.


def categorical(
    logits: Tensor, shape: tuple[int, ...], dim: int, method: str, generator: Any, shared: Shared = ()
) -> Tensor:
    _tensors.require_columns(logits, dim)
    x = _tensors.rows(logits, dim)
    if method == "gumbel" and not shape and not shared and generator is None:
        drawn = choose_keyed(active(), x, False, *_key.default_source())
        if drawn is not None:
            return torch.from_numpy(drawn)
    index, threads = np.empty(shape + x.shape[:-1], np.int64), thread_count.resolve(None)
    if method == "alias":
        weights, _ = weights_of_logits(_tensors.wide(logits, dim), dim, 1.0, None, threads)
        parts = _by_example(weights.reshape(x.shape), shared)
        tables = [Tables(part.reshape(-1, x.shape[-1])) for part in parts]
        calls = [partial(_draw_alias, each, threads=threads) for each in tables]
        _draw_flat(calls, index, len(shape), generator, shared)
        return torch.from_numpy(index)
    call = partial(active().gumbel_max, x, None, 1.0, index, None, threads)
    if _draw_rows(call, math.prod(shape), x, generator, shared) < 0:
        _tensors.refuse(logits, dim)
    return torch.from_numpy(index)


def top_k(logits: Tensor, k: int, dim: int, generator: Any, shared: Shared = ()) -> tuple[Tensor, Tensor]:
    _tensors.require_columns(logits, dim)
    k = _tensors.count_of(k, "k", logits.shape[dim], ValueError)
    x = _tensors.rows(logits, dim)
    shape = (*x.shape[:-1], k)
    index, exact = np.empty(shape, np.int64), np.empty(shape)
    tiles = _largest(x, index, exact, generator, shared)
    if tiles < -1:
        checks.too_few(x, k, index, "finite logits")
    if tiles < 0:
        _tensors.refuse(logits, dim)
    values = exact.astype(_tensors.WORK[logits.dtype], copy=False)
    if dim == -1:
        return torch.from_numpy(values), torch.from_numpy(index)
    first, second = (torch.from_numpy(part).movedim(-1, dim).contiguous() for part in (values, index))
    return first, second


def multinomial(weights: Tensor, num_samples: int, replacement: bool, generator: Any, shared: Shared = ()) -> Tensor:
    draws = _checks.draws_of(num_samples, weights.shape[-1], replacement)
    if not replacement:
        logs = _logarithms(weights)
        if draws == 1 and not shared and generator is None:
            drawn = choose_keyed(active(), logs, True, *_key.default_source())
            if drawn is not None:
                return torch.from_numpy(drawn)
        index = np.empty((*logs.shape[:-1], draws), np.int64)
        tiles = _largest(logs, index, np.empty(index.shape), generator, shared)
        if tiles < 0:
            _refuse_weights(_tensors.wide(weights, -1), index if tiles < -1 else None)
        return torch.from_numpy(index)
    x = _tensors.wide(weights, -1)
    index = np.empty((draws, *x.shape[:-1]), np.int64)
    threads = thread_count.resolve(None)
    calls = [partial(_draw_weights, part, threads=threads) for part in _by_example(x, shared)]
    if _draw_flat(calls, index, 1, generator, shared) < 0:
        _refuse_weights(x)
    return torch.from_numpy(index).movedim(0, -1).contiguous()


def _largest(x: Array, index: Array, values: Array, generator: Any, shared: Shared) -> int:
    call = partial(active().gumbel_top_k, x, None, 1.0, index, values, thread_count.resolve(None))
    return _draw_rows(call, 1, x, generator, shared)


def _draw_rows(call: RowCall, draws: int, x: Array, generator: Any, shared: Shared) -> int:
    """Run the call of a kernel that takes one element of noise for each logit of each draw."""
    columns = x.shape[-1]
    if not any(shared):
        return _key.draw(generator, draws * x.size, call, columns, draws == 1 and lies_within(x, *_ORDINARY))
    own = [1 if same else n for n, same in zip(x.shape, shared, strict=False)]
    shape = (draws, *own, *x.shape[len(own) : -1])
    places = np.arange(math.prod(shape), dtype=np.uint64).reshape(shape) * np.uint64(columns)

    def same(key: int, first: int, *_: Any) -> int:
        starts = np.broadcast_to(places + np.uint64(first), (draws, *x.shape[:-1]))
        return call(key, 0, columns, None, np.ascontiguousarray(starts).reshape(-1))

    return _key.draw(generator, places.size * columns, same, columns)


def _by_example(x: Array, shared: Shared, skipped: int = 0) -> Array:
    """The parts that get the same noise, in front; `skipped` axes before those of examples keep their order."""
    axes = [skipped + i for i, same in enumerate(shared) if same]
    moved = np.moveaxis(x, axes, range(len(axes)))
    return moved.reshape(math.prod(moved.shape[: len(axes)]), *moved.shape[len(axes) :])


def _draw_flat(calls: Sequence[Callable[..., int]], index: Array, skipped: int, generator: Any, shared: Shared) -> int:
    """Run calls that take one element a draw, each for its part of `index`, on the same noise."""
    if not any(shared):
        return _key.draw(generator, index.size, lambda key, first, *_: calls[0](index, key, first), index.size)
    parts = np.empty(_by_example(index, shared, skipped).shape, np.int64)

    def same(key: int, first: int, *_: Any) -> int:
        return min((call(part, key, first) for call, part in zip(calls, parts, strict=True)), default=0)

    code = _key.draw(generator, math.prod(parts.shape[1:]), same, 1)
    axes = [skipped + i for i, each in enumerate(shared) if each]
    moved = np.moveaxis(index, axes, range(len(axes)))
    moved[...] = parts.reshape(moved.shape)
    return code


def _draw_alias(tables: Tables, index: Array, key: int, first: int, threads: int) -> int:
    tables.draw("alias", index, Generator(key), first, threads)
    return 0


def _draw_weights(weights: Array, index: Array, key: int, first: int, threads: int) -> int:
    return active().draw_weights(weights, index, threads, key, first)


def _logarithms(weights: Tensor) -> Array:
    """Of negative weights it is NaN, which kernels refuse: the check rides in their pass over the data."""
    if weights.requires_grad:
        weights = weights.detach()
    if weights.dtype is not (work := _tensors.work_of(weights)):
        weights = weights.to(work)
    return _tensors.array(torch.log(weights).contiguous())


def _refuse_weights(x: Array, short: Array | None = None) -> NoReturn:
    """Raises torch's type of error, with the place of the fault; `short` holds draws of which a row has too few."""
    try:
        if short is not None:
            checks.too_few(x, short.shape[-1], short, "positive weights")
        table_checks.weights(x, -1)
    except ValueError as error:
        raise RuntimeError(str(error).replace("probs", "weights").replace("k=", "num_samples=")) from None
    # With torch.set_flush_denormal, logarithms of subnormal numbers are those of 0.
    raise RuntimeError("weights of some row vanish in their dtype")
