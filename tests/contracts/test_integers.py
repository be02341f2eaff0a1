"""Integer arguments take integers of every type, with the results of Python's, and refuse all else by name."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from helpers import assert_same_bytes
from integer_cases import CALLS, DOORS, EXCEPTIONS, Row, parameters, rows

import gumbelfast as gf

ROWS = rows()
EACH = pytest.mark.parametrize("row", ROWS, ids=[f"{row.name}-{row.argument}-{row.good}" for row in ROWS])
DTYPES = [np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)]
SHAPES = ("size", "shape", "sample_shape")
ARRAYS: dict[str, Callable[[Any], Any]] = {}
if find_spec("torch"):
    import torch

    ARRAYS["torch"] = torch.from_numpy
if find_spec("jax"):
    import jax.numpy as jnp

    ARRAYS["jax"] = jnp.asarray


def one(value: int) -> Iterator[tuple[str, Any]]:
    """Spellings of an integer."""
    yield "enumeration", enum.IntEnum("Named", {"VALUE": value}).VALUE  # type: ignore[attr-defined]
    for dtype in DTYPES:
        yield dtype.name, dtype.type(value)
        for order in "<>":
            array = np.array(value, dtype.newbyteorder(order))
            array.flags.writeable = False
            yield f"0-d {array.dtype.str}", array
        for name, convert in ARRAYS.items():
            if name != "jax" or dtype.itemsize < 8:  # which takes x64
                yield f"0-d {name} {dtype}", convert(np.array(value, dtype))


def each(values: Any, spell: Callable[[int], Any]) -> Any:
    """A nest of lists with its integers spelled otherwise."""
    return [each(value, spell) for value in values] if isinstance(values, list) else spell(values)


def several(values: list[Any]) -> Iterator[tuple[str, Any]]:
    """Spellings of a nest of integers."""
    array = np.array(values)
    yield "list", values
    yield "tuple", tuple(values)
    yield "objects", np.array(values, object)
    kinds = iter(DTYPES * array.size)
    yield "mixed scalars", each(values, lambda n: np.int64(n) if n < 0 else next(kinds).type(n))
    yield "mixed signs", each(values, lambda n: np.int64(n) if n % 2 else np.uint64(n) if n >= 0 else n)
    yield "0-d arrays", each(values, lambda n: np.array(n, ">i2"))
    for dtype in DTYPES:
        if dtype.kind == "u" and array.min() < 0:
            continue
        for order in "<>":
            given = array.astype(dtype.newbyteorder(order))
            given.flags.writeable = False
            yield given.dtype.str, given
            yield f"strided {given.dtype.str}", np.repeat(given, 2, axis=-1)[..., ::2]
            yield f"reversed {given.dtype.str}", given[..., ::-1].copy()[..., ::-1]
        for name, convert in ARRAYS.items():
            if name != "jax" or dtype.itemsize < 8:
                yield f"{name} {dtype}", convert(array.astype(dtype))
                yield f"list of {name} {dtype}", each(values, lambda n, c=convert, d=dtype: c(np.array(n, d)))


def assert_same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, tuple):
        assert len(found) == len(wanted)
        for part, other in zip(found, wanted, strict=True):
            assert_same(part, other)
    elif not isinstance(wanted, str) and wanted is not None:
        assert_same_bytes(found, wanted)
    else:
        assert found == wanted


@EACH
def test_every_spelling_means_the_same(row: Row) -> None:
    wanted = row.call(row.good)
    spellings = list(several(row.good) if isinstance(row.good, list) else one(row.good))
    if row.argument in SHAPES:
        spellings += several([row.good])
    for name, value in spellings:
        try:
            assert_same(row.call(value), wanted)
        except Exception as error:
            raise AssertionError(f"{row.name}({row.argument}={value!r}), {name}") from error


def assert_refused(row: Row, value: Any, error: type[Exception] | tuple[type[Exception], ...], text: str) -> None:
    rng = gf.Generator(3, 7)
    before = str(rng.bit_generator.state)
    with pytest.raises(error) as caught:
        row.call(value, rng=rng)
    assert re.search(text, str(caught.value)), (value, str(caught.value))
    assert str(rng.bit_generator.state) == before, value


NO_INTEGERS: list[Any] = [
    True, np.True_, np.array(True), 2.0, -1.0, 1.5, np.float32(2), np.float64(2), np.array(2.0), np.nan, 2 + 0j,
    object(), np.timedelta64(2), *(convert(np.array(x)) for convert in ARRAYS.values() for x in (True, np.float32(2))),
]  # fmt: skip
NAMES = {"bit_generator": "key", "sample_shape": "size", "offset =": "offset", "noise_offset =": "noise_offset",
         "indices": "indices of states", "label": "solver returned"}  # fmt: skip


@EACH
def test_what_is_no_integer_is_refused(row: Row) -> None:
    error, text = TypeError, f"^{NAMES.get(row.argument, row.argument)} must be (an integer|integers)"
    if row.argument == "label":
        error, text = ValueError, "^solver returned .* expected integers"
    elif row.argument == "seed":
        text = "^seed must be an integer|^SeedSequence expects int"  # NumPy's words
    if isinstance(row.good, list):
        array = np.array(row.good)
        bad = [array.astype(dtype) for dtype in (bool, float, np.float16, complex, str, "m8[s]")]
        bad += [c(array.astype(dtype)) for c in ARRAYS.values() for dtype in (bool, np.float32)]
        bad += [started(row.good, x) for x in (True, np.True_, np.array(True), 2.0, np.float64(2), "2")]
        bad += [] if row.argument in ("seeds", "top_k") else [started(row.good, None)]  # rows without a seed or filter
    else:
        bad = NO_INTEGERS + ([] if row.argument == "seed" else ["2", b"2"]) + ([] if row.none_allowed else [None])
        if row.argument in SHAPES:
            bad += [(value,) for value in NO_INTEGERS]
        elif len([other for other in ROWS if other[:2] == row[:2]]) == 1 and row.argument not in ("seed", "offset"):
            bad += [[2], np.array([2]), *(convert(np.array([2])) for convert in ARRAYS.values())]
    for value in bad:
        assert_refused(row, value, error, text)


@EACH
def test_integers_out_of_range_are_refused(row: Row) -> None:
    # NumPy speaks of dimensions.
    name = "" if row.argument in ("size", "shape") else NAMES.get(row.argument, row.argument)
    for number in row.out_of_range:
        values = started(row.good, number) if isinstance(row.good, list) else number
        for spelling in (values, *spelled(values)):
            assert_refused(row, spelling, (ValueError, IndexError, RuntimeError), name)


def started(values: list[Any], entry: Any) -> Any:
    """A nest of integers with another first entry."""
    first, *others = values
    return [started(first, entry) if isinstance(first, list) else entry, *others]


def spelled(values: Any) -> Iterator[Any]:
    """Integers in all dtypes that hold them."""
    array = np.array(values, object)
    for dtype in DTYPES:
        if np.iinfo(dtype).min <= array.min() and array.max() <= np.iinfo(dtype).max:
            yield array.astype(dtype) if array.ndim else dtype.type(values)
            yield array.astype(dtype.newbyteorder())


def test_top_k_takes_what_is_above_all_columns() -> None:
    wanted = gf.sample_tokens(np.zeros((3, 4)), rng=3)
    for top_k in (2**63, 2**70, np.uint64(2**63 + 1), [2**64, 4, 5], np.array([9, 9, 9], np.int8)):
        assert_same(gf.sample_tokens(np.zeros((3, 4)), top_k=top_k, rng=3), wanted)


def test_minus_one_as_a_float_is_no_axis() -> None:
    x = np.zeros((2, 3), np.float32)
    for call in (gf.softmax, gf.logsumexp, gf.categorical, gf.gumbel_softmax, gf.Categorical):
        for axis in (-1.0, np.float64(-1)):
            with pytest.raises(TypeError, match=rf"^axis must be an integer, got {re.escape(repr(axis))}$"):
                call(x, axis=axis)


def test_uneven_lists_are_no_integers() -> None:
    uneven: Any = [[1], [1, 2]]
    for name, call in (
        ("seeds", lambda: gf.categorical(np.zeros((2, 3)), seeds=uneven)),
        ("top_k", lambda: gf.sample_tokens(np.zeros((2, 3)), top_k=uneven)),
        ("order", lambda: gf.distributions.plackett_luce_log_prob(np.zeros((2, 3)), uneven)),
        ("value", lambda: gf.Categorical(np.zeros(3)).log_prob(uneven)),
    ):
        with pytest.raises(TypeError, match=f"^{name} must be integers"):
            call()


def test_empty_lists_are_integers() -> None:
    none = np.zeros((0, 3))
    for empty in ([], (), np.array([], np.uint8)):
        assert gf.sample_tokens(none, top_k=empty, rng=0).shape == (0,)
        assert gf.categorical(none, seeds=empty, positions=empty).shape == (0,)
        assert gf.categorical(none, rng=0, offset=empty).shape == (0,)
        assert gf.conditional_gumbel(none, empty, rng=0).shape == (0, 3)
        assert gf.distributions.plackett_luce_log_prob(np.zeros(3), empty) == 0
        assert gf.Categorical(np.zeros(3)).log_prob(empty).shape == (0,)
    with pytest.raises(TypeError, match=r"^order must be integers, got float64$"):
        gf.distributions.plackett_luce_log_prob(np.zeros(3), np.array([]))


def test_the_table_is_complete() -> None:
    found = {f"{name}.{parameter.name}" for name, parameter in parameters()}
    tested = {f"{row.name}.{row.argument}" for row in ROWS}
    assert len(found) > 100
    # Rows of doors that are not installed are not there either.
    assert found - tested == {name for name in EXCEPTIONS if name.split(".")[0] in {*gf.__all__, *DOORS}}
    assert set(CALLS) == {name.rsplit(".", 1)[0] for name in found & tested}
