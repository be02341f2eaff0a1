"""Every estimator against its reference twin, sample by sample, and what all of them share."""

import re
from typing import Any

import numpy as np
import pytest
from estimator_cases import (
    BITS,
    LOGITS,
    bits,
    bits_slope,
    quadratic,
    quadratic_slope,
    soft_control,
    soft_control_slope,
)

import gumbelfast as gf
from gumbelfast import estimators as est
from gumbelfast.reference import estimators as twin

N = 40
CLOSE: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-12}
WITH_SLOPE = [
    est.muprop,
    est.straight_through,
    est.reparameterized,
    est.straight_through_gumbel_softmax,
    est.gumbel_rao,
    est.rebar,
    est.decoupled_straight_through_gumbel_softmax,
    est.reinmax,
    est.gapped_straight_through,
]


def shape_of_samples() -> Any:
    return np.broadcast_to(LOGITS, (N, 3))


def noise_of(rng: Any) -> Any:
    return gf.reference.gumbel(size=(N, 3), dtype=np.float64, rng=rng)


@pytest.mark.parametrize("baseline", [None, 0.7, "leave_one_out", "optimal", "self_critical"])
def test_score_function_is_its_twin(baseline: Any) -> None:
    found = est.score_function(LOGITS, quadratic, num_samples=N, baseline=baseline, rng=3)
    index = found.samples.argmax(axis=-1)
    assert np.array_equal(index, gf.categorical(shape_of_samples(), rng=3))
    values = quadratic(np.eye(3)[index])
    np.testing.assert_allclose(found.values, values, **CLOSE)
    scores = np.stack([twin.score(LOGITS, i) for i in index])
    for n in range(N):
        b = {None: 0.0, 0.7: 0.7, "self_critical": quadratic(np.eye(3)[LOGITS.argmax()])}.get(baseline)
        if baseline == "leave_one_out":
            b = twin.leave_one_out(values, n)
        elif baseline == "optimal":
            b = twin.optimal_scalar(values, scores, n)
        np.testing.assert_allclose(found.grads[n], twin.score_function(LOGITS, index[n], values[n], b), **CLOSE)
    np.testing.assert_array_equal(found.grad, found.grads.mean(axis=0))


def test_muprop_is_its_twin() -> None:
    found = est.muprop(LOGITS, quadratic, quadratic_slope, num_samples=N, rng=3)
    for n, index in enumerate(found.samples.argmax(axis=-1)):
        np.testing.assert_allclose(found.grads[n], twin.muprop(LOGITS, index, quadratic, quadratic_slope), **CLOSE)


@pytest.mark.parametrize("surrogate", ["softmax", "identity"])
def test_straight_through_is_its_twin(surrogate: str) -> None:
    found = est.straight_through(LOGITS, quadratic, quadratic_slope, surrogate=surrogate, num_samples=N, rng=3)
    for n, index in enumerate(found.samples.argmax(axis=-1)):
        wanted = twin.straight_through(LOGITS, index, quadratic_slope, surrogate)
        np.testing.assert_allclose(found.grads[n], wanted, **CLOSE)


@pytest.mark.parametrize("tau", [1.0, 0.3, 4.0])
@pytest.mark.parametrize("name", ["reparameterized", "straight_through_gumbel_softmax"])
def test_relaxed_ones_are_their_twins(name: str, tau: float) -> None:
    found = getattr(est, name)(LOGITS, quadratic, quadratic_slope, tau=tau, num_samples=N, rng=3)
    noise = noise_of(3)
    for n in range(N):
        np.testing.assert_allclose(found.grads[n], getattr(twin, name)(LOGITS, noise[n], quadratic_slope, tau), **CLOSE)
    hard = np.eye(3)[(LOGITS + noise).argmax(axis=-1)]
    soft = gf.softmax(LOGITS + noise, temperature=tau)
    np.testing.assert_allclose(found.samples, soft if name == "reparameterized" else hard, **CLOSE)


def test_gumbel_rao_is_its_twin() -> None:
    found = est.gumbel_rao(
        LOGITS, quadratic, quadratic_slope, tau=0.4, num_conditional=3, num_samples=N, rng=gf.default_rng(3)
    )
    rng = gf.default_rng(3)
    index = gf.categorical(shape_of_samples(), rng=rng)
    noises = np.stack([noise_of(rng) for _ in range(3)])
    for n in range(N):
        wanted = twin.gumbel_rao(LOGITS, index[n], noises[:, n], quadratic_slope, 0.4)
        np.testing.assert_allclose(found.grads[n], wanted, **CLOSE)


