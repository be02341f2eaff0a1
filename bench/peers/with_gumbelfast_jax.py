"""gumbelfast.jax beside jax.random: both jitted, compiled before they are timed, and waited for."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

from peers import Call, Unavailable, contender, with_jax
from peers.with_gumbelfast import gf

jax: Any = importlib.import_module("jax")
gj: Any = importlib.import_module("gumbelfast.jax")

contender("jax_categorical", "jax", tail=with_jax.TAIL)(with_jax.categorical)
contender("jax_gumbel_softmax", "jax", tail=with_jax.TAIL)(with_jax.gumbel_softmax)


def _checked() -> None:
    # The callback is no rival of compiled code: a figure of it would be mistaken for the other's.
    if gj.route() != "ffi" and gf.backend() != "reference":
        raise Unavailable("built without XLA's headers")


@contender("jax_categorical", "gumbelfast.jax", role="ours")
def categorical(logits: Any) -> Call:
    _checked()
    return with_jax.jitted(gj.categorical, jax.random.key(0), jax.numpy.asarray(logits))


@contender("jax_gumbel_softmax", "gumbelfast.jax", role="ours")
def gumbel_softmax(logits: Any, grad: Any, tau: float, hard: bool) -> Call:
    _checked()

    def function(key: Any, x: Any, g: Any) -> Any:
        y, pull = jax.vjp(partial(gj.gumbel_softmax, key, tau=tau, hard=hard), x)
        return y, pull(g)[0]

    return with_jax.jitted(function, jax.random.key(0), jax.numpy.asarray(logits), jax.numpy.asarray(grad))
