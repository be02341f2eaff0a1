"""Temperatures of `gumbelfast.jax.gumbel_softmax`, one per row: values, derivatives, and what is refused."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, assert_same_bytes, normal

import gumbelfast as gf

jax = pytest.importorskip("jax")
jnp = jax.numpy
from jax.test_util import check_grads  # noqa: E402

from gumbelfast import jax as gj  # noqa: E402

KEY = jax.random.key(11)
NOISE: Any = {"rng": gf.Generator(11), "offset": 0}


@pytest.mark.parametrize("dtype", DTYPES[:3])
@pytest.mark.parametrize(
    ("shape", "axis", "tau"),
    [
        ((5, 70), -1, [0.1, 0.5, 1, 2, 30]),
        ((70, 5), 0, [0.1, 0.5, 1, 2, 30]),
        ((2, 3, 33), -1, [[0.3], [4]]),
        ((2, 3, 33), -1, [0.3, 4, 1e-30]),
        ((2, 33, 3), 1, [[0.3, 1, 2], [4, 5, 1e30]]),
        ((7,), -1, 0.3),
        ((1, 1), -1, [2]),
    ],
)
@pytest.mark.parametrize("hard", [False, True])
def test_rows_are_those_of_gumbelfast(
    route: str, dtype: str, shape: tuple[int, ...], axis: int, tau: Any, hard: bool
) -> None:
    x, taus = normal(dtype, shape), np.array(tau, np.float32)
    wanted = gf.gumbel_softmax(x, taus, hard, axis=axis, **NOISE)
    assert_same_bytes(gj.gumbel_softmax(KEY, x, taus, hard, axis), wanted)
    assert_same_bytes(gj.gumbel_softmax(KEY, x, jnp.asarray(taus), hard, axis), wanted)
    call = partial(gj.gumbel_softmax, hard=hard, axis=axis)
    assert_same_bytes(jax.jit(call)(KEY, x, taus), gj.gumbel_softmax(KEY, x, 1 / (1 / taus), hard, axis))


def test_equal_temperatures_are_one(route: str) -> None:
    x, w = normal("float32", (6, 50)), normal("float32", (6, 50), 1)

    def both(tau: Any) -> Any:
        y, pull = jax.vjp(lambda x: gj.gumbel_softmax(KEY, x, tau), x)
        return y, pull(jnp.asarray(w))[0]

    for tau in (0.3, 1.0, 7.0):
        for each in (np.full(6, tau), np.full((1,), tau, np.float32)):
            for found, wanted in zip(both(each), both(tau), strict=True):
                assert_same_bytes(found, wanted)


@pytest.mark.parametrize("dtype", DTYPES[:3])
def test_gradient_of_rows_is_that_of_gumbelfast(route: str, dtype: str) -> None:
    x, grad = normal(dtype, (4, 300)), normal(dtype, (4, 300), 1)
    tau = np.array([0.2, 0.5, 1, 3])
    soft = gf.gumbel_softmax(x, tau, **NOISE)
    for hard in (False, True):
        _, pull = jax.vjp(lambda x, hard=hard: gj.gumbel_softmax(KEY, x, tau, hard), x)
        assert_same_bytes(pull(jnp.asarray(grad))[0], gf.gumbel_softmax_backward(grad, soft, tau))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("shape", [(3,), (1,)])
def test_derivatives_against_differences(route: str, shape: tuple[int, ...]) -> None:
    x, tau = normal("float64", (3, 7)), np.array([0.4, 1.3, 3.0])[: shape[0]]
    for axis in (-1, 0):
        call = jax.jit(lambda x, tau, axis=axis: gj.gumbel_softmax(KEY, x, tau, axis=axis))
        check_grads(call, (np.moveaxis(x, -1, axis), tau), order=2, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("x64")
def test_every_order_and_mode_is_that_of_the_formula(route: str) -> None:
    x, w, taus = normal("float64", (2, 5)), normal("float64", (2, 5), 1), np.array([0.6, 2.0])
    noise = np.asarray(gj.gumbel(KEY, (2, 5), float))

    def ours(x: Any, tau: Any) -> Any:
        return (w * gj.gumbel_softmax(KEY, x, tau) ** 3).sum()

    def plain(x: Any, tau: Any) -> Any:
        return (w * jax.nn.softmax((x + noise) / tau[:, None], -1) ** 3).sum()

    def all_of(f: Any) -> Any:
        both = (0, 1)
        return [transform(f, both)(x, taus) for transform in (jax.grad, jax.jacfwd, jax.hessian)]

    found, wanted = (jax.jit(partial(all_of, f))() for f in (ours, plain))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-11), found, wanted)
    assert np.abs(np.asarray(found[0][1])).min() > 1e-3  # both temperatures matter


@pytest.mark.parametrize("mapped", [(0, 0, 0), (None, 0, 0), (0, None, 0), (None, None, 0), (0, 0, None)])
def test_vmap_is_a_loop(route: str, mapped: Any) -> None:
    keys, x = jax.random.split(KEY, 4), normal("float32", (4, 3, 40))
    taus = np.linspace(0.2, 3, 12, dtype=np.float32).reshape(4, 3)

    def call(key: Any, x: Any, tau: Any) -> Any:
        return gj.gumbel_softmax(key, x, tau), jax.grad(lambda t: (gj.gumbel_softmax(key, x, t) ** 2).sum())(tau)

    whole = [a if axis == 0 else a[1] for a, axis in zip((keys, x, taus), mapped, strict=True)]
    found = jax.jit(jax.vmap(call, mapped))(*whole)
    for i in range(4):
        wanted = call(*(a[i] if axis == 0 else a for a, axis in zip(whole, mapped, strict=True)))
        assert_same_bytes(found[0][i], wanted[0])
        np.testing.assert_allclose(found[1][i], wanted[1], rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "tau", "error", "text"),
    [
        ((3, 4), [1, 0, 2], ValueError, "tau must be finite and > 0, got 0.0 in row 1"),
        ((2, 3, 4), [[1, 1, 1], [1, 1, -2]], ValueError, "tau must be finite and > 0, got -2.0 in row (1, 2)"),
        ((3, 4), [1, 2, np.nan], ValueError, "tau must be finite and > 0, got nan in row 2"),
        ((3, 4), [1, 2], ValueError, "tau of shape (2,) does not broadcast to one per row, shape (3,)"),
        ((4,), [1], ValueError, "tau of shape (1,) does not broadcast to one per row, shape ()"),
    ],
)
def test_bad_rows_are_refused_at_once(shape: tuple[int, ...], tau: Any, error: type[Exception], text: str) -> None:
    x = np.full(shape, np.nan, np.float32)  # which a kernel that ran would speak of
    for given in (np.array(tau, float), jnp.asarray(tau, float)):
        with pytest.raises(error) as caught:
            gj.gumbel_softmax(KEY, x, given)
        assert str(caught.value) == text
    with pytest.raises(error) as caught:
        gf.gumbel_softmax(x, np.array(tau, float), rng=3)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("shape", "tau", "text"),
    [
        ((3, 4), [1, 0, 2], "got 1/tau = inf in row 1"),
        ((2, 3, 4), [[1, 1, 1], [1, 1, -2]], "got 1/tau = -0.5 in row (1, 2)"),
        ((3, 4), [1, 2, np.nan], "got 1/tau = nan in row 2"),
    ],
)
def test_bad_traced_rows_are_named(route: str, shape: tuple[int, ...], tau: Any, text: str) -> None:
    call = jax.jit(lambda tau: gj.gumbel_softmax(KEY, np.zeros(shape, np.float32), tau))
    with pytest.raises(jax.errors.JaxRuntimeError) as caught:
        jax.block_until_ready(call(np.array(tau, np.float32)))
    assert f"tau must be finite and > 0, and 1/tau as well, {text}" in str(caught.value)
    with pytest.raises(ValueError, match=r"tau of shape \(5,\) does not broadcast to one per row"):
        call(np.ones(5))
