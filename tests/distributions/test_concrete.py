"""`Concrete`, `ExpConcrete`, `BinaryConcrete`: densities that integrate to 1, samples that have them."""

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from helpers import DTYPES, KEY, Array, assert_same_bytes, eps_of, normal
from scipy import integrate, stats

import gumbelfast as gf
from gumbelfast.distributions import BinaryConcrete, Concrete, ExpConcrete
from gumbelfast.reference import distributions as textbook

LEVEL = 1e-6  # of every statistical test; seeds are fixed
TAUS = [0.3, 1.0, 2.5]
DRAWS = 100_000


def deviations(level: float = LEVEL) -> float:
    return float(stats.norm.isf(level / 2))


def points(rows: int, k: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).dirichlet(np.ones(k), rows)


def above_zero(*logits: Array) -> Array:
    """A point of the simplex with these logits over the last category's; the volume there is the product of entries."""
    y = np.stack(np.broadcast_arrays(*logits, np.zeros(1)), axis=-1)
    return gf.log_softmax(np.ascontiguousarray(y))


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("k", [2, 3, 6])
def test_textbook_densities(tau: float, k: int) -> None:
    x, y = normal("float64", k, deviation=1), points(200, k)
    found = np.exp(Concrete(x, tau).log_prob(y))
    for density in (textbook.concrete_density, textbook.concrete_density_maddison):
        # The weights need not be normalised.
        for alpha in (np.exp(x), np.exp(x) * 7):
            np.testing.assert_allclose(found, density(y, alpha, tau).astype(float), rtol=1e-11)
    found = np.exp(ExpConcrete(x, tau).log_prob(np.log(y)))
    wanted = textbook.exp_concrete_density(np.log(y), np.exp(x), tau).astype(float)
    np.testing.assert_allclose(found, wanted, rtol=1e-11)
    single = np.exp(BinaryConcrete(x[0], tau).log_prob(y[:, 0]))
    wanted = textbook.binary_concrete_density(y[:, 0], np.exp(x[0]), tau).astype(float)
    np.testing.assert_allclose(single, wanted, rtol=1e-11)


