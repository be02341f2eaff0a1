"""Columns named by ids in a larger space, and rows of any lengths: what is drawn is what whole rows would draw."""

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, KEY, assert_same_bytes, dtype_of

import gumbelfast as gf

SPACE = 3001
LENGTHS = [10, 0, 1, 300, 17, 2000, 2]
BOUNDS = np.concatenate([[0], np.cumsum(LENGTHS)])


def scattered(rows: int, each: int) -> Any:
    random = np.random.default_rng(7)
    return np.stack([random.permutation(SPACE)[:each] for _ in range(rows)])


def ragged() -> tuple[Any, Any]:
    """Ids and logits of rows of these lengths."""
    random = np.random.default_rng(8)
    ids = np.concatenate([random.permutation(SPACE)[:n] for n in LENGTHS])
    return ids, random.normal(size=ids.size)


def dense(x: Any, ids: Any, bounds: Any) -> Any:
    """Whole rows that are -inf outside their ids."""
    whole = np.full((len(bounds) - 1, SPACE), -np.inf).astype(x.dtype)
    for row, (begin, end) in enumerate(pairwise(bounds)):
        whole[row, ids[begin:end]] = x[begin:end]
    return whole


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", [gf.gumbel, gf.exponential], ids=lambda f: f.__name__)
def test_noise_at_ids_is_the_noise_there(compiled: str, function: Any, dtype: str) -> None:
    at = {gf.gumbel: gf.gumbel_at, gf.exponential: gf.exponential_at}[function]
    n = 2**17
    whole = function(size=n, dtype=dtype_of(dtype), rng=5, offset=77)
    ids = np.random.default_rng(0).permutation(n)
    assert_same_bytes(at(ids, dtype=dtype_of(dtype), rng=5, offset=77), whole[ids])
    for count in (0, 1, 7, 16, 17, 1024, 1025):
        assert_same_bytes(at(ids[:count], dtype=dtype_of(dtype), rng=5, offset=77), whole[ids[:count]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_noise_where_words_are_short(compiled: str, dtype: str) -> None:
    """All elements of 2**20 whose word wants its extension, and of both sides of the first bits of a tile's number."""
    n = 2**20
    whole = gf.gumbel(size=n, dtype=dtype, rng=gf.Generator(KEY), offset=0)
    assert_same_bytes(gf.gumbel_at(np.arange(n), dtype=dtype, rng=gf.Generator(KEY)), whole)
    for first in (2**37 - 40, 2**61 + 13, 2**62 - 80):
        near = gf.gumbel(size=80, dtype=dtype, rng=gf.Generator(KEY), offset=first)
        assert_same_bytes(gf.gumbel_at(np.arange(first, first + 80), dtype=dtype, rng=gf.Generator(KEY)), near)


def test_noise_at_ids_of_rows(backend: str) -> None:
    ids = scattered(3, 40).reshape(3, 4, 10)
    seeds = np.arange(12, dtype=np.uint64).reshape(3, 4)
    whole = np.stack([gf.gumbel(size=3008, rng=gf.Generator(_key_of(int(s))), offset=5 * 3008) for s in range(12)])
    wanted = np.take_along_axis(whole, ids.reshape(12, 10), -1).reshape(ids.shape)
    if backend == "reference":
        assert np.abs(gf.gumbel_at(ids, seeds=seeds, positions=5, columns=SPACE) - wanted).max() < 1e-5
    else:
        assert_same_bytes(gf.gumbel_at(ids, seeds=seeds, positions=5, columns=SPACE), wanted)
    starts = np.arange(12).reshape(3, 4) * 100
    whole = gf.gumbel(size=SPACE + 1200, rng=3, offset=0)
    assert_same_bytes(gf.gumbel_at(ids, rng=3, offset=starts), whole[ids + starts[..., None]])


def _key_of(seed: int) -> int:
    keys = np.empty(1, np.uint64)
    gf._engine.backend.active().row_keys(np.array([seed], np.uint64), keys)
    return int(keys[0])


def test_ids_of_all_dtypes_and_shapes(backend: str) -> None:
    wanted = gf.gumbel(size=100, rng=1)
    for dtype in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64):
        assert_same_bytes(gf.gumbel_at(np.arange(100, dtype=dtype)[::-3], rng=1), wanted[::-3])
    assert_same_bytes(gf.gumbel_at([[3, 4], [5, 6]], rng=1), wanted[3:7].reshape(2, 2))
    single = gf.gumbel_at(9, rng=1)
    assert type(single) is np.float32
    assert single == wanted[9]
    assert gf.gumbel_at(9, seeds=3) == gf.gumbel_at([9], seeds=3)[0]
    assert gf.gumbel_at(np.zeros((2, 0), int), seeds=[1, 2]).shape == (2, 0)
    rng = gf.Generator(KEY, 64)
    gf.gumbel_at([1, 2], rng=rng)
    assert rng.offset == 64


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "address", [{"rng": 4}, {"seeds": [1, 2, 3], "positions": 6}, {"rng": 4, "offset": 99}], ids=str
)
def test_draws_at_ids_are_those_of_whole_rows(backend: str, dtype: str, address: Any) -> None:
    ids = scattered(3, 60)
    x = np.random.default_rng(1).normal(size=(3, 60)).astype(dtype_of(dtype))
    whole = dense(x.ravel(), ids.ravel(), [0, 60, 120, 180])
    for temperature in (1.0, np.array([0.5, 2.0, 1e-3])):
        given = {"temperature": temperature, **address}
        wanted = gf.categorical(whole, return_perturbed=True, **given)
        found = gf.categorical(x, ids=ids, columns=SPACE, return_perturbed=True, **given)
        assert_same_bytes(found.indices, wanted.indices)
        assert_same_bytes(found.perturbed, wanted.perturbed)
        top, wanted_top = gf.gumbel_top_k(x, 7, ids=ids, columns=SPACE, **given), gf.gumbel_top_k(whole, 7, **given)
        assert_same_bytes(top.indices, wanted_top.indices)
        assert_same_bytes(top.perturbed, wanted_top.perturbed)


