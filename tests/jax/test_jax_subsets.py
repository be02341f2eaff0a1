"""Relaxed subsets and permutations in JAX: NumPy's values and gradients on the same noise, under jit and vmap."""

import doctest
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

import gumbelfast.jax as gj  # noqa: E402
from gumbelfast.jax import permutations, subsets  # noqa: E402
from gumbelfast.permutations import gumbel_sinkhorn, gumbel_sinkhorn_backward  # noqa: E402
from gumbelfast.reference import relaxed_top_k as kernel  # noqa: E402
from gumbelfast.subsets import relaxed_top_k_backward  # noqa: E402

X = np.random.default_rng(0).normal(size=(3, 6))
TAU = np.array([0.2, 0.5, 2.0])


def key() -> Any:
    return jax.random.key(3)


@pytest.mark.parametrize("k", [0, 1, 3, 6])
def test_relaxed_subsets(x64: None, k: int) -> None:
    found = jax.jit(lambda x, tau: subsets.relaxed_top_k(key(), x, k, tau))(X, TAU)
    z = X + np.asarray(gj.gumbel(key(), X.shape, np.float64))
    np.testing.assert_allclose(found, kernel.relaxed_top_k(z, k, 1 / TAU[:, None]), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(subsets.relaxed_top_k(key(), X, k, TAU, axis=1), found, rtol=1e-12)
    g = np.random.default_rng(1).normal(size=X.shape)
    _, pull = jax.vjp(lambda x: subsets.relaxed_top_k(key(), x, k, TAU), jnp.asarray(X))
    np.testing.assert_allclose(pull(jnp.asarray(g))[0], relaxed_top_k_backward(g, z, k, TAU), rtol=1e-8, atol=1e-11)
    _, pull = jax.vjp(lambda x: subsets.relaxed_top_k(key(), x, k, TAU, hard=True), jnp.asarray(X))
    np.testing.assert_allclose(pull(jnp.asarray(g))[0], relaxed_top_k_backward(g, z, k, TAU), rtol=1e-8, atol=1e-11)


def test_hard_subsets_and_cold_gradients() -> None:
    x = jnp.asarray(X, jnp.float32)
    hard = subsets.relaxed_top_k(key(), x, 3, hard=True)
    wanted = gj.gumbel_top_k(key(), x, 3).indices
    np.testing.assert_array_equal(np.sort(np.argsort(-hard, -1)[:, :3], -1), np.sort(wanted, -1))
    for tau in (1e-3, 1e-30):
        cold, gradient = jax.value_and_grad(lambda x, t=tau: (subsets.relaxed_top_k(key(), x, 3, t) ** 2).sum())(x)
        assert cold == pytest.approx(9, abs=1e-3)
        assert np.isfinite(gradient).all()


def test_sinkhorn(x64: None) -> None:
    x, tau = np.random.default_rng(2).normal(size=(2, 4, 4)), np.array([0.5, 2.0])
    z = x + 0.3 * np.asarray(gj.gumbel(key(), x.shape, np.float64))
    found = permutations.gumbel_sinkhorn(key(), x, tau, 7, noise_scale=0.3)
    np.testing.assert_allclose(found, gumbel_sinkhorn(z, tau, 7, noise_scale=0), rtol=1e-11)
    g = np.random.default_rng(1).normal(size=x.shape)
    _, pull = jax.vjp(lambda x: permutations.gumbel_sinkhorn(key(), x, tau, 7, noise_scale=0.3), jnp.asarray(x))
    wanted = gumbel_sinkhorn_backward(g, z, tau, 7)
    np.testing.assert_allclose(pull(jnp.asarray(g))[0], wanted, rtol=1e-9, atol=1e-12)
    check_grads(lambda x, t: permutations.gumbel_sinkhorn(key(), x, t, 3), (jnp.asarray(x), jnp.asarray(tau)), 2)
    each = jax.vmap(lambda k, x: permutations.gumbel_sinkhorn(k, x, 0.5))(jax.random.split(key(), 2), x)
    np.testing.assert_allclose(each[1], permutations.gumbel_sinkhorn(jax.random.split(key(), 2)[1], x[1], 0.5))


def test_bad_input() -> None:
    x = X.astype(np.float32)
    for call, error, text in (
        (lambda: subsets.relaxed_top_k(key(), x, 7), ValueError, "k=7 exceeds the 6 columns"),
        (lambda: subsets.relaxed_top_k(key(), x, 2, 0.0), ValueError, "tau must be finite and > 0, got 0.0"),
        (lambda: permutations.gumbel_sinkhorn(key(), x), ValueError, "logits must be square matrices (..., n, n)"),
        (lambda: permutations.gumbel_sinkhorn(key(), x[:, :3], iterations=0), ValueError, "iterations must be >= 1"),
    ):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value).startswith(text)


@pytest.mark.parametrize("module", [subsets, permutations], ids=["subsets", "permutations"])
def test_docstrings(module: Any) -> None:
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)
