"""`gumbel_softmax` and its gradient."""

from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, KEY, assert_same_bytes, dtype_of, eps_of, normal, relax, work_of

import gumbelfast as gf

INF = np.inf
COLUMNS = [1, 2, 15, 16, 17, 31, 32, 33, 100, 513, 4095, 4097, 9000]


def exact_softmax(perturbed: Any, tau: float) -> Any:
    """softmax((p - max p) / tau) in higher precision, 1/tau rounded to the working dtype."""
    p = perturbed.astype(np.longdouble)
    with np.errstate(under="ignore", over="ignore"):
        e = np.exp((p - p.max(axis=-1, keepdims=True)) * np.longdouble(perturbed.dtype.type(1 / tau)))
    return e / e.sum(axis=-1, keepdims=True)


def assert_close(found: Any, wanted: Any, dtype: str) -> None:
    """Rounded once to the dtype, after an error of the working dtype that grows with the exponent."""
    exponent = -np.log(np.maximum(wanted, np.finfo(np.longdouble).tiny))
    tolerance = wanted * (0.6 * eps_of(dtype) + eps_of(str(work_of(dtype))) * (4 + exponent))
    smallest = {"float16": 2.0**-24, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}[dtype]
    assert np.all(np.abs(found.astype(np.longdouble) - wanted) <= tolerance + smallest)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", COLUMNS)
def test_softmax_of_perturbed_logits(compiled: str, dtype: str, columns: int) -> None:
    x = normal(dtype, (3, columns), columns)
    noise = gf.gumbel(size=x.shape, dtype=work_of(dtype), rng=columns)
    for tau in (1.0, 0.1, 0.7, 20.0, 1e-3):
        y = gf.gumbel_softmax(x, tau, rng=columns)
        assert y.dtype == x.dtype
        assert_close(y, exact_softmax(relax(x, noise), tau), dtype)
    with gf.use_backend("reference"):
        slow = gf.gumbel_softmax(x, 20.0, rng=columns)
    wide = gf.gumbel_softmax(x, 20.0, rng=columns).astype(float)
    np.testing.assert_allclose(wide, slow.astype(float), rtol=max(eps_of(dtype), 16 * eps_of(str(work_of(dtype)))))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", COLUMNS)
def test_hard_is_one_at_the_index_that_categorical_draws(compiled: str, dtype: str, columns: int) -> None:
    x = normal(dtype, (5, columns), columns)
    index = gf.categorical(x, rng=4)
    for tau in (1.0, 1e-4, 50.0):
        hard, soft = gf.gumbel_softmax(x, tau, hard=True, rng=4, return_soft=True)
        assert hard.dtype == x.dtype
        assert np.array_equal(hard, np.arange(columns) == index[:, None])
        assert_same_bytes(soft, gf.gumbel_softmax(x, tau, rng=4))
        assert_same_bytes(hard, gf.gumbel_softmax(x, tau, hard=True, rng=4))
        if dtype.endswith(("32", "64")) and tau <= 1:
            assert np.array_equal(soft.argmax(axis=-1), index)
    both = gf.gumbel_softmax(x, rng=4, return_soft=True)
    assert both[0] is both[1]


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_axes_and_out(compiled: str, axis: int) -> None:
    x = normal("float32", (4, 5, 6))
    moved = gf.gumbel_softmax(np.moveaxis(x, axis, -1), 0.5, rng=8)
    wanted = np.moveaxis(moved, -1, axis)
    assert np.array_equal(gf.gumbel_softmax(x, 0.5, axis=axis, rng=8), wanted)
    hard, soft = gf.gumbel_softmax(x, 0.5, hard=True, axis=axis, rng=8, return_soft=True)
    assert np.array_equal(soft, wanted)
    assert np.array_equal(hard.sum(axis=axis), np.ones_like(hard.sum(axis=axis)))
    for out in (np.empty_like(x), np.empty((6, 5, 4), np.float32).T, np.empty((4, 10, 6), np.float32)[:, ::-2]):
        assert gf.gumbel_softmax(x, 0.5, axis=axis, rng=8, out=out) is out
        assert np.array_equal(out, wanted)
    same = x.copy()
    assert gf.gumbel_softmax(same, 0.5, axis=axis, rng=8, out=same) is same
    assert np.array_equal(same, wanted)
    same = x.copy()
    hard_out, soft = gf.gumbel_softmax(same, 0.5, True, axis=axis, rng=8, out=same, return_soft=True)
    assert hard_out is same
    assert np.array_equal(soft, wanted)
    assert np.array_equal(same, hard)


