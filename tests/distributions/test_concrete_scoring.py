"""Samples of `Concrete` and `BinaryConcrete` score themselves, whatever they round to, and one tau a row."""

import copy
import pickle
import re
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from helpers import DTYPES, KEY, Array, assert_refused, assert_same_bytes, eps_of, normal, work_of

import gumbelfast as gf
from gumbelfast.distributions import BinaryConcrete, Concrete, ExpConcrete

TAUS = [1e-4, 0.05, 1.0, 10.0]
PLACE: dict[str, Any] = {"rng": gf.Generator(KEY), "offset": 9}
BOUNDARY = "y must lie in \\(0, 1\\)"


def exact_concrete(x: Array, tau: float, v: Array) -> tuple[float, float]:
    """The log-density at exp(v) in Jang's form, and the sum of the sizes of its terms."""
    with mp.workdps(60):
        s = [mp.mpf(float(a)) - mp.mpf(tau) * mp.mpf(float(b)) for a, b in zip(x, v, strict=True)]
        n, top = len(s), max(s)
        total = top + mp.log(sum(mp.exp(a - top) for a in s))
        terms = [
            mp.loggamma(n),
            (n - 1) * mp.log(mp.mpf(tau)),
            *(a - total for a in s),
            *(-mp.mpf(float(b)) for b in v),
        ]
        return float(sum(terms)), float(sum(map(abs, terms)))


def exact_binary(x: float, tau: float, t: float) -> float:
    """log(tau alpha y^(-tau-1) (1-y)^(-tau-1) / (alpha y^-tau + (1-y)^-tau)^2) at the sigmoid y of t."""
    with mp.workdps(60):
        tau, t = mp.mpf(tau), mp.mpf(t)
        log_y, log_rest = -mp.log1p(mp.exp(-t)), -mp.log1p(mp.exp(t))
        a, b = mp.mpf(x) - tau * log_y, -tau * log_rest
        total = max(a, b) + mp.log1p(mp.exp(-abs(a - b)))
        return float(mp.log(tau) + x - (tau + 1) * (log_y + log_rest) - 2 * total)


def unrounded(x: Array, tau: float, name: str) -> Array:
    """In float64 the logarithms of what is drawn at `PLACE`; perturbed logits are rounded to the working dtype."""
    z = gf.gumbel(size=(3, *x.shape), dtype=work_of(name), **PLACE) + x.astype(work_of(name))
    return gf.log_softmax(z.astype(np.float64), temperature=tau)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("k", [2, 20, 100])
def test_every_sample_scores_itself(compiled: str, name: str, tau: float, k: int) -> None:
    x = normal(name, (2, k), deviation=1)
    law = Concrete(x, tau)
    y = law.sample(3, **PLACE)
    assert_same_bytes(y, gf.gumbel_softmax(np.broadcast_to(x, (3, 2, k)), tau, **PLACE))
    assert type(y) is np.ndarray
    found, v = law.log_prob(y), unrounded(x, tau, name)
    eps = float(np.finfo(work_of(name)).eps)
    for i in np.ndindex(3, 2):
        wanted, size = exact_concrete(x[i[1]], tau, v[i])
        assert abs(found[i] - wanted) <= 8 * eps * size
    assert_same_bytes(law.log_prob(y[::-2]), found[::-2])
    assert_same_bytes(law.log_prob(y.reshape(3, 1, 2, k)[1:]), found[1:, None])
    turned = Concrete(x.T, tau, axis=0)
    assert_same_bytes(turned.log_prob(turned.sample(3, **PLACE)), found)
    assert_same_bytes(turned.log_prob(y.swapaxes(-1, -2)), found)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("tau", TAUS)