def test_order_and_company_of_ids_change_nothing(backend: str) -> None:
    ids, x = scattered(1, 50)[0], np.random.default_rng(1).normal(size=50)
    draw = [gf.categorical(x, ids=ids, columns=SPACE, seeds=s) for s in range(40)]
    order = np.random.default_rng(2).permutation(50)
    assert draw == [gf.categorical(x[order], ids=ids[order], columns=SPACE, seeds=s) for s in range(40)]
    for s, drawn in enumerate(draw):
        keep = (np.arange(50) % 2 == 0) | (ids == drawn)  # less company: whoever was drawn is drawn again
        assert gf.categorical(x[keep], ids=ids[keep], columns=SPACE, seeds=s) == drawn


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_any_lengths(backend: str, dtype: str) -> None:
    ids, wide = ragged()
    x = wide.astype(dtype)
    given = {"ids": ids, "indptr": BOUNDS, "columns": SPACE, "rng": 3}
    whole = dense(x, ids, BOUNDS)
    wanted = gf.categorical(whole, rng=3, empty=-5, return_perturbed=True)
    found = gf.categorical(x, empty=-5, return_perturbed=True, **given)
    assert_same_bytes(found.indices, wanted.indices)
    assert_same_bytes(found.perturbed, wanted.perturbed)
    assert found.indices[1] == -5
    many = gf.categorical(x, size=(3,), empty=-1, **given)
    assert_same_bytes(many, gf.categorical(whole, size=(3,), empty=-1, rng=3))
    for k in (0, 1, 5, 40):
        top = gf.gumbel_top_k(x, k, **given)
        for row, n in enumerate(LENGTHS):
            offset = gf.gumbel_top_k(whole[row], min(k, n), rng=3, offset=row * SPACE) if n else None
            kept = min(k, n)
            if offset is not None:
                assert_same_bytes(top.indices[row, :kept], offset.indices)
                assert_same_bytes(top.perturbed[row, :kept], offset.perturbed)
            assert (top.indices[row, kept:] == -1).all()
            assert np.isneginf(top.perturbed[row, kept:]).all()


def test_places_stand_for_ids(backend: str) -> None:
    x, bounds = np.random.default_rng(1).normal(size=9), [0, 4, 9]
    padded = np.full((2, 8), -np.inf)
    padded[0, :4], padded[1, :5] = x[:4], x[4:]
    found = gf.categorical(x, indptr=bounds, columns=8, rng=2, size=20)
    assert_same_bytes(found, gf.categorical(padded, rng=2, size=20))


def test_other_axes_masks_and_broadcast_ids(backend: str) -> None:
    x = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    ids = np.arange(6)[:, None] * 11 + 2
    mask = np.arange(24).reshape(6, 4) % 5 != 0
    wanted = gf.categorical(np.where(mask, x, -np.inf).T.copy(), ids=ids.ravel(), columns=100, rng=1)
    assert_same_bytes(gf.categorical(x, axis=0, ids=ids, mask=mask, columns=100, rng=1), wanted)
    top = gf.gumbel_top_k(x, 2, axis=0, ids=ids, mask=mask, columns=100, rng=1)
    assert top.indices.shape == (2, 4)
    assert_same_bytes(top.indices[0], wanted)


