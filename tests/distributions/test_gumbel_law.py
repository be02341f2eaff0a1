"""`distributions.Gumbel`: against mpmath, SciPy, the textbook formula, and its own samples."""

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from helpers import DTYPES, KEY, assert_same_bytes, dtype_of
from scipy import integrate, stats

import gumbelfast as gf
from gumbelfast.distributions import Gumbel
from gumbelfast.reference.distributions import gumbel_cdf, gumbel_density

INF, NAN = np.inf, np.nan
EPS = 2.0**-52
LOC, SCALE = 0.75, 2.5
VALUES = np.concatenate([np.linspace(-14, 30, 111), [80.0, 95.0, 300.0, 1500.0]])


def exactly(formula: Any, values: Any) -> Any:
    """The formula of z at float64 values; 1 - exp(-exp(-z)) takes as many digits as it is small."""
    with mp.workdps(300):
        return [formula((mp.mpf(float(x)) - LOC) / SCALE) for x in values]


def assert_relative(found: Any, wanted: Any, ulps: float) -> None:
    for one, exact in zip(found, wanted, strict=True):
        # What underflows may be off by the smallest number.
        assert abs(mp.mpf(float(one)) - exact) <= ulps * EPS * abs(exact) + mp.mpf(2) ** -1074, (one, exact)


def test_values_against_mpmath() -> None:
    law = Gumbel(LOC, SCALE)
    z = (VALUES - LOC) / SCALE
    # exp(-z) inherits the rounding of z, by a factor |z|; exp(-exp(-z)) that of exp(-z), by a factor exp(-z).
    for one, factor in ((float(v), 4 + abs(a) + np.exp(-a)) for v, a in zip(VALUES, z, strict=True)):
        for method, formula in (
            (law.cdf, lambda a: mp.exp(-mp.exp(-a))),
            (law.log_cdf, lambda a: -mp.exp(-a)),
            (law.sf, lambda a: -mp.expm1(-mp.exp(-a))),
            (law.log_sf, lambda a: mp.log(-mp.expm1(-mp.exp(-a)))),
            (lambda x: np.exp(law.log_prob(x)), lambda a: mp.exp(-a - mp.exp(-a)) / SCALE),
        ):
            assert_relative([method(one)], exactly(formula, [one]), 4 * factor)


def test_quantiles_against_mpmath() -> None:
    law = Gumbel(LOC, SCALE)
    q = np.concatenate([[5e-324, 1e-300, 1e-17], np.linspace(0.01, 0.99, 99), 1 - np.geomspace(1e-3, EPS, 20)])
    for method, of in ((law.icdf, mp.log), (law.isf, lambda p: mp.log1p(-p))):
        with mp.workdps(50):
            wanted = [LOC - SCALE * mp.log(-of(mp.mpf(float(p)))) for p in q]
        for one, exact in zip(method(q), wanted, strict=True):
            assert abs(mp.mpf(float(one)) - exact) <= 3 * EPS * (LOC + SCALE + abs(exact))
    assert (law.icdf(0), law.icdf(1), law.isf(0), law.isf(1)) == (-INF, INF, INF, -INF)
    np.testing.assert_allclose(law.cdf(law.icdf(q[3:102])), q[3:102], rtol=1e-13)
    tail = np.geomspace(1e-300, 0.5, 50)
    np.testing.assert_allclose(law.sf(law.isf(tail)), tail, rtol=1e-12)


def test_textbook_and_scipy() -> None:
    law, theirs, x = Gumbel(LOC, SCALE), stats.gumbel_r(LOC, SCALE), np.linspace(-6, 20, 60)
    np.testing.assert_allclose(np.exp(law.log_prob(x)), gumbel_density(x, LOC, SCALE).astype(float), rtol=1e-13)
    np.testing.assert_allclose(law.cdf(x), gumbel_cdf(x, LOC, SCALE).astype(float), rtol=1e-13)
    for ours, name in ((law.log_prob, "logpdf"), (law.cdf, "cdf"), (law.sf, "sf"), (law.log_cdf, "logcdf")):
        np.testing.assert_allclose(ours(x), getattr(theirs, name)(x), rtol=1e-11)
    for name in ("mean", "var", "entropy"):
        assert getattr(law, name)() == pytest.approx(getattr(theirs, name)(), rel=1e-14)
    assert law.mode() == LOC
    assert np.all(law.log_prob(law.mode()) >= law.log_prob(x))


