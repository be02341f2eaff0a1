"""Sums, marginals, samples and designs of subsets against looking at every subset."""

import doctest
import itertools
from typing import Any

import numpy as np
import pytest
from helpers import OLD_NUMPY, Array, assert_refused, assert_same_bytes
from scipy import special, stats

import gumbelfast as gf
from gumbelfast import subsets
from gumbelfast.subsets import (
    conditional_poisson_logits,
    designs,
    exact,
    inclusion_probabilities,
    sample_sampford,
    sample_subsets,
    subset_log_partition,
    subset_log_prob,
    subset_marginals,
    subset_marginals_backward,
)

INF, NAN = np.inf, np.nan
ALPHA = 1e-6  # of a false alarm in each test with a p-value
X = np.random.default_rng(0).normal(size=(3, 6)) * 2
HOLES = np.where(np.random.default_rng(1).random((3, 6)) < 0.3, -INF, X)


def every(n: int, k: int) -> Array:
    return np.array(list(itertools.combinations(range(n), k)), np.int64)


def enumerated(x: Array, k: int) -> tuple[Array, Array, float]:
    """All subsets, their probabilities, and the logarithm of their sum."""
    items = every(len(x), k)
    score = x[items].sum(axis=-1)
    total = float(special.logsumexp(score))
    return items, np.exp(score - total), total


def shares(items: Array, p: Array, n: int) -> Array:
    return np.array([p[(items == i).any(axis=-1)].sum() for i in range(n)])


