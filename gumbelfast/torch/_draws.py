"""Draws from tensors whose memory is accessible, after the checks of their arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from .._core import choose_keyed, lies_within, race_keyed, relax_keyed
from .._engine import checks, direct, draws, sources, table_checks, thread_count
from .._engine import tokens as _tokens
from .._engine.backend import active
from .._engine.sources import Source
from .._engine.tables import Tables, weights_of_logits
from .._engine.types import LACKING, Address, RowCall
from ..random.generator import Generator
from . import _checks, _key, _tensors
from ._tensors import Array

Shared = Sequence[int]

# The memory of results is NumPy's: cheaper, and independent of modes that change torch's factories.
_STORED = {torch.float16: np.float16, torch.bfloat16: np.int16, torch.float32: np.float32, torch.float64: np.float64}

_ORDINARY = -1e30, 1e30  # logits that no kernel refuses: sums of them with noise are finite
_POSITIVE = 5e-324, 1e30  # and such weights


def noise(kind: str, shape: tuple[int, ...], dtype: torch.dtype, generator: Any) -> Tensor:
    result = _tensors.tensor(np.empty(shape, _STORED[dtype]), dtype, -1)
    target, write, threads = _tensors.array(result), getattr(active(), kind), thread_count.resolve(None)

    sources.draw(_key.source(generator), target.size, partial(write, target, 0.0, 1.0, threads), target.size)
    return result


def relaxed(logits: Tensor, scale: float | Array, soft: bool, hard: bool, dim: int, generator: Any) -> tuple[Any, Any]:
    """The soft and the hard sample, as far as they are needed."""
    _tensors.require_columns(logits, dim)
    x = _tensors.rows(logits, dim)
    if soft is not hard and generator is None and dim == -1 and logits.is_contiguous():
        drawn = relax_keyed(active(), x, scale, hard, *_key.default_source())
        if drawn is not None:
            return (None, torch.from_numpy(drawn)) if hard else (torch.from_numpy(drawn), None)
    soft_result, soft_rows = _tensors.result_like(logits, x, dim) if soft else (None, None)
    hard_result, hard_rows = _tensors.result_like(logits, x, dim) if hard else (None, None)
    where, threads = _place(x, generator, (), 0), thread_count.resolve(None)
    draws.relax((x, None, scale), soft_rows, hard_rows, dim, threads, where, draw_rows=_draw_rows)
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
    if method != "alias" and not shape and not shared and generator is None:
        draw = choose_keyed if method == "gumbel" else race_keyed
        drawn = draw(active(), x, False, *_key.default_source())
        if drawn is not None:
            return torch.from_numpy(drawn)
    threads = thread_count.resolve(None)
    if method == "alias":
        index = np.empty(shape + x.shape[:-1], np.int64)
        weights, _ = weights_of_logits(_tensors.wide(logits, dim), dim, 1.0, None, threads)
        parts = _by_example(weights.reshape(x.shape), shared)
        kernels = [Tables(part.reshape(-1, x.shape[-1])).kernel("alias", threads) for part in parts]
        _draw_flat(kernels, index, len(shape), generator, shared)
        return torch.from_numpy(index)
    if method == "race":
        first = np.empty((*shape, *x.shape[:-1], 1), np.int64)
        _race(logits, x, first, generator, shared, len(shape))
        return torch.from_numpy(first[..., 0])
    where = _place(x, generator, shared, len(shape))
    index, _ = draws.choose((x, None, 1.0), shape, dim, threads, where, draw_rows=_draw_rows)
    return torch.from_numpy(index)


def top_k(logits: Tensor, k: int, dim: int, generator: Any, shared: Shared = ()) -> tuple[Tensor, Tensor]:
    _tensors.require_columns(logits, dim)
    k = _tensors.count_of(k, "k", logits.shape[dim], ValueError)
    x = _tensors.rows(logits, dim)
    index, exact = _distinct(x, k, dim, generator, shared, "finite logits")
    values = exact.astype(checks.work_dtype(x.dtype), copy=False)
    if dim == -1:
        return torch.from_numpy(values), torch.from_numpy(index)
    first, second = (torch.from_numpy(part).movedim(-1, dim).contiguous() for part in (values, index))
    return first, second


def multinomial(weights: Tensor, num_samples: int, replacement: bool, generator: Any, shared: Shared = ()) -> Tensor:
    count = _checks.draws_of(num_samples, weights.shape[-1], replacement)
    if not replacement:
        x = _tensors.rows(weights, -1)
        if count == 1 and not shared and generator is None:
            drawn = race_keyed(active(), x, True, *_key.default_source())
            if drawn is not None:
                return torch.from_numpy(drawn)
        index = np.empty((*x.shape[:-1], count), np.int64)
        _race(weights, x, index, generator, shared, 0)
        return torch.from_numpy(index)
    x = _tensors.wide(weights, -1)
    index = np.empty((count, *x.shape[:-1]), np.int64)
    kernels = [partial(active().draw_weights, part) for part in _by_example(x, shared)]
    if _draw_flat(kernels, index, 1, generator, shared) < 0:
        _refuse_weights(x)
    return torch.from_numpy(index).movedim(0, -1).contiguous()


_draw_tokens = direct.step_alone("sample_tokens of tensors")


def tokens_at_once(logits: Tensor, asked: _tokens.Asked, seeds: Any, positions: Any) -> Tensor | None:
    """What `tokens` draws of rows with seeds, in one step; None for what the step declines."""
    if logits.ndim < 2 or not logits.numel():
        return None
    x = _tensors.rows(logits, -1)
    drawn = _draw_tokens(x, **asked._asdict(), seeds=seeds, positions=positions)
    return None if drawn is None else torch.from_numpy(drawn)


def tokens(
    logits: Tensor,
    asked: _tokens.Asked,
    seeds: Any,
    positions: Any,
    mask: Tensor | None,
    size: tuple[int, ...],
    invalid: int | None,
    generator: Any,
    best: int | None = None,
) -> tuple[Tensor, _tokens.LogProbs | None]:
    """Settings, seeds and positions are what NumPy's checks read; log-probabilities where `best` is a number."""
    _tensors.require_columns(logits, -1)
    x = _tensors.rows(logits, -1)
    settings = _tokens.as_settings(asked, x.shape[:-1], _tensors.WORK[logits.dtype])
    allowed = None if mask is None else _tokens.as_mask(mask.numpy(force=True), x.shape)
    # One of ours goes by itself: `draw_rows` would take its words for another's.
    where = generator if isinstance(generator, Generator) else _key.source(generator), seeds, positions
    given = (x, allowed, 1.0), settings, size, thread_count.resolve(None), where, invalid
    if best is None:
        return torch.from_numpy(_tokens.draw(*given)), None
    index, found = _tokens.draw_with_logprobs(*given, best)
    return torch.from_numpy(index), found


