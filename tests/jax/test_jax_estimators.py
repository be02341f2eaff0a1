"""Estimators as losses of JAX: NumPy's at equal noise, without bias, and two gradients that do not mix."""

import doctest
import importlib
import re
from typing import Any

import numpy as np
import pytest
from estimator_cases import (
    BITS,
    CASES,
    CURVATURE,
    LOGITS,
    SLOPE,
    UNBIASED,
    Case,
    bits,
    bits_slope,
    quadratic,
    quadratic_slope,
)

import gumbelfast as gf
from gumbelfast import estimators as plain

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

from gumbelfast.jax import estimators as est  # noqa: E402

N = 10**6
CLOSE: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-12}
EACH = pytest.mark.parametrize("case", CASES, ids=str)
# One of each name and family.
ONCE = pytest.mark.parametrize("case", {(c.name, c.family): c for c in CASES}.values(), ids=str)
KEY = jax.random.key(3)


def curved(z: Any) -> Any:
    return jnp.einsum("...i,ij,...j->...", z, jnp.asarray(CURVATURE, z.dtype), z) + z @ jnp.asarray(SLOPE, z.dtype)


def two_bits(z: Any) -> Any:
    return ((z - 0.499) ** 2).sum(-1) + z[..., 0] * z[..., 1]


def soft(z: Any) -> Any:
    return jnp.tanh(z).sum(-1)


def f_of(case: Case) -> Any:
    return two_bits if case.family == "bernoulli" else curved


def call(case: Case, x: Any, f: Any = None, key: Any = KEY) -> Any:
    more = (soft,) if case.name == "relax" else ()
    return getattr(est, case.name)(key, x, f or f_of(case), *more, **case.keywords)


def gradient(case: Case, x: Any, f: Any = None) -> Any:
    return jax.grad(lambda x: call(case, x, f).loss.sum())(x)


@EACH
@pytest.mark.usefixtures("x64")
def test_numpy_has_the_same_at_equal_noise(case: Case) -> None:
    functions = (bits, bits_slope) if case.family == "bernoulli" else (quadratic, quadratic_slope)
    wanted = case.numpy(case.logits, gf.Generator(3), *functions)

    def loss(x: Any) -> Any:
        found = call(case, x)
        return found.loss.sum(), found

    grad, found = jax.jit(jax.grad(loss, has_aux=True))(jnp.asarray(case.logits))
    np.testing.assert_allclose(grad, wanted.grad, **CLOSE)
    np.testing.assert_allclose(found.samples, wanted.samples, **CLOSE)
    np.testing.assert_allclose(found.values, wanted.values, **CLOSE)
    if case.name == "vimco":
        np.testing.assert_allclose(found.loss, -np.log(np.exp(wanted.values).mean(0)), **CLOSE)
    elif case.name not in ("unordered_set", "importance_weighted"):
        np.testing.assert_allclose(found.loss, wanted.values.mean(0), **CLOSE)
    if case.name == "relax":
        np.testing.assert_allclose(found.variance_loss, (wanted.grads**2).sum(-1).mean(0), **CLOSE)


@pytest.mark.usefixtures("x64", "route")
@pytest.mark.parametrize("name", ["gumbel_rao", "disarm", "score_function"])
def test_both_routes_draw_the_same(name: str) -> None:
    case = next(c for c in CASES if c.name == name and c.family == "bernoulli")
    wanted = case.numpy(case.logits, gf.Generator(3), bits, bits_slope)
    np.testing.assert_allclose(gradient(case, jnp.asarray(case.logits)), wanted.grad, **CLOSE)


@ONCE
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_other_dtypes(case: Case, dtype: Any) -> None:
    x = jnp.asarray(case.logits, dtype)
    functions = (bits, bits_slope) if case.family == "bernoulli" else (quadratic, quadratic_slope)
    wanted = case.numpy(np.asarray(x, np.float32), gf.Generator(3), *functions)
    found = gradient(case, x)
    assert found.dtype == dtype
    rough = 1e-2 if dtype == jnp.bfloat16 else 2e-4
    np.testing.assert_allclose(np.asarray(found, np.float32), wanted.grad, rtol=rough, atol=1e-2)


