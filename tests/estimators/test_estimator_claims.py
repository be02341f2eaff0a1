"""What is taught of the estimators, each claim with its error bars: 5 standard errors, 10**6 samples, fixed seeds."""

from itertools import pairwise, product
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
from scipy import integrate, special

import gumbelfast as gf
from gumbelfast import estimators as est
from gumbelfast.reference import estimators as twin

N = 10**6
TRUTH = est.exact(LOGITS, quadratic)
BITS_TRUTH = est.exact(BITS, bits, family="bernoulli")


def standard_error(found: est.Estimate) -> Any:
    return found.grads.std(axis=0) / np.sqrt(len(found.grads))


def variance(grads: Any) -> tuple[float, float]:
    """The trace of the covariance, and its standard error."""
    squares = np.square(grads - grads.mean(axis=0)).sum(axis=-1)
    return float(squares.mean()), float(squares.std() / np.sqrt(len(squares)))


def clearly_less(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return b[0] - a[0] > 5 * np.hypot(a[1], b[1])


def bias(found: est.Estimate) -> tuple[float, float]:
    """The length of the bias, and a bound on its standard error."""
    error = found.grad - TRUTH.grad
    return float(np.linalg.norm(error)), float(np.linalg.norm(standard_error(found)))


def earlier_mean() -> est.RunningMean:
    baseline = est.RunningMean()
    baseline.update([1.3])
    return baseline


UNBIASED: dict[str, Any] = {
    "score function": lambda x, f, g, **k: est.score_function(x, f, **k),
    "constant": lambda x, f, g, **k: est.score_function(x, f, baseline=1.3, **k),
    "running mean": lambda x, f, g, **k: est.score_function(x, f, baseline=earlier_mean(), **k),
    "muprop": lambda x, f, g, **k: est.muprop(x, f, g, **k),
    "rebar": lambda x, f, g, **k: est.rebar(x, f, g, tau=0.5, **k),
    "rebar, half its weight": lambda x, f, g, **k: est.rebar(x, f, g, tau=0.1, eta=0.5, **k),
    "relax": lambda x, f, g, **k: est.relax(x, f, soft_control, soft_control_slope, **k),
    "self-critical": lambda x, f, g, **k: est.score_function(x, f, baseline="self_critical", **k),
    "reinmax, f quadratic": lambda x, f, g, **k: est.reinmax(x, f, g, **k),
}


@pytest.mark.parametrize("name", UNBIASED)
def test_unbiased(name: str) -> None:
    found = UNBIASED[name](LOGITS, quadratic, quadratic_slope, num_samples=N, rng=1)
    assert np.all(np.abs(found.grad - TRUTH.grad) < 5 * standard_error(found))
    found = UNBIASED[name](BITS, bits, bits_slope, num_samples=N, family="bernoulli", rng=2)
    assert np.all(np.abs(found.grad - BITS_TRUTH.grad) < 5 * standard_error(found))


@pytest.mark.parametrize("baseline", ["leave_one_out", "optimal"])
def test_baselines_of_other_samples_are_unbiased(baseline: str) -> None:
    """Three samples a row, so that a baseline that saw its own sample would show; rows are independent."""
    found = est.score_function(np.tile(LOGITS, (N // 3, 1)), quadratic, num_samples=3, baseline=baseline, rng=3)
    rows = found.grad
    error = rows.std(axis=0) / np.sqrt(len(rows))
    assert np.all(np.abs(rows.mean(axis=0) - TRUTH.grad) < 5 * error)


@pytest.mark.parametrize("name", ["arm", "disarm"])
def test_antithetic_ones_are_unbiased(name: str) -> None:
    found = getattr(est, name)(np.tile(BITS, (N // 2, 1)), bits, rng=3).grad
    assert np.all(np.abs(found.mean(axis=0) - BITS_TRUTH.grad) < 5 * found.std(axis=0) / np.sqrt(len(found)))


def test_antithetic_ones_vary_in_the_published_order() -> None:
    """Of two values of f each: REINFORCE without baseline, ARM, DisARM (Dong et al. 2020)."""
    x = np.tile(BITS, (N // 2, 1))
    plain = variance(est.score_function(x, bits, num_samples=2, family="bernoulli", rng=4).grad)
    arm, disarm = (variance(estimator(x, bits, rng=4).grad) for estimator in (est.arm, est.disarm))
    assert clearly_less(disarm, arm)
    assert clearly_less(arm, plain)


def exact_bound(x: Any, count: int) -> float:
    """E[L] of as many samples, by enumeration."""
    p = gf.softmax(x)
    log_w = quadratic(np.eye(3)) - np.log(p)
    return sum(
        float(np.prod(p[list(drawn)])) * float(special.logsumexp(log_w[list(drawn)]) - np.log(count))
        for drawn in product(range(3), repeat=count)
    )


@pytest.mark.parametrize("count", [2, 3])
def test_vimco_is_unbiased(count: int) -> None:
    steps = 1e-5 * np.eye(3)
    truth = [-(exact_bound(LOGITS + h, count) - exact_bound(LOGITS - h, count)) / 2e-5 for h in steps]
    found = est.vimco(np.tile(LOGITS, (N // count, 1)), quadratic, num_samples=count, rng=5).grad
    assert np.all(np.abs(found.mean(axis=0) - truth) < 5 * found.std(axis=0) / np.sqrt(len(found)) + 1e-8)


def expectation(grads: Any) -> Any:
    """Of an estimator that a function of one category gives, by enumeration."""
    return gf.softmax(LOGITS) @ np.stack([grads(i) for i in range(3)])


def test_reinmax_has_no_bias_where_f_is_quadratic_and_straight_through_has() -> None:
    exactly = expectation(lambda i: twin.reinmax(LOGITS, i, quadratic_slope))
    np.testing.assert_allclose(exactly, TRUTH.grad, rtol=1e-12)
    first_order = expectation(lambda i: twin.straight_through(LOGITS, i, quadratic_slope, "softmax"))
    assert np.linalg.norm(first_order - TRUTH.grad) > 0.05


@pytest.mark.parametrize("power", [1.5, 2.0, 3.0])
def test_reinmax_goes_downhill_on_polynomials_where_straight_through_turns_back(power: float) -> None:
    """Polynomial programming, |z - 0.45|^p of one bit (Liu et al. 2023, section 6.1), by enumeration."""
    first, second, truth = [], [], []

    def slope(z: Any) -> Any:
        away = z[1] - 0.45
        return np.array([0.0, power * np.sign(away) * np.abs(away) ** (power - 1)])

    for x in np.linspace(-3, 3, 13):
        pair, p = np.array([0.0, x]), special.expit(x)
        truth.append(p * (1 - p) * (0.55**power - 0.45**power))
        for found, expected in (
            (first, lambda pair, i: twin.straight_through(pair, i, slope, "softmax")[1]),
            (second, lambda pair, i: twin.reinmax(pair, i, slope)[1]),
        ):
            found.append((1 - p) * expected(pair, 0) + p * expected(pair, 1))
    assert min(truth) > 0
    assert min(second) > 0
    assert min(first) < 0 < max(first)


def test_gapped_straight_through_has_the_expectation_that_enumeration_gives() -> None:
    wanted = expectation(lambda i: twin.gapped_straight_through(LOGITS, i, quadratic_slope, 0.5, 1.0))
    found = est.gapped_straight_through(LOGITS, quadratic, quadratic_slope, tau=0.5, num_samples=N, rng=12)
    assert np.all(np.abs(found.grad - wanted) < 5 * standard_error(found))


def test_gapped_straight_through_varies_less_than_noise() -> None:
    """Fan et al. (2022): no noise but that of the sample itself."""
    found, noisy = (
        variance(estimator(LOGITS, quadratic, quadratic_slope, tau=0.5, num_samples=N, rng=10).grads)
        for estimator in (est.gapped_straight_through, est.straight_through_gumbel_softmax)
    )
    assert clearly_less(found, noisy)


def test_decoupled_draws_at_the_forward_temperature() -> None:
    found = est.decoupled_straight_through_gumbel_softmax(
        LOGITS, quadratic, quadratic_slope, tau_forward=0.5, num_samples=N, rng=11
    )
    p = gf.softmax(LOGITS / 0.5)
    assert np.all(np.abs(found.samples.mean(axis=0) - p) < 5 * np.sqrt(p * (1 - p) / N))


def test_baselines_lower_the_variance() -> None:
    x = np.tile(LOGITS, (N // 4, 1))
    plain, leave_one_out, optimal = (
        variance(est.score_function(x, quadratic, num_samples=4, baseline=b, rng=4).grad)
        for b in (None, "leave_one_out", "optimal")
    )
    assert clearly_less(leave_one_out, plain)
    many = est.score_function(LOGITS, quadratic, num_samples=N, baseline="optimal", rng=4)
    best = variance(many.grads)
    for other in (0.0, float(TRUTH.value), 2 * float(TRUTH.value)):
        found = variance(est.score_function(LOGITS, quadratic, num_samples=N, baseline=other, rng=5).grads)
        assert best[0] <= found[0] + 5 * np.hypot(best[1], found[1])
    assert clearly_less(optimal, plain)


def test_control_variates_lower_the_variance() -> None:
    plain = variance(est.score_function(LOGITS, quadratic, num_samples=N, rng=6).grads)
    assert clearly_less(variance(est.rebar(LOGITS, quadratic, quadratic_slope, tau=0.5, num_samples=N, rng=6).grads),
                        plain)  # fmt: skip
    assert clearly_less(variance(est.muprop(LOGITS, quadratic, quadratic_slope, num_samples=N, rng=6).grads), plain)


def test_gumbel_softmax_is_biased_less_and_varies_more_as_tau_falls() -> None:
    found = [
        est.reparameterized(LOGITS, quadratic, quadratic_slope, tau=tau, num_samples=N, rng=7)
        for tau in (1.0, 0.5, 0.25, 0.1)
    ]
    biases, variances = [bias(f) for f in found], [variance(f.grads) for f in found]
    assert biases[0][0] > 5 * biases[0][1]
    for warm, cold in pairwise(biases):
        assert clearly_less(cold, warm)
    for warm, cold in pairwise(variances):
        assert clearly_less(warm, cold)


def test_gumbel_softmax_varies_less_than_the_score_function() -> None:
    plain = est.score_function(LOGITS, quadratic, num_samples=N, rng=6)
    for tau in (0.5, 1.0):
        relaxed = est.reparameterized(LOGITS, quadratic, quadratic_slope, tau=tau, num_samples=N, rng=7)
        assert clearly_less(variance(relaxed.grads), variance(plain.grads)), tau


@pytest.mark.parametrize("tau", [0.3, 1.0])
def test_gumbel_softmax_is_the_gradient_of_the_relaxed_expectation(tau: float) -> None:
    """One variable: y = sigmoid((x + L) / tau), L logistic, by quadrature."""
    x = 0.4

    def integrand(u: float) -> float:
        y = special.expit((x + special.logit(u)) / tau)
        return float(2 * (y - 0.499) * y * (1 - y) / tau)

    wanted, _ = integrate.quad(integrand, 0, 1, points=[special.expit(-x)], limit=200)
    found = est.reparameterized(
        [x], lambda z: ((z - 0.499) ** 2)[:, 0], lambda z: 2 * (z - 0.499), tau=tau, num_samples=N,
        family="bernoulli", rng=8,
    )  # fmt: skip
    assert abs(found.grad[0] - wanted) < 5 * standard_error(found)[0]


@pytest.mark.parametrize("surrogate", ["identity", "softmax"])
def test_straight_through_has_the_expectation_that_enumeration_gives(surrogate: str) -> None:
    p = gf.softmax(LOGITS)
    slopes = quadratic_slope(np.eye(3))
    if surrogate == "softmax":
        slopes = gf.softmax_backward(slopes, np.tile(p, (3, 1)))
    found = est.straight_through(LOGITS, quadratic, quadratic_slope, surrogate=surrogate, num_samples=N, rng=9)
    assert np.all(np.abs(found.grad - p @ slopes) < 5 * standard_error(found) + 1e-12)
    assert bias(found)[0] > 5 * bias(found)[1]


def test_rao_blackwell_lowers_the_variance_at_equal_bias() -> None:
    plain, rao = (
        estimator(LOGITS, quadratic, quadratic_slope, tau=0.5, num_samples=N, rng=10)
        for estimator in (est.straight_through_gumbel_softmax, est.gumbel_rao)
    )
    assert np.all(np.abs(plain.grad - rao.grad) < 5 * np.hypot(standard_error(plain), standard_error(rao)))
    assert clearly_less(variance(rao.grads), variance(plain.grads))
    assert bias(rao)[0] > 5 * bias(rao)[1]


def test_straight_through_is_exact_where_f_is_linear() -> None:
    """Of one variable: f'(z) is a constant then, and the softmax surrogate gives the gradient without any noise."""
    slope = np.array([1.0, -2.0, 0.5])
    truth = est.exact(LOGITS, lambda z: z @ slope)
    found = est.straight_through(LOGITS, lambda z: z @ slope, lambda z: np.broadcast_to(slope, z.shape), rng=0)
    np.testing.assert_allclose(found.grad, truth.grad, rtol=1e-12)