def test_every_binary_sample_scores_itself(compiled: str, name: str, tau: float) -> None:
    x = normal(name, 40, deviation=1)
    law = BinaryConcrete(x, tau)
    y = law.sample(3, **PLACE)
    e = gf.exponential(size=(3, 40), dtype=work_of(name), **PLACE)
    t = (x.astype(work_of(name)) + np.log(np.expm1(e))) * work_of(name).type(1 / tau)
    found, below = law.log_prob(y), law.cdf(y)
    for i in np.ndindex(3, 40):
        a = float(x[i[1]])
        bound = 16 * 2.0**-52 * (1 + abs(float(t[i])) * (1 + tau) + abs(a) + abs(np.log(tau)))
        assert abs(found[i] - exact_binary(a, tau, float(t[i]))) <= bound
        with mp.workdps(40):
            wanted = 1 / (1 + mp.exp(mp.mpf(a) - mp.mpf(tau) * mp.mpf(float(t[i]))))
        assert below[i] == pytest.approx(float(wanted), rel=1e-12)
    assert_same_bytes(law.log_prob(y[1:, None]), found[1:, None])
    # One number without a size.
    single = BinaryConcrete(x[0], tau)
    for seed in range(20):
        one, wanted = (
            single.sample(rng=seed),
            BinaryConcrete(x[:1], tau).log_prob(BinaryConcrete(x[:1], tau).sample(rng=seed)),
        )
        # A scalar is scored as what it rounds to: below 0.99 that moves the logit by eps / 2 / 0.01.
        assert single.log_prob(one) == pytest.approx(wanted[0], rel=0, abs=64 * eps_of(name) * (1 + tau))
        assert np.isfinite(single.cdf(one))
        assert np.shape(one) == ()


@pytest.mark.parametrize("law", [Concrete(np.zeros((2, 5)), 1e-3), BinaryConcrete(np.zeros((2, 5)), 1e-4)])
def test_what_is_forgotten(law: Any) -> None:
    y = law.sample(4, rng=0)
    known = law.log_prob(y)
    assert np.isfinite(known).all()
    turned = y.copy()
    turned.setflags(write=True)
    for other in (y.copy(), copy.copy(y), copy.deepcopy(y), pickle.loads(pickle.dumps(y)), y * 1, y.tolist(), turned):
        assert np.array_equal(other, y)
        with pytest.raises(ValueError, match=BOUNDARY):
            law.log_prob(other)
    assert_same_bytes(law.log_prob(np.asarray(y)), known)
    # What was written over is scored as what it is now, the rest as before.
    row = np.array([0.1, 0.2, 0.3, 0.1, 0.3])
    y[2, 1] = row
    found = law.log_prob(y)
    assert_same_bytes(found[:2], known[:2])
    np.testing.assert_allclose(found[2, 1], law.log_prob(np.tile(row, (2, 1)))[1], rtol=1e-12)
    y[2, 1] = [0.0, 1.5, 0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match=rf"{BOUNDARY}, got (0.0 at index \(2, 1, 0\)|1.5 at index \(2, 1, 1\))"):
        law.log_prob(y)


def test_samples_of_one_law_are_scored_by_another() -> None:
    x = normal("float32", (3, 6))
    y, v = (kind(x, 0.01).sample(rng=3) for kind in (Concrete, ExpConcrete))
    assert (y == 0).any()
    wanted = ExpConcrete(x * 2, 0.3).log_prob(v) - v.sum(axis=-1, dtype=float)
    np.testing.assert_allclose(Concrete(x * 2, 0.3).log_prob(y), wanted, rtol=1e-6)
    with pytest.raises(ValueError, match=r"y of shape .* does not have 5 categories"):
        Concrete(x[:, :5], 0.3).log_prob(y)


