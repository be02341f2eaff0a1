"""`relaxed_top_k` against its recursion in many digits, its limits and its gradient."""

import doctest
from typing import Any

import mpmath
import numpy as np
import pytest
from helpers import DTYPES, Array, assert_refused, assert_same_bytes, dtype_of, work_of

import gumbelfast as gf
from gumbelfast.subsets import relaxed, relaxed_top_k, relaxed_top_k_backward

INF, NAN = np.inf, np.nan
X = np.random.default_rng(0).normal(size=(4, 7))


def recursion(z: Array, k: int, tau: float) -> Array:
    """The formula of the paper, in 300 digits."""
    with mpmath.workdps(300):
        alpha, y = [mpmath.mpf(float(v)) for v in z], [mpmath.mpf(0)] * len(z)
        for _ in range(k):
            e = [mpmath.exp(a / tau) for a in alpha]
            p = [each / mpmath.fsum(e) for each in e]
            y = [a + b for a, b in zip(y, p, strict=True)]
            alpha = [a + (mpmath.log(1 - b) if b < 1 else -mpmath.inf) for a, b in zip(alpha, p, strict=True)]
        return np.array([float(v) for v in y])


@pytest.mark.parametrize("tau", [5.0, 1.0, 0.1, 0.02])
@pytest.mark.parametrize("k", [0, 1, 3, 6, 7])
def test_the_recursion(backend: str, k: int, tau: float) -> None:
    y, z = relaxed_top_k(X, k, tau, rng=1, return_perturbed=True)
    for found, row in zip(y, z, strict=True):
        np.testing.assert_allclose(found, recursion(row, k, tau), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(y.sum(axis=-1), k, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_noise_and_the_limit_are_those_of_gumbel_top_k(backend: str, dtype: str) -> None:
    x = X.astype(dtype_of(dtype))
    wanted = gf.gumbel_top_k(x, 3, rng=2)
    hot = np.zeros(X.shape)
    np.put_along_axis(hot, wanted.indices, 1, -1)
    hard, z = relaxed_top_k(x, 3, hard=True, rng=2, return_perturbed=True)
    assert_same_bytes(hard, hot.astype(work_of(dtype)))
    assert_same_bytes(np.take_along_axis(z, wanted.indices, -1), wanted.perturbed.astype(work_of(dtype)))
    for tau in (1e-3, 1e-30):
        cold = relaxed_top_k(x, 3, tau, rng=2)
        assert cold.dtype == work_of(dtype)
        np.testing.assert_allclose(cold, hot, atol=1e-5)


def test_one_is_gumbel_softmax(backend: str) -> None:
    np.testing.assert_allclose(relaxed_top_k(X, 1, 0.7, rng=3), gf.gumbel_softmax(X, 0.7, rng=3), rtol=1e-12)


def test_masks_axes_temperatures_and_addresses(compiled: str) -> None:
    x = X.copy()
    x[:, 2] = -INF
    tau = np.array([0.2, 0.5, 1.0, 3.0])
    whole, z = relaxed_top_k(x, 4, tau, rng=4, return_perturbed=True)
    assert not whole[:, 2].any()
    for row, one, t in zip(z, whole, tau, strict=True):
        np.testing.assert_allclose(one, recursion(np.delete(row, 2), 4, t)[[0, 1, 1, 2, 3, 4, 5]] * (np.arange(7) != 2))
    across, other = relaxed_top_k(x.T, 4, tau, axis=0, rng=4, return_perturbed=True)
    assert_same_bytes(across.T, whole)
    g = np.random.default_rng(1).normal(size=x.shape)
    back = relaxed_top_k_backward(g, z, 4, tau)
    assert_same_bytes(relaxed_top_k_backward(g.T, other, 4, tau, axis=0).T, back)
    assert not back[:, 2].any()
    seeded = relaxed_top_k(x, 4, tau, seeds=np.arange(4), positions=5)
    assert_same_bytes(relaxed_top_k(x[2], 4, 1.0, seeds=2, positions=5), seeded[2])


@pytest.mark.parametrize("tau", [2.0, 0.5, 0.1])
@pytest.mark.parametrize("k", [1, 3, 7])
def test_gradient(backend: str, k: int, tau: float) -> None:
    g, h = np.random.default_rng(5).normal(size=X.shape), 1e-6
    z = relaxed_top_k(X, k, tau, rng=6, return_perturbed=True)[1]
    found = relaxed_top_k_backward(g, z, k, tau)
    for j in range(7):
        step = h * np.eye(7)[j]
        above, below = (relaxed_top_k(X + s * step, k, tau, rng=6) for s in (1, -1))
        np.testing.assert_allclose(found[:, j], (g * (above - below)).sum(-1) / (2 * h), rtol=2e-4, atol=1e-7)


def test_gradients_of_what_is_almost_sure_are_exact(backend: str) -> None:
    """1 - p of the largest is far below a rounding of 1. At tau = 1 it comes back as large as all others together."""
    z = np.array([[900.0, 0.3, 0.0, -0.2]])
    g = np.array([[0.0, 1.0, -2.0, 0.5]])
    found = relaxed_top_k_backward(g, z, 2, 1.0)
    p = np.exp(z[0, 1:]) / np.exp(z[0, 1:]).sum()
    np.testing.assert_allclose(found[0, 1:], p * (g[0, 1:] - (g[0, 1:] * p).sum()) / 2, rtol=1e-12)
    assert np.isfinite(relaxed_top_k_backward(g, z, 4, 1e-3)).all()


HOLE = np.array([[0.0, 1, 2], [0, -INF, -INF]])
FAULTS: list[tuple[Any, type[Exception], str]] = [
    ((X, 8), ValueError, "k=8 exceeds the 7 columns"),
    ((X, 1.5), TypeError, "k must be an integer, got 1.5"),
    ((HOLE, 2), ValueError, "k=2 exceeds the 1 finite logits of row 1"),
    ((np.where(HOLE < 0, NAN, 0), 1), ValueError, "logits contain NaN at index (1, 1)"),
    ((-HOLE, 1), ValueError, "logits contain +inf at index (1, 1)"),
    ((X, 2, 0.0), ValueError, "tau must be finite and > 0, got 0.0"),
    ((X, 2, [1.0, 1.0, -1.0, 1.0]), ValueError, "tau must be finite and > 0, got -1.0 in row 2"),
    ((X.astype(int), 2), TypeError, "expected float16, bfloat16, float32 or float64, got int64"),
]


@pytest.mark.parametrize(("given", "error", "text"), FAULTS, ids=range(len(FAULTS)))
def test_bad_input(given: Any, error: type[Exception], text: str) -> None:
    assert_refused(lambda rng: relaxed_top_k(*given, rng=rng), error, text)
    with pytest.raises(error) as caught:
        relaxed_top_k_backward(0.0, *given)
    assert str(caught.value) == text


def test_bad_gradients() -> None:
    with pytest.raises(ValueError, match=r"^grad of shape \(3,\) does not broadcast to shape \(4, 7\)$"):
        relaxed_top_k_backward(np.zeros(3), X, 2)
    with pytest.raises(TypeError, match=r"^grad must be real numbers, got complex128$"):
        relaxed_top_k_backward(1j, X, 2)


def test_docstrings() -> None:
    found = doctest.testmod(relaxed)
    assert (found.failed, found.attempted > 0) == (0, True)
