"""JAX on the CPU: jitted, compiled before it is timed, and waited for."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

import numpy as np

from peers import Call, Unavailable, contender

jax: Any = importlib.import_module("jax")
jnp: Any = importlib.import_module("jax.numpy")

TAIL = "noise ends at 15.94 (mode low, the default)"


def jitted(function: Any, *arguments: Any) -> Call:
    compiled = jax.jit(function).lower(*arguments).compile()
    return lambda: jax.block_until_ready(compiled(*arguments))


def _x(logits: Any, mask: Any = None) -> Any:
    if logits.dtype != np.float32:
        raise Unavailable("float64 is off by default")
    return jnp.asarray(logits if mask is None else np.where(mask, logits, -np.inf).astype(np.float32))


def _gumbel(mode: str, n: int, dtype: Any) -> Call:
    if dtype != np.float32:
        raise Unavailable("float64 is off by default")
    return jitted(lambda key: jax.random.gumbel(key, (n,), jnp.float32, mode=mode), jax.random.key(0))


contender("gumbel", "jax", tail=TAIL)(partial(_gumbel, "low"))
contender("gumbel", "jax mode=high")(partial(_gumbel, "high"))


@contender("categorical", "jax", tail=TAIL)
def categorical(logits: Any, mask: Any = None) -> Call:
    return jitted(jax.random.categorical, jax.random.key(0), _x(logits, mask))


@contender("top_k", "jax", tail=TAIL)
def top_k(logits: Any, k: int) -> Call:
    def function(key: Any, x: Any) -> Any:
        return jax.lax.top_k(x + jax.random.gumbel(key, x.shape, x.dtype), k)[1]

    return jitted(function, jax.random.key(0), _x(logits))


@contender("weighted", "jax", tail=TAIL)
def weighted(weights: Any, k: int) -> Call:
    return top_k(np.log(weights).astype(np.float32), k)


@contender("draws", "jax choice", tail="cumulative sums in float32")
def draws(probabilities: Any, n: int) -> Call:
    p = jnp.asarray(probabilities, jnp.float32)
    return jitted(lambda key, p: jax.random.choice(key, p.size, (n,), p=p), jax.random.key(0), p)


@contender("softmax", "jax")
def softmax(x: Any) -> Call:
    return jitted(jax.nn.softmax, _x(x))


@contender("softmax_backward", "jax")
def softmax_backward(grad: Any, y: Any) -> Call:
    return jitted(lambda g, y: y * (g - (g * y).sum(-1, keepdims=True)), _x(grad), _x(y))


@contender("relaxed", "jax", tail=TAIL)
def relaxed(logits: Any, tau: float) -> Call:
    def function(key: Any, x: Any) -> Any:
        return jax.nn.softmax((x + jax.random.gumbel(key, x.shape, x.dtype)) / tau)

    return jitted(function, jax.random.key(0), _x(logits))


@contender("gumbel_softmax", "jax", tail=TAIL)
def gumbel_softmax(logits: Any, grad: Any, tau: float, hard: bool) -> Call:
    def forward(key: Any, x: Any) -> Any:
        y = jax.nn.softmax((x + jax.random.gumbel(key, x.shape, x.dtype)) / tau)
        if not hard:
            return y
        one = jax.nn.one_hot(y.argmax(-1), y.shape[-1], dtype=y.dtype)
        return one + y - jax.lax.stop_gradient(y)

    def function(key: Any, x: Any, g: Any) -> Any:
        y, pull = jax.vjp(partial(forward, key), x)
        return y, pull(g)[0]

    return jitted(function, jax.random.key(0), _x(logits), _x(grad))
