"""What is found of logits that a kernel refused, and how it is told."""

import pickle
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, dtype_of

import gumbelfast as gf
from gumbelfast._engine.refused import Refused, check_inverses, check_weights_of_choice, refuse

INF = np.inf


def found(x: Any, axis: int = -1, **given: Any) -> tuple[Any, ...]:
    with pytest.raises(Refused) as caught:
        refuse(np.moveaxis(x, axis, -1), given.pop("mask", None), axis, **given)
    error = caught.value
    return str(error), error.kind, error.row, error.place, error.count


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_wrong_and_where(dtype: str) -> None:
    x = np.zeros((2, 3, 4), dtype_of(dtype))
    x[1, 2, 1], x[0, 1, 3] = np.nan, INF
    assert found(x) == ("logits contain NaN at index (1, 2, 1)", "nan", 5, (1, 2, 1), 0)
    assert found(x, 0) == ("logits contain NaN at index (1, 2, 1)", "nan", 9, (1, 2, 1), 0)
    assert found(x, 1) == ("logits contain NaN at index (1, 2, 1)", "nan", 5, (1, 2, 1), 0)
    x[1, 2, 1] = -65504  # of float16 the lowest number
    assert found(x) == ("logits contain +inf at index (0, 1, 3)", "infinite", 1, (0, 1, 3), 0)
    x[0, 1] = -INF
    assert found(x) == ("row (0, 1) has no finite logit", "empty", 1, (0, 1), 0)
    x[0, 1, 2] = 2.0**-24  # and the smallest
    assert found(x, wanted=2) == ("k=2 exceeds the 1 allowed entries of row (0, 1)", "few", 1, (0, 1), 1)
    assert found(x[0], wanted=2, what="tokens")[0] == "k=2 exceeds the 1 tokens of row 1"
    assert found(x)[:2] == ("logits overflow when divided by tau", "overflow")


def test_masked_logits_are_not_looked_at() -> None:
    x = np.zeros((3, 4))
    x[0, 1], x[1, 2] = np.nan, INF
    mask = np.isfinite(x)
    mask[2] = False
    assert found(x, mask=mask)[:2] == ("row 2 has no finite logit", "empty")
    assert found(x, mask=np.array([True, False, True, True]))[0] == "logits contain +inf at index (1, 2)"
    assert found(x, mask=mask, wanted=3)[0] == "k=3 exceeds the 0 allowed entries of row 2"


def test_rows_have_owners() -> None:
    x = np.full((2, 2), -INF)
    assert found(x, owner=lambda row: f" (of {row})")[0] == "row 0 (of 0) has no finite logit"
    x[:] = np.nan
    assert found(x, owner=lambda row: f" (of {row})")[0] == "logits contain NaN at index (0, 0) (of 0)"
    with pytest.raises(Refused) as caught:
        refuse(x[0, 0], None, -1)
    assert (str(caught.value), caught.value.place) == ("logits contain NaN at index ()", ())


@pytest.mark.parametrize(
    ("p", "distinct", "text"),
    [
        ([[1, 2], [1, -0.25]], 0, "p must be finite and >= 0, got -0.25 at index (1, 1)"),
        ([[1, 2], [0, 0]], 0, "p sums to 0 in row 1"),
        ([1e308, 1e308], 0, "p sums to inf"),
        ([0, 1, 2], 3, "3 draws without replacement exceed the 2 positive entries of p"),
    ],
)
def test_weights_of_a_choice(p: Any, distinct: int, text: str) -> None:
    with pytest.raises(ValueError, match="p") as caught:
        check_weights_of_choice(np.array(p, float), distinct)
    assert str(caught.value) == text
    check_weights_of_choice(np.array([0.0, 1, 2]), 2)
    check_weights_of_choice(np.array([[0, 1.0]]))


def test_reciprocals_of_temperatures() -> None:
    text = "tau must be finite and > 0, and 1/tau as well, got 1/tau ="
    for values, end in ((np.float32(-2), " -2"), (np.array([1.0, INF]), " inf in row 1")):
        with pytest.raises(ValueError, match="tau") as caught:
            check_inverses(np.asarray(values))
        assert str(caught.value) == text + end
    check_inverses(np.array([1.0, 1e-40]))


def test_callers_see_a_value_error_with_fields(backend: str) -> None:
    with pytest.raises(ValueError, match="row 1 has no finite logit") as caught:
        gf.categorical(np.array([[0.0, 0.0], [-INF, -INF]]), rng=0)
    fields = {"kind": "empty", "row": 1, "place": (1,), "count": 0}
    assert vars(caught.value) == fields
    copied = pickle.loads(pickle.dumps(caught.value))
    assert (str(copied), vars(copied)) == ("row 1 has no finite logit", fields)
