"""The samplers of two engines, stated anew in ``engines.cpp``: a seed and a position per request."""

from __future__ import annotations

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


@contender("serving", "vllm blocks", tail="our statement of its CPU sampler")
def blocks(logits: Any, settings: dict[str, Any]) -> Call:
    return _call("blocks", logits, settings)


@contender("serving", "llama.cpp chain", tail="our statement of its chain")
def chain(logits: Any, settings: dict[str, Any]) -> Call:
    return _call("chain", logits, settings)
