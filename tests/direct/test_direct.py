"""Plain calls in one compiled step: taken or declined, they are what the Python function makes of them."""

import copy
import doctest
import inspect
import math
import pickle
import pydoc
import sys
import threading
import typing
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from direct_cases import METHODS, ONES, PLACES, SAMPLERS, SEEDS, WEIGHTS, X, check, rng, runs_python
from helpers import COMPILED, OLD_NUMPY, assert_same_bytes, normal
from hypothesis import given
from hypothesis import strategies as st

import gumbelfast as gf
from gumbelfast._sampling import argmax

FUNCTIONS = ["categorical", "gumbel_top_k", "gumbel_softmax", "sample_tokens", "softmax", "log_softmax", "logsumexp"]
OPTIONS: list[dict[str, Any]] = [
    {"temperature": 0.3}, {"temperature": 1e-20}, {"mask": ONES}, {"mask": ONES[0]},
    {"mask": np.arange(80).reshape(8, 10) % 3 > 0}, {"seeds": SEEDS, "positions": PLACES},
    {"seeds": SEEDS.astype(np.int64) % 7}, {"positions": SEEDS // 2**60, "seeds": PLACES},
    {"seeds": SEEDS, "positions": np.full(8, 2**57 - 1)}, {"seeds": SEEDS.tolist(), "positions": PLACES.tolist()},
    {"seeds": SEEDS, "positions": 3}, {"seeds": [2**64 - 1, *range(7)], "positions": 2**57 - 1},
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
    single = X[dtype][:, :1].copy(), np.full((1, 1), 5, dtype)
    for logits in (x, x[0], x[3:4], x.reshape(2, 2, 2, 10), read_only, *single):
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
    for options in ({"top_k": 3}, {"top_p": 0.6}, {"min_p": 0.2},
                    {"top_k": 2**63 - 1, "top_p": 1.0, "min_p": 1.0},
                    {"top_k": 4, "top_p": 0.9, "min_p": 0.01, "temperature": 0.7, "mask": ONES},
                    {"top_k": None}, {"temperature": 0.0}, {"temperature": 0.0, "top_k": 2, "typical_p": 0.3},
                    {"temperature": 0.5, "temperature_last": True, "top_p": 0.5}, {"temperature_last": False},
                    {"min_tokens_to_keep": 3, "top_p": 0.1}, {"top_n_sigma": 0.5}, {"typical_p": 0.4},
                    {"epsilon_cutoff": 0.1, "typical_p": 1.0}, {"eta_cutoff": 0.3},
                    {"top_k": 8, "top_p": 0.9, "min_p": 0.01, "top_n_sigma": 2.0, "typical_p": 0.9,
                     "epsilon_cutoff": 0.01, "eta_cutoff": 0.01, "min_tokens_to_keep": 2, "temperature": 1.5,
                     "temperature_last": True, "seeds": SEEDS, "mask": ONES}):  # fmt: skip
        check("sample_tokens", True, x, **options)
    one = {"seeds": 5, "positions": 2**50}
    for row in (x[:1], x[0]):
        for name in ("categorical", "sample_tokens"):
            check(name, True, row, **one)
    for name in ("softmax", "log_softmax", "logsumexp"):
        for y in (x, x[0], x[None], np.where(x > 1, np.nan, x), x * np.inf):
            with np.errstate(invalid="ignore"):
                check(name, True, y, drawn=False)
        check(name, True, x, temperature=0.4, axis=-1, drawn=False)


@pytest.mark.parametrize("shape", [(409, 11), (1, 4097), (4, 2**17 + 3)])
def test_large_arrays(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(5).standard_normal(shape, dtype=np.float32)
    x.ravel()[::3] = -np.inf
    batch, allowed = shape[:-1], np.arange(x.size).reshape(shape) % 4 > 0
    own = {"seeds": np.full(batch, 3, np.uint64), "positions": np.arange(math.prod(batch)).reshape(batch)}
    for name in ("categorical", "sample_tokens"):
        for more in ({}, {"temperature": 0.5}, {"mask": allowed}, own):
            check(name, True, x, **more)
    for name, more in (("gumbel_top_k", (3,)), ("gumbel_softmax", ())):
        check(name, True, x, *more)
        check(name, True, x, *more, **own)
    check("sample_tokens", True, x, top_k=5)
    for name in ("softmax", "log_softmax", "logsumexp"):
        check(name, True, x, drawn=False)
    for hard in (False, True):
        check("gumbel_softmax", True, x, 0.7, hard, out=np.empty_like(x))
    x.ravel()[-1] = np.nan
    for name, more in SAMPLERS:
        check(name, False, x, *more)
    for hard in (False, True):
        out = np.full_like(x, 9)
        check("gumbel_softmax", False, x, 0.7, hard, out=out)
        assert np.all(out == 9)


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_threads_of_large_arrays(threads: int) -> None:
    x = np.random.default_rng(6).standard_normal((64, 5000), dtype=np.float32)
    before = gf.get_num_threads()
    try:
        gf.set_num_threads(threads)
        for name, more in SAMPLERS:
            check(name, True, x, *more)
        check("sample_tokens", True, x, typical_p=0.5)
        check("softmax", True, x, drawn=False)
    finally:
        gf.set_num_threads(before)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_tokens_of_half_precision(dtype: str) -> None:
    kind = np.float16 if dtype == "float16" else pytest.importorskip("ml_dtypes").bfloat16
    for x in (X["float32"].astype(kind), normal("float32", (1, 5000)).astype(kind)):
        own = {"seeds": SEEDS[: len(x)], "positions": 4}
        for options in ({}, {"top_k": 3, "top_p": 0.8}, {"min_p": 0.1, "temperature": 0.5}, {"typical_p": 0.9}):
            check("sample_tokens", True, x, **options)
            check("sample_tokens", True, x, **options, **own)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("dtype", X)
def test_steps_that_fill_a_target(dtype: str) -> None:
    calls: list[Callable[..., Any]] = [
        gf.softmax,
        gf.log_softmax,
        lambda x, **more: gf.gumbel_softmax(x, 0.7, rng=3, **more),
        lambda x, **more: gf.gumbel_softmax(x, 0.7, True, rng=3, **more),
    ]
    for call in calls:
        x = X[dtype].copy()
        wanted = call(x)
        for out in (np.full_like(x, 9), x):
            assert not runs_python(lambda: call(X[dtype], out=out))  # noqa: B023
            x[...] = X[dtype]
            assert call(x, out=out) is out
            assert_same_bytes(out, wanted)
    refused = X[dtype].copy()
    refused[7, 9] = np.nan
    out = np.full_like(refused, 9)
    with pytest.raises(ValueError, match="NaN"):
        gf.gumbel_softmax(refused, rng=3, out=out)
    assert np.all(out == 9)


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
    assert f"{name}({next(iter(inspect.signature(function).parameters))}" in pydoc.plain(pydoc.render_doc(function))
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
    found = {test.name for test in doctest.DocTestFinder().find(argmax) if test.examples}
    assert found == {"gumbelfast._sampling.argmax.categorical", "gumbelfast._sampling.argmax.gumbel_top_k"}


@pytest.mark.skipif(OLD_NUMPY, reason="NumPy 1.26 writes scalars otherwise")
def test_types_of_results() -> None:
    assert repr(gf.categorical(np.zeros(1, np.float32), rng=1)) == "np.int64(0)"
    assert repr(gf.logsumexp(np.zeros(1, np.float32))) == "np.float32(0.0)"
    assert type(gf.gumbel_top_k(np.zeros(1), 1, rng=1)) is gf.TopK
    assert type(rng().gumbel()) is float
    assert type(rng().choice(4, p=WEIGHTS)) is int
