"""Derivatives of `gumbelfast.jax`: of every order and mode, without NaN where peers have one."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, assert_same_bytes, dtype_of, eps_of, normal

import gumbelfast as gf

jax = pytest.importorskip("jax")
jnp = jax.numpy
from jax.test_util import check_grads  # noqa: E402

from gumbelfast import jax as gj  # noqa: E402

KEY = jax.random.key(11)
INF = np.inf


def by_formula(x: Any, tau: Any, axis: int = -1) -> Any:
    """The relaxed sample in plain jnp, with the noise of the key."""
    noise = jnp.moveaxis(gj.gumbel(KEY, jnp.moveaxis(x, axis, -1).shape, x.dtype), -1, axis)
    return jax.nn.softmax((x + noise) / tau, axis)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("tau", "axis"), [(0.4, -1), (3.0, 0)])
def test_relaxed_samples_against_differences(route: str, tau: float, axis: int) -> None:
    x = normal("float64", (3, 7))
    call = jax.jit(lambda x, tau: gj.gumbel_softmax(KEY, x, tau, axis=axis))
    check_grads(call, (x, tau), order=2, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(("call", "axis"), [(gj.softmax, 0), (gj.log_softmax, -1)])
def test_softmax_against_differences(route: str, call: Any, axis: int) -> None:
    check_grads(jax.jit(partial(call, axis=axis)), (normal("float64", (3, 7)),), order=2, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("x64")
def test_every_order_and_mode_is_that_of_the_formula(route: str) -> None:
    x, w = normal("float64", (2, 5)), normal("float64", (2, 5), 1)

    def ours(x: Any, tau: Any) -> Any:
        return (w * gj.gumbel_softmax(KEY, x, tau) ** 3).sum()

    def plain(x: Any, tau: Any) -> Any:
        return (w * by_formula(x, tau) ** 3).sum()

    def all_of(f: Any) -> Any:
        both = (0, 1)
        third = jax.grad(jax.grad(jax.grad(lambda t: f(x * t, 0.6))))
        return [
            *(transform(f, both)(x, 0.6) for transform in (jax.grad, jax.jacfwd, jax.hessian)),
            jax.jacrev(jax.jacfwd(f, both), both)(x, 0.6),
            third(1.0),
        ]

    found, wanted = (jax.jit(partial(all_of, f))() for f in (ours, plain))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-11), found, wanted)


@pytest.mark.parametrize("dtype", DTYPES[:3])
def test_gradient_is_that_of_gumbelfast(route: str, dtype: str) -> None:
    x, grad = normal(dtype, (4, 300)), normal(dtype, (4, 300), 1)
    noise: Any = {"rng": gf.Generator(11), "offset": 0}
    for hard in (False, True):
        _, soft = gf.gumbel_softmax(x, 0.5, hard, return_soft=True, **noise)
        y, pull = jax.vjp(lambda x, hard=hard: gj.gumbel_softmax(KEY, x, 0.5, hard), x)
        assert_same_bytes(y, gf.gumbel_softmax(x, 0.5, hard, **noise))
        assert_same_bytes(pull(jnp.asarray(grad))[0], gf.gumbel_softmax_backward(grad, soft, 0.5))
    y, pull = jax.vjp(gj.softmax, x)
    assert_same_bytes(pull(jnp.asarray(grad))[0], gf.softmax_backward(grad, np.asarray(y)))
    y, pull = jax.vjp(gj.log_softmax, x)
    wanted = gf.log_softmax_backward(grad, np.asarray(y)).astype(float)
    scale = np.abs(np.asarray(grad, float)).sum(-1).max()
    np.testing.assert_allclose(
        pull(jnp.asarray(grad))[0].astype(float), wanted, rtol=4 * eps_of(dtype), atol=1e-6 * scale
    )


def test_hard_samples_pass_the_gradient_of_soft_ones(route: str) -> None:
    x, w = normal("float32", (3, 40)), normal("float32", (3, 40), 1)
    hard, soft = (jax.grad(lambda x, h=h: (w * gj.gumbel_softmax(KEY, x, 0.5, hard=h)).sum())(x) for h in (True, False))
    assert_same_bytes(hard, soft)
    assert np.abs(soft).max() > 0.01
    value, tangent = jax.jvp(lambda x: gj.gumbel_softmax(KEY, x, 0.5, hard=True), (x,), (w,))
    assert np.array_equal(np.unique(value), [0, 1])
    assert_same_bytes(tangent, jax.jvp(lambda x: gj.gumbel_softmax(KEY, x, 0.5), (x,), (w,))[1])


def test_perturbed_values_have_the_gradient_of_their_logits(route: str) -> None:
    x = np.where(np.arange(12) == 5, -INF, normal("float32", (3, 12))).astype(np.float32)
    indices = np.asarray(gj.gumbel_top_k(KEY, x, 4).indices)
    weights = np.arange(1, 5, dtype=np.float32)
    found = jax.grad(lambda x: (gj.gumbel_top_k(KEY, x, 4).perturbed * weights).sum())(x)
    wanted = np.zeros((3, 12), np.float32)
    np.put_along_axis(wanted, indices, np.broadcast_to(weights, (3, 4)), -1)
    assert np.array_equal(found, wanted)


def test_indices_stop_gradients(route: str) -> None:
    x = normal("float32", (3, 12))

    def loss(x: Any) -> Any:
        index = gj.categorical(KEY, x)
        return jnp.take_along_axis(gj.log_softmax(x), index[:, None], -1).sum()

    found, index = jax.grad(loss)(x), np.asarray(gj.categorical(KEY, x))
    np.testing.assert_allclose(found, (np.arange(12) == index[:, None]) - gf.softmax(x), atol=1e-6)
    value, tangent = jax.jvp(lambda x: gj.categorical(KEY, x), (x,), (x,))
    assert np.array_equal(value, index)
    assert tangent.dtype == jax.dtypes.float0


def test_gradient_at_minus_infinity_is_zero(route: str) -> None:
    x = np.array([[0, -INF, 1, -INF], [-INF, -INF, -INF, 2]], np.float32)
    w = np.array([3.0, -1, 2, 5], np.float32)
    for call in (
        gj.softmax,
        partial(gj.gumbel_softmax, KEY, tau=0.5),
        partial(gj.gumbel_softmax, KEY, tau=0.5, hard=True),
    ):
        found = np.asarray(jax.grad(lambda x, call=call: (call(x) * w).sum())(x))
        assert np.isfinite(found).all()
        assert (found[x == -INF] == 0).all()
        assert found[0, 0] != 0
    by_tau = jax.grad(lambda tau: (gj.gumbel_softmax(KEY, x, tau) * w).sum())(0.5)
    assert np.isfinite(by_tau)
    assert by_tau != 0


@pytest.mark.parametrize(
    ("dtype", "tau"), [("float32", 1e-30), ("bfloat16", 1e-4), ("float16", 1e-4), ("float32", 1e30)]
)
def test_gradient_at_extreme_tau(route: str, dtype: str, tau: float) -> None:
    x, w = normal(dtype, (20, 33)), normal(dtype, (20, 33), 1)
    y, pull = jax.vjp(lambda x: gj.gumbel_softmax(KEY, x, tau), x)
    found = np.asarray(pull(jnp.asarray(w))[0]).astype(float)
    assert np.isfinite(np.asarray(y).astype(float)).all()
    assert np.isfinite(found).all()
    if tau < 1e-20:
        assert set(np.unique(y)) == {0, 1}
        assert not found.any()


@pytest.mark.parametrize("big", [1e38, -1e38])
def test_gradient_at_huge_logits(route: str, big: float) -> None:
    x = np.array([[big, 0, 1], [big, big, big], [0, -INF, big]], np.float32)
    for tau in (0.1, 1.0, 10.0):
        y, pull = jax.vjp(lambda x, tau=tau: gj.gumbel_softmax(KEY, x, tau), x)
        assert np.allclose(np.asarray(y).sum(-1), 1)
        assert np.isfinite(pull(jnp.arange(9.0).reshape(3, 3))[0]).all()


def test_gradient_through_vmap_and_scan(route: str) -> None:
    x, keys = normal("float32", (4, 9)), jax.random.split(KEY, 4)
    w = normal("float32", (9,), 7)

    def one(key: Any, x: Any) -> Any:
        return (w * gj.gumbel_softmax(key, x, 0.5)).sum()

    wanted = np.stack([jax.grad(one, 1)(k, r) for k, r in zip(keys, x, strict=True)])
    assert_same_bytes(jax.grad(lambda x: jax.vmap(one)(keys, x).sum())(x), wanted)
    assert_same_bytes(jax.vmap(jax.grad(one, 1))(keys, x), wanted)
    scanned = jax.grad(lambda x: jax.lax.scan(lambda s, a: (s + one(*a), None), 0.0, (keys, x))[0])(x)
    assert_same_bytes(scanned, wanted)
    assert_same_bytes(jax.jit(jax.checkpoint(jax.vmap(jax.grad(one, 1))))(keys, x), wanted)


def test_half_types_round_once(route: str) -> None:
    x = normal("bfloat16", (5, 40))
    wide = jax.grad(lambda x: (gj.gumbel_softmax(KEY, x, 0.5) ** 2).sum())(x.astype(np.float32))
    narrow = jax.grad(lambda x: (gj.gumbel_softmax(KEY, x, 0.5).astype(jnp.float32) ** 2).sum())(x)
    assert narrow.dtype == dtype_of("bfloat16")
    np.testing.assert_allclose(narrow.astype(float), wide, atol=8 * eps_of("bfloat16"))
