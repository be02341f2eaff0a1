"""Small calls in one compiled step: taken or declined, they are what the Python function makes of them."""

import copy
import doctest
import inspect
import pickle
import sys
import threading
import typing
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import COMPILED, KEY, OLD_NUMPY, assert_same_bytes, normal
from hypothesis import given
from hypothesis import strategies as st

import gumbelfast as gf

X = {name: normal(name, (8, 10)) for name in ("float32", "float64")}
FUNCTIONS = ["categorical", "gumbel_top_k", "gumbel_softmax", "sample_tokens", "softmax", "log_softmax", "logsumexp"]
METHODS = ["gumbel", "exponential", "standard_exponential", "choice"]
PACKAGE = str(Path(gf.__file__).parent)
ONES = np.ones((8, 10), bool)
SEEDS, PLACES = np.arange(8, dtype=np.uint64) * 2**61, np.arange(8) * 2**50
WEIGHTS = [0.1, 0.0, 0.4, 0.5]


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


SAMPLERS: list[tuple[str, tuple[Any, ...]]] = [
    ("categorical", ()), ("gumbel_top_k", (3,)), ("gumbel_softmax", ()), ("sample_tokens", ()),
]  # fmt: skip
OPTIONS: list[dict[str, Any]] = [
    {"temperature": 0.3}, {"temperature": 1e-20}, {"mask": ONES}, {"mask": ONES[0]}, {"mask": np.arange(80).reshape(8, 10) % 3 > 0},
    {"seeds": SEEDS, "positions": PLACES}, {"seeds": SEEDS.astype(np.int64) % 7}, {"positions": SEEDS // 2**60, "seeds": PLACES},
    {"mask": None, "seeds": None, "positions": None}, {"rng": None}, {"rng": 7},
]  # fmt: skip


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("dtype", X)
@pytest.mark.parametrize(("name", "more"), SAMPLERS)
def test_steps_of_draws(name: str, more: tuple[Any, ...], dtype: str) -> None:
    x = X[dtype]
    x = np.where(np.arange(80).reshape(8, 10) % 7 == 1, -np.inf, x).astype(x.dtype)
    read_only = x.copy()
    read_only.flags.writeable = False
    for logits in (
        x,
        x[0],
        x.reshape(2, 2, 2, 10),
        X[dtype][:, :1].copy(),
        read_only,
        np.full((1, 1), 5, dtype),
        x[3:4],
    ):
        if logits.shape[-1] == 10 or not more:
            check(name, True, logits, *more)
    for options in OPTIONS:
        if "mask" in options and name == "gumbel_softmax":
            continue
        if "temperature" in options and name == "gumbel_softmax":
            options = {"tau": options["temperature"]}
        if options.get("rng", 0) is None:
            gf.default_rng(None)  # the shared generator draws anew: only whether it is asked is seen here
            gf.categorical(x[0])
            assert not runs_python(lambda: getattr(gf, name)(x, *more))
        else:
            check(name, True, x, *more, **options)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("dtype", X)
def test_steps_of_single_functions(dtype: str) -> None:
    x = X[dtype]
    for hard in (False, True):
        check("gumbel_softmax", True, x, 0.7, hard)
        check("gumbel_softmax", True, x, hard=hard, tau=0.7)
    for k in (1, 10):
        check("gumbel_top_k", True, x, k)
        check("gumbel_top_k", True, k=k, logits=x)
    for options in ({"top_k": 3}, {"top_p": 0.6}, {"min_p": 0.2}, {"top_k": 2**63 - 1, "top_p": 1.0, "min_p": 1.0},
                    {"top_k": 4, "top_p": 0.9, "min_p": 0.01, "temperature": 0.7, "mask": ONES}, {"top_k": None}):  # fmt: skip
        check("sample_tokens", True, x, **options)
    for name in ("softmax", "log_softmax", "logsumexp"):
        for y in (x, x[0], x[None], np.where(x > 1, np.nan, x), x * np.inf):
            with np.errstate(invalid="ignore"):
                check(name, True, y, drawn=False)
        check(name, True, x, temperature=0.4, axis=-1, drawn=False)


@pytest.mark.usefixtures("compiled")
def test_steps_of_methods() -> None:
    for args in ((), (1.5,), (-2.0, 3.0), (0.0, 0.0), (0.0, 1.0, 5), (0.0, 1.0, None)):
        check("gumbel", True, *args)
    for args in ((), (2.5,), (0.0,), (1.0, 7), (1.0, 4096)):
        check("exponential", True, *args)
    check("standard_exponential", True)
    check("standard_exponential", True, size=33)
    for p in (WEIGHTS, np.array(WEIGHTS), [1 - 1e-10, 0.0, 0.0, 0.0]):
        check("choice", True, 4, p=p)
        check("choice", True, 4, None, True, p)


def test_what_methods_decline() -> None:
    bad = (np.nan, np.inf, -1.0, -0.0, 1, np.float64(2), [1.0, 2.0], "1", 1j, None)
    for value in bad:
        check("gumbel", False, 0.0, value)
        check("exponential", False, value)
    for value in (np.nan, np.inf, 1, [1.0], None):
        check("gumbel", False, value)
    for size in (0, -1, 4097, (2, 3), True, 2.0, np.int64(3), 2**70):
        check("standard_exponential", False, size)
        check("gumbel", False, size=size)
    check("standard_exponential", False, np.float32)
    check("standard_exponential", False, dtype=np.float32)
    check("gumbel", False, unknown=3)
    check("gumbel", False, 0.0, loc=0.0)
    for p in ([0.5, 0.5], [0.1, 0.2, 0.3, 0.3], [0.1, -0.1, 0.5, 0.5], [1, 0, 0, 0], [np.nan] * 4, [0.25 + 2e-9] * 4,
              np.float32(WEIGHTS), np.array(WEIGHTS)[::-1], tuple(WEIGHTS), None):  # fmt: skip
        check("choice", False, 4, p=p)
    check("choice", False, 4, 2, p=WEIGHTS)
    check("choice", False, 4, replace=False, p=WEIGHTS)
    check("choice", False, [1, 2, 3, 4], p=WEIGHTS)
    check("choice", False, 0, p=[])
    derived = type("Derived", (gf.Generator,), {})(3)
    assert runs_python(lambda: derived.gumbel())


def odd_arrays(x: Any) -> list[Any]:
    """Arrays that steps leave to Python, good ones and bad ones."""
    wide = np.zeros((8, 20), x.dtype)
    shifted = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)
    with_nan, with_inf, empty_row = x.copy(), x.copy(), x.copy()
    with_nan[3, 4], with_inf[7, 9], empty_row[2] = np.nan, np.inf, -np.inf
    return [
        x.T, x[::2], x[::-1], x[:, ::2], wide[:, :10], x.astype(x.dtype.newbyteorder()), shifted, x.view(np.matrix),
        np.ma.array(x), x.tolist(), x.astype(np.float16), x.astype(np.int64), x.astype(complex), x.astype(np.longdouble),
        pickle.loads(pickle.dumps(x)).astype("O"), np.zeros((0, 3), x.dtype), np.zeros((3, 0), x.dtype),
        np.array(1.0, x.dtype), np.zeros((409, 11), x.dtype), None, "text", x > 0, with_nan, with_inf, empty_row,
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", X)
@pytest.mark.parametrize(("name", "more"), SAMPLERS)
def test_arrays_that_steps_decline(name: str, more: tuple[Any, ...], dtype: str) -> None:
    for x in odd_arrays(X[dtype]):
        check(name, False, x, *more)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_arrays_that_softmax_declines(name: str) -> None:
    for x in odd_arrays(X["float32"])[:-3]:
        check(name, False, x, drawn=False)
    for options in ({"axis": 0}, {"axis": 1}, {"axis": None}, {"axis": (0, 1)}, {"axis": -1.0}, {"axis": True},
                    {"temperature": 0.0}, {"temperature": 2}, {"temperature": None}, {"temperature": np.ones(8)},
                    {"out": None}, {"num_threads": 1}, {"b": 2.0}, {"rng": 3}):  # fmt: skip
        check(name, False, X["float32"], drawn=False, **options)


BAD_OPTIONS: list[dict[str, Any]] = [
    {"temperature": np.nan}, {"temperature": 0.0}, {"temperature": -1.0}, {"temperature": 1e-40}, {"temperature": 2},
    {"temperature": np.ones(8)}, {"temperature": None}, {"mask": ONES[:, :9]}, {"mask": ONES.astype(np.uint8)},
    {"mask": ONES[:1]}, {"mask": ONES.tolist()}, {"mask": ~ONES}, {"mask": ONES.T.copy().T}, {"mask": ONES[0][0]},
    {"seeds": SEEDS[:7]}, {"seeds": 3}, {"seeds": SEEDS.astype(np.int64)}, {"seeds": -SEEDS.astype(np.int64) // 8},
    {"seeds": SEEDS.astype(np.float64)}, {"seeds": SEEDS.astype(np.int32)}, {"seeds": SEEDS.tolist()}, {"seeds": SEEDS[::-1]},
    {"seeds": SEEDS, "positions": PLACES - 1}, {"seeds": SEEDS, "positions": PLACES + 2**57}, {"positions": PLACES},
    {"seeds": SEEDS, "positions": np.full(8, 2**62 // 32)}, {"seeds": SEEDS, "positions": np.full(8, 2**62 // 32 - 1)[:4]},
    {"seeds": SEEDS, "positions": 3}, {"rng": True}, {"rng": -1}, {"rng": 2**64}, {"rng": 2**200}, {"rng": "7"},
    {"rng": np.int64(3)}, {"rng": [1, 2]}, {"rng": 1.0}, {"offset": 5}, {"num_threads": 1},
    {"axis": -1}, {"unknown": 1},
]  # fmt: skip


@pytest.mark.parametrize(("name", "more"), SAMPLERS)
def test_options_that_steps_decline(name: str, more: tuple[Any, ...]) -> None:
    for options in BAD_OPTIONS:
        if name == "gumbel_softmax" and "temperature" in options:
            options = {"tau": options["temperature"]}
        check(name, False, X["float32"], *more, **options)
    for make in (np.random.PCG64, np.random.default_rng, lambda seed: type("Derived", (gf.Generator,), {})(seed)):
        assert runs_python(lambda m=make: getattr(gf, name)(X["float32"], *more, rng=m(2)))


def test_single_options_that_steps_decline() -> None:
    x = X["float32"]
    for k in (0, 11, -1, True, 2.0, np.int64(2), 2**70, None):
        check("gumbel_top_k", False, x, k)
    for options in ({"top_k": 0}, {"top_k": -1}, {"top_k": True}, {"top_k": [3] * 8}, {"top_p": 0.0}, {"top_p": 1}, {"top_p": 1.5},
                    {"min_p": -0.1}, {"min_p": np.nan}, {"top_p": np.full(8, 0.5)}):  # fmt: skip
        check("sample_tokens", False, x, **options)
    for options in ({"hard": 1}, {"hard": None}, {"out": np.empty_like(x)}, {"return_soft": True}, {"mask": ONES}):
        check("gumbel_softmax", False, x, **options)
    for options in (
        {"size": 3},
        {"size": None},
        {"return_perturbed": True},
        {"empty": -1},
        {"method": "alias"},
        {"k": 3},
    ):
        check("categorical", False, x, **options)
    check("categorical", False)
    check("categorical", False, x, x)
    check("categorical", False, x, logits=x)
    check("gumbel_softmax", False, x, 1.0, False, -1)


def test_the_end_of_the_noise() -> None:
    x = X["float32"]
    for offset, taken in ((2**62 - 96, True), (2**62 - 64, False), (2**62, False)):
        own = gf.Generator(3, offset=offset)
        if taken:
            gf.categorical(x, rng=own)
            assert own.offset == 2**62 - 16
        else:
            with pytest.raises(ValueError, match="the noise of this key ends"):
                gf.categorical(x, rng=own)
            assert own.offset == offset


@given(st.one_of(st.integers(0, 2**64 + 2), st.integers(0, 2**140)))
def test_seeds_are_hashed_as_by_numpy(seed: int) -> None:
    low, high = np.random.SeedSequence(seed).generate_state(2, np.uint32).tolist()
    x = np.zeros((32, 64), np.float32)
    assert_same_bytes(gf.categorical(x, rng=seed), gf.categorical(x, rng=gf.Generator(low | high << 32)))


@pytest.mark.parametrize("exponent", [0, 1, 31, 32, 33, 63, 64, 65, 96, 127, 128, 129, 1000])
def test_seeds_at_the_ends_of_words(exponent: int) -> None:
    for seed in (2**exponent - 1, 2**exponent, 2**exponent + 1):
        test_seeds_are_hashed_as_by_numpy.hypothesis.inner_test(seed)  # type: ignore[attr-defined]


def test_the_reference_takes_no_step() -> None:
    with gf.use_backend("reference"):
        for name, more in SAMPLERS:
            check(name, False, X["float32"], *more)
        check("softmax", False, X["float32"], drawn=False)
        check("gumbel", False)
    assert runs_python(lambda: gf.reference.softmax(X["float32"]))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMPILED)
def test_steps_run_on_the_backend_in_force(name: str) -> None:
    with gf.use_backend(name):
        assert not runs_python(lambda: gf.softmax(X["float32"]))
        assert gf.backend() == name


def test_a_generator_shared_by_threads() -> None:
    shared, alone = rng(), rng()
    drawn: list[list[float]] = [[] for _ in range(4)]

    def work(own: list[float]) -> None:
        for _ in range(500):
            own.append(shared.gumbel())
            with pytest.raises(ValueError, match="NaN"):
                gf.categorical(np.full(3, np.nan), rng=shared)

    threads = [threading.Thread(target=work, args=(own,)) for own in drawn]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # A refusal in between may leave a gap, but no element is drawn twice, and none but those of the key.
    values = [value for own in drawn for value in own]
    noise = gf.gumbel(size=(shared.offset - 77) // 32 * 32 + 64, dtype=np.float64, rng=alone, offset=96)[::32]
    assert len(set(values)) == 2000
    assert set(values) <= set(noise.tolist())


def test_nothing_is_kept_or_lost() -> None:
    bits = gf.Philox4x32(3)
    x, before = X["float32"], sys.getrefcount(bits)
    own = gf.Generator(bits)
    watched = [x, own, own._source, gf.TopK, ONES, SEEDS, WEIGHTS, gf.softmax]
    counts = [sys.getrefcount(each) for each in watched]
    for _ in range(50):
        gf.categorical(x, rng=own, mask=ONES)
        gf.categorical(x, seeds=SEEDS)
        gf.gumbel_top_k(x, 3, rng=own)
        gf.softmax(x)
        own.gumbel(size=3)
        own.choice(4, p=WEIGHTS)
        with pytest.raises(ValueError, match="row 0"):
            gf.gumbel_softmax(np.full(3, -np.inf), rng=own)
    assert [sys.getrefcount(each) for each in watched] == counts
    source = own._source
    del own, watched
    assert sys.getrefcount(bits) == before + 1  # the capsule keeps it
    del source
    assert sys.getrefcount(bits) == before


@pytest.mark.parametrize("name", FUNCTIONS + METHODS)
def test_functions_look_like_functions(name: str) -> None:
    owner: Any = gf.Generator if name in METHODS else gf
    function, python = getattr(owner, name), getattr(owner, name).__wrapped__
    assert inspect.isfunction(python)
    assert inspect.signature(function) == inspect.signature(python)
    assert inspect.getsource(function).startswith(("@in_one_step", "    @in_one_step"))
    for attribute in ("__doc__", "__name__", "__qualname__", "__module__", "__annotations__"):
        assert getattr(function, attribute) == getattr(python, attribute)
    assert typing.get_type_hints(python).keys() == python.__annotations__.keys()
    assert repr(function) == repr(python)
    assert inspect.isroutine(function)
    assert callable(function)
    assert pickle.loads(pickle.dumps(function)) is function
    assert copy.deepcopy(function) is function
    assert weakref.ref(function)() is function
    assert hash(function) == hash(function)
    if name in METHODS:
        own = rng()
        bound = getattr(own, name)
        assert bound.__self__ is own
        assert bound.__func__ is function
        assert "self" not in inspect.signature(bound).parameters


def test_doctest_finds_the_examples() -> None:
    found = {test.name for test in doctest.DocTestFinder().find(sys.modules["gumbelfast.sampling"]) if test.examples}
    assert found == {"gumbelfast.sampling.categorical", "gumbelfast.sampling.gumbel_top_k"}


@pytest.mark.skipif(OLD_NUMPY, reason="NumPy 1.26 writes scalars otherwise")
def test_types_of_results() -> None:
    assert repr(gf.categorical(np.zeros(1, np.float32), rng=1)) == "np.int64(0)"
    assert repr(gf.logsumexp(np.zeros(1, np.float32))) == "np.float32(0.0)"
    assert type(gf.gumbel_top_k(np.zeros(1), 1, rng=1)) is gf.TopK
    assert type(rng().gumbel()) is float
    assert type(rng().choice(4, p=WEIGHTS)) is int
