"""`make_perturbed_argmax`: values and gradients in expectation, at five standard errors."""

from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, Array, assert_refused, assert_same_bytes, dtype_of, work_of
from scipy import stats

import gumbelfast as gf
from gumbelfast.structures import make_perturbed_argmax

THETA = np.array([0.7, -0.4, 0.2, 1.1])
V = np.array([1.0, -2.0, 0.5, 0.3])


def one_hot(x: Array) -> Array:
    return x.argmax(axis=-1)[..., None] == np.arange(x.shape[-1])


def two_largest(x: Array) -> Array:
    return np.argsort(np.argsort(-x, axis=-1), axis=-1) < 2


def estimates(call: Any, runs: int, seed: int) -> tuple[Array, Array]:
    """Mean and standard error of what `call(rng)` returns."""
    rng = gf.default_rng(seed)
    found = np.array([call(rng) for _ in range(runs)])
    return found.mean(axis=0), found.std(axis=0, ddof=1) / runs**0.5


def assert_mean(call: Any, wanted: Array, runs: int = 200, seed: int = 0) -> None:
    mean, error = estimates(call, runs, seed)
    assert np.all(np.abs(mean - wanted) < 5 * error + 1e-12), (mean, wanted, error)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
def test_value_is_softmax(sigma: float) -> None:
    perturbed = make_perturbed_argmax(one_hot, 500, sigma)
    wanted = np.exp(THETA / sigma) / np.exp(THETA / sigma).sum()
    assert_mean(lambda rng: perturbed(THETA, rng=rng)[0], wanted)


@pytest.mark.parametrize("num_samples", [1, 2, 100])
@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
def test_vjp_divides_by_sigma_optax_1310(sigma: float, num_samples: int) -> None:
    p = np.exp(THETA / sigma) / np.exp(THETA / sigma).sum()
    wanted = p * (V - V @ p) / sigma
    # A factor of sigma would be seen: it moves the gradient by many standard errors.
    perturbed = make_perturbed_argmax(one_hot, num_samples, sigma)
    runs = 100_000 // num_samples if num_samples > 1 else 40_000
    call = lambda rng: perturbed(THETA, rng=rng)[1](V)  # noqa: E731
    assert_mean(call, wanted, min(runs, 10_000))
    if num_samples == 100 and sigma != 1:
        mean, error = estimates(call, 1000, 0)
        assert np.any(np.abs(mean * sigma - wanted) > 20 * error)


def test_normal_noise_of_two_categories() -> None:
    # The first wins with probability Phi(d / (sqrt(2) sigma)), d the difference.
    theta, sigma = np.array([0.5, 0.1]), 0.8
    perturbed = make_perturbed_argmax(one_hot, 300, sigma, "normal")
    z = 0.4 / (2**0.5 * sigma)
    p, slope = stats.norm.cdf(z), stats.norm.pdf(z) / (2**0.5 * sigma)
    assert_mean(lambda rng: perturbed(theta, rng=rng)[0], np.array([p, 1 - p]))
    assert_mean(lambda rng: perturbed(theta, rng=rng)[1]([1.0, 0.0]), np.array([slope, -slope]))


@pytest.mark.parametrize("noise", ["gumbel", "normal"])
def test_finite_differences_at_the_same_noise(noise: str) -> None:
    h, perturbed = 0.05, make_perturbed_argmax(two_largest, 400, 0.7, noise)
    directions = np.eye(4)

    def differences(rng: gf.Generator) -> Array:
        seed = rng.integers(2**63)
        gradient = perturbed(THETA, rng=seed)[1](V)
        values = [V @ (perturbed(THETA + s * h * d, rng=seed)[0]) for d in directions for s in (1, -1)]
        slopes = np.diff(np.reshape(values, (4, 2)))[:, 0] / -(2 * h)
        return slopes - gradient

    # V @ y lies within 1.6 of -0.1, and the third derivative of the density over the density has second moment
    # 73 (Gumbel) or 6 (normal): what central differences are off by at most.
    off = h**2 / 6 * 73**0.5 / 0.7**3 * 1.6
    mean, error = estimates(differences, 400, 3)
    assert np.all(np.abs(mean) < 5 * error + off)
    wanted, _ = estimates(lambda rng: perturbed(THETA, rng=rng)[1](V), 400, 3)
    assert np.abs(wanted).max() > 4 * (5 * error + off).max()  # so that a wrong factor would be seen