def test_moments_are_integrals() -> None:
    law = Gumbel(LOC, SCALE)

    def expectation(f: Any) -> float:
        value: float = integrate.quad(lambda x: np.exp(law.log_prob(x)) * f(x), -20, 160, limit=200)[0]
        return value

    assert expectation(lambda x: 1) == pytest.approx(1, rel=1e-9)
    assert expectation(lambda x: x) == pytest.approx(law.mean(), rel=1e-9)
    assert expectation(lambda x: (x - law.mean()) ** 2) == pytest.approx(law.var(), rel=1e-8)
    assert expectation(lambda x: -law.log_prob(x)) == pytest.approx(law.entropy(), rel=1e-8)


def test_limits() -> None:
    law = Gumbel()
    for method, at_minus, at_plus in (
        (law.log_prob, -INF, -INF), (law.cdf, 0, 1), (law.log_cdf, -INF, 0), (law.sf, 1, 0), (law.log_sf, 0, -INF),
    ):  # fmt: skip
        assert (method(-INF), method(INF), method(-1e300)) == (at_minus, at_plus, at_minus)
        assert np.isnan(method(NAN))
    assert law.log_sf(1e6) == -1e6


def test_broadcasting() -> None:
    loc, scale = np.array([[0.0], [1.0]]), np.array([1.0, 2.0, 3.0])
    law = Gumbel(loc, scale)
    assert law.batch_shape == (2, 3)
    assert repr(law) == "gumbelfast.distributions.Gumbel(batch_shape=(2, 3))"
    x = np.linspace(-1, 4, 4)[:, None, None]
    for name in ("log_prob", "cdf", "sf", "log_cdf", "log_sf"):
        found = getattr(law, name)(x)
        assert found.shape == (4, 2, 3)
        assert found[3, 1, 2] == getattr(Gumbel(1, 3), name)(x[3, 0, 0])
    assert law.icdf(0.5).shape == law.isf(0.5).shape == (2, 3)
    for name in ("mean", "var", "mode", "entropy"):
        assert getattr(law, name)().shape == (2, 3)
        assert getattr(law, name)()[1, 2] == getattr(Gumbel(1, 3), name)()
    assert type(Gumbel(0, 1).log_prob(0)) is np.float64


@pytest.mark.parametrize("dtype", DTYPES)
def test_samples_are_gumbel_noise(compiled: str, dtype: str) -> None:
    law = Gumbel([0.5, -1.0], 2.0)
    given = {"rng": gf.Generator(KEY), "offset": 7, "dtype": dtype_of(dtype)}
    assert_same_bytes(law.sample((5, 3), **given), gf.gumbel([0.5, -1.0], 2.0, (5, 3, 2), **given))
    assert_same_bytes(Gumbel(1.5, 2).sample(9, **given), gf.gumbel(1.5, 2.0, 9, **given))
    assert Gumbel().sample(rng=0).shape == ()
    assert Gumbel().sample(rng=0).dtype == np.float32


def test_samples_have_the_law(compiled: str) -> None:
    law = Gumbel(LOC, SCALE)
    x = law.sample(100_000, rng=21, dtype=float)
    assert stats.kstest(law.cdf(x), "uniform").pvalue > 1e-6


BAD: list[tuple[Any, type[Exception], str]] = [
    (lambda: Gumbel(NAN), ValueError, "loc must be finite, got nan"),
    (lambda: Gumbel([0, INF]), ValueError, "loc must be finite, got inf at index (1,)"),
    (lambda: Gumbel(0, 0), ValueError, "scale must be finite and > 0, got 0.0"),
    (lambda: Gumbel(0, [[1.0, -2.0]]), ValueError, "scale must be finite and > 0, got -2.0 at index (0, 1)"),
    (lambda: Gumbel("a"), TypeError, "loc must be real numbers, got <U1"),
    (lambda: Gumbel(0, 1j), TypeError, "scale must be real numbers, got complex128"),
    (
        lambda: Gumbel([0, 1], [1, 2, 3]),
        ValueError,
        "loc of shape (2,) does not broadcast with scale of shape (3,)",
    ),
    (lambda: Gumbel().icdf([0.5, 1.5]), ValueError, "q must lie in [0, 1], got 1.5 at index (1,)"),
    (lambda: Gumbel().isf(-0.5), ValueError, "q must lie in [0, 1], got -0.5"),
    (lambda: Gumbel().icdf(NAN), ValueError, "q must lie in [0, 1], got nan"),
    (lambda: Gumbel().log_prob(True), TypeError, "value must be real numbers, got bool"),
]


@pytest.mark.parametrize(("call", "error", "text"), BAD)
def test_bad_input(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
