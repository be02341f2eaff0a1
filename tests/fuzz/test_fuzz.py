"""A short run of the fuzzer of tools/fuzz, and that it finds the faults it is for."""

import random

import numpy as np
import pytest
from fuzz_arrays import Source
from fuzz_functions import Asked, Call, OwnError, raises
from fuzz_run import judged, one

import gumbelfast as gf


def test_nothing_in_a_thousand_runs() -> None:
    found = {one(random.Random(f"suite/{i}").randbytes(256)) for i in range(1000)}
    assert {"returned", "TypeError", "ValueError"} <= found


def _moves_and_raises(x: np.ndarray, rng: gf.Generator) -> None:
    rng.gumbel(size=3)
    raise ValueError("late")


def _writes_and_raises(x: np.ndarray) -> None:
    x[0] = 5
    raise ValueError("late")


def _writes(x: np.ndarray) -> float:
    x[0] += 1
    return float(x[1])


def _depends_on_layout(x: np.ndarray) -> bool:
    return x.flags.c_contiguous


def _refuses_with_an_assertion(x: np.ndarray) -> None:
    raise ValueError("results do not fit")


FAULTS = [
    (_moves_and_raises, True), (_writes_and_raises, False), (_writes, False), (_depends_on_layout, False),
    (_refuses_with_an_assertion, False), (lambda x: {}["a"], False), (lambda x: x.base.sum(), False),
]  # fmt: skip


@pytest.mark.parametrize(("function", "draws"), FAULTS)
def test_faults_are_found(function, draws) -> None:
    call = Call(function, (np.arange(8.0)[::2],), {}, lambda *_: None, draws)
    with pytest.raises((AssertionError, KeyError, AttributeError)):
        judged(call, Source(b""))


def test_a_wrong_result_is_found() -> None:
    def check(found: int, x: np.ndarray) -> None:
        assert found == 5

    with pytest.raises(AssertionError):
        judged(Call(lambda x: 4, (np.zeros(3),), {}, check, False), Source(b""))


def _hides_what_it_is_told(asked: Asked) -> None:
    try:
        asked()
    except OwnError:
        raise ValueError("something else") from None


def _draws_before_it_asks(asked: Asked, rng: gf.Generator) -> None:
    rng.gumbel(size=3)
    asked()


def _moves_the_generator_of_the_process(asked: Asked) -> None:
    gf.gumbel(size=3)


@pytest.mark.parametrize(
    ("function", "draws"),
    [(_hides_what_it_is_told, False), (_draws_before_it_asks, True), (_moves_the_generator_of_the_process, False)],
)
def test_faults_around_a_function_of_the_users_are_found(function, draws) -> None:
    asked = Asked(lambda: None, 1, raises)
    call = Call(lambda **given: function(asked, **given), (), {}, lambda *_: None, draws, asked)
    with pytest.raises(AssertionError):
        judged(call, Source(b""))


@pytest.mark.parametrize(("calls", "outcome"), [(1, None), (2, "OwnError")])
def test_a_generator_may_move_between_calls_of_a_function_of_the_users(calls: int, outcome: str | None) -> None:
    def function(rng: gf.Generator) -> None:
        for _ in range(calls - 1):
            asked()
        rng.gumbel(size=3)
        asked()

    asked = Asked(lambda: None, calls, raises, still=1)
    call = Call(function, (), {}, lambda *_: None, asked=asked)
    if outcome is None:
        with pytest.raises(AssertionError):
            judged(call, Source(b""))
    else:
        assert judged(call, Source(b"")) == outcome