@pytest.mark.battery  # NumPy's are unbiased, and these are the same
@pytest.mark.parametrize("case", UNBIASED, ids=str)
def test_unbiased(case: Case) -> None:
    """10**6 samples, 5 standard errors: rows are independent estimates."""
    one = BITS if case.family == "bernoulli" else LOGITS
    truth = plain.exact(one, bits if case.family == "bernoulli" else quadratic, family=case.family).grad
    samples = case.options.get("num_samples", case.options.get("k", 2 if case.name in ("arm", "disarm") else 1))
    rows = jnp.broadcast_to(jnp.asarray(one, jnp.float32), (N // samples, one.size))
    found = np.asarray(jax.jit(lambda x: gradient(case, x))(rows), np.float64)
    error = found.std(axis=0) / np.sqrt(len(found))
    assert np.all(np.abs(found.mean(axis=0) - truth) < 5 * error + 1e-5)


@ONCE
@pytest.mark.usefixtures("x64")
def test_what_f_depends_on_gets_the_gradient_of_the_value(case: Case) -> None:
    """Central differences in float64, the noise being the same."""
    x, f = jnp.asarray(case.logits), f_of(case)
    w = jnp.linspace(0.5, 1.5, 1 + x.shape[-1])
    check_grads(lambda w: call(case, x, lambda z: f(z) * w[0] + (z @ w[1:]) ** 2).loss, (w,), order=1, modes=["rev"])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("family", ["categorical", "bernoulli"])
def test_relaxed_and_exact_ones_are_derivatives_by_the_logits(family: str) -> None:
    case = Case("reparameterized", family, {"tau": 0.7, "num_samples": 3})
    x = jnp.asarray(case.logits)
    check_grads(lambda x: call(case, x).loss, (x,), order=1, modes=["rev"])
    check_grads(lambda x: est.exact(x, f_of(case), family=family), (x,), order=2)
    functions = bits if family == "bernoulli" else quadratic
    found = jax.grad(lambda x: est.exact(x, f_of(case), family=family).sum())(x)
    np.testing.assert_allclose(found, plain.exact(case.logits, functions, family=family).grad, **CLOSE)


@pytest.mark.usefixtures("x64")
def test_many_distinct_samples_are_those_of_numpy() -> None:
    """Above six the weights are integrals."""
    logits, w = np.random.default_rng(0).normal(size=(3, 9)), np.cos(np.arange(9))
    for k in (7, 9):
        found = jax.grad(lambda x: est.unordered_set(KEY, x, lambda z: z @ w, k).loss.sum())(jnp.asarray(logits))  # noqa: B023
        wanted = plain.unordered_set(logits, lambda z: z @ w, k, rng=gf.Generator(3))
        np.testing.assert_allclose(found, wanted.grad, **CLOSE)


@pytest.mark.usefixtures("x64")
def test_the_variance_loss_trains_the_control_variate_and_nothing_else() -> None:
    def found(x: Any, w: Any, c: Any) -> Any:
        return est.relax(KEY, x, lambda z: w * curved(z), lambda z: jnp.tanh(z * c).sum(-1), num_samples=4)

    at = jnp.asarray(LOGITS), jnp.ones(()), jnp.asarray(SLOPE)
    x, w, c = jax.grad(lambda *a: found(*a).loss, argnums=(0, 1, 2))(*at)
    assert jnp.abs(x).min() > 0
    assert jnp.abs(w) > 0
    assert (c == 0).all()
    x, w, c = jax.grad(lambda *a: found(*a).variance_loss, argnums=(0, 1, 2))(*at)
    assert (x == 0).all()
    assert w == 0
    assert jnp.abs(c).min() > 0
    check_grads(lambda c: found(*at[:2], c).variance_loss, at[2:], order=1, modes=["rev"])


def test_a_running_mean_is_that_of_numpy_within_a_scan() -> None:
    keys = jax.random.split(jax.random.key(0), 3)

    def step(mean: Any, key: Any) -> Any:
        found = est.score_function(key, jnp.asarray(LOGITS), curved, num_samples=4, baseline=mean)
        return mean.updated(found.values), (mean.value, found.values)

    first = est.RunningMean(0.5, jnp.zeros(()), jnp.zeros(()))
    last, (means, values) = jax.lax.scan(step, first, keys)
    theirs = plain.RunningMean(0.5)
    for mean, new in zip(means, values, strict=True):
        assert float(mean) == pytest.approx(theirs.value)
        theirs.update(new)
    assert float(last.value) == pytest.approx(theirs.value, rel=1e-5)
    assert last.updated(jnp.zeros(0)) is last


@ONCE
def test_impossible_categories_get_no_gradient(case: Case) -> None:
    x = jnp.array([[0.0, -jnp.inf, 1.0, 0.3], [2.0, 3.0, -jnp.inf, 0.1]])
    if case.family == "bernoulli":
        x = jnp.array([[0.0, -jnp.inf], [-jnp.inf, 1.0]])
    grad = gradient(case, x, lambda z: (z**2).sum(-1) + z[..., 0])
    assert jnp.isfinite(grad).all()
    assert (grad[jnp.isneginf(x)] == 0).all()


@ONCE
def test_vmap_is_a_loop(case: Case) -> None:
    keys, x = jax.random.split(jax.random.key(1), 3), jnp.asarray(case.logits, jnp.float32)

    def one(key: Any) -> Any:
        return jax.grad(lambda x: call(case, x, key=key).loss.sum())(x)

    np.testing.assert_allclose(jax.vmap(one)(keys), [one(key) for key in keys], rtol=1e-4, atol=1e-5)


def test_keys_are_used_once() -> None:
    with jax.debug_key_reuse(True):
        for case in CASES:
            jax.eval_shape(lambda x, key: call(case, x, key=key), jnp.asarray(case.logits), jax.random.key(0))  # noqa: B023
        key = jax.random.key(0)
        call(CASES[0], jnp.zeros(3), key=key)
        with pytest.raises(jax.errors.KeyReuseError):
            call(CASES[0], jnp.zeros(3), key=key)


X = jnp.zeros(3)
REFUSED: list[tuple[Any, type[Exception], str]] = [
    (lambda: est.score_function(KEY, jnp.zeros(3, int), curved), TypeError,
     "expected float16, bfloat16, float32 or float64, got int32"),
    (lambda: est.score_function(KEY, jnp.zeros((2, 0)), curved), ValueError, "axis -1 has size 0"),
    (lambda: est.score_function(KEY, X, curved, num_samples=0), ValueError, "num_samples must be >= 1, got 0"),
    (lambda: est.score_function(KEY, X, curved, family="gaussian"), ValueError,
     "family must be 'categorical' or 'bernoulli', got 'gaussian'"),
    (lambda: est.score_function(KEY, X, curved, baseline="loo"), ValueError,
     "baseline must be None, 'leave_one_out', 'optimal', 'self_critical', a RunningMean or numbers, got 'loo'"),
    (lambda: est.score_function(KEY, X, curved, baseline="optimal"), ValueError,
     "baseline 'optimal' needs num_samples >= 2, got 1"),
    (lambda: est.score_function(KEY, X, curved, baseline=1j), TypeError,
     "baseline must be real numbers, got complex64"),
    (lambda: est.straight_through(KEY, X, curved, surrogate="sigmoid"), ValueError,
     "surrogate for categorical must be 'softmax' or 'identity', got 'sigmoid'"),
    (lambda: est.reparameterized(KEY, X, curved, tau=0), ValueError, "tau must be finite and > 0, got 0"),
    (lambda: est.rebar(KEY, X, curved, tau=jnp.ones(3)), ValueError,
     "tau must be one number, got an array of shape (3,)"),
    (lambda: est.rebar(KEY, X, curved, eta=float("nan")), ValueError, "eta must be finite, got nan"),
    (lambda: est.gumbel_rao(KEY, X, curved, num_conditional=0), ValueError, "num_conditional must be >= 1, got 0"),
    (lambda: est.gapped_straight_through(KEY, X, curved, gap=-1), ValueError, "gap must be >= 0, got -1"),
    (lambda: est.decoupled_straight_through_gumbel_softmax(KEY, X, curved, tau_forward=0.0), ValueError,
     "tau_forward must be finite and > 0, got 0.0"),
    (lambda: est.arm(KEY, X, curved, num_samples=3), ValueError, "num_samples must be even, got 3"),
    (lambda: est.vimco(KEY, X, curved, num_samples=1), ValueError, "num_samples must be >= 2, got 1"),
    (lambda: est.unordered_set(KEY, X, curved, 1), ValueError, "k must be >= 2 with baseline 'leave_one_out', got 1"),
    (lambda: est.importance_weighted(KEY, X, curved, 4), ValueError, "k=4 exceeds the 3 columns"),
    (lambda: est.exact(jnp.zeros((13, 3)), lambda z: z.sum((-1, -2))), ValueError,
     "3 ** 13 configurations are more than 2**20"),
    (lambda: est.RunningMean(1), ValueError, "decay must lie in [0, 1), got 1"),
    (lambda: est.score_function(KEY, X, lambda z: z[0], num_samples=2), ValueError,
     "f returned shape (3,), expected a leading part of (2,)"),
    (lambda: est.relax(KEY, X, curved, jnp.tanh, num_samples=2), ValueError,
     "control returned shape (2, 3), expected that of f, (2,)"),
    (lambda: est.score_function(KEY, X, lambda z: z[..., 0] * 1j), TypeError,
     "f returned complex64, expected real numbers"),
    (lambda: est.muprop(jax.random.split(KEY), X, curved), ValueError,
     "categorical takes a single key, got an array of keys of shape (2,): use jax.vmap"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "error", "text"), REFUSED, ids=[text for _, _, text in REFUSED])
def test_bad_input(bad: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        bad()


def test_bad_logits_are_refused_where_they_are_drawn_from() -> None:
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"logits contain NaN at index"):
        est.score_function(KEY, jnp.array([0.0, jnp.nan]), lambda z: z[..., 0]).loss.block_until_ready()
    found = est.rebar(KEY, jnp.array([0.0, jnp.nan]), lambda z: z[..., 0])
    assert jnp.isnan(gradient(Case("rebar", "categorical", {}), jnp.array([0.0, jnp.nan]), lambda z: z[..., 0])).all()
    assert found.loss.shape == ()


MODULES = ("score", "pathwise", "control", "distinct", "bits", "multisample", "exact")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_docstrings_run(name: str) -> None:
    module = importlib.import_module(f"gumbelfast.jax.estimators.{name}")
    assert doctest.testmod(module).failed == 0
    public = [getattr(module, thing) for thing in est.__all__ if hasattr(module, thing)]
    assert public
    assert all(thing.__doc__ for thing in public)