def test_rebar_and_relax_are_their_twins() -> None:
    rng = gf.default_rng(3)
    noise, given = noise_of(rng), noise_of(rng)
    found = est.rebar(LOGITS, quadratic, quadratic_slope, tau=0.4, eta=0.7, num_samples=N, rng=3)
    other = est.relax(LOGITS, quadratic, soft_control, soft_control_slope, num_samples=N, rng=3)
    for n in range(N):
        wanted = twin.rebar(LOGITS, noise[n], given[n], quadratic, quadratic_slope, 0.4, 0.7)
        np.testing.assert_allclose(found.grads[n], wanted, **CLOSE)
        wanted = twin.relax(LOGITS, noise[n], given[n], quadratic, soft_control, soft_control_slope)
        np.testing.assert_allclose(other.grads[n], wanted, **CLOSE)


def test_decoupled_is_its_twin() -> None:
    found = est.decoupled_straight_through_gumbel_softmax(
        LOGITS, quadratic, quadratic_slope, tau_forward=0.6, tau_backward=0.4, num_samples=N, rng=3
    )
    noise = noise_of(3)
    np.testing.assert_array_equal(found.samples, np.eye(3)[(LOGITS / 0.6 + noise).argmax(axis=-1)])
    for n in range(N):
        np.testing.assert_allclose(found.grads[n], twin.decoupled(LOGITS, noise[n], quadratic_slope, 0.6, 0.4), **CLOSE)
    plain = est.straight_through_gumbel_softmax(LOGITS, quadratic, quadratic_slope, tau=0.4, num_samples=N, rng=3)
    same = est.decoupled_straight_through_gumbel_softmax(
        LOGITS, quadratic, quadratic_slope, tau_backward=0.4, num_samples=N, rng=3
    )
    np.testing.assert_array_equal(same.grads, plain.grads)


@pytest.mark.parametrize("tau", [1.0, 0.5])
def test_reinmax_and_gapped_are_their_twins(tau: float) -> None:
    first = est.reinmax(LOGITS, quadratic, quadratic_slope, tau=tau, num_samples=N, rng=3)
    second = est.gapped_straight_through(LOGITS, quadratic, quadratic_slope, tau=tau, gap=0.8, num_samples=N, rng=3)
    for n, index in enumerate(first.samples.argmax(axis=-1)):
        np.testing.assert_allclose(first.grads[n], twin.reinmax(LOGITS, index, quadratic_slope, tau), **CLOSE)
        wanted = twin.gapped_straight_through(LOGITS, index, quadratic_slope, tau, 0.8)
        np.testing.assert_allclose(second.grads[n], wanted, **CLOSE)


@pytest.mark.parametrize("name", ["arm", "disarm"])
def test_antithetic_ones_are_their_twins(name: str) -> None:
    found = getattr(est, name)(BITS, bits, num_samples=2 * N, rng=3)
    u = -np.expm1(-gf.reference.exponential(size=(N, 2), dtype=np.float64, rng=3))
    first, second = twin.antithetic_bits(BITS, u)
    np.testing.assert_array_equal(found.samples, np.concatenate([first, second]))
    np.testing.assert_allclose(found.values, bits(found.samples), **CLOSE)
    for n in range(N):
        wanted = getattr(twin, name)(BITS, u[n], bits)
        np.testing.assert_allclose(found.grads[n], wanted, **CLOSE)
        np.testing.assert_allclose(found.grads[N + n], wanted, **CLOSE)


def test_vimco_is_its_twin() -> None:
    found = est.vimco(np.tile(LOGITS, (N, 1)), quadratic, num_samples=4, rng=3)
    for n, indices in enumerate(found.samples.argmax(axis=-1).T):
        wanted = twin.vimco(LOGITS, list(indices), quadratic)
        np.testing.assert_allclose(found.grad[n], wanted, **CLOSE)
        log_w = quadratic(np.eye(3)[indices]) - np.log(twin.probabilities(LOGITS)[indices])
        np.testing.assert_allclose(found.values[:, n], log_w, **CLOSE)


def test_exact_is_its_twin_and_the_derivative() -> None:
    rows = np.random.default_rng(0).normal(size=(3, 4))
    weights = np.random.default_rng(1).normal(size=(3, 4))

    def f(z: Any) -> Any:
        return np.sin((z * weights).sum(axis=(-1, -2))) + z[..., 0, 1] * z[..., 2, 3]

    found = est.exact(rows, f)
    value, grad = twin.exact(rows, f)
    np.testing.assert_allclose(found.value, value, **CLOSE)
    np.testing.assert_allclose(found.grad, grad, **CLOSE)
    step = 1e-5 * np.random.default_rng(2).normal(size=rows.shape)
    change = est.exact(rows + step, f).value - est.exact(rows - step, f).value
    np.testing.assert_allclose(change, 2 * (found.grad * step).sum(), rtol=1e-6)


