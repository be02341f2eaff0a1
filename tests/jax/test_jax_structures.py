"""Sums over labellings in JAX: NumPy's values under jit and vmap, derivatives that agree with NumPy's."""

import doctest

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

import gumbelfast.structures as own  # noqa: E402
from gumbelfast.jax import structures  # noqa: E402
from gumbelfast.jax.structures import label_marginals, log_partition  # noqa: E402

RNG = np.random.default_rng(3)
X = RNG.normal(size=(2, 4, 3))
TREES = [(None, (3, 3)), ([-1, 0, 0, 2], (3, 3, 3)), ([-1, -1, 1, 0], (3, 3))]


@pytest.mark.parametrize(("parents", "shape"), TREES)
def test_values_and_derivatives(x64: None, parents: list[int] | None, shape: tuple[int, ...]) -> None:
    w = RNG.normal(size=shape)
    found = jax.jit(lambda x, w: log_partition(x, w, parents=parents))(X, w)
    np.testing.assert_allclose(found, own.log_partition(X, w, parents=parents), rtol=1e-14)
    nodes, edges = own.label_marginals(X, w, parents=parents)
    for each in (label_marginals(X, w, parents=parents), jax.vmap(lambda x: label_marginals(x, w, parents=parents))(X)):
        np.testing.assert_allclose(each.nodes, nodes, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(each.edges, edges, rtol=1e-12, atol=1e-15)
    check_grads(lambda x, w: log_partition(x, w, parents=parents), (jnp.asarray(X), jnp.asarray(w)), 2)
    g, h = RNG.normal(size=nodes.shape), RNG.normal(size=edges.shape)
    _, pull = jax.vjp(lambda x, w: tuple(label_marginals(x, w, parents=parents)), jnp.asarray(X), jnp.asarray(w))
    wanted = own.label_marginals_backward(g, h, X, w, parents=parents)
    for a, b in zip(pull((jnp.asarray(g), jnp.asarray(h))), wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_forbidden_labels(x64: None) -> None:
    x, w = X.copy(), RNG.normal(size=(3, 3))
    x[:, 1, 0] = w[0, 1] = w[2] = -np.inf
    np.testing.assert_allclose(label_marginals(x, w).nodes, own.label_marginals(x, w).nodes, atol=1e-15)


def test_bad_input() -> None:
    w = np.zeros((3, 3), np.float32)
    for call, error, text in (
        (lambda: log_partition(np.zeros((2, 2), int), w), TypeError, "expected float16, bfloat16, float32 or float64"),
        (lambda: log_partition(np.zeros(3, np.float32), w), ValueError, "unary must have axes (..., nodes, labels), g"),
        (lambda: label_marginals(np.zeros((4, 2), np.float32), w), ValueError, "pairwise must have shape (2, 2) or"),
        (lambda: log_partition(np.zeros((2, 3), np.float32), w, parents=[0, 0]), ValueError, "parents[0] must lie in"),
    ):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value).startswith(text)


def test_docstrings() -> None:
    found = doctest.testmod(structures)
    assert (found.failed, found.attempted > 0) == (0, True)
