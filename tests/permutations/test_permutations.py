"""Gumbel-Sinkhorn, SoftSort and NeuralSort: formulas, limits, gradients by differences."""

import doctest
import itertools
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, OLD_NUMPY, Array, assert_refused, assert_same_bytes, dtype_of, work_of

import gumbelfast as gf
from gumbelfast.permutations import (
    gumbel_sinkhorn,
    gumbel_sinkhorn_backward,
    match,
    neural_sort,
    neural_sort_backward,
    sinkhorn,
    soft_sort,
    soft_sort_backward,
    sorting,
)

X = np.random.default_rng(0).normal(size=(3, 4, 4))
S = np.random.default_rng(1).normal(size=(3, 5))


@pytest.mark.parametrize("iterations", [1, 2, 50])
def test_rows_then_columns(backend: str, iterations: int) -> None:
    found, z = gumbel_sinkhorn(X, 0.7, iterations, rng=1, return_perturbed=True)
    p = np.exp(z / 0.7)
    for _ in range(iterations):
        p /= p.sum(axis=-1, keepdims=True)
        p /= p.sum(axis=-2, keepdims=True)
    np.testing.assert_allclose(found, p, rtol=1e-12)
    assert_same_bytes(z, X + gf.gumbel(size=X.shape, dtype=np.float64, rng=1))


def test_the_limit_is_the_best_permutation(compiled: str) -> None:
    hard, z = gumbel_sinkhorn(X, hard=True, rng=2, return_perturbed=True)
    every = np.array(list(itertools.permutations(range(4))))
    total = z[:, np.arange(4), every].sum(axis=-1)
    best = every[total.argmax(axis=-1)]
    assert np.array_equal(match(z), best)
    assert np.array_equal(hard.argmax(axis=-1), best)
    assert (hard.sum(axis=-1) == 1).all()
    # The error is about exp(-gap / (4 tau)) at most: a cycle of four items shares the gap to the second best.
    gap = np.diff(np.sort(total, axis=-1)[:, -2:])[:, 0].min()
    cold = gumbel_sinkhorn(X, gap / 40, 4000, rng=2)
    np.testing.assert_allclose(cold, hard, atol=1e-3)


def test_noise_is_scaled(compiled: str) -> None:
    _, z = gumbel_sinkhorn(X, noise_scale=0.25, rng=3, return_perturbed=True)
    np.testing.assert_allclose(z, X + 0.25 * gf.gumbel(size=X.shape, dtype=np.float64, rng=3), rtol=1e-15)
    rng = gf.default_rng(3)
    _, z = gumbel_sinkhorn(X, noise_scale=0.0, rng=rng, return_perturbed=True)
    assert_same_bytes(z, X)
    assert rng.offset == 0
    _, z = gumbel_sinkhorn(X, rng=rng, offset=7, return_perturbed=True)
    assert_same_bytes(z, X + gf.gumbel(size=X.shape, dtype=np.float64, rng=rng, offset=7))


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_and_extreme_scores(compiled: str, dtype: str) -> None:
    x = X.astype(dtype_of(dtype)) * 1000
    found = gumbel_sinkhorn(x, [0.1, 1.0, 10.0], rng=1)
    assert (found.dtype, found.shape) == (work_of(dtype), X.shape)
    np.testing.assert_allclose(found.sum(axis=-2), 1, rtol=1e-2 if dtype != "float64" else 1e-10)
    for i, tau in enumerate([0.1, 1.0, 10.0]):
        z = gumbel_sinkhorn(x, [0.1, 1.0, 10.0], rng=1, return_perturbed=True)[1]
        alone = gumbel_sinkhorn(z[i], tau, noise_scale=0)
        np.testing.assert_allclose(alone, found[i], rtol=1e-5)


def differences(function: Any, x: Array, h: float = 1e-6) -> Array:
    wanted = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[place] = h
        wanted[place] = (function(x + step) - function(x - step)) / (2 * h)
    return wanted


@pytest.mark.parametrize("iterations", [1, 4, 20])
@pytest.mark.parametrize("tau", [0.3, 1.0, [0.2, 1.0, 3.0]])
def test_gradient_of_sinkhorn(backend: str, iterations: int, tau: Any) -> None:
    g = np.random.default_rng(4).normal(size=X.shape)
    found = gumbel_sinkhorn_backward(g, X, tau, iterations)
    wanted = differences(lambda x: float((g * gumbel_sinkhorn(x, tau, iterations, noise_scale=0)).sum()), X)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("tau", [0.5, 2.0, [0.2, 1.0, 3.0]])
def test_formulas_of_sorting(backend: str, tau: Any) -> None:
    n, each = S.shape[-1], np.broadcast_to(tau, 3)
    for found, kind in ((soft_sort(S, tau), "soft"), (neural_sort(S, tau), "neural")):
        assert found.shape == (3, n, n)
        for p, s, t in zip(found, S, each, strict=True):
            for i in range(n):
                if kind == "soft":
                    logits = [-abs(sorted(s)[::-1][i] - s[j]) / t for j in range(n)]
                else:
                    logits = [((n + 1 - 2 * (i + 1)) * s[j] - np.abs(s[j] - s).sum()) / t for j in range(n)]
                e = np.exp(np.array(logits) - max(logits))
                np.testing.assert_allclose(p[i], e / e.sum(), rtol=1e-12)


