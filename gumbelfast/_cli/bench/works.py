"""What is measured: works, and who does them how. Everyone draws anew, and makes an array of its own for the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._sampling import argmax, relaxed, tokens
from ..._sampling import noise as noises
from ..._sampling.softmax import softmax
from ...random.generator import Generator
from .. import numpy_ways
from . import torch_ways

Array = NDArray[Any]
Way = Callable[..., Any]


@dataclass(frozen=True)
class Work:
    """Something to do with `inputs`. A way takes a generator before these; the fastest way of a library counts."""

    what: str
    inputs: tuple[Any, ...]
    ways: Mapping[str, tuple[Way, ...]]


def _relaxed(rng: Generator, logits: Array, grad: Array, tau: float) -> tuple[Array, Array]:
    y = relaxed.gumbel_softmax(logits, tau, rng=rng)
    return y, relaxed.gumbel_softmax_backward(grad, y, tau)


def _tokens(rng: Generator, logits: Array, temperature: float, k: int, share: float) -> Any:
    return tokens.sample_tokens(logits, temperature=temperature, top_k=k, top_p=share, rng=rng)


def works(quick: bool) -> list[Work]:
    """All of them; `quick` are small ones, whose figures mean nothing."""
    rng = np.random.default_rng(0)
    n, rows, columns, items, draws = (4096, 8, 1000, 2000, 5000) if quick else (1 << 20, 16, 32_000, 1_000_000, 100_000)
    logits = rng.standard_normal((rows, columns), dtype=np.float32) * 2
    square = rng.standard_normal((64, 64) if quick else (512, 1024), dtype=np.float32)
    small = rng.standard_normal((8, 10), dtype=np.float32)
    weights, table = rng.standard_exponential(items), rng.standard_exponential(1000)
    weights /= weights.sum()
    table /= table.sum()
    size, area = f"{rows} x {columns:,}", " x ".join(map(str, square.shape))

    def work(what: str, inputs: tuple[Any, ...], ours: Way, numpy: tuple[Way, ...], torch: tuple[Way, ...]) -> Work:
        return Work(what, inputs, {"gumbelfast": (ours,), "NumPy": numpy, "torch": torch})

    def draw(rng: Generator, logits: Array) -> Any:
        return argmax.categorical(logits, rng=rng)

    def relax(rng: Generator, logits: Array, tau: float) -> Any:
        return relaxed.gumbel_softmax(logits, tau, rng=rng)

    return [
        work(
            f"Gumbel noise, {n:,}",
            (n,),
            lambda rng, n: noises.gumbel(size=n, rng=rng),
            (numpy_ways.noise,),
            (torch_ways.noise,),
        ),
        work(
            f"categorical, {size}",
            (logits,),
            draw,
            (numpy_ways.categorical,),
            (torch_ways.categorical, torch_ways.multinomial),
        ),
        work(
            f"50 different ones, {size}",
            (logits, 50),
            lambda rng, x, k: argmax.gumbel_top_k(x, k, rng=rng).indices,
            (numpy_ways.top_k,),
            (torch_ways.top_k,),
        ),
        work(
            f"tokens (top-k, top-p), {size}",
            (logits, 0.8, 50, 0.9),
            _tokens,
            (numpy_ways.tokens,),
            (torch_ways.tokens,),
        ),
        work(
            f"1000 of {items:,} by weight",
            (weights, 1000),
            lambda rng, p, k: rng.choice(p.size, k, replace=False, p=p),
            (numpy_ways.choice, numpy_ways.race),
            (torch_ways.choice,),
        ),
        work(
            f"{draws:,} draws from 1000",
            (table, draws),
            lambda rng, p, n: rng.choice(p.size, n, p=p),
            (numpy_ways.draws,),
            (torch_ways.draws,),
        ),
        work(
            f"softmax, {area}",
            (square,),
            lambda rng, x: softmax(x),
            (lambda rng, x: numpy_ways.softmax(x),),
            (torch_ways.softmax,),
        ),
        work(
            f"Gumbel-softmax, gradient, {area}",
            (square, square[::-1].copy(), 0.5),
            _relaxed,
            (numpy_ways.relaxed,),
            (torch_ways.relaxed,),
        ),
        work(
            "Gumbel-softmax, 8 x 10",
            (small, 0.5),
            relax,
            (numpy_ways.gumbel_softmax,),
            (torch_ways.gumbel_softmax,),
        ),
        work(
            "categorical, 8 x 10",
            (small,),
            draw,
            (numpy_ways.categorical,),
            (torch_ways.categorical, torch_ways.multinomial),
        ),
    ]