def test_exact_of_bits_is_that_of_two_categories() -> None:
    found = est.exact(BITS, bits, family="bernoulli")
    pairs = est.exact(np.stack([np.zeros(2), BITS], axis=-1), lambda z: bits(z[..., 1]))
    np.testing.assert_allclose(found.value, pairs.value)
    np.testing.assert_allclose(found.grad, pairs.grad[:, 1])


@pytest.mark.parametrize("estimator", WITH_SLOPE)
def test_bits_are_two_categories(estimator: Any) -> None:
    """The noise of a Bernoulli variable is that of categories 0 and 1 with logits (0, x)."""
    found = estimator(BITS, bits, bits_slope, num_samples=N, family="bernoulli", rng=2)
    pairs = np.stack([np.zeros(2), BITS], axis=-1)

    def slope(z: Any) -> Any:
        return np.stack([np.zeros_like(z[..., 1]), bits_slope(z[..., 1])], axis=-1)

    wanted = estimator(pairs, lambda z: bits(z[..., 1]), slope, num_samples=N, rng=2)
    assert found.samples.shape == found.grads.shape == (N, 2)
    np.testing.assert_allclose(found.samples, wanted.samples[..., 1], **CLOSE)
    np.testing.assert_allclose(found.grads, wanted.grads[..., 1], **CLOSE)


@pytest.mark.parametrize("estimator", WITH_SLOPE)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_rows_are_problems_of_their_own(estimator: Any, dtype: str) -> None:
    """f keeps the first axis of the batch and sums over the second: shapes, dtypes, and no row touches another."""
    x = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(dtype)

    def f(z: Any) -> Any:
        return quadratic(z).sum(axis=-1)

    found = estimator(x, f, quadratic_slope, num_samples=4, rng=1)
    assert found.samples.shape == found.grads.shape == (4, 5, 2, 3)
    assert found.values.shape == (4, 5)
    assert found.grads.dtype == found.samples.dtype == np.float32
    changed = estimator(x, lambda z: f(z) + 10.0 * np.arange(5) ** 2 * (np.arange(5) != 2), quadratic_slope,
                        num_samples=4, rng=1)  # fmt: skip
    np.testing.assert_array_equal(found.grads[:, 2], changed.grads[:, 2])


def test_a_running_mean_is_that_of_earlier_calls() -> None:
    baseline = est.RunningMean(decay=0.5)
    assert baseline.value == 0
    first = est.score_function(LOGITS, quadratic, num_samples=8, baseline=baseline, rng=0)
    np.testing.assert_array_equal(first.grads, est.score_function(LOGITS, quadratic, num_samples=8, rng=0).grads)
    assert baseline.value == pytest.approx(first.values.mean())
    second = est.score_function(LOGITS, quadratic, num_samples=8, baseline=baseline, rng=1)
    plain = est.score_function(LOGITS, quadratic, num_samples=8, baseline=first.values.mean(), rng=1)
    np.testing.assert_allclose(second.grads, plain.grads, **CLOSE)
    assert baseline.value == pytest.approx((first.values.mean() + 2 * second.values.mean()) / 3)


def test_nothing_goes_wrong_where_a_category_is_impossible() -> None:
    x = np.array([[0.0, -np.inf, 1.0], [-np.inf, 3.0, -np.inf]])
    for estimator in WITH_SLOPE:
        found = estimator(x, quadratic, quadratic_slope, num_samples=50, rng=0)
        assert np.isfinite(found.grads).all()
        assert not found.samples[:, 0, 1].any()
    for baseline in (None, "leave_one_out", "optimal"):
        assert np.isfinite(est.score_function(x, quadratic, num_samples=50, baseline=baseline, rng=0).grads).all()
    assert np.isfinite(est.exact(x, quadratic).grad).all()


