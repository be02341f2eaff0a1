"""A short run of the fuzzer of tools/fuzz, and that it finds the faults it is for."""

import random

import numpy as np
import pytest
from fuzz_arrays import Source
from fuzz_functions import Call
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
