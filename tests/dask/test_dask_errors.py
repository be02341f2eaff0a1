"""What chunked arrays are refused, when, and in which words: those of NumPy's functions, with places in the whole."""

import re
import sys
from typing import Any

import dask.array as da
import numpy as np
import pytest
from helpers import run_python

import gumbelfast as gf
import gumbelfast.dask as gfd

X = np.random.default_rng(0).normal(size=(4, 3, 50))
CHUNKS = (3, 2, 20)


def spoiled(place: tuple[int, ...], value: float) -> Any:
    x = X.copy()
    x[place] = value
    return x


def both(name: str, x: Any, *args: Any, **given: Any) -> tuple[BaseException, BaseException, bool]:
    """The error of NumPy's function, that of ours, and whether it came before anything was computed."""
    with pytest.raises((TypeError, ValueError)) as wanted:
        getattr(gf, name)(x, *args, **given)
    try:
        lazy = getattr(gfd, name)(da.from_array(x, chunks=CHUNKS[: x.ndim]), *args, **given)
    except (TypeError, ValueError) as error:
        return wanted.value, error, True
    parts = lazy if isinstance(lazy, tuple) else (lazy,)
    errors = []
    for part in parts:
        with pytest.raises((TypeError, ValueError)) as found:
            part.compute(scheduler="sync")
        errors.append(found.value)
    assert {str(error) for error in errors} == {str(errors[0])}
    return wanted.value, errors[0], False


def assert_same_error(found: BaseException, wanted: BaseException) -> None:
    """Of one kind, and in the same words; `Refused` is a ValueError with fields."""
    assert isinstance(wanted, type(found))
    assert str(found) == str(wanted)


EMPTY_ROW = X.copy()
EMPTY_ROW[3, 2] = -np.inf
FEW = X.copy()
FEW[2, 1, 4:] = -np.inf
HEAVY = np.exp(X)
HEAVY[1, 2, 5:] = 0


@pytest.mark.parametrize("name", ["categorical", "gumbel_softmax"])
@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("x", [spoiled((3, 2, 41), np.nan), spoiled((3, 1, 0), np.inf), EMPTY_ROW, EMPTY_ROW[3]])
def test_bad_logits(name: str, hard: bool, x: Any) -> None:
    given = {"hard": hard} if name == "gumbel_softmax" else {}
    wanted, found, at_once = both(name, x, rng=1, **given)
    assert_same_error(found, wanted)
    assert not at_once


@pytest.mark.parametrize(
    ("name", "x", "given"),
    [
        ("gumbel_top_k", spoiled((3, 2, 41), np.nan), {"k": 2}),
        ("gumbel_top_k", FEW, {"k": 5}),
        ("gumbel_top_k", EMPTY_ROW, {"k": 2}),
        ("weighted_sample", HEAVY, {"k": 6}),
        ("weighted_sample", spoiled((3, 2, 41), np.nan) ** 2, {"k": 6}),
        ("weighted_sample", spoiled((2, 0, 33), -60.0) + 50, {"k": 6}),
        ("categorical", X, {"mask": (np.arange(12) != 11).reshape(4, 3, 1)}),
    ],
)  # fmt: skip
def test_bad_rows(name: str, x: Any, given: dict[str, Any]) -> None:
    wanted, found, at_once = both(name, x, rng=1, **given)
    assert_same_error(found, wanted)
    assert not at_once


@pytest.mark.parametrize(
    ("name", "x", "given"),
    [
        ("categorical", X.astype(int), {}),
        ("categorical", X, {"axis": 3}),
        ("categorical", X, {"axis": 1.0}),
        ("categorical", X[:, :, :0], {}),
        ("categorical", X, {"temperature": 0.0}),
        ("categorical", X, {"temperature": [[1.0, -2.0, 1.0]] * 4}),
        ("categorical", X, {"temperature": np.ones((2, 2))}),
        ("categorical", X, {"temperature": "warm"}),
        ("categorical", X, {"mask": np.ones((2, 50), bool)}),
        ("categorical", X, {"mask": np.ones(50)}),
        ("categorical", X, {"seeds": [[1, 2, 3]]}),
        ("categorical", X, {"seeds": 1.5}),
        ("categorical", X, {"seeds": -1}),
        ("categorical", X, {"positions": 1}),
        ("categorical", X, {"seeds": np.arange(12).reshape(4, 3), "positions": 2**62}),
        ("categorical", X, {"seeds": 1, "offset": 3}),
        ("categorical", X, {"offset": 3}),
        ("categorical", X, {"offset": 2**62 - 1, "rng": 1}),
        ("categorical", X, {"offset": -1, "rng": 1}),
        ("categorical", X, {"rng": -1}),
        ("categorical", X, {"size": -1}),
        ("categorical", X, {"empty": 1.5}),
        ("gumbel_top_k", X, {"k": 51}),
        ("gumbel_top_k", X, {"k": -1}),
        ("gumbel_top_k", X, {"k": 1.0}),
        ("weighted_sample", X > 0, {"k": 1}),
        ("gumbel_softmax", X, {"tau": -1.0}),
        ("gumbel_softmax", X, {"tau": 1e-320}),
        ("softmax", X, {"axis": (0, 0)}),
        ("softmax", X, {"axis": 5}),
        ("softmax", X.astype(int), {}),
        ("logsumexp", X, {"temperature": np.inf}),
    ],
)  # fmt: skip
def test_what_can_be_seen_at_once_is_said_at_once(name: str, x: Any, given: dict[str, Any]) -> None:
    wanted, found, at_once = both(name, x, **given)
    assert at_once
    assert isinstance(found, type(wanted))
    assert str(found) == str(wanted)


