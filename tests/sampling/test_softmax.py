"""softmax, log_softmax, logsumexp and their gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, assert_same_bytes, dtype_of, eps_of, normal, work_of

import gumbelfast as gf
from gumbelfast.reference.softmax import log_softmax, log_softmax_backward, logsumexp, softmax_backward

INF = np.inf
COLUMNS = [1, 2, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 4095, 4096, 4097, 8191, 8193, 20000]
FORWARD: dict[str, Callable[..., Any]] = {"softmax": gf.softmax, "log_softmax": gf.log_softmax}
SMALLEST = {"float16": 2.0**-24, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}


def wide(x: Any, dtype: str) -> Any:
    """One precision above the working one, where the pages of the reference answer unrounded."""
    return x.astype(work_of(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", COLUMNS)
def test_forward_against_the_reference(compiled: str, dtype: str, columns: int) -> None:
    x = normal(dtype, (3, columns), columns, deviation=5)
    x[1] = -x[1] * dtype_of(dtype).type(8)
    work, last = eps_of(str(work_of(dtype))), 0.6 * eps_of(dtype)
    for temperature in (1.0, 0.3, 7.0):
        s = 1 / temperature
        logs = log_softmax(wide(x, dtype), s)
        # Half a unit for each addition that one lane makes in a piece of 4096, and for each step of an exponent.
        exact, size = np.exp(logs), 4 - logs + min(columns, 4096) / 64
        y = gf.softmax(x, temperature=temperature)
        assert y.dtype == x.dtype
        assert np.all(np.abs(y - exact) <= exact * (last + work * size) + SMALLEST[dtype])
        log_y = gf.log_softmax(x, temperature=temperature)
        assert log_y.dtype == x.dtype
        assert np.all(np.abs(log_y - logs) <= np.abs(logs) * last + work * size)
        z, wanted = gf.logsumexp(x, temperature=temperature), logsumexp(wide(x, dtype), s)
        assert z.dtype == x.dtype
        assert np.all(np.abs(z - wanted) <= np.abs(wanted) * (last + work) + work * (1 + min(columns, 4096) / 64))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_forward_against_mpmath(compiled: str, dtype: str) -> None:
    mp = pytest.importorskip("mpmath").mp
    x = normal(dtype, 20, 3, deviation=6)
    with mp.workdps(50):
        terms = [mp.exp(mp.mpf(float(v))) for v in x]
        total = mp.fsum(terms)
        y, log_y, z = gf.softmax(x), gf.log_softmax(x), gf.logsumexp(x)
        eps = eps_of(dtype)
        for term, found, log_found in zip(terms, y, log_y, strict=True):
            size = 4 - mp.log(term / total)
            assert abs(float(found) - term / total) <= eps * size * term / total
            assert abs(float(log_found) - mp.log(term / total)) <= eps * size
        assert abs(float(z) - mp.log(total)) <= 2 * eps * abs(mp.log(total))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [1, 5, 16, 40, 4100])
def test_rows_with_nan_and_infinities_as_scipy(compiled: str, dtype: str, columns: int) -> None:
    special = pytest.importorskip("scipy.special")
    middle = columns // 2
    x = normal(dtype, (8, columns))
    x[0, middle], x[1, middle], x[2], x[3, 0], x[4, 1:] = np.nan, INF, -INF, -INF, -INF
    x[5, [0, -1]], x[6, [0, -1]], x[7] = INF, [np.nan, INF], INF
    tolerance = {"rtol": max(eps_of(dtype), 2e-6), "atol": 2e-6}
    for name in FORWARD:
        with np.errstate(all="ignore"):
            wanted = getattr(special, name)(x.astype(float), axis=-1)
        np.testing.assert_allclose(FORWARD[name](x).astype(float), wanted, **tolerance)
    wanted = special.logsumexp(x.astype(float), axis=-1)
    np.testing.assert_allclose(gf.logsumexp(x).astype(float), wanted, **tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [2, 5, 16, 17, 33, 64, 100])
def test_rows_without_a_finite_entry_leave_others_alone(compiled: str, dtype: str, columns: int) -> None:
    x = normal(dtype, (37, columns), 4)
    x[:, 1::2] = -INF
    x[::3] = -INF
    x[5, 0] = np.nan
    finite = np.arange(37) % 3 != 0
    finite[5] = False
    y, log_y = gf.softmax(x), gf.log_softmax(x)
    assert np.all(np.isnan(y[~finite]))
    exact = np.exp(x[finite].astype(np.float64))
    exact /= exact.sum(-1, keepdims=True)
    np.testing.assert_allclose(y[finite].astype(np.float64), exact, rtol=8 * eps_of(dtype), atol=SMALLEST[dtype])
    assert np.all(y[finite][:, 1::2] == 0)
    assert np.all(log_y[finite][:, 1::2] == -INF)
    for i, row in enumerate(x):
        assert_same_bytes(gf.softmax(row), y[i])
        assert_same_bytes(gf.log_softmax(row), log_y[i])


def test_extreme_numbers(compiled: str) -> None:
    x = np.array([[1e38, -1e38, 1e38, 3e38], [-3e38, -3e38, -INF, 3e38], [3e38] * 4, [-3e38] * 4], np.float32)
    y = [[0, 0, 0, 1], [0, 0, 0, 1], [0.25] * 4, [0.25] * 4]
    for temperature in (1.0, 1e-3):
        assert gf.softmax(x, temperature=temperature).tolist() == y
    assert gf.logsumexp(x).tolist() == x.max(axis=-1).tolist()
    assert gf.softmax(np.array([7, -INF, -7], np.float32), temperature=1e300).tolist() == [0.5, 0, 0.5]
    assert gf.log_softmax(np.array([800.0, 0.0])).tolist() == [0, -800]
    assert gf.softmax(np.array([0.0, 1e-300])).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_axes_and_out(compiled: str, axis: int, dtype: str) -> None:
    x = normal(dtype, (4, 5, 6))
    for function in FORWARD.values():
        wanted = np.moveaxis(function(np.ascontiguousarray(np.moveaxis(x, axis, -1)), temperature=0.5), -1, axis)
        assert np.array_equal(function(x, axis=axis, temperature=0.5), wanted)
        for out in (np.empty_like(x), np.empty((6, 5, 4), x.dtype).T, np.empty((4, 10, 6), x.dtype)[:, ::-2], x.copy()):
            if out.flags.c_contiguous:
                out[...] = x
                assert function(out, axis=axis, temperature=0.5, out=out) is out
            else:
                assert function(x, axis=axis, temperature=0.5, out=out) is out
            assert np.array_equal(out, wanted)
    wanted = gf.logsumexp(np.moveaxis(x, axis, -1))
    assert np.array_equal(gf.logsumexp(x, axis=axis), wanted)
    assert np.array_equal(gf.logsumexp(x, axis=axis, keepdims=True), np.expand_dims(wanted, axis))
    out = np.empty(wanted.shape[::-1], x.dtype).T
    assert gf.logsumexp(x, axis=axis, out=out) is out
    assert np.array_equal(out, wanted)


def test_scalars_and_empty_batches(compiled: str) -> None:
    assert type(gf.logsumexp([1.0, 2.0])) is np.float64
    assert gf.logsumexp([1.0, 2.0], keepdims=True).shape == (1,)
    assert gf.softmax(np.zeros((0, 3))).shape == (0, 3)
    assert gf.logsumexp(np.zeros((0, 3))).shape == (0,)
    assert gf.softmax_backward(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0, 3)
    assert gf.softmax([[3.0]]).tolist() == [[1.0]]


@pytest.mark.parametrize("name", FORWARD)
@pytest.mark.parametrize("temperature", [1.0, 0.4, 3.0])
@pytest.mark.parametrize("axis", [0, 1])
def test_gradient_against_central_differences(compiled: str, name: str, temperature: float, axis: int) -> None:
    x, grad, h = normal("float64", (6, 7)), normal("float64", (6, 7), 1), 1e-5
    given = {"axis": axis, "temperature": temperature}
    backward = {"softmax": gf.softmax_backward, "log_softmax": gf.log_softmax_backward}[name]
    found = backward(grad, FORWARD[name](x, **given), **given)
    for i in range(6):
        for j in range(7):
            step = np.zeros_like(x)
            step[i, j] = h
            change = FORWARD[name](x + step, **given) - FORWARD[name](x - step, **given)
            assert found[i, j] == pytest.approx((change * grad).sum() / (2 * h), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", COLUMNS)
def test_backward_against_the_reference(compiled: str, dtype: str, columns: int) -> None:
    x, grad = normal(dtype, (3, columns), columns), normal(dtype, (3, columns), columns + 1)
    y, log_y = gf.softmax(x), gf.log_softmax(x)
    work, last = eps_of(str(work_of(dtype))), 0.6 * eps_of(dtype)
    g, p = wide(grad, dtype), wide(y, dtype)
    for temperature in (1.0, 0.3):
        wanted = softmax_backward(g, p, 1 / temperature)
        found = gf.softmax_backward(grad, y, temperature=temperature)
        assert found.dtype == x.dtype
        terms = p * (np.abs(g) + np.abs(g * p).sum(axis=-1, keepdims=True)) / temperature
        assert np.all(np.abs(found - wanted) <= np.abs(wanted) * last + 16 * work * terms + SMALLEST[dtype])
        wanted = log_softmax_backward(g, wide(log_y, dtype), 1 / temperature)
        found = gf.log_softmax_backward(grad, log_y, temperature=temperature)
        total = np.abs(g).sum(axis=-1, keepdims=True)
        terms = (np.abs(g) + p * total * (1 - wide(log_y, dtype))) / temperature
        assert np.all(np.abs(found - wanted) <= np.abs(wanted) * last + 16 * work * terms + SMALLEST[dtype])


@pytest.mark.parametrize("backward", [gf.softmax_backward, gf.log_softmax_backward])
@pytest.mark.parametrize("axis", [0, 1])
def test_backward_in_place(compiled: str, backward: Callable[..., Any], axis: int) -> None:
    grad, y = normal("float32", (30, 70)), gf.softmax(normal("float32", (30, 70), 1), axis=axis)
    wanted = backward(grad, y, axis=axis)
    for which in (0, 1):
        arrays = [grad.copy(), y.copy()]
        assert backward(*arrays, axis=axis, out=arrays[which]) is arrays[which]
        assert_same_bytes(arrays[which], wanted)
        assert_same_bytes(arrays[1 - which], [grad, y][1 - which])
    transposed = np.empty((70, 30), np.float32).T
    assert backward(grad, y, axis=axis, out=transposed) is transposed
    assert np.array_equal(transposed, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_sum_to_one(compiled: str, dtype: str) -> None:
    y = gf.softmax(normal(dtype, (20, 999), deviation=1)).astype(np.float64)
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=eps_of(dtype))
    assert_same_bytes(gf.logsumexp(np.log(y)).round(2 if dtype == "bfloat16" else 3) + 0, np.zeros(20))


@pytest.mark.parametrize(("dtype", "tiny", "huge"), [("float32", 1e-20, 1e30), ("float64", 1e-200, 1e202)])
@pytest.mark.parametrize("columns", [8, 129, 1000])
def test_gradient_of_what_is_no_softmax(backend: str, dtype: str, tiny: float, huge: float, columns: int) -> None:
    """Numbers beyond 1 beside tiny ones, in one block: the formula holds for them as well."""
    y, grad = np.full(columns, 0.25, dtype), np.ones(columns, dtype)
    y[::8], y[1::8] = tiny, huge
    grad[1::8] = 0
    dot = 0.25 * np.count_nonzero(y == 0.25)
    found = gf.softmax_backward(grad, y)
    rtol = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(found, y.astype(np.longdouble) * (grad - dot), rtol=rtol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [10, 33, 64, 100, 1000])
@pytest.mark.parametrize("case", ["probabilities", "negative", "above one", "large gradient"])
def test_gradient_beside_tiny_probabilities(compiled: str, dtype: str, columns: int, case: str) -> None:
    """Each operation of scale * y * (grad - sum) rounds once, subnormal results included."""
    info = np.finfo(dtype)
    rng = np.random.default_rng(columns)
    exponents = rng.uniform(info.minexp - info.nmant - 1, info.minexp / 2, (5, columns))
    y = np.exp2(exponents).astype(dtype) * rng.choice([0, 1, 1], (5, columns)).astype(dtype)
    y[:, :3] = 0.5, 0.25, 0.25
    if case == "negative":
        y[:, 4:] *= rng.choice([-1, 1], y.shape)[:, 4:].astype(dtype)
    if case == "above one":
        y[:, 1] = 3
    grad = rng.choice([-3, -2, -1, 1, 2, 3], y.shape).astype(dtype)
    grad += rng.choice([0, 1], y.shape).astype(dtype) / 1024
    if case == "large gradient":
        grad[:, 5] = 1000
    # The first three products and their sum are exact, and what else there is lies far below its last bit.
    total = (y[:, :3] * grad[:, :3]).sum(-1, keepdims=True)
    for temperature in (1.0, 0.5, 0.7, 2.0):
        scaled = y * np.dtype(dtype).type(1 / temperature)
        assert_same_bytes(gf.softmax_backward(grad, y, temperature=temperature), scaled * (grad - total))