@pytest.mark.parametrize("sort", [soft_sort, neural_sort])
def test_sorting_in_the_limit(compiled: str, sort: Any) -> None:
    cold = sort(S, 1e-3)
    np.testing.assert_allclose(cold @ S[..., None], -np.sort(-S)[..., None], atol=1e-3)
    assert np.array_equal(sort(S, 5.0).argmax(axis=-1), np.argsort(-S, axis=-1)) or sort is neural_sort
    # With Gumbel noise the order is a Plackett-Luce draw.
    noise = gf.gumbel(size=S.shape, dtype=np.float64, rng=1)
    wanted = gf.gumbel_top_k(S, 5, rng=1).indices
    assert np.array_equal(sort(S + noise, 1e-4).argmax(axis=-1), wanted)
    assert sort(S.astype(np.float16)).dtype == np.float32
    assert sort(S[0]).shape == (5, 5)


@pytest.mark.parametrize("tau", [0.5, 2.0, [0.2, 1.0, 3.0]])
@pytest.mark.parametrize(("sort", "back"), [(soft_sort, soft_sort_backward), (neural_sort, neural_sort_backward)])
def test_gradients_of_sorting(sort: Any, back: Any, tau: Any) -> None:
    g = np.random.default_rng(4).normal(size=(3, 5, 5))
    found = back(g, S, tau)
    wanted = differences(lambda s: float((g * sort(s, tau)).sum()), S)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-8)
    assert np.isfinite(back(g, np.zeros((3, 5)), tau)).all()


SQUARES: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (X[0, :3], {}, ValueError, "logits must be square matrices (..., n, n) with n > 0, got shape (3, 4)"),
    (X[0, 0], {}, ValueError, "logits must be square matrices (..., n, n) with n > 0, got shape (4,)"),
    (np.where(np.eye(4) > 0, np.nan, X), {}, ValueError, "logits must be finite, got nan at index (0, 0, 0)"),
    (X.astype(int), {}, TypeError, "expected float16, bfloat16, float32 or float64, got int64"),
    (X, {"tau": 0.0}, ValueError, "tau must be finite and > 0, got 0.0"),
    (X, {"tau": [1.0, 2.0, -1.0]}, ValueError, "tau must be finite and > 0, got -1.0 in row 2"),
    (X, {"iterations": 0}, ValueError, "iterations must be >= 1, got 0"),
    (X, {"iterations": 2**31}, ValueError, "iterations must be < 2**31, got 2147483648"),
    (X, {"iterations": 2.0}, TypeError, "iterations must be an integer, got 2.0"),
    (X, {"noise_scale": -1}, ValueError, "noise_scale must be finite and >= 0, got -1"),
    (X, {"noise_scale": "1"}, TypeError, "noise_scale must be real numbers, got <U1"),
    (np.full((2, 2), 1e38, np.float32), {"tau": 1e-3}, ValueError, "logits / tau overflows float32 in row 0"),
]


@pytest.mark.parametrize(("x", "given", "error", "text"), SQUARES, ids=range(len(SQUARES)))
def test_bad_squares(x: Any, given: dict[str, Any], error: type[Exception], text: str) -> None:
    assert_refused(lambda rng: gumbel_sinkhorn(x, rng=rng, **given), error, text)


def test_bad_input() -> None:
    for call, error, text in (
        (
            lambda: gumbel_sinkhorn_backward(np.zeros(3), X),
            ValueError,
            "grad of shape (3,) does not broadcast to shape ",
        ),
        (lambda: gumbel_sinkhorn_backward(0.0, X[0, 0]), ValueError, "perturbed must be square matrices (..., n, n)"),
        (
            lambda: match(X[0, :2]),
            ValueError,
            "scores must be square matrices (..., n, n) with n > 0, got shape (2, 4)",
        ),
        (lambda: soft_sort(np.zeros(())), ValueError, "scores must have an axis of at least one item, got shape ()"),
        (lambda: neural_sort([np.inf, 0.0]), ValueError, "scores must be finite, got inf at index (0,)"),
        (lambda: soft_sort(S, -1.0), ValueError, "tau must be finite and > 0, got -1.0"),
        (lambda: neural_sort([1, 2]), TypeError, "expected float16, bfloat16, float32 or float64, got int64"),
        (
            lambda: soft_sort_backward(np.zeros(7), S),
            ValueError,
            "grad of shape (7,) does not broadcast to shape (3, 5",
        ),
        (lambda: neural_sort_backward(1j, S), TypeError, "grad must be real numbers, got complex128"),
    ):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value).startswith(text)


@pytest.mark.skipif(OLD_NUMPY, reason="NumPy 1 prints numbers otherwise")
@pytest.mark.parametrize("module", [sinkhorn, sorting], ids=["sinkhorn", "sorting"])
def test_docstrings(module: Any) -> None:
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)