def test_rows_by_seed_offset_and_stride(compiled: str) -> None:
    x = normal("float64", (3, 70))
    seeds, positions = [5, 2**64 - 1, 5], [0, 3, 9]
    whole = gf.gumbel_softmax(x, seeds=seeds, positions=positions)
    for i in range(3):
        assert_same_bytes(gf.gumbel_softmax(x[i], seeds=seeds[i], positions=positions[i]), whole[i])
    noise = gf.gumbel(size=300, dtype=float, rng=gf.Generator(KEY), offset=45)
    found = gf.gumbel_softmax(x, rng=gf.Generator(KEY), offset=45, row_stride=110)
    assert_close(found, exact_softmax(np.stack([relax(x[i], noise[110 * i :][:70]) for i in range(3)]), 1.0), "float64")


def test_tiny_tau(compiled: str) -> None:
    x = normal("float32", (50, 333))
    hard, soft = gf.gumbel_softmax(x, 1e-30, True, rng=2, return_soft=True)
    assert np.array_equal(hard, soft)
    assert np.array_equal(gf.gumbel_softmax(x.astype(float), 1e-300, rng=2).sum(axis=-1), np.ones(50))


@pytest.mark.parametrize("tau", [1e-30, 1e-3, 1.0, 1e30])
def test_huge_logits(compiled: str, tau: float) -> None:
    x = np.array([[1e38, -1e38, 0, 1e38], [-1e38, -1e38, -INF, -1e38], [0, -INF, -INF, -INF]], np.float32)
    y = gf.gumbel_softmax(x, tau, rng=0)
    # Noise decides between equals, whatever their size.
    noise = gf.gumbel(size=x.shape, rng=0)
    noise[[0, 0, 1, 2, 2, 2], [1, 2, 2, 1, 2, 3]] = -INF
    np.testing.assert_allclose(y, exact_softmax(noise, tau), rtol=1e-6, atol=1e-37)
    hard = gf.gumbel_softmax(x, tau, True, rng=0)
    assert np.array_equal(hard.argmax(axis=-1), noise.argmax(axis=-1))


@pytest.mark.parametrize("tau", [1.0, 0.3, 5.0])
def test_gradient_against_central_differences(compiled: str, tau: float) -> None:
    x, grad, h = normal("float64", (4, 9)), normal("float64", (4, 9), 1), 1e-5
    found = gf.gumbel_softmax_backward(grad, gf.gumbel_softmax(x, tau, rng=6), tau)
    for j in range(9):
        step = h * (np.arange(9) == j)
        up, down = gf.gumbel_softmax(x + step, tau, rng=6), gf.gumbel_softmax(x - step, tau, rng=6)
        np.testing.assert_allclose(found[:, j], ((up - down) * grad).sum(axis=1) / (2 * h), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_is_that_of_softmax(compiled: str, dtype: str) -> None:
    y = gf.softmax(normal(dtype, (4, 70)), axis=0)
    grad = normal(dtype, (4, 70), 1)
    wanted = gf.softmax_backward(grad, y, axis=0, temperature=0.4)
    assert_same_bytes(gf.gumbel_softmax_backward(grad, y, 0.4, axis=0), wanted)
    out = np.empty((4, 70), dtype_of(dtype))
    assert gf.gumbel_softmax_backward(grad, y, 0.4, axis=0, out=out) is out
    assert_same_bytes(out, wanted)


def test_mean_of_hard_samples_is_softmax(compiled: str) -> None:
    x = np.array([0.0, 1.0, 2.0, -1.0], np.float32)
    mean = gf.gumbel_softmax(np.broadcast_to(x, (100_000, 4)), hard=True, rng=12).mean(axis=0)
    np.testing.assert_allclose(mean, gf.softmax(x), atol=6.5 * 0.5 / 100_000**0.5)
