"""softmax, its logarithm and logsumexp over several axes, and logsumexp with factors and signs, beside SciPy."""

import doctest
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, OLD_NUMPY, assert_same_bytes, dtype_of, eps_of, normal, work_of
from hypothesis import given, settings
from hypothesis import strategies as st

import gumbelfast as gf
from gumbelfast import softmax as page

special = pytest.importorskip("scipy.special")
INF, NAN = np.inf, np.nan
SHAPED: dict[str, Callable[..., Any]] = {"softmax": gf.softmax, "log_softmax": gf.log_softmax}
BACKWARD: dict[str, Callable[..., Any]] = {"softmax": gf.softmax_backward, "log_softmax": gf.log_softmax_backward}


def every_axis(ndim: int) -> list[Any]:
    """Each way to name axes, in every order and from either end, and None."""
    names = [c for n in range(ndim + 1) for c in itertools.permutations(range(ndim), n)]
    return [*names, *(tuple(a - ndim * (i % 2) for i, a in enumerate(c)) for c in names if c), None]


def close(dtype: str) -> dict[str, float]:
    return {"rtol": eps_of(dtype), "atol": max(eps_of(dtype) / 2, 20 * eps_of(str(work_of(dtype))))}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", every_axis(3), ids=str)
def test_all_axes_as_scipy(backend: str, dtype: str, axis: Any) -> None:
    x = normal(dtype, (3, 4, 5), 11)
    wide = x.astype(float)
    for name, function in SHAPED.items():
        found = function(x, axis=axis)
        assert (found.dtype, found.shape) == (x.dtype, x.shape)
        np.testing.assert_allclose(found.astype(float), getattr(special, name)(wide, axis=axis), **close(dtype))
    for keepdims in (False, True):
        found = gf.logsumexp(x, axis=axis, keepdims=keepdims)
        wanted = special.logsumexp(wide, axis=axis, keepdims=keepdims)
        assert (found.dtype, np.shape(found)) == (x.dtype, np.shape(wanted))
        np.testing.assert_allclose(np.asarray(found, float), wanted, **close(dtype))


@pytest.mark.parametrize("axis", every_axis(3), ids=str)
def test_temperature_and_out(backend: str, axis: Any) -> None:
    x = normal("float32", (3, 4, 5), 12)
    for function in SHAPED.values():
        wanted = function(x, axis=axis, temperature=0.5)
        assert_same_bytes(wanted, function(2 * x, axis=axis))  # times 2 is exact
        for out in (np.empty_like(x), np.empty((5, 4, 3), np.float32).T, np.empty((3, 8, 5), np.float32)[:, ::-2]):
            assert function(x, axis=axis, temperature=0.5, out=out) is out
            assert np.array_equal(out, wanted)
        own = x.copy()
        assert function(own, axis=axis, temperature=0.5, out=own) is own
        assert np.array_equal(own, wanted)
    wanted = gf.logsumexp(x, axis=axis, keepdims=True)
    for out in (np.empty(wanted.shape, np.float32), np.empty(wanted.shape[::-1], np.float32).T):
        assert gf.logsumexp(x, axis=axis, keepdims=True, out=out) is out
        assert np.array_equal(out, wanted)


@pytest.mark.parametrize("name", SHAPED)
@pytest.mark.parametrize("axis", [(0,), (0, 2), (-1, 0), (1, 2), (2, 0, 1), (), None], ids=str)
def test_gradient_is_the_jacobian_product(backend: str, name: str, axis: Any) -> None:
    x, grad = normal("float64", (2, 3, 4), 1), normal("float64", (2, 3, 4), 2)
    y = special.softmax(x, axis=axis)
    if name == "softmax":
        wanted = y * (grad - (grad * y).sum(axis=axis, keepdims=True)) / 0.7
    else:
        wanted = (grad - y * grad.sum(axis=axis, keepdims=True)) / 0.7
    result = y if name == "softmax" else np.log(y)
    found = BACKWARD[name](grad, result, axis=axis, temperature=0.7)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    own = grad.copy()
    assert BACKWARD[name](own, result, axis=axis, temperature=0.7, out=own) is own
    assert_same_bytes(own, np.ascontiguousarray(found))


