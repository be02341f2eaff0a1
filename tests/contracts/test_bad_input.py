"""What bad input gets: the error, its text, and nothing moved or written."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import assert_refused, numpy_state

import gumbelfast as gf

INF, NAN = np.inf, np.nan
ZEROS = np.zeros((2, 3), np.float32)


def with_value(value: float, dtype: Any = np.float32) -> Any:
    x = np.zeros((2, 3), dtype)
    x[1, 2] = value
    return x


def top2(x: Any, **given: Any) -> Any:
    return gf.gumbel_top_k(x, 2, **given)


DRAWS: dict[str, Callable[..., Any]] = {"categorical": gf.categorical, "top_k": top2, "softmax": gf.gumbel_softmax}
SAMPLERS = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)

LOGITS = [
    (with_value(NAN), ValueError, "logits contain NaN at index (1, 2)"),
    (with_value(INF), ValueError, "logits contain +inf at index (1, 2)"),
    (with_value(NAN, np.float64), ValueError, "logits contain NaN at index (1, 2)"),
    (with_value(INF, np.float16), ValueError, "logits contain +inf at index (1, 2)"),
    (np.array([0.0, INF]), ValueError, "logits contain +inf at index (1,)"),
    (np.zeros((2, 0)), ValueError, "axis -1 has size 0"),
    (np.zeros((2, 3), int), TypeError, "expected float16, bfloat16, float32 or float64, got int64"),
    (np.zeros((2, 3), bool), TypeError, "expected float16, bfloat16, float32 or float64, got bool"),
    (np.zeros((2, 3), complex), TypeError, "expected float16, bfloat16, float32 or float64, got complex128"),
    (np.zeros((2, 3), object), TypeError, "expected float16, bfloat16, float32 or float64, got object"),
    ([1, 2, 3], TypeError, "expected float16, bfloat16, float32 or float64, got int64"),
    (["a", "b"], TypeError, "expected float16, bfloat16, float32 or float64, got str32"),
]


@SAMPLERS
@pytest.mark.parametrize(("logits", "error", "text"), LOGITS)
def test_logits(compiled: str, draw: Callable[..., Any], logits: Any, error: type[Exception], text: str) -> None:
    assert_refused(lambda rng: draw(logits, rng=rng), error, text)
    if error is ValueError:
        # The call by address checks as much, and takes no key from a numpy Generator then.
        assert_refused(lambda rng: draw(logits, rng=3 if rng is None else rng, offset=5), error, text)


@SAMPLERS
def test_place_of_the_fault(compiled: str, draw: Callable[..., Any]) -> None:
    x = np.zeros((3, 4, 600))
    x[2, 1, 599] = NAN
    x[2, 3, 0] = INF
    assert_refused(lambda rng: draw(x, rng=rng), ValueError, "logits contain NaN at index (2, 1, 599)")
    assert_refused(lambda rng: draw(x, axis=0, rng=rng), ValueError, "logits contain NaN at index (2, 1, 599)")
    flipped = np.moveaxis(x, -1, 1)
    assert_refused(lambda rng: draw(flipped, axis=1, rng=rng), ValueError, "logits contain NaN at index (2, 599, 1)")


@SAMPLERS
def test_ragged(draw: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=r"^expected an array of float16, bfloat16, float32 or float64: "):
        draw([[1.0], [1.0, 2.0]], rng=0)


@pytest.mark.parametrize("columns", [3, 40, 600])
def test_rows_without_a_finite_logit(compiled: str, columns: int) -> None:
    x = np.zeros((3, columns), np.float32)
    x[1] = -INF
    for draw in (gf.categorical, gf.gumbel_softmax):
        assert_refused(lambda rng, draw=draw: draw(x, rng=rng), ValueError, "row 1 has no finite logit")
        assert_refused(lambda rng, draw=draw: draw(x.T, axis=0, rng=rng), ValueError, "row 1 has no finite logit")
        assert_refused(lambda rng, draw=draw: draw(x[1], rng=rng), ValueError, "row 0 has no finite logit")
    deep = np.zeros((2, 3, columns), np.float32)
    deep[1, 2] = -INF
    assert_refused(lambda rng: gf.categorical(deep, rng=rng), ValueError, "row (1, 2) has no finite logit")
    mask = np.ones((3, columns), bool)
    mask[2] = False
    good = np.zeros((3, columns))
    assert_refused(lambda rng: gf.categorical(good, mask=mask, rng=rng), ValueError, "row 2 has no finite logit")


@pytest.mark.parametrize("columns", [3, 40, 600])
def test_k(compiled: str, columns: int) -> None:
    x = np.zeros((2, columns))
    x[1, 2:] = -INF
    text = f"k={columns + 1} exceeds the {columns} columns"
    assert_refused(lambda rng: gf.gumbel_top_k(x, columns + 1, rng=rng), ValueError, text)
    text = "k=3 exceeds the 2 allowed entries of row 1"
    assert_refused(lambda rng: gf.gumbel_top_k(x, 3, rng=rng), ValueError, text)
    assert_refused(lambda rng: gf.gumbel_top_k(x.T, 3, axis=0, rng=rng), ValueError, text)
    mask = np.arange(columns) < 2
    text = "k=3 exceeds the 2 allowed entries of row 0"
    assert_refused(lambda rng: gf.gumbel_top_k(x, 3, mask=mask, rng=rng), ValueError, text)
    assert_refused(lambda rng: gf.gumbel_top_k(x, -1, rng=rng), ValueError, "k must be >= 0, got -1")
    assert_refused(lambda rng: gf.gumbel_top_k(x, 1.5, rng=rng), TypeError, "k must be an integer, got 1.5")
    assert gf.gumbel_top_k(x, 2, mask=mask, rng=0).indices.shape == (2, 2)


def test_mask(compiled: str) -> None:
    for draw in (gf.categorical, top2):
        text = "mask must be boolean (True: allowed), got int64"
        assert_refused(lambda rng, d=draw: d(ZEROS, mask=[1, 1, 0], rng=rng), TypeError, text)
        text = "mask of shape (2,) does not broadcast to logits of shape (2, 3)"
        assert_refused(lambda rng, d=draw: d(ZEROS, mask=[True, False], rng=rng), ValueError, text)


TEMPERATURES = [
    (0.0, "0.0"),
    (0, "0"),
    (-1.5, "-1.5"),
    (NAN, "nan"),
    (INF, "inf"),
    (1e-39, "1e-39, whose reciprocal overflows float32"),
]


@pytest.mark.parametrize(("value", "quoted"), TEMPERATURES)
def test_temperature_and_tau(value: float, quoted: str) -> None:
    text = f"temperature must be finite and > 0, got {quoted}"
    assert_refused(lambda rng: gf.categorical(ZEROS, temperature=value, rng=rng), ValueError, text)
    assert_refused(lambda rng: top2(ZEROS, temperature=value, rng=rng), ValueError, text)
    out = ZEROS + 5
    for function in (gf.softmax, gf.log_softmax):
        assert_refused(lambda rng, f=function: f(ZEROS, temperature=value, out=out), ValueError, text, out)
    assert_refused(lambda rng: gf.logsumexp(ZEROS, temperature=value), ValueError, text)
    for backward in (gf.softmax_backward, gf.log_softmax_backward):
        assert_refused(lambda rng, f=backward: f(ZEROS, ZEROS, temperature=value, out=out), ValueError, text, out)
    text = f"tau must be finite and > 0, got {quoted}"
    assert_refused(lambda rng: gf.gumbel_softmax(ZEROS, value, rng=rng, out=out), ValueError, text, out)
    assert_refused(lambda rng: gf.gumbel_softmax_backward(ZEROS, ZEROS, value, out=out), ValueError, text, out)


def test_temperature_by_dtype() -> None:
    assert gf.categorical(np.zeros(3), temperature=1e-39, rng=0) in range(3)
    text = "temperature must be finite and > 0, got 1e-310, whose reciprocal overflows float64"
    assert_refused(lambda rng: gf.categorical(np.zeros(3), temperature=1e-310, rng=rng), ValueError, text)
    text = "tau must be a real number, got 'hot'"
    assert_refused(lambda rng: gf.gumbel_softmax(ZEROS, "hot", rng=rng), TypeError, text)


def test_axis() -> None:
    for draw in (*DRAWS.values(), gf.softmax, gf.logsumexp):
        for axis in (2, -3):
            with pytest.raises(
                np.exceptions.AxisError, match=f"^axis {axis} is out of bounds for array of dimension 2$"
            ):
                draw(ZEROS, axis=axis)
    with pytest.raises(ValueError, match=r"^axis 0 has size 0$"):
        gf.softmax(np.zeros((0, 3)), axis=0)


SCALES = [(-1.0, "-1.0"), (NAN, "nan"), (INF, "inf"), ([1.0, -2.0], "[1.0, -2.0]")]


@pytest.mark.parametrize(("scale", "quoted"), SCALES)
def test_scale(scale: Any, quoted: str) -> None:
    out = np.ones(2, np.float32)
    text = f"scale must be finite and >= 0, got {quoted}"
    assert_refused(lambda rng: gf.gumbel(0.0, scale, out=out, rng=rng), ValueError, text, out)


def test_other_arguments_of_gumbel() -> None:
    assert_refused(lambda rng: gf.gumbel(NAN, rng=rng), ValueError, "loc must be finite, got nan")
    text = "expected float16, bfloat16, float32 or float64, got int64"
    assert_refused(lambda rng: gf.gumbel(size=3, dtype=int, rng=rng), TypeError, text)
    assert_refused(lambda rng: gf.gumbel(size=-1, rng=rng), ValueError, "size must be >= 0, got -1")
    text = "loc and scale of shape (3,) do not broadcast to size (1,)"
    assert_refused(lambda rng: gf.gumbel(np.zeros(3), size=1, rng=rng), ValueError, text)


def test_size() -> None:
    text = "size must be >= 0, got -1"
    assert_refused(lambda rng: gf.categorical(ZEROS, size=(2, -1), rng=rng), ValueError, text)
    text = "size must be an integer, got 1.5"
    assert_refused(lambda rng: gf.categorical(ZEROS, size=1.5, rng=rng), TypeError, text)
    for call in (lambda rng: gf.gumbel(size=2**50, rng=rng), lambda rng: gf.categorical(ZEROS, size=2**50, rng=rng)):
        own, theirs = gf.Generator(5, 9), np.random.default_rng(5)
        before = numpy_state(theirs)
        for rng in (own, theirs):
            with pytest.raises(MemoryError):
                call(rng)
        assert own.offset == 9
        assert numpy_state(theirs) == before


def test_method() -> None:
    text = "method must be 'gumbel' or 'alias', got 'vose'"
    assert_refused(lambda rng: gf.categorical(ZEROS, method="vose", rng=rng), ValueError, text)
