"""What tests of compiled steps share: calls beside what the Python functions make of them."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from helpers import KEY, assert_same_bytes, normal

import gumbelfast as gf

X = {name: normal(name, (8, 10)) for name in ("float32", "float64")}
METHODS = ["gumbel", "exponential", "standard_exponential", "choice"]
PACKAGE = str(Path(gf.__file__).parent)
ONES = np.ones((8, 10), bool)
SEEDS, PLACES = np.arange(8, dtype=np.uint64) * 2**61, np.arange(8) * 2**50
WEIGHTS = [0.1, 0.0, 0.4, 0.5]
SAMPLERS: list[tuple[str, tuple[Any, ...]]] = [
    ("categorical", ()), ("gumbel_top_k", (3,)), ("gumbel_softmax", ()), ("sample_tokens", ()),
]  # fmt: skip


def rng() -> gf.Generator:
    return gf.Generator(KEY, offset=77)


def outcome(own: gf.Generator, call: Callable[[], Any]) -> tuple[Any, ...]:
    """What a call gives or raises, and the state that it leaves."""
    try:
        return None, call(), str(own.bit_generator.state)
    except Exception as error:
        return Exception, (type(error).__name__, str(error)), str(own.bit_generator.state)


def assert_same(found: Any, wanted: Any) -> None:
    assert type(found) is type(wanted)
    if isinstance(found, tuple):
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    elif isinstance(found, np.ndarray | np.generic | float):
        assert_same_bytes(found, wanted)
    else:
        assert found == wanted


def runs_python(call: Callable[[], Any]) -> bool:
    """Whether a function of the package runs that is written in Python."""
    seen: list[str] = []

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call":
            seen.append(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        call()
    except Exception:
        pass
    finally:
        sys.setprofile(None)
    return any(name.startswith(PACKAGE) for name in seen)


def check(name: str, taken: bool, *args: Any, drawn: bool = True, **kwargs: Any) -> None:
    """The call gives what the Python function gives, on the same state, and takes the step or does not."""
    method = name in METHODS
    function = getattr(gf.Generator if method else gf, name)

    def prepare(function: Any) -> tuple[gf.Generator, Callable[[], Any]]:
        own = rng()
        options = kwargs if method or not drawn else {"rng": own, **kwargs}
        return own, partial(function, *((own, *args) if method else args), **options)

    found, wanted = (outcome(*prepare(each)) for each in (function, function.__wrapped__))
    assert_same(found, wanted)
    assert taken != (wanted[0] is Exception or runs_python(prepare(function)[1]))