def test_equal_values_go_by_their_ids(backend: str) -> None:
    x = np.full(40, 1e30)
    ids = np.random.default_rng(3).permutation(1000)[:40]
    assert gf.categorical(x, ids=ids, columns=1000, rng=1) in ids
    huge, order = np.full(40, 1e307), np.sort(ids)
    top = gf.gumbel_top_k(huge, 40, ids=ids, columns=1000, temperature=1e-3, rng=1)
    assert np.isposinf(top.perturbed).all()
    assert top.indices.tolist() == order.tolist()
    huge[7] = 1.1e307
    assert gf.categorical(huge, ids=ids, columns=1000, temperature=1e-3, rng=1) == ids[7]
    assert gf.categorical(-huge, ids=ids, columns=1000, temperature=1e-3, rng=1) == order[order != ids[7]][0]


def test_draws_at_ids_follow_softmax(compiled: str) -> None:
    p = np.array([0.5, 0.3, 0.15, 0.05])
    n, ids = 40_000, [10**12, 3, 77, 5]
    drawn = gf.categorical(np.log(p), ids=ids, columns=2**44, seeds=np.arange(n), size=n)
    counts = np.array([(drawn == i).sum() for i in ids])
    # Quantile 1 - 1e-6 of chi-square with 3 degrees of freedom.
    assert ((counts - n * p) ** 2 / (n * p)).sum() < 30.7


X = np.zeros(4)
BAD: list[tuple[str, dict[str, Any], type[Exception]]] = [
    ("ids and indptr need columns: how many there are in the whole space", {"ids": [0, 1, 2, 3]}, ValueError),
    ("columns needs ids or indptr, got 9", {"columns": 9}, ValueError),
    ("columns must be >= 1, got 0", {"ids": [0, 1, 2, 3], "columns": 0}, ValueError),
    ("columns must be < 2**62, got 4611686018427387904", {"ids": [0, 1, 2, 3], "columns": 2**62}, ValueError),
    ("ids must lie in [0, 9), got 9 at index (2,)", {"ids": [0, 1, 9, 3], "columns": 9}, ValueError),
    ("ids must lie in [0, 9), got -1 at index (0,)", {"ids": [-1, 1, 9, 3], "columns": 9}, ValueError),
    ("ids must be integers, got float64", {"ids": np.zeros(4), "columns": 9}, TypeError),
    ("ids of shape (3,) do not broadcast to logits of shape (4,)", {"ids": [0, 1, 2], "columns": 9}, ValueError),
    ("indptr must run from 0 to the 4 entries, got 1 to 4", {"indptr": [1, 4], "columns": 9}, ValueError),
    ("indptr must run from 0 to the 4 entries, got 0 to 5", {"indptr": [0, 5], "columns": 9}, ValueError),
    ("indptr must not decrease, got 3 and 2 for row 1", {"indptr": [0, 3, 2, 4], "columns": 9}, ValueError),
    (
        "indptr must have one axis and an entry more than there are rows, got shape (0,)",
        {"indptr": np.zeros(0, int), "columns": 9},
        ValueError,
    ),
    ("row 0 has 4 entries, columns are 3", {"indptr": [0, 4], "columns": 3}, ValueError),
    ("axis must be -1 where indptr tells the rows, got 1", {"indptr": [0, 4], "columns": 9, "axis": 1}, ValueError),
]


@pytest.mark.parametrize(("text", "given", "kind"), BAD, ids=[text for text, *_ in BAD])
def test_bad_ids(text: str, given: Any, kind: type[Exception]) -> None:
    rng = gf.default_rng(1)
    for call in (lambda: gf.categorical(X, rng=rng, **given), lambda: gf.gumbel_top_k(X, 1, rng=rng, **given)):
        with pytest.raises(kind, match=f"^{re.escape(text)}$"):
            call()
    assert rng.offset == 0


