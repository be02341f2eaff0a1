"""`gumbelfast.jax` under vmap: what an example draws depends on its key and its logits alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import assert_same_bytes, normal

jax = pytest.importorskip("jax")
from gumbelfast import jax as gj  # noqa: E402

KEYS = jax.random.split(jax.random.key(5), 4)
X = normal("float32", (4, 3, 70), 2)
TAUS = np.array([0.3, 1, 2, 5], np.float32)

CALLS: dict[str, Callable[..., Any]] = {
    "gumbel": lambda key, x, tau: gj.gumbel(key, (3, 70)),
    "exponential": lambda key, x, tau: gj.exponential(key, (3, 70)),
    "categorical": lambda key, x, tau: gj.categorical(key, x),
    "categorical of axis 0": lambda key, x, tau: gj.categorical(key, x, axis=0),
    "several draws": lambda key, x, tau: gj.categorical(key, x, shape=(5, 3)),
    "without replacement": lambda key, x, tau: gj.categorical(key, x, shape=(5, 3), replace=False),
    "top k": lambda key, x, tau: gj.gumbel_top_k(key, x, 6),
    "relaxed": lambda key, x, tau: gj.gumbel_softmax(key, x, tau),
    "hard": lambda key, x, tau: gj.gumbel_softmax(key, x, tau, hard=True),
    "gradient": lambda key, x, tau: jax.grad(lambda x: (gj.gumbel_softmax(key, x, tau) ** 2).sum())(x),
    "softmax": lambda key, x, tau: gj.softmax(x),
    "log softmax": lambda key, x, tau: gj.log_softmax(x),
}


def assert_same(found: Any, wanted: list[Any]) -> None:
    stacked = jax.tree.map(lambda *parts: np.stack(parts), *wanted)
    jax.tree.map(assert_same_bytes, found, stacked)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("mapped", range(1, 8))
def test_vmap_is_a_loop(route: str, name: str, mapped: int) -> None:
    call = CALLS[name]
    axes = tuple(0 if mapped >> i & 1 else None for i in range(3))
    whole = [a if axis == 0 else a[1] for a, axis in zip((KEYS, X, TAUS), axes, strict=True)]
    found = jax.jit(jax.vmap(call, axes))(*whole)
    wanted = [call(*(a[i] if axis == 0 else a for a, axis in zip(whole, axes, strict=True))) for i in range(4)]
    assert_same(found, wanted)


@pytest.mark.parametrize("name", CALLS)
def test_vmap_of_vmap(route: str, name: str) -> None:
    # Keys along one axis, logits along the other, the temperature along both.
    taus = np.linspace(0.5, 2, 8, dtype=np.float32).reshape(2, 4)
    nested = jax.vmap(jax.vmap(CALLS[name], (None, 0, 0)), (0, None, 0))
    found = nested(KEYS[:2], X, taus)
    rows = [[CALLS[name](KEYS[i], X[j], taus[i, j]) for j in range(4)] for i in range(2)]
    inner = [jax.tree.map(lambda *parts: np.stack(parts), *row) for row in rows]
    assert_same(found, inner)


@pytest.mark.parametrize("name", ["categorical", "relaxed", "softmax"])
def test_other_axes(route: str, name: str) -> None:
    call, moved = CALLS[name], np.moveaxis(X, 0, 2)
    found = jax.vmap(call, (0, 2, 0), 1)(KEYS, moved, TAUS)
    wanted = np.stack([call(KEYS[i], X[i], TAUS[i]) for i in range(4)], axis=1)
    assert_same_bytes(found, wanted)


def test_scan_and_map(route: str) -> None:
    def step(key: Any, x: Any) -> Any:
        key, used = jax.random.split(key)
        return key, gj.categorical(used, x)

    _, found = jax.lax.scan(step, KEYS[0], X)
    key, wanted = KEYS[0], []
    for x in X:
        key, index = step(key, x)
        wanted.append(index)
    assert_same(found, wanted)


@pytest.mark.parametrize("rows", [1, 2, 17, 100])
def test_many_examples_share_the_threads(rows: int) -> None:
    keys, x = jax.random.split(jax.random.key(rows), rows), normal("float32", (rows, 5000), rows)
    found = jax.vmap(gj.gumbel_softmax)(keys, x)
    assert_same(found, [gj.gumbel_softmax(key, row) for key, row in zip(keys, x, strict=True)])


def test_bad_examples_are_named(route: str) -> None:
    x = X.copy()
    x[2, 1, 9] = np.nan
    with pytest.raises(jax.errors.JaxRuntimeError) as caught:
        jax.block_until_ready(jax.vmap(gj.categorical)(KEYS, x))
    # By the route of callbacks the place is the one in the example.
    assert f"logits contain NaN at index {(2, 1, 9) if route == 'ffi' else (1, 9)}" in str(caught.value)
