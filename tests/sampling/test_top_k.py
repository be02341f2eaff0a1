"""`gumbel_top_k` is the ordered top of the perturbed logits, and draws by Plackett and Luce."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, KEY, assert_same_bytes, dtype_of, normal, perturb, u64, work_of
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling_cases import Case, cases

import gumbelfast as gf
from gumbelfast._engine.backend import active
from gumbelfast.reference.philox import row_key

INF = np.inf


def ordered(perturbed: Any, k: int) -> tuple[Any, Any]:
    """The places of the k largest of each row, the lower first among equals, and their values."""
    index = np.argsort(-perturbed, axis=-1, kind="stable")[..., :k]
    return index, np.take_along_axis(perturbed, index, axis=-1)


@given(case=cases(), data=st.data())
@settings(max_examples=500)
def test_equals_the_top_of_perturbed_logits(compiled: str, case: Case, data: Any) -> None:
    most = int((case.perturbed > -INF).sum(axis=-1).min())
    k = data.draw(st.one_of(st.integers(0, min(most, 5)), st.integers(0, most), st.just(most)))
    axis = case.given["axis"]
    found = gf.gumbel_top_k(case.logits, k, **case.given)
    index = case.order[..., :k]
    values = np.take_along_axis(case.perturbed, index, axis=-1)
    assert found.indices.dtype == np.int64
    assert np.array_equal(np.moveaxis(found.indices, axis, -1), index)
    assert_same_bytes(np.moveaxis(found.perturbed, axis, -1), values)
    if k:
        first = gf.categorical(case.logits, **case.given)
        assert np.array_equal(np.take(found.indices, 0, axis), first)


@given(case=cases())
@settings(max_examples=100)
def test_agrees_with_the_reference(compiled: str, case: Case) -> None:
    k = int((case.perturbed > -INF).sum(axis=-1).min())
    found = gf.gumbel_top_k(case.logits, k, **case.given)
    with gf.use_backend("reference"):
        wanted = gf.gumbel_top_k(case.logits, k, **case.given)
    assert found.perturbed.dtype == wanted.perturbed.dtype
    bound = 4 * case.eps * np.maximum(1, np.abs(wanted.perturbed))
    assert np.all(np.abs(found.perturbed - wanted.perturbed) <= bound)
    # Places may differ only where two perturbed logits lie within the error of the noise.
    chosen = np.moveaxis(wanted.indices, case.given["axis"], -1)
    near = np.moveaxis(np.take_along_axis(case.perturbed, chosen, axis=-1), -1, case.given["axis"])
    assert np.all((found.indices == wanted.indices) | (np.abs(found.perturbed - near) <= bound))


@pytest.mark.parametrize("columns", [1, 31, 33, 600, 5000])
def test_all_of_a_row_is_a_permutation(compiled: str, columns: int) -> None:
    x = normal("float32", (3, columns))
    top = gf.gumbel_top_k(x, columns, rng=1)
    assert np.array_equal(np.sort(top.indices), np.tile(np.arange(columns), (3, 1)))
    assert np.all(np.diff(top.perturbed) <= 0)
    for k in {1, columns // 3, columns - 1}:
        assert np.array_equal(gf.gumbel_top_k(x, k, rng=1).indices, top.indices[:, :k])


@pytest.mark.parametrize("k", [16, 17, 383, 384, 385, 1500])
def test_many_of_a_long_row(compiled: str, k: int) -> None:
    # Beyond 32,768 tiles, so that the row is walked in pieces for every k; few distinct logits give ties.
    x = np.round(normal("float32", (1_100_000,)))
    x[::2] = np.float32(1e9)
    key = gf.Generator(KEY)
    # Exact in 64 bits; float32 would know no order among the large ones.
    index, _ = ordered(x.astype(np.longdouble) + gf.gumbel(size=x.size, rng=key, offset=0), k)
    assert np.all(x[index] == np.float32(1e9))
    found = gf.gumbel_top_k(x, k, rng=key, offset=0)
    assert np.array_equal(found.indices, index)
    x[::2] = 0
    index, values = ordered(perturb(x, gf.gumbel(size=x.size, rng=key, offset=0)), k)
    found = gf.gumbel_top_k(x, k, rng=key, offset=0)
    assert np.array_equal(found.indices, index)
    assert_same_bytes(found.perturbed, values)


def test_no_draws(compiled: str) -> None:
    x = normal("float64", (2, 9, 3))
    top = gf.gumbel_top_k(x, 0, axis=1, rng=0)
    assert top.indices.shape == top.perturbed.shape == (2, 0, 3)
    assert gf.gumbel_top_k(x[:0], 4, axis=1, rng=0).indices.shape == (0, 4, 3)


@pytest.mark.parametrize("columns", [40, 513, 70000])
def test_equals_of_any_size_come_in_the_order_of_their_noise(compiled: str, columns: int) -> None:
    x = np.full((2, columns), 1e38, np.float32)
    x[1, :10] = 1e37
    top = gf.gumbel_top_k(x, 30, rng=3).indices
    noise = gf.gumbel(size=x.shape, rng=3)
    assert np.array_equal(top[0], ordered(noise[0], 30)[0])
    assert np.array_equal(top[1], 10 + ordered(noise[1, 10:], 30)[0])
    first = gf.gumbel(size=40, rng=3)
    wanted = [*10 + ordered(first[10:], 30)[0], *ordered(first[:10], 10)[0]]
    assert np.array_equal(gf.gumbel_top_k(x[1, :40], 40, rng=3).indices, wanted)


@pytest.mark.parametrize("columns", [40, 513, 70000])
def test_products_that_overflow_keep_the_order_of_indices(compiled: str, columns: int) -> None:
    x = np.full((2, columns), 1e308)
    x[1, :10] = 1e307
    top = gf.gumbel_top_k(x, 30, temperature=0.01, rng=3).indices
    assert np.array_equal(top[0], np.arange(30))
    assert np.array_equal(top[1], np.arange(10, 40))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [5, 45, 1000])
def test_rows_by_seed_and_position(compiled: str, dtype: str, columns: int) -> None:
    x = normal(dtype, (4, columns))
    seeds, positions = u64(3, 2**64 - 1, 0, 3), u64(0, 2, 2**40, 1)
    found = gf.gumbel_top_k(x, 5, seeds=seeds, positions=positions)
    width = -(-columns // 32) * 32
    for i, key in enumerate(row_key(seeds).tolist()):
        place = int(positions[i]) * width
        noise = gf.gumbel(size=columns, dtype=work_of(dtype), rng=gf.Generator(key), offset=place)
        index, values = ordered(perturb(x[i], noise), 5)
        assert np.array_equal(found.indices[i], index)
        assert_same_bytes(found.perturbed[i], values)
    alone = gf.gumbel_top_k(x[[2, 0]], 5, seeds=seeds[[2, 0]], positions=positions[[2, 0]])
    assert np.array_equal(alone.indices, found.indices[[2, 0]])


@given(data=st.data())
@settings(max_examples=150)
def test_uneven_shards_merge_to_the_whole(compiled: str, data: Any) -> None:
    dtype = data.draw(st.sampled_from(DTYPES))
    rows, columns = data.draw(st.integers(1, 4)), data.draw(st.integers(2, 300))
    k = data.draw(st.integers(1, columns))
    cuts = sorted(data.draw(st.sets(st.integers(1, columns - 1), max_size=5)))
    offset = data.draw(st.integers(0, 2**40))
    x = np.round(normal("float64", (rows, columns), offset % 97)) * {"float16": 1, "float64": 1e6}.get(dtype, 1e9)
    x = x.astype(dtype_of(dtype))
    rng = gf.Generator(KEY)
    whole = gf.gumbel_top_k(x, k, rng=rng, offset=offset)
    starts = [0, *cuts]
    shards = [
        gf.gumbel_top_k(x[:, a:b], min(k, b - a), rng=rng, offset=offset + a, row_stride=columns)
        for a, b in zip(starts, [*cuts, columns], strict=True)
    ]
    order = data.draw(st.permutations(range(len(starts))))
    merged = gf.shards.merge([shards[i] for i in order], starts=[starts[i] for i in order], k=k)
    assert np.array_equal(merged.indices, whole.indices)
    assert_same_bytes(merged.perturbed, whole.perturbed)
    flipped = [gf.TopK(s.indices.T + a, s.perturbed.T) for s, a in zip(shards, starts, strict=True)]
    assert np.array_equal(gf.shards.merge(flipped, k=k, axis=0).indices, whole.indices.T)


def test_merge_refuses_what_does_not_fit() -> None:
    state = gf.gumbel_top_k(np.zeros((2, 5)), 2, rng=0)
    with pytest.raises(ValueError, match=r"^merge needs at least one state$"):
        gf.shards.merge([])
    with pytest.raises(ValueError, match=r"^starts has 1 entries for 2 states$"):
        gf.shards.merge([state, state], starts=[0])
    with pytest.raises(ValueError, match=r"^states have different batch shapes: \[\(2,\), \(1,\)\]$"):
        gf.shards.merge([state, gf.TopK(state.indices[:1], state.perturbed[:1])])
    with pytest.raises(ValueError, match=r"^k=5 exceeds the 4 columns$"):
        gf.shards.merge([state, state], k=5)
    assert gf.shards.merge([state]).indices.tolist() == state.indices.tolist()


def test_merge_leaves_empty_shards_last() -> None:
    nothing = gf.categorical(np.full((2, 4), -INF), empty=-1, rng=0, return_perturbed=True)
    some = gf.categorical(np.zeros((2, 4)), rng=0, return_perturbed=True)
    assert np.array_equal(gf.shards.merge([nothing, some], starts=[0, 4]).indices, some.indices + 4)
    assert gf.shards.merge([nothing, nothing], starts=[0, 4]).indices.tolist() == [-1, -1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("logits", [np.zeros(131072), np.linspace(5, -5, 131072), np.linspace(-5, 5, 131072)])
def test_few_tiles_are_opened(compiled: str, logits: Any, dtype: str) -> None:
    x = logits.astype(dtype)
    index, best = np.empty((1, 20), np.int64), np.empty((1, 20))
    opened = active().gumbel_top_k((x[None], None, 1.0), index, best, 1, (KEY, 0, x.size, None, None))
    wanted, values = ordered(perturb(x, gf.gumbel(size=x.size, dtype=x.dtype, rng=gf.Generator(KEY))), 20)
    assert np.array_equal(index[0], wanted)
    assert_same_bytes(best[0], values)
    assert 1 <= opened < 0.06 * 4096


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_orders_follow_plackett_and_luce(compiled: str, dtype: str) -> None:
    stats = pytest.importorskip("scipy.stats")
    n, p = 200_000, np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    x = np.broadcast_to(np.log(p * 3).astype(dtype), (n, 5))
    drawn = gf.gumbel_top_k(x, 3, rng=23).indices @ [25, 5, 1]
    counts = np.bincount(drawn, minlength=125)
    outcomes = list(permutations(range(5), 3))
    chance = [p[a] * p[b] / (1 - p[a]) * p[c] / (1 - p[a] - p[b]) for a, b, c in outcomes]
    found = counts[[25 * a + 5 * b + c for a, b, c in outcomes]]
    expected = n * np.array(chance)
    assert found.sum() == n
    assert len(outcomes) == 60
    assert expected.sum() == pytest.approx(n)
    assert ((found - expected) ** 2 / expected).sum() < stats.chi2.isf(1e-9, 59)


def test_order_of_the_fields() -> None:
    """Indices first here, values first on tensors as from torch.topk; swapped they serve nobody as indices."""
    x = np.array([5.0, 4.0, 3.0])
    found = gf.gumbel_top_k(x, 2, rng=1)
    indices, perturbed = found
    assert (indices.dtype, perturbed.dtype) == (np.int64, np.float64)
    assert indices is found.indices
    assert np.array_equal(perturbed, perturb(x, gf.gumbel(size=3, dtype="float64", rng=1))[indices])
    with pytest.raises(IndexError, match="must be of integer"):
        x[perturbed]
    torch = pytest.importorskip("torch")
    from gumbelfast import torch as gt

    values, indices = gt.gumbel_top_k(torch.from_numpy(x), 2, generator=gf.default_rng(1))
    assert values.numpy().tolist() == perturbed.tolist()
    assert indices.numpy().tolist() == found.indices.tolist()
    with pytest.raises(IndexError, match="must be long"):
        torch.from_numpy(x)[values]
