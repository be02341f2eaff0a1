"""The work of src/xla*.cpp through the interface of any backend: the kernels that a callback runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._engine import address, draws, row_checks
from .._engine.backend import active, use_backend
from .._engine.refused import check_weights_of_choice
from .._engine.sources import FixedKey
from .._engine.tables import Tables, weights_of_logits

Array = NDArray[Any]


def _noise(out: tuple[Array, ...], source: FixedKey, threads: int, exponential: bool) -> None:
    write = active().exponential if exponential else active().gumbel
    address.draw_flat(partial(write, out[0], 0.0, 1.0, threads), out[0].size, source, None)


def _categorical(out: tuple[Array, ...], source: FixedKey, x: Array, threads: int, axis: int) -> None:
    several = (out[0].size * x.shape[-1] // x.size,)
    index, _ = draws.choose((x, None, 1.0), several, -1 - axis, threads, (source,))
    out[0][...] = index.reshape(out[0].shape)


def _gumbel_top_k(out: tuple[Array, ...], source: FixedKey, x: Array, threads: int, axis: int) -> None:
    k = out[0].shape[-1]
    out[0][...], out[1][...] = draws.choose_distinct((x, None, 1.0), k, -1 - axis, threads, (source,))


def _gumbel_softmax(
    out: tuple[Array, ...], source: FixedKey, x: Array, inv_tau: Array, threads: int, axis: int, hard: bool
) -> None:
    soft_rows = None if hard and len(out) == 1 else out[-1]
    hard_rows = out[0] if hard else None
    rows = x, None, row_checks.inverses(inv_tau)
    draws.relax(rows, soft_rows, hard_rows, -1 - axis, threads, (source,))


def _alias(out: tuple[Array, ...], source: FixedKey, x: Array, threads: int, axis: int, weights: bool) -> None:
    rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
    if weights:
        check_weights_of_choice(x)
    else:
        rows, _ = weights_of_logits(x, -1 - axis, 1.0, None, threads)
    index = np.empty(out[0].shape, np.int64)
    Tables(rows).draw("alias", index, source, None, threads)
    out[0][...] = index


def _distinct(out: tuple[Array, ...], source: FixedKey, p: Array, threads: int) -> None:
    check_weights_of_choice(p, out[0].size)
    with np.errstate(divide="ignore"):
        logits = np.log(p.astype(np.float64))
    out[0][...], _ = draws.choose_distinct((logits, None, 1.0), out[0].size, -1, threads, (source,))


def _integers(out: tuple[Array, ...], source: FixedKey, last: Array, threads: int) -> None:
    index = np.empty(out[0].shape, np.int64)
    draw = partial(active().draw_integers, int(last) + 1, index, threads)
    address.draw_flat(draw, index.size, source, None)
    out[0][...] = index


def each_example(
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
            source = FixedKey(int(high) << 32 | int(low))
            draw(tuple(o[(*place, ...)] for o in out), source, *mine, threads, **attributes)
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


# By the name of the handler that it replaces.
HANDLERS: dict[str, Callable[..., tuple[Array, ...]]] = {
    "alias": partial(each_example, _alias),
    "distinct": partial(each_example, _distinct),
    "integers": partial(each_example, _integers),
    "noise": partial(each_example, _noise),
    "categorical": partial(each_example, _categorical),
    "gumbel_top_k": partial(each_example, _gumbel_top_k),
    "gumbel_softmax": partial(each_example, _gumbel_softmax),
    "softmax": _softmax,
    "softmax_backward": _softmax_backward,
}
