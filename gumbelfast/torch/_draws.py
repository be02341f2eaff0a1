"""Draws from tensors whose memory is at hand, once their arguments are known to be good."""

from __future__ import annotations

from functools import partial
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from .. import _threads, _validate, _validate_tables
from .._backend import active
from .._tables import Tables
from ..generator import Generator
from . import _checks, _key, _tensors
from ._tensors import Array

# Draws per row that an alias table pays for: measured, 25 to 300 on rows of 10 to 10**6 categories.
_TABLE_DRAWS = 256
# The memory of results is NumPy's: cheaper, and there whatever torch makes of its factories at the moment.
_STORED = {torch.float16: np.float16, torch.bfloat16: np.int16, torch.float32: np.float32, torch.float64: np.float64}


def noise(kind: str, shape: tuple[int, ...], dtype: torch.dtype, generator: Any) -> Tensor:
    result = _tensors.tensor(np.empty(shape, _STORED[dtype]), dtype, -1)
    target, write, threads = _tensors.array(result), getattr(active(), kind), _threads.resolve(None)

    def call(key: int, first: int, *_: Any) -> int:
        if target.size:
            write(target, 0.0, 1.0, key, first, threads)
        return 0

    _key.draw(generator, target.size, call, target.size)
    return result


def relaxed(logits: Tensor, scale: float, soft: bool, hard: bool, dim: int, generator: Any) -> tuple[Any, Any]:
    """The soft and the hard sample, as far as they are wanted."""
    _tensors.require_columns(logits, dim)
    x = _tensors.rows(logits, dim)
    soft_result, soft_rows = _tensors.result_like(logits, x, dim) if soft else (None, None)
    hard_result, hard_rows = _tensors.result_like(logits, x, dim) if hard else (None, None)
    call = partial(active().gumbel_softmax, x, scale, soft_rows, hard_rows, _threads.resolve(None))
    if _key.draw(generator, x.size, call, x.shape[-1]) < 0:
        _tensors.refuse(logits, dim)
    if dim != -1 or not logits.is_contiguous():
        for result, written in ((soft_result, soft_rows), (hard_result, hard_rows)):
            if result is not None and written is not None:
                _tensors.settle(result, written, dim)
    return soft_result, hard_result


def categorical(logits: Tensor, shape: tuple[int, ...], dim: int, generator: Any) -> Tensor:
    _tensors.require_columns(logits, dim)
    x = _tensors.rows(logits, dim)
    index = np.empty((*shape, *x.shape[:-1]), np.int64)
    if _argmax(x, index, generator) < 0:
        _tensors.refuse(logits, dim)
    return torch.from_numpy(index)


def top_k(logits: Tensor, k: int, dim: int, generator: Any) -> tuple[Tensor, Tensor]:
    _tensors.require_columns(logits, dim)
    k = _tensors.count_of(k, "k", logits.shape[dim], ValueError)
    x = _tensors.rows(logits, dim)
    shape = (*x.shape[:-1], k)
    index, values = np.empty(shape, np.int64), np.empty(shape, _tensors.WORK[logits.dtype])
    tiles = _largest(x, index, values, generator)
    if tiles < -1:
        _validate.too_few(x, k, index, "finite logits")
    if tiles < 0:
        _tensors.refuse(logits, dim)
    if dim == -1:
        return torch.from_numpy(values), torch.from_numpy(index)
    first, second = (torch.from_numpy(part).movedim(-1, dim).contiguous() for part in (values, index))
    return first, second


def multinomial(weights: Tensor, num_samples: int, replacement: bool, generator: Any) -> Tensor:
    draws = _checks.draws_of(num_samples, weights.shape[-1], replacement)
    x = _tensors.wide(weights, -1)
    if not replacement:
        index = np.empty((*x.shape[:-1], draws), np.int64)
        logs = _logarithms(weights)
        tiles = _largest(logs, index, np.empty(index.shape, logs.dtype), generator)
        if tiles < 0:
            _refuse_weights(x, index if tiles < -1 else None)
        return torch.from_numpy(index)
    index = np.empty((draws, *x.shape[:-1]), np.int64)
    if draws >= _TABLE_DRAWS and x.size:
        wide = x.astype(np.float64).reshape(-1, x.shape[-1])
        with np.errstate(over="ignore"):
            total = wide.sum(axis=-1)
        if not (wide.min() >= 0 and total.min() > 0 and total.max() < np.inf):
            _refuse_weights(x)
        _draw_tables(wide, index, generator)
    elif _argmax(_logarithms(weights), index, generator) < 0:
        _refuse_weights(x)
    drawn = torch.from_numpy(index)
    return drawn if drawn.ndim == 1 else drawn.T.contiguous()


def _argmax(x: Array, index: Array, generator: Any) -> int:
    call = partial(active().gumbel_max, x, None, 1.0, index, None, _threads.resolve(None))
    return _key.draw(generator, index.size * x.shape[-1], call, x.shape[-1])


def _largest(x: Array, index: Array, values: Array, generator: Any) -> int:
    call = partial(active().gumbel_top_k, x, None, 1.0, index, values, _threads.resolve(None))
    return _key.draw(generator, x.size, call, x.shape[-1])


def _draw_tables(weights: Array, index: Array, generator: Any) -> None:
    tables, threads = Tables(weights), _threads.resolve(None)

    def call(key: int, first: int, *_: Any) -> int:
        tables.draw("alias", index, Generator(key), first, threads)
        return 0

    _key.draw(generator, index.size, call, index.size)


def _logarithms(weights: Tensor) -> Array:
    """Of negative weights it is NaN, which kernels refuse: the check rides in their pass over the data."""
    return _tensors.array(torch.log(weights.detach().to(_tensors.work_of(weights))).contiguous())


def require_weights(weights: Tensor, draws: int) -> None:
    """What `multinomial` asks of weights, for so many draws without replacement."""
    logs = torch.log(weights.detach().to(_tensors.work_of(weights)))
    good = bool(torch.isfinite(logs.amax(-1)).all())
    short = _checks.short_rows(logs, draws) if good else None
    if short is not None or not good:
        _refuse_weights(_tensors.wide(weights, -1), short)


def _refuse_weights(x: Array, short: Array | None = None) -> NoReturn:
    """Raises torch's type of error, with the place of the fault; `short` holds draws of which a row has too few."""
    try:
        if short is not None:
            _validate.too_few(x, short.shape[-1], short, "positive weights")
        _validate_tables.weights(x, -1)
    except ValueError as error:
        raise RuntimeError(str(error).replace("probs", "weights").replace("k=", "num_samples=")) from None
    # With torch.set_flush_denormal, logarithms of subnormal numbers are those of 0.
    raise RuntimeError("weights of some row vanish in their dtype")
