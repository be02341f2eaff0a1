"""Noise in hindsight, and counterfactuals: against exact probabilities, and the properties that they must have."""

import doctest
import itertools
from typing import Any

import numpy as np
import pytest
from helpers import Array, assert_refused, assert_same_bytes
from scipy import integrate, special, stats

import gumbelfast as gf
from gumbelfast._sampling import hindsight

INF, NAN = np.inf, np.nan
ALPHA = 1e-6  # of a false alarm in each test with a p-value
LAWS = [
    ([0.5, 0.3, 0.2], [0.1, 0.2, 0.7]),
    ([0.1, 0.4, 0.2, 0.3], [0.4, 0.1, 0.3, 0.2]),
    ([0.7, 0.3, 0.0], [0.2, 0.3, 0.5]),
    ([0.2, 0.3, 0.5], [0.6, 0.4, 0.0]),
]


def logarithms(p: Any) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(p)


def joint(p: Array, q: Array, i: int, j: int) -> float:
    """The probability that i is largest under the logarithms of p, and j under those of q, with the same noise.

    In exponentials E_k = exp(-g_k): E_k / p_k is smallest at i, E_k / q_k at j. With E_i = a and E_j = t a the others
    are beyond max(p_k / p_i, q_k t / q_j) a, and the integral over a leaves 1 / (1 + t + sum of these)**2.
    """
    others = [k for k in range(len(p)) if k not in (i, j)]
    if p[i] == 0 or q[j] == 0:
        return 0.0
    if i == j:
        return float(1 / (1 + sum(max(p[k] / p[i], q[k] / q[i]) for k in others)))

    def inner(t: float) -> float:
        return float((1 + t + sum(max(p[k] / p[i], q[k] * t / q[j]) for k in others)) ** -2)

    low, high = p[j] / p[i], q[j] / q[i] if q[i] else INF
    if low >= high:
        return 0.0
    edges = sorted(t for t in (p[k] / p[i] * q[j] / q[k] for k in others if q[k]) if low < t < high)
    ends = [low, *edges, high]
    return float(sum(integrate.quad(inner, a, b, epsabs=1e-13)[0] for a, b in itertools.pairwise(ends)))


@pytest.mark.parametrize(("p", "q"), LAWS)
def test_exact_probabilities(p: list[float], q: list[float]) -> None:
    """What the tests below stand on: both marginals of the joint law are those that were given."""
    table = np.array([[joint(np.array(p), np.array(q), i, j) for j in range(len(q))] for i in range(len(p))])
    np.testing.assert_allclose(table.sum(axis=1), p, atol=1e-10)
    np.testing.assert_allclose(table.sum(axis=0), q, atol=1e-10)


@pytest.mark.parametrize(("p", "q"), LAWS)
def test_counterfactuals_have_their_law(backend: str, p: list[float], q: list[float]) -> None:
    n = 5000 if backend == "reference" else 100_000
    for i in (i for i in range(len(p)) if p[i]):
        drawn = gf.counterfactual(logarithms(p), i, logarithms(q), n, rng=i)
        assert drawn.dtype == np.int64
        wanted = np.array([joint(np.array(p), np.array(q), i, j) for j in range(len(q))]) / p[i]
        counts = np.bincount(drawn, minlength=len(q))
        assert not counts[wanted == 0].any()  # counterfactual stability
        some = wanted > 0
        if some.sum() > 1:
            expected = wanted[some] / wanted[some].sum() * n
            assert stats.power_divergence(counts[some], expected, lambda_="log-likelihood").pvalue > ALPHA


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_nothing_changes_where_odds_do_not(compiled: str, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(2000, 7)) * 1000).astype(dtype)
    observed = rng.integers(7, size=2000)
    assert np.array_equal(gf.counterfactual(x, observed, x, rng=1), observed)
    # Up to a rounding no odds against the observed grow: it stays, among equals too.
    shifted = x.astype(float) + 1 / 3
    assert (gf.counterfactual(x.astype(float), observed, shifted - shifted * 1e-14, rng=1) == observed).mean() > 0.99
    raised = x.astype(float)
    np.put_along_axis(raised, observed[:, None], raised.max() + 1, -1)
    assert np.array_equal(gf.counterfactual(x, observed, raised, rng=1), observed)


def test_noise_in_hindsight_is_noise(backend: str) -> None:
    """Averaged over what is drawn, a standard Gumbel, independent in all places; of what was not possible too."""
    n, p = 4000 if backend == "reference" else 50_000, np.array([0.6, 0.3, 0.1, 0.0])
    observed = gf.categorical(logarithms(p), size=n, rng=1)
    noise = gf.hindsight_gumbel(np.tile(logarithms(p), (n, 1)), observed, rng=2)
    uniform = np.exp(-np.exp(-noise))
    for j in range(4):
        assert stats.kstest(uniform[:, j], "uniform").pvalue > ALPHA
    correlation = np.corrcoef(uniform.T)[np.triu_indices(4, 1)]
    assert np.abs(correlation).max() < 5 / n**0.5