@pytest.mark.parametrize("tau", TAUS)
def test_two_categories_are_binary(tau: float) -> None:
    x, y = 0.7, np.linspace(0.001, 0.999, 50)
    pair = Concrete([x, 0.0], tau).log_prob(np.stack([y, 1 - y], axis=-1))
    np.testing.assert_allclose(BinaryConcrete(x, tau).log_prob(y), pair, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("tau", TAUS)
def test_densities_integrate_to_one(tau: float) -> None:
    law, logs = (kind([0.4, -0.8], tau) for kind in (Concrete, ExpConcrete))

    def integral(density: Any) -> float:
        value: float = integrate.quad(density, -60 / tau, 60 / tau, limit=400, points=[0.0])[0]
        return value

    def plain(a: float) -> float:
        y = np.exp(above_zero(np.array(a)))[0]
        return float(np.exp(law.log_prob(y)) * y.prod()) if y.min() > 0 else 0.0

    assert integral(plain) == pytest.approx(1, rel=1e-8)
    assert integral(lambda a: np.exp(logs.log_prob(above_zero(np.array(a))[0]))) == pytest.approx(1, rel=1e-8)
    single = BinaryConcrete(1.2, tau)
    assert integral(lambda a: np.exp(single.log_prob_logits(a))) == pytest.approx(1, rel=1e-8)
    inner = integrate.quad(lambda y: np.exp(single.log_prob(y)), 0.05, 0.9)[0]
    assert inner == pytest.approx(single.cdf(0.9) - single.cdf(0.05), rel=1e-8)


@pytest.mark.parametrize("tau", TAUS)
def test_density_of_three_integrates_to_one(tau: float) -> None:
    x = np.array([0.4, -0.8, 0.1])
    axis = np.linspace(-45 / tau, 45 / tau, 901)
    log_y = above_zero(axis[:, None], axis[None, :])
    # Smooth and falling on all sides: Simpson's rule errs by less than the tails that are cut off.
    density = np.exp(ExpConcrete(x, tau).log_prob(log_y))
    assert integrate.simpson(integrate.simpson(density, x=axis), x=axis) == pytest.approx(1, rel=1e-6)
    some = log_y[::60, ::60].reshape(-1, 3)
    some = some[some.min(axis=-1) > -700]
    plain = Concrete(x, tau).log_prob(np.exp(some))
    np.testing.assert_allclose(plain, ExpConcrete(x, tau).log_prob(some) - some.sum(axis=-1), rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("tau", TAUS)
def test_density_of_ten_integrates_to_one(tau: float) -> None:
    # Importance sampling in logits over the last category's: those have exponential tails, a t law has longer ones.
    k = 10
    x = normal("float64", k, 3, deviation=0.5)
    covariance = (np.eye(k - 1) + 1) * np.pi**2 / 6 / tau**2
    proposal = stats.multivariate_t((x[:-1] - x[-1]) / tau, covariance, df=8)
    logits = proposal.rvs(100_000, random_state=8)
    log_y = above_zero(*logits.T)
    ratio = np.exp(ExpConcrete(x, tau).log_prob(log_y) - proposal.logpdf(logits))
    error = ratio.std() / len(ratio) ** 0.5
    assert error < 0.01
    assert abs(ratio.mean() - 1) < 5 * error


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples_have_the_law(compiled: str, tau: float, dtype: str) -> None:
    law = BinaryConcrete(np.array(0.7, dtype), tau)
    given = {"size": DRAWS, "rng": 31}
    logits = law.sample_logits(**given).astype(float)
    assert stats.kstest((logits - 0.7 / tau) * tau, "logistic").pvalue > LEVEL
    y = law.sample(**given)
    inside = (y > 0) & (y < 1)
    np.testing.assert_allclose(law.cdf(y[inside]), stats.logistic.cdf(logits[inside] * tau - 0.7), rtol=3e-2)
    # The first entry of two is distributed as this, from other noise.
    pair = ExpConcrete(np.array([0.7, 0.0], dtype), tau).sample(**given).astype(float)
    assert stats.kstest((pair[:, 0] - pair[:, 1]) * tau - 0.7, "logistic").pvalue > LEVEL


@pytest.mark.parametrize("tau", TAUS)
def test_moments_are_integrals(compiled: str, tau: float) -> None:
    x = np.array([0.4, -0.8, 0.1])
    axis = np.linspace(-45 / tau, 45 / tau, 901)
    log_y = above_zero(axis[:, None], axis[None, :])
    weight, y = np.exp(ExpConcrete(x, tau).log_prob(log_y)), np.exp(log_y)
    found = Concrete(x, tau).sample(DRAWS, rng=33)
    for moment in (lambda v: v[..., 0], lambda v: v[..., 2] ** 2, lambda v: v[..., 0] * v[..., 1]):
        wanted = integrate.simpson(integrate.simpson(weight * moment(y), x=axis), x=axis)
        values = moment(found)
        assert abs(values.mean() - wanted) < deviations() * values.std() / DRAWS**0.5 + 1e-7


@pytest.mark.parametrize("tau", [1e-3, 0.3, 1.0, 20.0])
def test_largest_entry_follows_softmax(compiled: str, tau: float) -> None:
    x = np.array([0.4, -0.8, 0.1, 1.5])
    for kind in (Concrete, ExpConcrete):
        counts = np.bincount(kind(x, tau).sample(DRAWS, rng=34).argmax(axis=-1), minlength=4)
        expected = DRAWS * gf.softmax(x)
        assert stats.power_divergence(counts, expected, lambda_="log-likelihood").pvalue > LEVEL
    above = (BinaryConcrete(0.7, tau).sample_logits(DRAWS, rng=34) > 0).sum()
    assert stats.binomtest(int(above), DRAWS, 1 / (1 + np.exp(-0.7))).pvalue > LEVEL


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_samples_are_those_of_gumbel_softmax(compiled: str, dtype: str, axis: int) -> None:
    x = normal(dtype, (4, 5, 6), deviation=1)
    place = {"rng": gf.Generator(KEY), "offset": 9}
    rows = np.moveaxis(x, axis, -1)
    wanted = gf.gumbel_softmax(np.broadcast_to(rows, (2, *rows.shape)), 0.5, **place)
    y = Concrete(x, 0.5, axis=axis).sample(2, **place)
    assert y.shape == (2, *x.shape)
    assert_same_bytes(np.moveaxis(y, axis if axis < 0 else axis - 3, -1), wanted)
    logs = ExpConcrete(x, 0.5, axis=axis).sample(2, **place)
    assert logs.dtype == x.dtype
    relative = (8 + np.abs(logs.astype(float)).max()) * eps_of(dtype)
    np.testing.assert_allclose(np.exp(logs.astype(float)), y.astype(float), rtol=relative, atol=1e-7)
    batch = Concrete(x, 0.5, axis=axis).batch_shape
    assert ExpConcrete(x, 0.5, axis=axis).log_prob(logs).shape == (2, *batch)
    inside = np.maximum(y.astype(float), 1e-9)
    inside /= inside.sum(axis=axis if axis < 0 else axis - 3, keepdims=True)
    assert Concrete(x, 0.5, axis=axis).log_prob(inside).shape == (2, *batch)


@pytest.mark.parametrize("tau", [1e-6, 1e-2, 1.0, 1e4])
@pytest.mark.parametrize("spread", [0.0, 50.0, 1e4])
def test_extremes_are_finite(compiled: str, tau: float, spread: float) -> None:
    x = np.linspace(-spread, spread, 5)
    for dtype in (np.float32, np.float64):
        law = ExpConcrete(x.astype(dtype), tau)
        assert np.isfinite(law.log_prob(law.sample(100, rng=1))).all()
        single = BinaryConcrete(x.astype(dtype), tau)
        assert np.isfinite(single.log_prob_logits(single.sample_logits(100, rng=1))).all()
        y = single.sample(100, rng=1)
        assert np.all((y >= 0) & (y <= 1))
        assert np.all(Concrete(x.astype(dtype), tau).sample(100, rng=1) >= 0)


def test_log_density_of_extremes_against_mpmath() -> None:
    # TensorFlow Probability's form of the same density, which cancels, with digits enough.
    x, tau = np.array([1e4, 0.0, -1e4]), 1e-3
    law = ExpConcrete(x, tau)
    for y in (*law.sample(50, rng=2), np.array([-1e8, 0.0, -1e5]), np.array([-5.0, -1e7, np.log1p(-np.exp(-5))])):
        with mp.workdps(60):
            s = [mp.mpf(float(a)) - mp.mpf(tau) * mp.mpf(float(b)) for a, b in zip(x, y, strict=True)]
            total = mp.log(sum(mp.exp(v) for v in s))
            wanted = mp.log(2) + 2 * mp.log(mp.mpf(tau)) + sum(s) - 3 * total
        # What rounding of the logits themselves moves.
        assert abs(law.log_prob(y) - float(wanted)) <= 16 * 2.0**-52 * float(max(map(abs, s)))


def test_scalars_and_representation() -> None:
    law = Concrete(np.zeros((2, 3)), 0.5)
    assert repr(law) == "gumbelfast.distributions.Concrete(categories=3, tau=0.5, batch_shape=(2,))"
    single = BinaryConcrete(0.25, 2)
    assert repr(single) == "gumbelfast.distributions.BinaryConcrete(tau=2.0, batch_shape=())"
    assert type(single.log_prob(0.5)) is np.float64
    for seed in range(20):  # whether or not the value rounds, one number remembers its logit
        y = BinaryConcrete(0.25, 0.01).sample(rng=seed)
        assert (type(y), y.shape) == (np.ndarray, ())
        t = BinaryConcrete(0.25, 0.01).sample_logits(rng=seed)
        np.testing.assert_allclose(BinaryConcrete(0.25, 0.01).cdf(y), 1 / (1 + np.exp(0.25 - 0.01 * t)), rtol=1e-12)
    assert type(Concrete(np.zeros(3), 1.0).log_prob(np.full(3, 1 / 3))) is np.float64
    # One category: the simplex is a point.
    assert Concrete(np.zeros(1), 3.0).log_prob(np.ones(1)) == 0