def _distinct(x: Array, k: int, dim: int, generator: Any, shared: Shared, what: str = "") -> tuple[Array, Array]:
    where = _place(x, generator, shared, 0)
    return draws.choose_distinct(
        (x, None, 1.0), k, dim, thread_count.resolve(None), where, what=what, draw_rows=_draw_rows
    )


def _race(weights: Tensor, x: Array, index: Array, generator: Any, shared: Shared, axes: int) -> None:
    """`draws.race` of the rows `x` of the weights into `index`; bad ones are refused in torch's type of error."""
    where = _place(x, generator, shared, axes, _POSITIVE)
    status = draws.race(x, index, thread_count.resolve(None), where, draw_rows=_draw_rows)
    if status < 0:
        _refuse_weights(_tensors.wide(weights, -1), index.shape[-1] if status == LACKING else 0)


def _place(
    x: Array, generator: Any, shared: Shared, axes: int, ordinary: tuple[float, float] = _ORDINARY
) -> tuple[Source, Shared, int]:
    """What `_draw_rows` takes behind the size, for draws with so many axes in front of those of `x`."""
    return _key.source(generator, axes == 0 and not any(shared) and lies_within(x, *ordinary)), shared, axes


def _draw_rows(call: RowCall, shape: tuple[int, ...], size: int, source: Source, shared: Shared, axes: int) -> int:
    """`address.draw_rows` on what a source gives, the same for examples that share their noise."""
    columns = shape[-1]
    if not any(shared):
        return sources.draw(source, size, call, columns)
    rows = shape[axes:-1]
    own = [1 if same else n for n, same in zip(rows, shared, strict=False)]
    several = (*shape[:axes], *own, *rows[len(own) :])
    places = np.arange(math.prod(several), dtype=np.uint64).reshape(several) * np.uint64(columns)

    def same(address: Address) -> int:
        key, first, *_ = address
        starts = np.broadcast_to(places + np.uint64(first), shape[:-1])
        return call((key, 0, columns, None, np.ascontiguousarray(starts).reshape(-1)))

    return sources.draw(source, places.size * columns, same, columns)


def _by_example(x: Array, shared: Shared, skipped: int = 0) -> Array:
    """The parts that get the same noise, in front; `skipped` axes before those of examples keep their order."""
    axes = [skipped + i for i, same in enumerate(shared) if same]
    moved = np.moveaxis(x, axes, range(len(axes)))
    return moved.reshape(math.prod(moved.shape[: len(axes)]), *moved.shape[len(axes) :])


def _draw_flat(
    kernels: Sequence[Callable[..., int]], index: Array, skipped: int, generator: Any, shared: Shared
) -> int:
    """Run kernels that take one element per draw, each for its part of `index`, on the same noise."""
    threads, source = thread_count.resolve(None), _key.source(generator)
    if not any(shared):
        return sources.draw(source, index.size, partial(kernels[0], index, threads), index.size)
    parts = np.empty(_by_example(index, shared, skipped).shape, np.int64)

    def same(address: Address) -> int:
        return min((draw(part, threads, address) for draw, part in zip(kernels, parts, strict=True)), default=0)

    status = sources.draw(source, math.prod(parts.shape[1:]), same, 1)
    axes = [skipped + i for i, each in enumerate(shared) if each]
    moved = np.moveaxis(index, axes, range(len(axes)))
    moved[...] = parts.reshape(moved.shape)
    return status


def _refuse_weights(x: Array, wanted: int = 0) -> NoReturn:
    """Raises torch's type of error, with the place of the fault or of a row that has too few positive weights."""
    try:
        if wanted:
            table_checks.refuse_few_weights(x, wanted, "num_samples")
        table_checks.weights(x, -1, "weights")
    except ValueError as error:
        raise RuntimeError(str(error)) from None
    # With torch.set_flush_denormal, sums of subnormal numbers are 0.
    raise RuntimeError("weights of some row vanish in their dtype") from None