def assert_follows(drawn: Array, items: Array, p: Array) -> None:
    """A G-test of subsets, one per row, against the probabilities of all."""
    n = int(items.max(initial=0)) + 1
    place = {tuple(row): i for i, row in enumerate(items.tolist())}
    assert (np.sort(drawn, axis=-1) == drawn).all()
    code, counted = np.unique(drawn @ n ** np.arange(drawn.shape[1]), return_counts=True)
    counts = np.zeros(len(p))
    for c, m in zip(code.tolist(), counted, strict=True):
        counts[place[tuple(c // n**j % n for j in range(drawn.shape[1]))]] = m
    assert not counts[p == 0].any()
    rare = p * len(drawn) < 10
    seen, wanted = (np.append(a[~rare], a[rare].sum() or ()) for a in (counts, p * len(drawn)))
    if len(seen) > 1:
        assert stats.power_divergence(seen, wanted / wanted.sum() * seen.sum(), lambda_=0).pvalue > ALPHA


@pytest.mark.parametrize("x", [X, HOLES], ids=["all", "holes"])
@pytest.mark.parametrize("k", [0, 1, 2, 3, 6])
def test_every_subset(backend: str, x: Array, k: int) -> None:
    x = x if k < 6 else X
    for i, row in enumerate(x):
        items, p, total = enumerated(row, k)
        assert subset_log_partition(row, k) == pytest.approx(total, rel=1e-13, abs=1e-14)
        np.testing.assert_allclose(subset_marginals(x, k)[i], shares(items, p, 6), rtol=1e-12, atol=1e-15)
        found = subset_log_prob(np.tile(row, (len(items), 1)), items[:, ::-1])
        np.testing.assert_allclose(np.exp(found), p, rtol=1e-12)
        # The covariance of the indicators.
        hot = (items[:, :, None] == np.arange(6)).any(axis=1).astype(float)
        covariance = (hot * p[:, None]).T @ hot - np.outer(p @ hot, p @ hot)
        g = np.random.default_rng(i).normal(size=6)
        np.testing.assert_allclose(subset_marginals_backward(g, row, k), covariance @ g, rtol=1e-9, atol=1e-13)


def test_extremes_keep_their_accuracy(backend: str) -> None:
    x = np.array([400.0, -400.0, 0.0, 1.0])
    found = subset_marginals(x, 2)
    np.testing.assert_allclose(found[1], np.exp(-400.0) / (1 + np.e), rtol=1e-10)
    np.testing.assert_allclose(found.sum(), 2, rtol=1e-14)
    assert subset_log_partition(np.zeros(2000), 1000) == pytest.approx(
        special.gammaln(2001) - 2 * special.gammaln(1001), rel=1e-12
    )


def test_the_gradient_is_that_of_differences(backend: str) -> None:
    h, g = 1e-6, np.random.default_rng(2).normal(size=X.shape)
    found = subset_marginals_backward(g, X, 3)
    for j in range(6):
        above, below = (subset_marginals(X + s * h * np.eye(6)[j], 3) for s in (1, -1))
        np.testing.assert_allclose(found[:, j], (g * (above - below)).sum(-1) / (2 * h), atol=1e-8)


@pytest.mark.parametrize("x", [X, HOLES], ids=["all", "holes"])
def test_samples_follow_the_law(backend: str, x: Array) -> None:
    count = 3000 if backend == "reference" else 40_000
    drawn = sample_subsets(x, 3, count, rng=1)
    assert (drawn.shape, drawn.dtype) == ((count, 3, 3), np.int64)
    for i, row in enumerate(x):
        assert_follows(drawn[:, i], *enumerated(row, 3)[:2])


def test_samples_are_thresholds_of_noise_that_is_known(backend: str) -> None:
    """From the last item to the first: taken if its exponential is below -log of the probability to leave it out."""
    drawn = sample_subsets(X, 2, 20, rng=5)
    noise = gf.exponential(size=(20, *X.shape), dtype=np.float64, rng=5)
    for i, row in enumerate(X):
        items, p, _ = enumerated(row, 2)
        hot = (items[:, :, None] == np.arange(6)).any(axis=1)
        for n in range(20):
            fits = np.ones(len(items), bool)
            for j in reversed(range(6)):
                out = p[fits & ~hot[:, j]].sum() / p[fits].sum()
                taken = noise[n, i, j] < (-np.log(out) if out else INF)
                assert (j in drawn[n, i]) == taken
                fits &= hot[:, j] == taken


def test_sizes_and_axes(compiled: str) -> None:
    many = sample_subsets(X, 2, (4, 5), rng=1)
    assert many.shape == (4, 5, 3, 2)
    assert_same_bytes(sample_subsets(X, 2, 7, rng=1), many.reshape(20, 3, 2)[:7])
    assert_same_bytes(sample_subsets(X.T, 2, (4, 5), axis=0, rng=1), np.moveaxis(many, -1, -2).copy())
    assert_same_bytes(sample_subsets(X, 2, rng=1), many[0, 0])
    np.testing.assert_array_equal(subset_marginals(X.T, 2, axis=0), subset_marginals(X, 2).T)
    np.testing.assert_array_equal(subset_marginals_backward(X.T, X.T, 2, axis=0), subset_marginals_backward(X, X, 2).T)
    assert subset_log_prob(X.T, np.array([[0, 1, 2], [3, 4, 5]]), axis=0).shape == (3,)
    assert sample_subsets(X, 0, 4, rng=1).shape == (4, 3, 0)
    assert sample_subsets(np.zeros((0, 4)), 2, 3, rng=1).shape == (3, 0, 2)


PI = np.array([0.1, 0.35, 0.5, 0.55, 0.7, 0.8])


def test_conditional_poisson_has_its_probabilities(backend: str) -> None:
    both = np.stack([PI, [0.999999, 1e-6, 0.5, 0.5, 0.5, 0.5], [1.0, 0.0, 0.3, 0.7, 0.5, 0.5]])
    found = conditional_poisson_logits(both)
    np.testing.assert_allclose(subset_marginals(found, 3), both, rtol=1e-10, atol=1e-15)
    assert found[0].mean() == pytest.approx(0, abs=1e-14)
    assert found[2, 1] == -INF
    np.testing.assert_array_equal(conditional_poisson_logits(both.T, axis=0), found.T)
    sure = conditional_poisson_logits([1.0, 0.0, 1.0])
    np.testing.assert_array_equal(subset_marginals(sure, 2), [1, 0, 1])


def test_conditional_poisson_of_many_items() -> None:
    pi = inclusion_probabilities(np.random.default_rng(0).gamma(1.0, size=400), 40)
    np.testing.assert_allclose(subset_marginals(conditional_poisson_logits(pi), 40), pi, rtol=1e-10)


def sampford(pi: Array) -> tuple[Array, Array]:
    """All subsets and their probabilities by Sampford's formula."""
    items = every(len(pi), int(np.rint(pi.sum())))
    p = (1 - pi)[items].sum(axis=-1) * (pi / (1 - pi))[items].prod(axis=-1)
    return items, p / p.sum()


def test_sampfords_design(backend: str) -> None:
    items, p = sampford(PI)
    np.testing.assert_allclose(shares(items, p, 6), PI, rtol=1e-13)  # Sampford's theorem
    count = 3000 if backend == "reference" else 40_000
    assert_follows(sample_sampford(PI, count, rng=2), items, p)
    both = np.stack([[0.0, 1.0, *PI[1:4], 0.6], [0.5] * 6])
    drawn = sample_sampford(both, count, rng=3)
    inside, q = sampford(np.append(PI[1:4], 0.6))
    assert (drawn[:, 0, 0] == 1).all()
    assert_follows(drawn[:, 0, 1:] - 2, inside, q)
    assert_follows(drawn[:, 1], *sampford(np.full(6, 0.5)))


def test_shapes_of_sampfords_design(compiled: str) -> None:
    many = sample_sampford(np.tile(PI, (2, 1)), (3, 4), rng=1)
    assert many.shape == (3, 4, 2, 3)
    assert not np.array_equal(many[:, :, 0], many[:, :, 1])
    assert sample_sampford(PI[:, None], 5, axis=0, rng=1).shape == (5, 3, 1)
    assert sample_sampford(PI, rng=1).shape == (3,)
    assert sample_sampford([1.0, 0.0, 1.0], 4, rng=1).tolist() == [[0, 2]] * 4
    assert sample_sampford([0.0, 0.0], 4, rng=1).shape == (4, 0)
    assert sample_sampford(PI, 0, rng=1).shape == (0, 3)


def test_inclusion_probabilities() -> None:
    np.testing.assert_allclose(inclusion_probabilities([1, 2, 3, 4], 2), [0.2, 0.4, 0.6, 0.8], rtol=1e-15)
    # 10 is always in, and then 5 as well.
    found = inclusion_probabilities([[10.0, 5.0, 1.0, 1.0, 0.0], [1, 1, 1, 1, 1]], 3)
    np.testing.assert_allclose(found, [[1, 1, 0.5, 0.5, 0], [0.6] * 5], rtol=1e-15)
    np.testing.assert_array_equal(inclusion_probabilities(np.ones((4, 2)), 2, axis=0), np.full((4, 2), 0.5))
    np.testing.assert_array_equal(inclusion_probabilities([1.0, 5.0], 2), [1, 1])
    np.testing.assert_array_equal(inclusion_probabilities([1.0, 5.0], 0), [0, 0])


FAULTS: list[tuple[Any, type[Exception], str]] = [
    (lambda: subset_log_partition(X, 7), ValueError, "k=7 exceeds the 6 columns"),
    (lambda: subset_marginals(X, -1), ValueError, "k must be >= 0, got -1"),
    (lambda: subset_marginals([[0.0, 0.0], [NAN, 0.0]], 1), ValueError, "logits contain NaN at index (1, 0)"),
    (
        lambda: subset_marginals([[0.0, 0.0], [0.0, -INF]], 2),
        ValueError,
        "k=2 exceeds the 1 finite logits of row 1",
    ),
    (
        lambda: subset_log_prob(X, [[0, 0]] * 3),
        ValueError,
        "items must hold different columns, got [0, 0] at index (0,)",
    ),
    (lambda: subset_marginals_backward(np.zeros(5), X, 2), ValueError, "grad of shape (5,) does not broadcast to sh"),
    (lambda: inclusion_probabilities([1.0, -1.0], 1), ValueError, "sizes must be finite and >= 0, got -1.0 at index"),
    (lambda: inclusion_probabilities([[1.0, 0.0]], 2), ValueError, "k=2 exceeds the 1 sizes above 0 of row 0"),
    (lambda: inclusion_probabilities(["a"], 1), TypeError, "sizes must be real numbers, got <U1"),
    (lambda: conditional_poisson_logits([0.5, 1.5]), ValueError, "inclusion must lie in [0, 1], got 1.5 at index (1,)"),
    (lambda: conditional_poisson_logits([0.5, 0.2]), ValueError, "inclusion must sum to a whole number, got 0.7 in r"),
    (
        lambda: conditional_poisson_logits([[0.5, 0.5], [1.0, 1.0]]),
        ValueError,
        "inclusion must sum to 1, got 2.0 in row 1",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), FAULTS, ids=range(len(FAULTS)))
def test_bad_input(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(text)


def test_bad_input_moves_nothing(backend: str) -> None:
    assert_refused(lambda rng: sample_subsets(X, 7, rng=rng), ValueError, "k=7 exceeds the 6 columns")
    assert_refused(lambda rng: sample_subsets(X, 2, -1, rng=rng), ValueError, "size must be >= 0, got -1")
    text = "inclusion must sum to a whole number, got 0.5 in row 0"
    assert_refused(lambda rng: sample_sampford([0.5], rng=rng), ValueError, text)


@pytest.mark.skipif(OLD_NUMPY, reason="NumPy 1 prints numbers otherwise")
@pytest.mark.parametrize("module", [exact, designs], ids=["exact", "designs"])
def test_docstrings(module: Any) -> None:
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)
    assert subsets.__all__ == sorted(subsets.__all__)