def test_refused_rows_say_where(backend: str) -> None:
    rng = gf.default_rng(1)
    given = {"ids": [5, 1, 2, 3], "columns": 9, "rng": rng}
    for x, text in (
        ([0.0, np.nan, 0.0, 0.0], "logits contain NaN at index (1,)"),
        ([0.0, 0.0, np.inf, 0.0], "logits contain +inf at index (2,)"),
    ):
        for rows in ({}, {"indptr": [0, 2, 4]}):
            with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
                gf.categorical(x, **rows, **given)
    with pytest.raises(ValueError, match=r"^row 1 has no finite logit$"):
        gf.categorical(X, indptr=[0, 2, 2, 4], **given)
    with pytest.raises(ValueError, match=r"^row 0 has no finite logit$"):
        gf.categorical(np.full((1, 4), -np.inf), **given)
    with pytest.raises(ValueError, match=r"^k=2 exceeds the 1 allowed entries of row 0$"):
        gf.gumbel_top_k([[0.0, -np.inf]], 2, ids=[1, 2], columns=9, rng=rng)
    with pytest.raises(ValueError, match=r"^k=5 exceeds the 4 columns$"):
        gf.gumbel_top_k(X, 5, **given)
    with pytest.raises(
        ValueError, match=r"^logits must have one axis where indptr tells the rows, got shape \(2, 2\)$"
    ):
        gf.categorical(X.reshape(2, 2), indptr=[0, 4], columns=9)
    with pytest.raises(ValueError, match=r"^method='alias' takes no ids, got \[5, 1, 2, 3\]$"):
        gf.categorical(X, method="alias", **given)
    assert rng.offset == 0


def test_bad_noise_at_ids() -> None:
    with pytest.raises(ValueError, match=r"^ids must lie in \[0, 2\*\*62\), got -1 at index \(1,\)$"):
        gf.gumbel_at([0, -1], rng=1)
    with pytest.raises(ValueError, match=r"^ids must lie in \[0, 2\*\*62\), got 4611686018427387904$"):
        gf.gumbel_at(2**62, rng=1)
    with pytest.raises(TypeError, match=r"^ids must be integers, got bool$"):
        gf.exponential_at(np.array([True]), rng=1)
    with pytest.raises(ValueError, match=r"^offset addresses the noise of a key: rng must be given$"):
        gf.gumbel_at([0])
    with pytest.raises(ValueError, match=r"^positions needs columns: how many there are in the whole space$"):
        gf.gumbel_at([0], seeds=1, positions=2)
    with pytest.raises(
        ValueError, match=r"^a row without a seed needs columns: how many there are in the whole space$"
    ):
        gf.gumbel_at([[0], [1]], seeds=[1, None], rng=1)
    with pytest.raises(ValueError, match=r"^positions needs seeds$"):
        gf.gumbel_at([0], positions=1, columns=3, rng=1)
    with pytest.raises(ValueError, match=r"^seeds addresses rows by itself: offset must be None$"):
        gf.gumbel_at([0], seeds=1, offset=3)
    with pytest.raises(ValueError, match=r"^offset must keep all elements in \[0, 2\*\*62\), got 4611686018427387903$"):
        gf.gumbel_at([1], rng=1, offset=2**62 - 1)


def test_dtype_of_perturbed(backend: str) -> None:
    for dtype in DTYPES:
        x = np.zeros(3).astype(dtype_of(dtype))
        found = gf.categorical(x, ids=[4, 5, 6], columns=9, rng=1, return_perturbed=True)
        assert found.perturbed.dtype == np.float64


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_places_stand_for_ids_in_rows_of_any_length(backend: str, dtype: str) -> None:
    lengths = [0, 5, 448, 449, 1, 3000]
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    x = np.random.default_rng(4).normal(size=bounds[-1]).astype(dtype)
    x[7:60] = -np.inf
    given: Any = {"seeds": np.arange(6), "indptr": bounds, "columns": 3000, "temperature": np.linspace(0.5, 3, 6)}
    index, perturbed = gf.gumbel_top_k(x, 4, **given)
    first = gf.categorical(x, empty=-1, return_perturbed=True, **given)
    for row, (begin, end) in enumerate(pairwise(bounds)):
        many = min(4, end - begin)
        whole = gf.gumbel_top_k(x[begin:end], many, seeds=row, temperature=given["temperature"][row]) if many else None
        assert index[row, :many].tolist() == ([] if whole is None else whole.indices.tolist())
        assert perturbed[row, :many].tolist() == ([] if whole is None else whole.perturbed.tolist())
        assert index[row, many:].tolist() == [-1] * (4 - many)
        assert np.isneginf(perturbed[row, many:]).all()
        assert (first.indices[row], first.perturbed[row]) == (index[row, 0], perturbed[row, 0])
    x[600] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        gf.gumbel_top_k(x, 4, **given)
    with pytest.raises(ValueError, match="NaN"):
        gf.categorical(x, empty=-1, **given)
