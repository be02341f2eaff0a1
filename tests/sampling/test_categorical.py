"""`categorical` is the argmax of perturbed logits, and draws from the softmax."""

from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, KEY, assert_same_bytes, dtype_of, normal, numpy_state, perturb, u64, work_of
from hypothesis import given, settings
from hypothesis import strategies as st
from sampling_cases import Case, cases

import gumbelfast as gf
from gumbelfast._engine import sources
from gumbelfast._engine.backend import active
from gumbelfast.reference.philox import row_key

INF = np.inf


@given(case=cases())
@settings(max_examples=700)
def test_equals_argmax_of_perturbed_logits(compiled: str, case: Case) -> None:
    index, best = gf.categorical(case.logits, return_perturbed=True, **case.given)
    assert np.array_equal(index, case.order[..., 0])
    assert_same_bytes(best, case.perturbed.max(axis=-1))
    assert np.array_equal(gf.categorical(case.logits, **case.given), index)


@given(case=cases())
@settings(max_examples=100)
def test_agrees_with_the_reference(compiled: str, case: Case) -> None:
    index, best = gf.categorical(case.logits, return_perturbed=True, **case.given)
    with gf.use_backend("reference"):
        wanted, wanted_best = gf.categorical(case.logits, return_perturbed=True, **case.given)
    assert best.dtype == wanted_best.dtype
    bound = 4 * case.eps * np.maximum(1, np.abs(wanted_best))
    assert np.all(np.abs(best - wanted_best) <= bound)
    # Another index is as good only where two perturbed logits lie within the error of the noise.
    near = np.take_along_axis(case.perturbed, np.asarray(wanted)[..., None], axis=-1)[..., 0]
    assert np.all((index == wanted) | (best - near <= bound))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [1, 7, 32, 1000])
def test_size_draws_rows_of_one_array_of_noise(compiled: str, dtype: str, columns: int) -> None:
    x = normal(dtype, (3, columns))
    noise = gf.gumbel(size=(5, 2, 3, columns), dtype=work_of(dtype), rng=9)
    found = gf.categorical(x, size=(5, 2), temperature=0.6, rng=9, method="gumbel")
    assert found.shape == (5, 2, 3)
    assert np.array_equal(found, perturb(x, noise, 0.6).argmax(axis=-1))
    assert gf.categorical(x[0], size=4, rng=9).shape == (4,)
    assert gf.categorical(x[0], size=(), rng=9).shape == ()
    assert gf.categorical(x.T, axis=0, size=(2, 0), rng=9).shape == (2, 0, 3)


def test_masked_values_are_not_looked_at(compiled: str) -> None:
    x = normal("float32", (2, 100))
    mask = np.random.default_rng(1).random((2, 100)) < 0.5
    wanted = gf.categorical(np.where(mask, x, -INF).astype(np.float32), rng=2, return_perturbed=True)
    found = gf.categorical(
        np.where(mask, x, [[np.nan], [INF]]).astype(np.float32), mask=mask, rng=2, return_perturbed=True
    )
    assert np.array_equal(found.indices, wanted.indices)
    assert_same_bytes(found.perturbed, wanted.perturbed)
    assert mask[np.arange(2), found.indices].all()
    column = np.array([[True], [False]])
    assert gf.categorical(x, mask=column, rng=2, empty=-1).tolist()[1] == -1


@pytest.mark.parametrize("columns", [1, 3, 40, 3000])
def test_empty_rows(compiled: str, columns: int) -> None:
    x = np.zeros((4, columns), np.float32)
    x[1], x[3] = -INF, -INF
    index, best = gf.categorical(x, empty=-1, rng=0, return_perturbed=True)
    assert (index[[1, 3]] == -1).all()
    assert (index[[0, 2]] >= 0).all()
    assert np.isneginf(best).tolist() == [False, True, False, True]
    assert gf.categorical(x, empty=77, rng=0)[[1, 3]].tolist() == [77, 77]
    assert gf.categorical(x[1], empty=-5, rng=0) == -5
    assert gf.categorical(x, mask=np.zeros(columns, bool), empty=-2, rng=0).tolist() == [-2] * 4


