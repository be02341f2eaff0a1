"""`jax.debug_key_reuse` and the functions of `gumbelfast.jax`: one use of a key passes, a second one does not."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from helpers import assert_same_bytes

jax = pytest.importorskip("jax")
jnp = jax.numpy
from gumbelfast import jax as gj  # noqa: E402

X = np.zeros((3, 4), np.float32)

DRAWS: dict[str, Callable[[Any], Any]] = {
    "gumbel": lambda key: gj.gumbel(key, (3,)),
    "exponential": lambda key: gj.exponential(key, (3,)),
    "categorical": lambda key: gj.categorical(key, X),
    "alias": lambda key: gj.categorical(key, X, shape=(7, 3), method="alias"),
    "without replacement": lambda key: gj.categorical(key, X, shape=(2, 3), replace=False),
    "top k": lambda key: gj.gumbel_top_k(key, X, 2).indices,
    "choice": lambda key: gj.choice(key, 5, (3,)),
    "choice by weights": lambda key: gj.choice(key, 4, (3,), p=np.arange(4.0)),
    "distinct choices": lambda key: gj.choice(key, 5, (3,), replace=False),
    "relaxed": lambda key: gj.gumbel_softmax(key, X, 0.5),
    "gradient": lambda key: jax.grad(lambda x: (gj.gumbel_softmax(key, x, 0.5) ** 2).sum())(X),
    "JAX's own": lambda key: jax.random.normal(key, (3,)),
}
WAYS: dict[str, Callable[..., Any]] = {
    "eager": lambda f: f,
    "jit": jax.jit,
    "checkpoint": lambda f: jax.jit(jax.checkpoint(f)),
}


@pytest.fixture(autouse=True)
def checked() -> Iterator[None]:
    with jax.debug_key_reuse(True):
        yield


def new_key(seed: int = 3) -> Any:
    return jax.random.key(seed)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", DRAWS)
def test_one_use_of_a_key_passes(route: str, name: str, way: str) -> None:
    with jax.debug_key_reuse(False):
        wanted = np.asarray(DRAWS[name](new_key()))
    assert_same_bytes(WAYS[way](DRAWS[name])(new_key()), wanted)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", DRAWS)
@pytest.mark.parametrize("second", ["categorical", "relaxed", "choice", "JAX's own"])
def test_a_second_use_does_not(first: str, second: str, way: str) -> None:
    def both(key: Any) -> Any:
        return DRAWS[first](key), DRAWS[second](key)

    with pytest.raises(jax.errors.KeyReuseError):
        WAYS[way](both)(new_key())


@pytest.mark.parametrize("name", DRAWS)
def test_a_call_uses_its_key_up(route: str, name: str) -> None:
    key, draw = new_key(), jax.jit(DRAWS[name])
    draw(key)
    for again in (draw, DRAWS[name], jax.random.split):
        with pytest.raises(jax.errors.KeyReuseError):
            again(key)
    draw(jax.random.clone(key))  # JAX's way to say that it is meant


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_keys_of_every_kind_are_seen(impl: str) -> None:
    key = jax.random.key(3, impl=impl)
    gj.categorical(key, X)
    with pytest.raises(jax.errors.KeyReuseError):
        gj.gumbel(key)


def test_split_keys_pass() -> None:
    for way in WAYS.values():

        def all_of(key: Any) -> Any:
            keys = jax.random.split(key, len(DRAWS))
            return [draw(each) for draw, each in zip(DRAWS.values(), keys, strict=True)]

        assert len(way(all_of)(new_key())) == len(DRAWS)


def test_vmap_and_scan() -> None:
    keys = jax.random.split(new_key(), 3)
    jax.vmap(gj.categorical)(keys, np.zeros((3, 4), np.float32))
    with pytest.raises(jax.errors.KeyReuseError):
        jax.vmap(gj.categorical)(keys, np.zeros((3, 4), np.float32))

    def step(key: Any, x: Any) -> Any:
        key, used = jax.random.split(key)
        return key, gj.categorical(used, x)

    def same(key: Any, x: Any) -> Any:
        return key, gj.categorical(key, x)

    jax.lax.scan(step, new_key(), X)
    with pytest.raises(jax.errors.KeyReuseError):
        jax.lax.scan(same, new_key(), X)


def test_a_training_step_passes() -> None:
    def loss(logits: Any, key: Any) -> Any:
        first, second = jax.random.split(key)
        return (gj.gumbel_softmax(first, logits, 0.5, hard=True) * gj.gumbel(second, (3, 4))).sum()

    value, grad = jax.jit(jax.value_and_grad(loss))(X, new_key())
    assert np.isfinite(value)
    assert grad.shape == X.shape


def test_raw_keys_are_not_tracked_as_in_jax() -> None:
    raw = jax.random.PRNGKey(3)
    assert_same_bytes(gj.gumbel(raw, (4,)), gj.gumbel(raw, (4,)))
    assert_same_bytes(jax.random.normal(raw, (4,)), jax.random.normal(raw, (4,)))