def test_scalars_and_one_axis_in_a_tuple(backend: str) -> None:
    x = normal("float32", (3, 4), 3)
    assert_same_bytes(gf.softmax(x, axis=(1,)), gf.softmax(x, axis=1))
    assert gf.logsumexp(np.float64(3), axis=None) == 3
    assert gf.softmax(np.array(3.0), axis=None) == 1
    assert gf.softmax(np.array(3.0), axis=()).shape == ()
    assert gf.logsumexp(x, axis=()).tolist() == x.tolist()
    assert type(gf.logsumexp(x, axis=None)) is np.float32
    assert gf.softmax(np.zeros((0, 3, 2)), axis=(1, 2)).shape == (0, 3, 2)
    assert gf.logsumexp(np.zeros((0, 3, 2)), axis=(1, 2)).shape == (0,)
    assert gf.softmax([[1.0, 1.0], [1.0, 1.0]], axis=(0, 1)).tolist() == [[0.25] * 2] * 2


@pytest.mark.parametrize(
    ("axis", "error", "text"),
    [
        ((0, 0), ValueError, "duplicate value in 'axis'"),
        ((1, -2), ValueError, "duplicate value in 'axis'"),
        ((0, 3), np.exceptions.AxisError, "axis 3 is out of bounds for array of dimension 3"),
        ((-4,), np.exceptions.AxisError, "axis -4 is out of bounds for array of dimension 3"),
        ((0.5, 1), TypeError, "axis must be an integer, got 0.5"),
        ([0, 1], TypeError, "axis must be an integer, got [0, 1]"),
    ],
)
def test_bad_axes(axis: Any, error: type[Exception], text: str) -> None:
    x, out = np.zeros((2, 3, 4)), np.full((2, 3, 4), 7.0)
    sums = np.full(4, 7.0)
    calls: list[Callable[[], Any]] = [lambda f=f: f(x, axis=axis, out=out) for f in SHAPED.values()]
    calls += [lambda f=f: f(x, x, axis=axis, out=out) for f in BACKWARD.values()]
    calls += [lambda: gf.logsumexp(x, axis=axis, out=sums), lambda: gf.logsumexp(x, b=x, axis=axis, out=sums)]
    for call in calls:
        with pytest.raises(error) as caught:
            call()
        assert (type(caught.value), str(caught.value)) == (error, text)
    assert (out == 7).all()
    assert (sums == 7).all()


def test_bad_arrays() -> None:
    for function in (*SHAPED.values(), gf.logsumexp):
        with pytest.raises(ValueError, match=r"^axis \(1, 2\) has size 0$"):
            function(np.zeros((2, 3, 0)), axis=(1, 2))
        with pytest.raises(ValueError, match=r"^axis None has size 0$"):
            function(np.zeros((0, 3)), axis=None)
        for shape in [(2, 3), (0, 3)]:
            with pytest.raises(TypeError, match=r"^expected float16, bfloat16, float32 or float64, got int64$"):
                function(np.zeros(shape, np.int64), axis=None)
        with pytest.raises(TypeError, match=r"^expected an array of float16, bfloat16, float32 or float64: "):
            function([[1.0], [1.0, 2.0]], axis=None)


def test_unfit_out_is_left_alone() -> None:
    x, out = np.zeros((2, 3, 4)), np.full((2, 4, 3), 7.0)
    for function in SHAPED.values():
        with pytest.raises(ValueError, match=r"^out has shape \(2, 4, 3\), expected \(2, 3, 4\)$"):
            function(x, axis=(0, 1), out=out)
    with pytest.raises(ValueError, match=r"^out has shape \(2, 4, 3\), expected \(1, 3, 1\)$"):
        gf.logsumexp(x, axis=(0, 2), b=x, keepdims=True, return_sign=True, out=out)
    with pytest.raises(ValueError, match=r"^out overlaps an input without being the same array$"):
        gf.logsumexp(x.swapaxes(1, 2), b=out, axis=(1, 2), out=out[0, 0, :2])
    assert (out == 7).all()