@pytest.mark.parametrize("name", DTYPES)
def test_one_tau_a_row(compiled: str, name: str) -> None:
    x, taus = normal(name, (2, 3, 5), deviation=1), np.array([[0.01], [2.0]])
    for kind in (Concrete, ExpConcrete):
        law = kind(x, taus)
        assert np.array_equal(law.tau, [[0.01] * 3, [2.0] * 3])
        assert repr(law).endswith("(categories=5, tau=array of shape (2, 3), batch_shape=(2, 3))")
        y = law.sample(4, **PLACE)
        found = law.log_prob(y)
        turned = kind(np.moveaxis(x, -1, 0), taus, axis=0)
        assert_same_bytes(np.moveaxis(turned.sample(4, **PLACE), 1, -1), y)
        for row, tau in enumerate(taus[:, 0].tolist()):
            same = kind(x, tau)
            alone = same.sample(4, **PLACE)
            relative = 8 * (1 + np.abs(np.log(np.finfo(work_of(name)).tiny))) * eps_of(name)
            np.testing.assert_allclose(y[:, row].astype(float), alone[:, row].astype(float), rtol=relative, atol=1e-6)
            np.testing.assert_allclose(found[:, row], same.log_prob(y)[:, row], rtol=1e-12)
            np.testing.assert_allclose(found[:, row], same.log_prob(alone)[:, row], rtol=32 * eps_of(name) * 5)
    law = BinaryConcrete(x[..., 0], taus)
    assert repr(law) == "gumbelfast.distributions.BinaryConcrete(tau=array of shape (2, 3), batch_shape=(2, 3))"
    y = law.sample(4, **PLACE)
    for row, tau in enumerate(taus[:, 0].tolist()):
        alone = BinaryConcrete(x[..., 0], tau)
        assert_same_bytes(y[:, row], alone.sample(4, **PLACE)[:, row])
        np.testing.assert_allclose(law.log_prob(y)[:, row], alone.log_prob(y)[:, row], rtol=1e-12)
        np.testing.assert_allclose(law.cdf(y)[:, row], alone.cdf(y)[:, row], rtol=1e-12)


def test_what_overflows_has_an_infinite_density() -> None:
    # Logarithms of about 1e40, which float32 does not have, and no NaN for them.
    x = np.array([[0.0, 300.0], [300.0, 0.0]], np.float32)
    law, single = Concrete(x, 4e-38), BinaryConcrete(x, 4e-38)
    assert np.all(law.log_prob(law.sample(5, rng=0)) == np.inf)
    assert np.all(single.log_prob(single.sample(5, rng=0))[x[None] * np.ones((5, 1, 1)) > 0] == np.inf)


def test_tau_is_copied() -> None:
    tau = np.array([1.0, 2.0])
    laws = [Concrete(np.zeros((2, 3)), tau), BinaryConcrete(np.zeros(2), tau)]
    tau[:] = 0
    assert all(np.array_equal(law.tau, [1.0, 2.0]) for law in laws)


BAD = [
    ([1.0, 0.0], "tau must be finite and > 0, got 0.0 in row 1"),
    ([-1.0, 1.0], "tau must be finite and > 0, got -1.0 in row 0"),
    ([1.0, np.nan], "tau must be finite and > 0, got nan in row 1"),
    ([1.0, 1e-40], "tau must have a finite reciprocal, got 1e-40 in row 1, whose reciprocal overflows float32"),
    ([1.0, 2.0, 3.0], "tau of shape (3,) does not broadcast to one per row, shape (2,)"),
]


@pytest.mark.parametrize(("tau", "text"), BAD)
def test_bad_temperatures_of_rows(tau: Any, text: str) -> None:
    for make in (
        lambda: Concrete(np.zeros((2, 3), np.float32), tau),
        lambda: ExpConcrete(np.zeros((3, 2), np.float32), tau, axis=0),
        lambda: BinaryConcrete(np.zeros(2, np.float32), tau),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            make()
    with pytest.raises(TypeError, match="tau must be real numbers"):
        Concrete(np.zeros((2, 3)), ["a", "b"])


def test_what_fails_moves_nothing() -> None:
    for law in (
        Concrete(np.zeros((2, 3)), [1.0, 2.0]),
        Concrete(np.zeros((2, 3)), 1.0),
        BinaryConcrete(np.zeros(3), 1.0),
    ):
        text = "num_threads must be between 1 and 4096, got 0"
        assert_refused(lambda rng, s=law.sample: s(1, rng, num_threads=0), ValueError, text)