def test_the_maximum_in_hindsight(backend: str) -> None:
    """It does not depend on its place: a Gumbel around the logsumexp."""
    x = np.array([2.0, -1.0, 0.5])
    for i in range(3):
        top = (x + gf.hindsight_gumbel(x, i, 4000, rng=i)).max(axis=-1)
        assert stats.kstest(top - special.logsumexp(x), "gumbel_r").pvalue > ALPHA


@pytest.mark.parametrize("size", [1.0, 1e8, 1e15, 1e300])
def test_what_was_observed_wins_with_any_rounding(compiled: str, size: float) -> None:
    rng = np.random.default_rng(1)
    x = np.round(rng.normal(size=(300, 5)), 1) * size
    x[::3] = x[::3, :1]  # equal logits
    x[1::7, 2] = -INF
    observed = rng.integers(2, size=300)
    total = x + gf.hindsight_gumbel(x, observed, 5, rng=3)
    assert np.array_equal(total.argmax(axis=-1), np.broadcast_to(observed, (5, 300)))
    assert ((total == total.max(axis=-1, keepdims=True)).sum(axis=-1) == 1).all()


def test_it_is_conditional_gumbel(backend: str) -> None:
    x = np.random.default_rng(4).normal(size=(6, 4))
    z = gf.conditional_gumbel(x, 2, rng=7)
    np.testing.assert_allclose(gf.hindsight_gumbel(x, 2, rng=7), z - x, rtol=0, atol=1e-14)
    other = np.random.default_rng(5).normal(size=(6, 4))
    assert np.array_equal(gf.counterfactual(x, 2, other, rng=7), (z + (other - x)).argmax(axis=-1))


def test_shapes_and_addresses(compiled: str) -> None:
    x, new = np.random.default_rng(0).normal(size=(2, 3, 4, 5)), np.zeros((3, 4, 5))
    observed = np.random.default_rng(1).integers(4, size=(3, 5))
    noise = gf.hindsight_gumbel(x[0], observed, (6, 2), axis=1, rng=1)
    assert noise.shape == (6, 2, 3, 4, 5)
    assert np.array_equal((x[0] + noise).argmax(axis=-2), np.broadcast_to(observed, (6, 2, 3, 5)))
    drawn = gf.counterfactual(x[0], observed, new, (6, 2), axis=1, rng=1)
    assert np.array_equal(drawn, (new + noise).argmax(axis=-2))
    assert_same_bytes(gf.hindsight_gumbel(x[0], observed, 3, axis=1, rng=1), noise.reshape(12, 3, 4, 5)[:3])
    assert isinstance(gf.counterfactual([0.0, 1.0], 0, [1.0, 0.0], rng=1), np.int64)
    rows = np.moveaxis(x[0], 1, -1).reshape(15, 4)
    seeds = np.arange(15)
    whole = gf.hindsight_gumbel(rows, observed.ravel(), seeds=seeds, positions=3)
    for i in (0, 7):
        one = gf.hindsight_gumbel(rows[i], observed.ravel()[i], seeds=int(seeds[i]), positions=3)
        assert_same_bytes(one, whole[i])
    assert gf.hindsight_gumbel(np.zeros((0, 3)), np.zeros(0, int), rng=1).shape == (0, 3)


X = np.zeros((2, 3))
HOLE = np.array([[0, 0, 0], [0, -INF, 0]])
OBSERVED: list[tuple[Any, Any, type[Exception], str]] = [
    (X, [0, 3], ValueError, "observed must lie in [0, 3), got 3 in row 1"),
    (X, 1.0, TypeError, "observed must be integers, got float64"),
    (X, [0, 1, 2], ValueError, "observed of shape (3,) does not broadcast to one per row, shape (2,)"),
    (HOLE, 1, ValueError, "observed must have a logit above -inf, got 1 in row 1"),
    (np.where(HOLE < 0, NAN, 0), 0, ValueError, "logits contain NaN at index (1, 1)"),
    (-HOLE, 0, ValueError, "logits contain +inf at index (1, 1)"),
    (X.astype(int), 0, TypeError, "expected float16, bfloat16, float32 or float64, got int64"),
]


@pytest.mark.parametrize(("x", "observed", "error", "text"), OBSERVED)
def test_bad_observations(backend: str, x: Any, observed: Any, error: type[Exception], text: str) -> None:
    assert_refused(lambda rng: gf.hindsight_gumbel(x, observed, 3, rng=rng), error, text)
    assert_refused(lambda rng: gf.counterfactual(x, observed, X, 3, rng=rng), error, text)


def test_bad_interventions(backend: str) -> None:
    for new, error, text in (
        (np.where(HOLE < 0, NAN, 0), ValueError, "new_logits: logits contain NaN at index (1, 1)"),
        (X - INF, ValueError, "new_logits: row 0 has no finite logit"),
        (X[0], ValueError, "new_logits have shape (3,), expected that of the logits, (2, 3)"),
        (X.astype(int), TypeError, "expected float16, bfloat16, float32 or float64, got int64"),
    ):
        assert_refused(lambda rng, new=new: gf.counterfactual(X, 0, new, rng=rng), error, text)
    text = "size must be >= 0, got -1"
    assert_refused(lambda rng: gf.counterfactual(X, 0, X, -1, rng=rng), ValueError, text)


def test_docstrings() -> None:
    found = doctest.testmod(hindsight)
    assert (found.failed, found.attempted > 0) == (0, True)
