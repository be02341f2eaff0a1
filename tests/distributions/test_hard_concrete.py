"""The hard concrete law against BinaryConcrete, quadrature, differences and its samples."""

import doctest
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, OLD_NUMPY, assert_refused, assert_same_bytes, dtype_of
from scipy import integrate, stats

import gumbelfast as gf
from gumbelfast.distributions import BinaryConcrete, HardConcrete, hard_concrete

LAWS = [(0.0, 2 / 3, -0.1, 1.1), (1.5, 0.3, -0.5, 1.2), (-2.0, 2.0, -0.01, 3.0)]


@pytest.mark.parametrize(("x", "tau", "low", "high"), LAWS)
def test_the_law_is_whole(x: float, tau: float, low: float, high: float) -> None:
    law, base = HardConcrete(x, tau, low, high), BinaryConcrete(x, tau)
    at = [(z - low) / (high - low) for z in (0, 0.2, 1)]
    assert 1 - law.prob_active() == pytest.approx(base.cdf(at[0]), rel=1e-12)
    assert law.prob_one() == pytest.approx(1 - base.cdf(at[2]), rel=1e-12)
    assert np.exp(law.log_prob(0.0)) == pytest.approx(base.cdf(at[0]), rel=1e-12)
    assert np.exp(law.log_prob(1.0)) == pytest.approx(1 - base.cdf(at[2]), rel=1e-12)
    assert law.log_prob(0.2) == pytest.approx(base.log_prob(at[1]) - np.log(high - low), rel=1e-12)
    inside = integrate.quad(lambda z: np.exp(law.log_prob(z)), 0, 1, points=[0.01, 0.99], epsabs=1e-12)[0]
    # The ends of the interval are atoms, which the quadrature does not touch.
    assert inside == pytest.approx(law.prob_active() - law.prob_one(), abs=1e-9)


@pytest.mark.parametrize(("x", "tau", "low", "high"), LAWS)
def test_samples(backend: str, x: float, tau: float, low: float, high: float) -> None:
    law, n = HardConcrete(x, tau, low, high), 20_000
    z = law.sample(n, rng=0)
    s = BinaryConcrete(x, tau).sample(n, rng=0)
    np.testing.assert_allclose(z, np.clip(s * (high - low) + low, 0, 1), atol=1e-14)
    for share, p in (((z > 0).mean(), law.prob_active()), ((z == 1).mean(), law.prob_one())):
        assert abs(share - p) < 5 * (p * (1 - p) / n) ** 0.5
    inside = z[(z > 0) & (z < 1)]
    cdf = BinaryConcrete(x, tau).cdf((inside - low) / (high - low))
    closed = 1 - law.prob_active()
    uniform = (cdf - closed) / (law.prob_active() - law.prob_one())
    assert stats.kstest(uniform, "uniform").pvalue > 1e-6


def test_gradients_are_those_of_samples_at_the_same_noise() -> None:
    x, tau, h = np.linspace(-3, 3, 200), np.linspace(0.3, 2, 200), 1e-6
    above, z, below = (HardConcrete(x + d, tau).sample(5, rng=1) for d in (h, 0, -h))
    found = HardConcrete(x, tau).backward(2.0, z)
    wanted = 2 * (above - below) / (2 * h)
    smooth = ((above > 0) & (above < 1)) == ((below > 0) & (below < 1))
    np.testing.assert_allclose(found[smooth], wanted[smooth], atol=1e-7)
    assert (found[(z == 0) | (z == 1)] == 0).all()
    assert 0.1 < (found != 0).mean() < 0.9


def test_at_rest() -> None:
    law = HardConcrete([-20.0, 0.0, 20.0, 0.4], 0.5)
    np.testing.assert_allclose(law.at_rest(), [0, 0.5, 1, 1.2 / (1 + np.exp(-0.4)) - 0.1], rtol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype: str) -> None:
    law = HardConcrete(np.zeros(5, dtype_of(dtype)), [0.5] * 5)
    assert law.sample((2, 3), rng=1).dtype == dtype_of(dtype)
    assert law.sample((2, 3), rng=1).shape == (2, 3, 5)
    assert law.batch_shape == (5,)
    assert_same_bytes(law.sample(3, rng=1), law.sample((2, 3), rng=1)[0])
    assert law.log_prob(law.sample(4, rng=2)).dtype == np.float64


FAULTS: list[tuple[Any, type[Exception], str]] = [
    (lambda: HardConcrete([0.0], 1.0, 0.0), ValueError, "low must be < 0, got 0.0"),
    (lambda: HardConcrete([0.0], 1.0, -0.1, 1), ValueError, "high must be > 1, got 1"),
    (lambda: HardConcrete([0.0], 1.0, -np.inf), ValueError, "low must be finite, got -inf"),
    (lambda: HardConcrete([0.0], 1.0, high="2"), TypeError, "high must be a real number, got '2'"),
    (lambda: HardConcrete([np.inf], 1.0), ValueError, "logits must be finite, got inf at index (0,)"),
    (lambda: HardConcrete([0.0, 1.0], [1.0, 0.0]), ValueError, "tau must be finite and > 0, got 0.0 in row 1"),
    (lambda: HardConcrete([0.0], 1.0).log_prob([0.5, 1.5]), ValueError, "z must lie in [0, 1], got 1.5 at index (1,)"),
    (lambda: HardConcrete([0.0], 1.0).backward(1.0, -0.1), ValueError, "z must lie in [0, 1], got -0.1"),
    (lambda: HardConcrete([0.0], 1.0).backward(1j, 0.1), TypeError, "grad must be real numbers, got complex128"),
]


@pytest.mark.parametrize(("call", "error", "text"), FAULTS, ids=range(len(FAULTS)))
def test_bad_input(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text


def test_bad_sizes_move_nothing() -> None:
    law = HardConcrete([0.0], 1.0)
    assert_refused(lambda rng: law.sample(-1, rng), ValueError, "size must be >= 0, got -1")
    assert repr(law).startswith("gumbelfast.distributions.HardConcrete(")
    assert "HardConcrete" in gf.distributions.__all__


@pytest.mark.skipif(OLD_NUMPY, reason="NumPy 1 prints numbers otherwise")
def test_docstrings() -> None:
    found = doctest.testmod(hard_concrete)
    assert (found.failed, found.attempted > 0) == (0, True)