@pytest.mark.parametrize("name", ["categorical", "gumbel_softmax", "softmax", "logsumexp", "gumbel_top_k"])
@pytest.mark.parametrize("chunks", [CHUNKS, (4, 2, 50)])
def test_temperatures_in_chunks(name: str, chunks: Any) -> None:
    values = np.ones((4, 3))
    values[3, 2] = 0
    what = "tau" if name == "gumbel_softmax" else "temperature"
    given = {what: da.from_array(values, chunks=2)} | ({"k": 1} if name == "gumbel_top_k" else {})
    lazy = getattr(gfd, name)(da.from_array(X, chunks=chunks), **given)
    with pytest.raises(ValueError, match=re.escape(f"{what} must be finite and > 0, got 0.0 in row (3, 2)")):
        (lazy[0] if isinstance(lazy, tuple) else lazy).compute()
    with pytest.raises(TypeError, match=f"{what} must be real numbers, got complex128"):
        getattr(gfd, name)(da.from_array(X, chunks=chunks), **(given | {what: da.ones((4, 3), dtype=complex)}))


def test_seeds_and_positions_in_chunks() -> None:
    x, seeds = da.from_array(X, chunks=CHUNKS), np.arange(12).reshape(4, 3)
    wrong = seeds.copy()
    wrong[3, 1] = -5
    lazy = gfd.categorical(x, seeds=da.from_array(wrong, chunks=2))
    with pytest.raises(ValueError, match=re.escape("seeds must lie in [0, 2**64), got -5 in row (3, 1)")):
        lazy.compute()
    lazy = gfd.categorical(x, seeds=seeds, positions=da.from_array(wrong, chunks=2))
    with pytest.raises(ValueError, match=re.escape("positions must lie in [0, 2**56), got -5 in row (3, 1)")):
        lazy.compute()
    for name in ("seeds", "positions"):
        given = {"seeds": seeds} | {name: da.zeros((4, 3))}
        with pytest.raises(TypeError, match=f"{name} must be integers, got float64"):
            gfd.categorical(x, **given)


def test_a_refused_call_leaves_the_generator_where_it_was() -> None:
    rng = gf.default_rng(1)
    for given in ({"temperature": 0.0}, {"mask": np.ones(50)}, {"axis": 9}, {"seeds": [[1, 2, None]]}):
        with pytest.raises((TypeError, ValueError)):
            gfd.categorical(da.from_array(X, chunks=CHUNKS), rng=rng, **given)
        assert rng.offset == 0


def test_empty_rows_yield_what_was_asked_for() -> None:
    found = gfd.categorical(da.from_array(EMPTY_ROW, chunks=CHUNKS), rng=1, empty=-7, size=2).compute()
    assert np.array_equal(found, gf.categorical(EMPTY_ROW, rng=1, empty=-7, size=2))
    assert (found[:, 3, 2] == -7).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda x: gfd.categorical(x, rng=1),
        lambda x: gfd.gumbel_top_k(x, 1, rng=1),
        lambda x: gfd.weighted_sample(x, 1, rng=1),
        lambda x: gfd.gumbel_softmax(x, rng=1),
        lambda x: gfd.gumbel(x, rng=1),
        lambda x: gfd.categorical(x, seeds=1),
    ],
)
def test_unknown_chunk_sizes(call: Any) -> None:
    x = da.from_array(np.abs(X[:, 0]), chunks=(2, 20))
    unknown = x[x[:, 0] > -1]
    rng = "chunk sizes along axis 0 are unknown, and with them the place of each row's noise"
    with pytest.raises(ValueError, match=rng):
        call(unknown)
    known = unknown.compute_chunk_sizes()
    assert np.array_equal(gfd.categorical(known, rng=1).compute(), gf.categorical(np.abs(X[:, 0]), rng=1))


def test_bad_noise() -> None:
    for given, error in (({"scale": -1.0}, ValueError), ({"dtype": int}, TypeError), ({"loc": np.inf}, ValueError)):
        with pytest.raises(error) as wanted:
            gf.gumbel(size=3, rng=1, **given)
        with pytest.raises(error, match=re.escape(str(wanted.value))):
            gfd.gumbel(size=3, rng=1, **given)
    with pytest.raises(ValueError, match=re.escape("loc and scale of shape (2,) do not broadcast to size (1,)")):
        gfd.gumbel(da.zeros(2), size=1, rng=1)
    with pytest.raises(ValueError, match=re.escape("scale of shape (2,) does not broadcast to size (1,)")):
        gfd.exponential(da.ones(2), size=1, rng=1)
    with pytest.raises(ValueError, match="scale must be finite and >= 0"):
        gfd.exponential(da.from_array(np.array([1.0, -1.0]), chunks=1), rng=1).compute()


def test_without_dask_the_error_names_the_extra() -> None:
    code = (
        "import sys\n"
        "sys.modules['dask'] = None\n"
        "try:\n    import gumbelfast.dask\n"
        "except ImportError as error: print(error)\n"
    )
    done = run_python(code)
    assert done.stdout.strip() == 'gumbelfast.dask needs Dask: pip install "gumbelfast[dask]"', done.stderr
    assert sys.modules["dask"]