REFUSED: list[tuple[Any, str]] = [
    (lambda **k: est.score_function([0.0, np.nan], quadratic, **k), "logits contain NaN at index (1,)"),
    (lambda **k: est.score_function([[0.0, 1], [np.inf, 0]], quadratic, **k), "logits contain +inf at index (1, 0)"),
    (lambda **k: est.score_function(LOGITS, quadratic, num_samples=0, **k), "num_samples must be >= 1, got 0"),
    (
        lambda **k: est.score_function(LOGITS, quadratic, baseline="loo", **k),
        "baseline must be None, 'leave_one_out', 'optimal', 'self_critical', a RunningMean or numbers, got 'loo'",
    ),
    (
        lambda **k: est.score_function(LOGITS, quadratic, baseline="optimal", **k),
        "baseline 'optimal' needs num_samples >= 2, got 1",
    ),
    (
        lambda **k: est.rebar(LOGITS, quadratic, quadratic_slope, tau=0, **k),
        "tau must be finite and > 0, got 0",
    ),
    (
        lambda **k: est.rebar(LOGITS, quadratic, quadratic_slope, eta=np.nan, **k),
        "eta must be finite, got nan",
    ),
    (
        lambda **k: est.gumbel_rao(LOGITS, quadratic, quadratic_slope, tau=-1.0, **k),
        "tau must be finite and > 0, got -1.0",
    ),
    (
        lambda **k: est.gumbel_rao(LOGITS, quadratic, quadratic_slope, num_conditional=0, **k),
        "num_conditional must be >= 1, got 0",
    ),
    (
        lambda **k: est.straight_through(LOGITS, quadratic, quadratic_slope, surrogate="sigmoid", **k),
        "surrogate for categorical must be 'softmax' or 'identity', got 'sigmoid'",
    ),
    (
        lambda **k: est.straight_through(BITS, bits, bits_slope, surrogate="tanh", family="bernoulli", **k),
        "surrogate for bernoulli must be 'sigmoid' or 'identity', got 'tanh'",
    ),
    (
        lambda **k: est.gapped_straight_through(LOGITS, quadratic, quadratic_slope, gap=-0.5, **k),
        "gap must be >= 0, got -0.5",
    ),
    (
        lambda **k: est.gapped_straight_through(LOGITS, quadratic, quadratic_slope, gap=np.inf, **k),
        "gap must be finite, got inf",
    ),
    (
        lambda **k: est.gapped_straight_through(LOGITS, quadratic, quadratic_slope, tau=0.0, **k),
        "tau must be finite and > 0, got 0.0",
    ),
    (
        lambda **k: est.decoupled_straight_through_gumbel_softmax(
            LOGITS, quadratic, quadratic_slope, tau_forward=-2.0, **k
        ),
        "tau_forward must be finite and > 0, got -2.0",
    ),
    (
        lambda **k: est.decoupled_straight_through_gumbel_softmax(
            LOGITS, quadratic, quadratic_slope, tau_backward=0.0, **k
        ),
        "tau_backward must be finite and > 0, got 0.0",
    ),
    (lambda **k: est.arm(BITS, bits, num_samples=3, **k), "num_samples must be even, got 3"),
    (lambda **k: est.disarm(BITS, bits, num_samples=0, **k), "num_samples must be >= 1, got 0"),
    (lambda **k: est.vimco(LOGITS, quadratic, num_samples=1, **k), "num_samples must be >= 2, got 1"),
    (
        lambda **k: est.reinmax(LOGITS, quadratic, quadratic_slope, tau=np.nan, **k),
        "tau must be finite and > 0, got nan",
    ),
    (
        lambda **k: est.score_function(LOGITS, quadratic, family="gaussian", **k),
        "family must be 'categorical' or 'bernoulli', got 'gaussian'",
    ),
]


@pytest.mark.parametrize(("call", "text"), REFUSED)
def test_bad_input_moves_nothing(call: Any, text: str) -> None:
    rng = gf.default_rng(0)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        call(rng=rng)
    assert rng.offset == 0


def test_results_of_the_wrong_shape_are_named() -> None:
    with pytest.raises(ValueError, match=r"^f returned shape \(3,\), expected a leading part of \(2,\)$"):
        est.score_function(LOGITS, lambda z: z[0], num_samples=2)
    with pytest.raises(ValueError, match=r"^f returned shape \(\), expected a leading part of \(2,\)$"):
        est.score_function(LOGITS, lambda z: z.sum(), num_samples=2)
    with pytest.raises(ValueError, match=r"^grad_f returned shape \(2,\), expected \(2, 3\)$"):
        est.reparameterized(LOGITS, quadratic, quadratic, num_samples=2)
    with pytest.raises(ValueError, match=r"^control returned shape \(2, 3\), expected that of f, \(2,\)$"):
        est.relax(LOGITS, quadratic, np.tanh, soft_control_slope, num_samples=2)
    with pytest.raises(ValueError, match=r"^3 \*\* 13 configurations are more than 2\*\*20$"):
        est.exact(np.zeros((13, 3)), lambda z: z.sum(axis=(-1, -2)))
    with pytest.raises(ValueError, match=r"^decay must lie in \[0, 1\), got 1$"):
        est.RunningMean(1)
    with pytest.raises(TypeError, match="expected float16, bfloat16, float32 or float64, got int64"):
        est.score_function([1, 2], quadratic)