def test_batches_are_problems_of_their_own() -> None:
    theta = np.stack([THETA, -THETA, 2 * THETA])
    sizes = []

    def count(x: Array) -> Array:
        sizes.append(x.shape)
        return one_hot(x)

    value, vjp = make_perturbed_argmax(count, 50, 0.5)(theta, rng=0)
    assert sizes == [(1, 3, 4), (50, 3, 4)]
    assert value.shape == (3, 4)
    np.testing.assert_allclose(value.sum(axis=-1), 1)
    grad = np.zeros((3, 4))
    grad[1] = V
    found = vjp(grad)
    assert found.shape == (3, 4)
    assert np.array_equal(found != 0, np.arange(3)[:, None] == np.ones((1, 4)))
    # Rows joined to one event share their inner product.
    joined = make_perturbed_argmax(one_hot, 50, 0.5, event_ndim=2)(theta, rng=0)[1](grad)
    assert np.all(joined != 0)
    np.testing.assert_allclose(joined[1], found[1], rtol=1e-12)


def test_solutions_of_another_shape() -> None:
    # The larger half of a line: theta has four components, the solution one.
    perturbed = make_perturbed_argmax(lambda x: x[..., :2].sum(-1) > x[..., 2:].sum(-1), 20)
    value, vjp = perturbed(np.stack([THETA, THETA]), rng=0)
    assert value.shape == (2,)
    assert vjp([1.0, 0.5]).shape == (2, 4)


@pytest.mark.parametrize("noise", ["gumbel", "normal"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_definition(noise: str, dtype: str) -> None:
    """Value and gradient from noise that is drawn here, sample by sample."""
    theta, work = THETA.astype(dtype_of(dtype)), work_of(dtype)
    value, vjp = make_perturbed_argmax(two_largest, 6, 0.4, noise)(theta, rng=11)
    rng = gf.default_rng(11)
    z = rng.gumbel(size=(6, 4), dtype=work) if noise == "gumbel" else rng.standard_normal((6, 4), dtype=work.type)
    y = two_largest(theta.astype(work) + work.type(0.4) * z)
    slope = 1 - np.exp(-z.astype(float)) if noise == "gumbel" else z.astype(float)
    inner = y @ V
    others = [(inner.sum() - inner[i]) / 5 for i in range(6)]
    wanted = np.mean([(inner[i] - others[i]) * slope[i] for i in range(6)], axis=0) / 0.4
    found = vjp(V)
    assert (value.dtype, found.dtype) == (work, work)
    np.testing.assert_allclose(value, y.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    assert_same_bytes(vjp(V), found)


@pytest.mark.parametrize("noise", ["gumbel", "normal"])
def test_reproducible(noise: str) -> None:
    perturbed = make_perturbed_argmax(one_hot, 30, noise=noise)
    rng = gf.default_rng(5)
    first, second, again = (perturbed(THETA, rng=r)[1](V) for r in (rng, rng, 5))
    assert_same_bytes(first, again)
    assert not np.array_equal(first, second)


FAULTS: list[tuple[dict[str, Any], Any, type[Exception], str]] = [
    ({}, [1, 2], TypeError, "expected float16, bfloat16, float32 or float64, got int64"),
    ({}, [1.0, np.nan], ValueError, "theta contains NaN at index (1,)"),
    ({}, [-np.inf, 0.0], ValueError, "theta contains -inf at index (0,)"),
    ({"event_ndim": 2}, THETA, ValueError, "theta must have at least 2 axes, got shape (4,)"),
    (
        {"argmax_fn": lambda x: x.argmax()},
        np.stack([THETA, THETA]),
        ValueError,
        "argmax_fn returned shape (), expected (1, 2) in front",
    ),
]


@pytest.mark.parametrize(("given", "theta", "error", "text"), FAULTS, ids=range(len(FAULTS)))
@pytest.mark.parametrize("noise", ["gumbel", "normal"])
def test_bad_input(given: dict[str, Any], theta: Any, error: type[Exception], text: str, noise: str) -> None:
    perturbed = make_perturbed_argmax(**({"argmax_fn": one_hot, "noise": noise} | given))
    assert_refused(lambda rng: perturbed(theta, rng=rng), error, text)


def test_bad_settings() -> None:
    for given, text in (
        ({"sigma": 0.0}, "sigma must be finite and > 0, got 0.0"),
        ({"sigma": -1.0}, "sigma must be finite and > 0, got -1.0"),
        ({"num_samples": 0}, "num_samples must be >= 1, got 0"),
        ({"event_ndim": 0}, "event_ndim must be >= 1, got 0"),
        ({"noise": "uniform"}, "noise must be 'gumbel' or 'normal', got 'uniform'"),
    ):
        with pytest.raises(ValueError, match="must") as caught:
            make_perturbed_argmax(one_hot, **given)  # type: ignore[arg-type]
        assert str(caught.value) == text
    with pytest.raises(ValueError, match=r"^grad has shape \(3,\), expected that of the value, \(4,\)$"):
        make_perturbed_argmax(one_hot)(THETA, rng=0)[1]([1.0, 2.0, 3.0])