@pytest.mark.parametrize(
    ("b", "error", "text"),
    [
        (np.ones((2, 3), complex), TypeError, "b must be real numbers, got complex128"),
        (["a", "b", "c"], TypeError, "b must be real numbers, got <U1"),
        (np.ones(2), ValueError, "b of shape (2,) does not broadcast with x of shape (2, 3)"),
    ],
)
def test_bad_factors(b: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        gf.logsumexp(np.zeros((2, 3)), b=b)
    assert str(caught.value) == text


def compare(x: Any, b: Any, axis: Any = -1, **other: Any) -> None:
    """Value and sign as SciPy's in float64, up to the digits that signs cancel."""
    wanted, sign = special.logsumexp(x, b=b, axis=axis, return_sign=True, **other)
    found, found_sign = gf.logsumexp(x, b=b, axis=axis, return_sign=True, **other)
    with np.errstate(all="ignore"):
        total = special.logsumexp(x, b=None if b is None else np.abs(b), axis=axis, **other)
        bound = 2e-13 * np.where(np.isfinite(total), np.exp(np.clip(total - wanted, 0, 600)), 1)
    assert np.shape(found) == np.shape(wanted) == np.shape(found_sign)
    sure = bound < 1e-2  # elsewhere SciPy's own digits are gone, and with them the sign
    np.testing.assert_array_equal(np.where(sure, found_sign, 0), np.where(sure, sign, 0))
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        assert np.all(same | ~sure | (np.abs(found - wanted) <= bound * (1 + np.abs(wanted)))), (x, b, found, wanted)
    plain, wanted_plain = gf.logsumexp(x, b=b, axis=axis, **other), special.logsumexp(x, b=b, axis=axis, **other)
    np.testing.assert_array_equal(np.where(sure, np.isnan(plain), 0), np.where(sure, np.isnan(wanted_plain), 0))
    np.testing.assert_array_equal(plain, np.where(found_sign < 0, np.nan, found))


@pytest.mark.parametrize("axis", every_axis(3), ids=str)
def test_factors_as_scipy(backend: str, axis: Any) -> None:
    rng = np.random.default_rng(5)
    x = 3 * rng.normal(size=(3, 4, 5))
    for keepdims in (False, True):
        compare(x, None, axis, keepdims=keepdims)
        for shape in [(3, 4, 5), (5,), (4, 1), (3, 1, 1), (1, 4, 5), ()]:
            compare(x, rng.normal(size=shape), axis, keepdims=keepdims)
            compare(x, rng.integers(-2, 3, shape), axis, keepdims=keepdims)
    compare(x[0, 0], rng.normal(size=(3, 4, 5)), axis)
    compare(x, x > 0, axis)


# Every pair of these values and factors, in rows of two and three.
VALUES, FACTORS = [-INF, -2.0, 1.0, INF, NAN], [-INF, -1.0, 0.0, 2.0, INF, NAN]


@pytest.mark.parametrize("columns", [1, 2])
def test_infinities_nan_and_zeros_as_scipy(backend: str, columns: int) -> None:
    pairs = list(itertools.product(itertools.product(VALUES, FACTORS), repeat=columns))
    x, b = np.moveaxis(np.array(pairs), -1, 0)
    compare(x, b)
    compare(x, None)
    if columns == 2:
        tail = np.full((len(x), 1), 1.5)
        compare(np.append(x, tail, axis=1), np.append(b, tail, axis=1))


def test_what_a_zero_drops(backend: str) -> None:
    x = np.array([[INF, 1.0], [NAN, 1.0], [-INF, 1.0], [5.0, -INF], [INF, -INF], [NAN, INF]])
    found, sign = gf.logsumexp(x, b=[0, 1], return_sign=True)
    assert found.tolist()[:4] == [1, 1, 1, -INF]
    assert sign.tolist()[:4] == [1, 1, 1, 0]
    # 0 times inf and NaN: where the rest adds up to nothing or to inf, as SciPy.
    assert np.isnan(found[4:]).all()
    assert np.isnan(sign[4:]).all()


def test_signs_that_cancel(backend: str) -> None:
    # Exactly, also where exp(x) overflows.
    for at in (0.0, 1000.0, -1000.0):
        found, sign = gf.logsumexp([at, at], b=[1, -1], return_sign=True)
        assert (found, sign) == (-INF, 0)
    # exp(1) - exp(1 - 2**-40) = exp(1) * (1 - exp(-2**-40)).
    x = np.array([1.0, 1 - 2.0**-40])
    wanted = 1 + np.log(-np.expm1(-(2.0**-40)))
    assert gf.logsumexp(x, b=[1, -1]) == pytest.approx(wanted, rel=1e-5)
    assert np.isnan(gf.logsumexp(x, b=[-1, 1]))
    value, sign = gf.logsumexp(x, b=[-1, 1], return_sign=True)
    assert (value, sign) == (gf.logsumexp(x, b=[1, -1]), -1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_factors_in_every_dtype(backend: str, dtype: str) -> None:
    x, b = normal(dtype, (6, 70), 8), np.random.default_rng(8).normal(size=70)
    for temperature in (1.0, 0.4):
        wide = x.astype(float) / temperature
        wanted, wanted_sign = special.logsumexp(wide, b=b, axis=-1, return_sign=True)
        found, sign = gf.logsumexp(x, b=b, temperature=temperature, return_sign=True)
        assert (found.dtype, sign.dtype) == (x.dtype, x.dtype)
        np.testing.assert_allclose(found.astype(float), wanted, rtol=eps_of(dtype), atol=1e-11)
        assert sign.astype(float).tolist() == wanted_sign.tolist()
        out = np.empty(6, x.dtype)
        given, _ = gf.logsumexp(x, b=b, temperature=temperature, return_sign=True, out=out)
        assert given is out
        assert_same_bytes(out, found)
    signs = gf.logsumexp(np.array([[1, 2], [-INF, -INF], [NAN, 0]], dtype_of(dtype)), return_sign=True)[1]
    assert signs.dtype == x.dtype
    assert str(signs.astype(float).tolist()) == "[1.0, 0.0, nan]"


def test_out_may_be_the_input(backend: str) -> None:
    x = normal("float64", (3, 4), 9)
    b = np.array([1.0, -1.0, 0.5, 2.0])
    wanted = gf.logsumexp(x, b=b, axis=(), return_sign=True)[0]
    assert gf.logsumexp(x, b=b, axis=(), return_sign=True, out=x)[0] is x
    assert_same_bytes(x, wanted)


@settings(max_examples=60)
@given(st.data())
def test_random_shapes_as_scipy(backend: str, data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple))
    axis = data.draw(
        st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1), st.sampled_from(every_axis(len(shape))))
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    x = np.where(rng.random(shape) < 0.1, rng.choice([INF, -INF, NAN], shape), rng.normal(size=shape) * 10)
    b = rng.choice([-1.5, 0.0, 0.0, 0.5, 3.0], tuple(n if rng.random() < 0.7 else 1 for n in shape))
    keepdims = data.draw(st.booleans())
    compare(x, b, axis, keepdims=keepdims)
    compare(x, None, axis, keepdims=keepdims)
    for name, function in SHAPED.items():
        with np.errstate(all="ignore"):
            wanted = getattr(special, name)(x, axis=axis)
        np.testing.assert_allclose(function(x, axis=axis), wanted, rtol=1e-12, atol=1e-12)


def test_reference_is_given_the_same_arguments() -> None:
    x = normal("float64", (2, 3, 4), 4)
    np.testing.assert_allclose(gf.reference.softmax(x, axis=(0, 2)), special.softmax(x, axis=(0, 2)), rtol=1e-14)
    found = gf.reference.logsumexp(x, axis=(0, 2), b=[1, -1, 1, -1], return_sign=True)
    np.testing.assert_allclose(found, special.logsumexp(x, axis=(0, 2), b=[1, -1, 1, -1], return_sign=True), rtol=1e-12)


@pytest.mark.skipif(OLD_NUMPY, reason="NumPy 1 prints numbers otherwise")
def test_docstrings() -> None:
    import sys

    found = doctest.testmod(sys.modules[page.__module__])
    assert found.failed == 0
    assert found.attempted > 0
