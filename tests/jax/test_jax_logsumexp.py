"""`gumbelfast.jax.logsumexp`, and softmax over several axes: values, derivatives and errors."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, assert_same_bytes, eps_of, normal

import gumbelfast as gf

jax = pytest.importorskip("jax")
jnp = jax.numpy
from jax.test_util import check_grads  # noqa: E402

from gumbelfast import jax as gj  # noqa: E402

AXES = [None, 0, -1, (0,), (1, 2), (-1, 0), (2, 0, 1), ()]
INF = np.inf


@pytest.fixture(params=DTYPES)
def dtype(request: pytest.FixtureRequest) -> str:
    """All four dtypes; float64 with x64 enabled."""
    if request.param == "float64":
        request.getfixturevalue("x64")
    return str(request.param)


@pytest.mark.parametrize("axis", AXES)
def test_values_are_those_of_gumbelfast(route: str, dtype: str, axis: Any) -> None:
    x = normal(dtype, (4, 5, 60), 3)
    assert_same_bytes(jax.jit(partial(gj.softmax, axis=axis))(x), gf.softmax(x, axis=axis))
    assert_same_bytes(gj.log_softmax(x, axis), gf.log_softmax(x, axis=axis))
    for keepdims in (False, True):
        wanted = gf.logsumexp(x, axis=axis, keepdims=keepdims)
        for call in (gj.logsumexp, jax.jit(gj.logsumexp, static_argnames=("axis", "keepdims"))):
            assert_same_bytes(call(x, axis=axis, keepdims=keepdims), wanted)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("keepdims", [False, True])
def test_values_are_those_of_jax(route: str, axis: Any, keepdims: bool) -> None:
    x = normal("float32", (4, 5, 6))
    x[0, 1] = -INF
    where = np.arange(6) % 3 != 1
    for given in (None, where, where & (np.arange(5)[:, None] > 0)):
        ours = gj.logsumexp(x, axis, keepdims=keepdims, where=given)
        theirs = jax.nn.logsumexp(x, axis, keepdims=keepdims, where=given)
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(gj.softmax(x[1:], axis), jax.nn.softmax(x[1:], axis), rtol=1e-6)
    np.testing.assert_allclose(gj.log_softmax(x[1:], axis), jax.nn.log_softmax(x[1:], axis), rtol=1e-6, atol=1e-6)


def test_what_is_left_out_is_not_looked_at(route: str) -> None:
    x = np.array([[0, np.nan, 1], [INF, 2, 3], [1, 2, 3]], np.float32)
    where = np.array([[1, 0, 1], [0, 1, 1], [0, 0, 0]], bool)
    found, grad = jax.vmap(jax.value_and_grad(lambda x, w: gj.logsumexp(x, where=w)))(x, where)
    np.testing.assert_allclose(found, [np.log(1 + np.e), 3 + np.log1p(np.exp(-1)), -INF], rtol=1e-6)
    s = 1 / (1 + np.e)
    np.testing.assert_allclose(grad, [[s, 0, 1 - s], [0, s, 1 - s], [0, 0, 0]], rtol=1e-6)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("axis", [None, 0, (1, 2)])
def test_against_differences(route: str, axis: Any) -> None:
    x = normal("float64", (3, 2, 4))
    for call in (gj.logsumexp, gj.softmax, gj.log_softmax):
        check_grads(jax.jit(partial(call, axis=axis)), (x,), order=2, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES[:3])
def test_gradient_is_the_softmax(route: str, dtype: str) -> None:
    x = normal(dtype, (6, 200))
    for shifted in (x, x + 1000 * (dtype == "float32")):
        grad = jax.grad(lambda x: gj.logsumexp(x, -1).astype(jnp.float32).sum())(shifted)
        exact = gf.softmax(shifted.astype(float))
        np.testing.assert_allclose(np.asarray(grad).astype(float), exact, rtol=4 * eps_of(dtype), atol=1e-7)
    t = normal(dtype, (6, 200), 1)
    value, tangent = jax.jvp(partial(gj.logsumexp, axis=-1), (x,), (t,))
    wanted = (gf.softmax(x.astype(float)) * t.astype(float)).sum(-1)
    assert_same_bytes(value, gf.logsumexp(x))
    np.testing.assert_allclose(
        np.asarray(tangent).astype(float), wanted, rtol=4 * eps_of(dtype), atol=4 * eps_of(dtype)
    )


def test_derivatives_at_infinities(route: str) -> None:
    x = np.array([[-INF, 0, 1], [-INF, -INF, -INF]], np.float32)
    for order in (jax.jacrev, jax.jacfwd):
        found = np.asarray(order(partial(gj.logsumexp, axis=1))(x))
        np.testing.assert_allclose(found[0, 0], [0, 1 / (1 + np.e), np.e / (1 + np.e)], rtol=1e-6)
        assert not found[1].any()
    hessian = np.asarray(jax.hessian(lambda x: gj.logsumexp(x, 1).sum())(x))
    p = np.asarray(gf.softmax(x[0]))
    np.testing.assert_allclose(hessian[0, :, 0], np.diag(p) - np.outer(p, p), atol=1e-6)
    assert not hessian[1, :, 1].any()


def test_shapes_at_the_edge(route: str) -> None:
    assert float(gj.logsumexp(np.float32(3))) == 3
    assert gj.logsumexp(np.zeros((0, 3), np.float32), 1).shape == (0,)
    assert gj.logsumexp(np.zeros((0, 3), np.float32), 1, keepdims=True).shape == (0, 1)
    assert jax.grad(lambda x: gj.logsumexp(x, 1).sum())(np.zeros((0, 3), np.float32)).shape == (0, 3)
    x = normal("float32", (4, 5, 6))
    mapped = jax.vmap(gj.logsumexp, 1)(x)
    assert_same_bytes(mapped, np.stack([gj.logsumexp(x[:, i]) for i in range(5)]))


@pytest.mark.parametrize("one", [np.int8(1), np.uint64(1), np.array(1, ">i2"), jnp.asarray(1)])
def test_axes_are_integers_of_every_type(one: Any) -> None:
    x = normal("float32", (4, 5, 6))
    for call in (gj.logsumexp, gj.softmax, gj.log_softmax):
        assert_same_bytes(call(x, one), call(x, 1))
        assert_same_bytes(call(x, (one, 2)), call(x, (1, 2)))
        for bad in (True, 1.0, "1", [1], np.array([1]), (0, 1.5)):
            with pytest.raises(TypeError, match=r"^axis must be an integer, got "):
                call(x, bad)


X = np.zeros((2, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: gj.logsumexp(X, (0, 0)), ValueError, "duplicate value in 'axis'"),
        (lambda: gj.softmax(X, (1, -1)), ValueError, "duplicate value in 'axis'"),
        (
            lambda: gj.log_softmax(X, (0, 2)),
            np.exceptions.AxisError,
            "axis 2 is out of bounds for array of dimension 2",
        ),
        (lambda: gj.logsumexp(X[:0]), ValueError, "axis None has size 0"),
        (lambda: gj.softmax(X[:0], (0, 1)), ValueError, "axis (0, 1) has size 0"),
        (lambda: gj.logsumexp(X, 1.0), TypeError, "axis must be an integer, got 1.0"),
        (lambda: gj.logsumexp(X > 0), TypeError, "expected float16, bfloat16, float32 or float64, got bool"),
        (lambda: gj.logsumexp(X, where=X), TypeError, "where must be boolean (True: summed), got float32"),
        (
            lambda: gj.logsumexp(X, where=np.ones(2, bool)),
            ValueError,
            "where of shape (2,) does not broadcast to an array of shape (2, 3)",
        ),
    ],
)
def test_bad_arguments(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
