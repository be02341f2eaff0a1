"""The samplers of two engines, stated anew in ``engines.cpp``: a seed and a position per request."""

from __future__ import annotations

import importlib
from itertools import count
from typing import Any

import numpy as np

import engines
import pin
from peers import Call, Unavailable, contender


def _call(method: str, logits: Any, settings: dict[str, Any]) -> Call:
    try:
        engine = engines.Engine(method, logits, pin.THREADS, **settings)
    except (ValueError, RuntimeError) as reason:
        raise Unavailable(str(reason)) from None
    seeds, positions = np.arange(len(logits), dtype=np.uint64), count()
    return lambda: engine.draw(seeds, next(positions))


@contender("jax_categorical", "vllm blocks", tail="our statement of its CPU sampler")
@contender("torch categorical", "vllm blocks", tail="our statement of its CPU sampler")
@contender("categorical", "vllm blocks", tail="our statement of its CPU sampler")
def categorical(logits: Any, mask: Any = None) -> Call:
    return _call("blocks", logits if mask is None else np.where(mask, logits, np.float32(-np.inf)), {})


def _tokens(method: str, logits: Any, temperature: float, top_k: int, top_p: float) -> Call:
    filters = {"top_k": top_k} if top_k else {}
    return _call(method, logits, {"temperature": temperature, **filters, **({"top_p": top_p} if top_p < 1 else {})})


@contender("tokens", "vllm blocks", tail="our statement of its CPU sampler")
def tokens_by_blocks(*inputs: Any) -> Call:
    return _tokens("blocks", *inputs)


@contender("tokens", "llama.cpp chain", tail="our statement of its chain")
def tokens_by_chain(*inputs: Any) -> Call:
    return _tokens("chain", *inputs)


@contender("serving", "vllm blocks", tail="our statement of its CPU sampler")
def blocks(logits: Any, settings: dict[str, Any]) -> Call:
    return _call("blocks", logits, settings)


@contender("serving", "vllm blocks after torch", tail="the same behind torch's conversion and division, as there")
def blocks_after_torch(logits: Any, settings: dict[str, Any]) -> Call:
    try:
        torch: Any = importlib.import_module("torch")
        as_tensor = importlib.import_module("peers.with_torch").as_tensor
    except ImportError as reason:
        raise Unavailable(str(reason)) from None
    x, work = as_tensor(logits), np.empty(logits.shape, np.float32)
    scores, scale = torch.from_numpy(work), 1 / settings["temperature"]
    draw = _call("blocks", work, {**settings, "temperature": 1.0})

    def call() -> Any:
        scores.copy_(x).mul_(scale)
        return draw()

    return call


@contender("serving", "llama.cpp chain", tail="our statement of its chain")
def chain(logits: Any, settings: dict[str, Any]) -> Call:
    return _call("chain", logits, settings)
