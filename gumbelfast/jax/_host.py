"""What src/xla*.cpp do, by the seam of any backend: the kernels that a callback runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._engine import checks, row_checks, table_checks
from .._engine.backend import active, use_backend
from .._engine.tables import Tables, weights_of_logits
from ..random.generator import Generator
from ..reference.tables import uniforms

Array = NDArray[Any]


def _noise(out: tuple[Array, ...], key: int, threads: int, exponential: bool) -> None:
    if out[0].size:
        (active().exponential if exponential else active().gumbel)(out[0], 0.0, 1.0, key, 0, threads)


def _categorical(out: tuple[Array, ...], key: int, x: Array, threads: int, axis: int) -> None:
    index = np.empty(out[0].shape, np.int64)
    if active().gumbel_max(x, None, 1.0, index, None, threads, key, 0, x.shape[-1], None, None) < 0:
        checks.refuse(x, None, -1 - axis)
    out[0][...] = index


def _gumbel_top_k(out: tuple[Array, ...], key: int, x: Array, threads: int, axis: int) -> None:
    index, values = np.empty(out[0].shape, np.int64), np.empty(out[0].shape)
    tiles = active().gumbel_top_k(x, None, 1.0, index, values, threads, key, 0, x.shape[-1], None, None)
    if tiles < -1:
        checks.too_few(x, out[0].shape[-1], index)
    if tiles < 0:
        checks.refuse(x, None, -1 - axis)
    out[0][...], out[1][...] = index, values


def _gumbel_softmax(
    out: tuple[Array, ...], key: int, x: Array, inv_tau: Array, threads: int, axis: int, hard: bool
) -> None:
    scale = row_checks.inverses(inv_tau, "tau")
    soft_rows = None if hard and len(out) == 1 else out[-1]
    hard_rows = out[0] if hard else None
    if active().gumbel_softmax(x, scale, soft_rows, hard_rows, threads, key, 0, x.shape[-1], None, None) < 0:
        checks.refuse(x, None, -1 - axis)


def _alias(out: tuple[Array, ...], key: int, x: Array, threads: int, axis: int, weights: bool) -> None:
    rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
    if weights:
        table_checks.weights_of_choice(rows[0])
    else:
        rows, _ = weights_of_logits(x, -1 - axis, 1.0, None, threads)
    index = np.empty(out[0].shape, np.int64)
    Tables(rows).draw("alias", index, Generator(key), 0, threads)
    out[0][...] = index


def _distinct(out: tuple[Array, ...], key: int, p: Array, threads: int) -> None:
    index = np.empty(out[0].shape, np.int64)
    table_checks.weights_of_choice(p, index.size)
    with np.errstate(divide="ignore"):
        logits = np.log(p.astype(np.float64))
    active().gumbel_top_k(logits, None, 1.0, index, np.empty(index.shape), threads, key, 0, p.size, None, None)
    out[0][...] = index


def _integers(out: tuple[Array, ...], key: int, last: Array, threads: int) -> None:
    u = uniforms(key, np.arange(out[0].size, dtype=np.uint64))
    out[0][...] = np.reshape([(int(last) + 1) * each >> 64 for each in u.tolist()], out[0].shape)


def _each_example(
    draw: Callable[..., None],
    results: tuple[Any, ...],
    *operands: Any,
    backend: str,
    threads: int,
    **attributes: Any,
) -> tuple[Array, ...]:
    """Draw every example; axes that vmap has put in front are those that the key has beyond one."""
    words, *arrays = (np.asarray(x, order="C") for x in operands)
    axes = words.ndim - 1
    lead = np.broadcast_shapes(*(x.shape[:axes] for x in (words, *arrays)))
    out = tuple(np.empty((*lead, *result.shape), result.dtype) for result in results)
    with use_backend(backend):
        for place in np.ndindex(lead):
            (high, low), *mine = (_example(x, place) for x in (words, *arrays))
            key = int(high) << 32 | int(low)
            draw(tuple(o[(*place, ...)] for o in out), key, *mine, threads, **attributes)
    return out


def _example(x: Array, place: tuple[int, ...]) -> Array:
    return x[(*(min(i, n - 1) for i, n in zip(place, x.shape, strict=False)), ...)]


def _softmax(results: tuple[Any, ...], x: Any, backend: str, threads: int, kernel: str) -> tuple[Array, ...]:
    rows = np.asarray(x, order="C")
    out = np.empty(rows.shape[:-1] if kernel == "logsumexp" else rows.shape, rows.dtype)
    if out.size:
        with use_backend(backend):
            getattr(active(), kernel)(rows, 1.0, out, threads)
    return (out,)


def _softmax_backward(
    results: tuple[Any, ...], grad: Any, y: Any, scale: Any, backend: str, threads: int
) -> tuple[Array, ...]:
    grad, y, scale = (np.asarray(x, order="C") for x in (grad, y, scale))
    out = np.empty_like(y)
    if out.size:
        each = np.repeat(scale.reshape(-1), out.size // out.shape[-1] // scale.size).astype(np.float64)
        with use_backend(backend):
            active().softmax_backward(grad, y, each, out, threads)
    return (out,)


# By the name of the handler that it stands for.
HANDLERS: dict[str, Callable[..., tuple[Array, ...]]] = {
    "alias": partial(_each_example, _alias),
    "distinct": partial(_each_example, _distinct),
    "integers": partial(_each_example, _integers),
    "noise": partial(_each_example, _noise),
    "categorical": partial(_each_example, _categorical),
    "gumbel_top_k": partial(_each_example, _gumbel_top_k),
    "gumbel_softmax": partial(_each_example, _gumbel_softmax),
    "softmax": _softmax,
    "softmax_backward": _softmax_backward,
}
