"""Conditions that make no sense: the error, its text, and nothing moved or written."""

from typing import Any

import numpy as np
import pytest
from helpers import assert_refused

import gumbelfast as gf

INF, NAN = np.inf, np.nan
ZEROS = np.zeros((2, 3), np.float32)
HOLE = np.array([[0, 0, 0], [0, -INF, 0]], np.float32)

CONDITIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({}, TypeError, "give index, maximum or upper, got none"),
    ({"index": 0, "upper": 1.0}, TypeError, "upper stands alone, got index as well"),
    ({"maximum": 0.0, "upper": 1.0}, TypeError, "upper stands alone, got maximum as well"),
    ({"index": [0, 3]}, ValueError, "index must lie in [0, 3), got 3 in row 1"),
    ({"index": -1}, ValueError, "index must lie in [0, 3), got -1 in row 0"),
    ({"index": 1.0}, TypeError, "index must be integers, got float64"),
    ({"index": True}, TypeError, "index must be integers, got bool"),
    ({"index": [0, 1, 2]}, ValueError, "index of shape (3,) does not broadcast to one per row, shape (2,)"),
    ({"index": [[0, 1]]}, ValueError, "index of shape (1, 2) does not broadcast to one per row, shape (2,)"),
    ({"maximum": [0.0, NAN]}, ValueError, "maximum must be finite in float32, got nan in row 1"),
    ({"maximum": [0.0, INF]}, ValueError, "maximum must be finite in float32, got inf in row 1"),
    ({"maximum": -1e39}, ValueError, "maximum must be finite in float32, got -1e+39 in row 0"),
    ({"index": 0, "maximum": NAN}, ValueError, "maximum must be finite in float32, got nan in row 0"),
    ({"maximum": [[0.0]] * 3}, ValueError, "maximum of shape (3, 1) does not broadcast to one per row, shape (2,)"),
    ({"upper": [1.0, NAN]}, ValueError, "upper must not be NaN, got nan in row 1"),
    ({"upper": [1.0, 2.0, 3.0]}, ValueError, "upper of shape (3,) does not broadcast to one per row, shape (2,)"),
    ({"upper": "one"}, TypeError, "upper must be real numbers, got <U3"),
]


@pytest.mark.parametrize(("given", "error", "text"), CONDITIONS)
def test_conditions(compiled: str, given: dict[str, Any], error: type[Exception], text: str) -> None:
    out = np.ones_like(ZEROS)
    assert_refused(lambda rng: gf.conditional_gumbel(ZEROS, **given, rng=rng, out=out), error, text, out)


def test_a_winner_that_cannot_win(compiled: str) -> None:
    text = "index must have a logit above -inf, got 1 in row 1"
    for given in ({"index": [1, 1]}, {"index": 1, "maximum": 0.5}):
        assert_refused(lambda rng, g=given: gf.conditional_gumbel(HOLE, **g, rng=rng), ValueError, text)
    text = "index must have a logit above -inf, got 1 in row (1, 0)"
    x = np.broadcast_to(HOLE[:, None].astype(np.float16), (2, 4, 3))
    assert_refused(lambda rng: gf.conditional_gumbel(x, 1, rng=rng), ValueError, text)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("given", [{"index": 0}, {"index": 0, "maximum": 1.0}, {"maximum": 1.0}, {"upper": 1.0}])
def test_logits_of_a_late_row(compiled: str, given: dict[str, Any], dtype: Any) -> None:
    out = np.ones((50, 70), np.float64 if dtype == np.float64 else np.float32)
    for value, what in ((NAN, "NaN"), (INF, "+inf")):
        x = np.zeros((50, 70), dtype)
        x[49, 69] = value
        text = f"logits contain {what} at index (49, 69)"
        assert_refused(lambda rng, x=x: gf.conditional_gumbel(x, **given, rng=rng, out=out), ValueError, text, out)
        assert_refused(lambda rng, x=x: gf.conditional_gumbel(x, **given, rng=rng), ValueError, text)
        text = f"logits contain {what} at index (69, 49)"
        assert_refused(lambda rng, x=x.T: gf.conditional_gumbel(x, **given, axis=0, rng=rng), ValueError, text)
    x[49] = -INF
    text = "index must have a logit above -inf, got 0 in row 49" if "index" in given else "row 49 has no finite logit"
    assert_refused(lambda rng: gf.conditional_gumbel(x, **given, rng=rng, out=out), ValueError, text, out)
    assert_refused(lambda rng: gf.conditional_gumbel(x, **given, rng=rng), ValueError, text)


def test_out(compiled: str) -> None:
    half = np.zeros((2, 3), np.float16)
    text = "out has dtype float16, expected float32"
    assert_refused(lambda rng: gf.conditional_gumbel(half, 0, rng=rng, out=half), ValueError, text, half)
    text = "out has shape (3,), expected (2, 3)"
    assert_refused(lambda rng: gf.conditional_gumbel(ZEROS, 0, rng=rng, out=ZEROS[0]), ValueError, text, ZEROS)


ADDRESSES: list[tuple[dict[str, Any], str]] = [
    ({"offset": 2**62 - 11, "upper": 1.0}, ""),
    ({"offset": 2**62 - 11, "maximum": 1.0}, f"offset must keep all elements in [0, 2**62), got {2**62 - 11}"),
    ({"offset": 0, "row_stride": 5, "upper": 1.0}, ""),
    ({"offset": 0, "row_stride": 5, "maximum": 1.0}, "row_stride must be at least the 6 columns, got 5"),
]


@pytest.mark.parametrize(("given", "text"), ADDRESSES)
def test_a_maximum_alone_needs_twice_the_elements(compiled: str, given: dict[str, Any], text: str) -> None:
    if not text:
        assert gf.conditional_gumbel(ZEROS, **given, rng=3).shape == (2, 3)
        return
    call = lambda rng: gf.conditional_gumbel(ZEROS, **given, rng=3 if rng is None else rng)  # noqa: E731
    assert_refused(call, ValueError, text)