@pytest.mark.parametrize("columns", [2, 31, 33, 513, 100000])
def test_noise_decides_between_equals_of_any_size(compiled: str, columns: int) -> None:
    x = np.full((2, columns), 1e38, np.float32)
    x[1, : columns // 2] = 1e37
    noise = gf.gumbel(size=x.shape, rng=5)
    wanted = [noise[0].argmax(), columns // 2 + noise[1, columns // 2 :].argmax()]
    assert gf.categorical(x, rng=5).tolist() == wanted
    assert gf.categorical(x, temperature=1e-30, rng=5).tolist() == wanted
    assert gf.categorical(-x[0], rng=5) == wanted[0]


@pytest.mark.parametrize("columns", [2, 31, 33, 513, 100000])
def test_products_that_overflow_go_to_the_lowest_index(compiled: str, columns: int) -> None:
    overflow = np.full(columns, 2e300)
    overflow[0] = -2e300
    assert gf.categorical(overflow, temperature=1e-30, rng=5) == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [1, 5, 32, 45, 1000])
def test_rows_by_seed_and_position(compiled: str, dtype: str, columns: int) -> None:
    x = normal(dtype, (6, columns))
    seeds, positions = [3, 2**64 - 1, 3, 0, 2**63, 5], [0, 2, 7, 0, 2**40, 1]
    found = gf.categorical(x, seeds=seeds, positions=positions, temperature=0.5, return_perturbed=True)
    width = -(-columns // 32) * 32
    for i in range(6):
        key = int(row_key(u64(seeds[i]))[0])
        noise = gf.gumbel(size=columns, dtype=work_of(dtype), rng=gf.Generator(key), offset=positions[i] * width)
        perturbed = perturb(x[i], noise, 0.5)
        assert found.indices[i] == perturbed.argmax()
        assert found.perturbed[i] == perturbed.max()
    # Batch-mates do not enter.
    some = [4, 1, 2]
    alone = gf.categorical(x[some], seeds=u64(*seeds)[some], positions=u64(*positions)[some], temperature=0.5)
    assert np.array_equal(alone, found.indices[some])
    assert gf.categorical(x[3], seeds=0, temperature=0.5) == found.indices[3]
    at_zero = gf.categorical(x, seeds=seeds)
    assert np.array_equal(at_zero, gf.categorical(x, seeds=seeds, positions=0))


def test_seeds_touch_no_generator_and_fit_size(compiled: str) -> None:
    x = normal("float32", 50)
    shared = sources.shared()
    np.random.seed(5)  # noqa: NPY002 - NumPy's global state is one of those to be left alone
    before = shared.noise_offset, numpy_state(shared), str(np.random.get_state())  # noqa: NPY002
    draws = gf.categorical(x, size=(3, 2), seeds=7, positions=np.arange(6).reshape(3, 2))
    assert (shared.noise_offset, numpy_state(shared), str(np.random.get_state())) == before  # noqa: NPY002
    assert draws.ravel().tolist() == [gf.categorical(x, seeds=7, positions=i) for i in range(6)]
    assert len(set(gf.categorical(np.zeros(1000), size=50, seeds=np.arange(50)).tolist())) > 40


@given(data=st.data())
@settings(max_examples=150)
def test_shards_merge_to_the_whole(compiled: str, data: Any) -> None:
    dtype = data.draw(st.sampled_from(DTYPES))
    rows, columns = data.draw(st.integers(1, 4)), data.draw(st.integers(2, 300))
    cuts = sorted(data.draw(st.sets(st.integers(1, columns - 1), max_size=5)))
    offset = data.draw(st.integers(0, 2**40))
    # Large multiples of a few numbers, so that near ones meet across shards; float16 has no room for them.
    x = np.round(normal("float64", (rows, columns), offset % 97)) * {"float16": 1, "float64": 1e6}.get(dtype, 1e9)
    x = x.astype(dtype_of(dtype))
    rng = gf.Generator(KEY)
    whole = gf.categorical(x, rng=rng, offset=offset, return_perturbed=True)
    starts = [0, *cuts]
    shards = [
        gf.categorical(x[:, a:b], rng=rng, offset=offset + a, row_stride=columns, return_perturbed=True)
        for a, b in zip(starts, [*cuts, columns], strict=True)
    ]
    order = data.draw(st.permutations(range(len(starts))))
    merged = gf.shards.merge([shards[i] for i in order], starts=[starts[i] for i in order])
    assert np.array_equal(merged.indices, whole.indices)
    assert_same_bytes(merged.perturbed, whole.perturbed)
    last = gf.categorical(x[-1], rng=rng, offset=offset + (rows - 1) * columns)
    assert last == whole.indices[-1]
    places = np.uint64(offset) + np.arange(rows, dtype=np.uint64) * np.uint64(columns)
    assert np.array_equal(gf.categorical(x, rng=rng, offset=places), whole.indices)
    assert rng.offset == 0


LONG = {
    "flat": np.zeros(131072),
    "ascending": np.linspace(-5, 5, 131072),
    "descending": np.linspace(5, -5, 131072),
    "normal": np.random.default_rng(0).normal(size=131072) * 2,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LONG)
def test_few_tiles_are_opened(compiled: str, name: str, dtype: str) -> None:
    x = LONG[name].astype(dtype)
    opened = []
    for key in range(10):
        index, best = np.empty(1, np.int64), np.empty(1)
        opened.append(active().gumbel_max((x[None], None, 1.0), index, best, 1, (key, 0, x.size, None, None)))
        noise = gf.gumbel(size=x.size, dtype=x.dtype, rng=gf.Generator(key))
        assert index[0] == perturb(x, noise).argmax()
        assert best[0] == perturb(x, noise).max()
    assert min(opened) >= 1
    assert np.mean(opened) < 0.02 * 4096


@pytest.mark.parametrize("columns", [2, 3, 16, 500])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_frequencies(compiled: str, columns: int, dtype: str) -> None:
    stats = pytest.importorskip("scipy.stats")
    x = normal(dtype, columns, seed=columns, deviation=1)
    n = 100_000
    p = np.exp(x.astype(np.float64) / 1.5)
    expected = n * p / p.sum()
    counts = np.bincount(gf.categorical(x, size=n, temperature=1.5, rng=17), minlength=columns)
    assert ((counts - expected) ** 2 / expected).sum() < stats.chi2.isf(1e-9, columns - 1)
