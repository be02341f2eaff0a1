"""Draws from tables: the law on uniforms, every backend alike, and the right frequencies."""

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, KEY, Array, assert_refused, normal, scalar_block, u64
from hypothesis import given, settings
from hypothesis import strategies as st

import gumbelfast as gf
from gumbelfast._engine.backend import active
from gumbelfast._engine.tables import END, bits_of, bounds_of, guide_of
from gumbelfast.reference import kernels as reference
from gumbelfast.reference.tables import alias_table, invert, pick_alias, uniforms

TABLES = ["alias", "inverse"]


def weights(kind: str, shape: tuple[int, ...], seed: int = 0) -> Array:
    """Weights of every sort, at least one of each row above zero."""
    rng = np.random.default_rng(seed)
    w = rng.random(shape)
    if kind == "wide":
        w = np.exp(rng.normal(size=shape) * 30)
    elif kind == "equal":
        w[...] = 0.1
    elif kind == "zeros":
        w = np.where(rng.random(shape) < 0.6, 0, w)
        w[..., shape[-1] // 2] = 1
        w[..., : shape[-1] // 5] = 0
        w[..., shape[-1] - shape[-1] // 5 :] = 0
    elif kind == "one":
        w = np.where(np.arange(shape[-1]) == rng.integers(shape[-1], size=shape[:-1])[..., None], w + 0.5, 0)
    return w


KINDS = ["uniform", "wide", "equal", "zeros", "one"]


def table_of(bounds: Array) -> Array:
    table = np.empty((len(bounds), 1 << bits_of(bounds.shape[-1])), np.uint64)
    active().alias_table(bounds, table, 1)
    return table


def test_uniforms_follow_the_law() -> None:
    draws = [0, 1, 15, 16, 31, 32, 1000, 2**40 + 17, 2**62 - 1]
    for draw, found in zip(draws, uniforms(KEY, u64(*draws)).tolist(), strict=True):
        tile, place = divmod(draw, 32)
        block, word = 8 * tile + place % 16 // 2, 2 * (place // 16) + place % 2
        assert found == scalar_block(3, block)[word] << 32 | scalar_block(4, block)[word]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [1, 2, 3, 8, 100, 1000])
def test_bounds_round_up_the_distribution(kind: str, columns: int) -> None:
    w = weights(kind, (columns,), columns)
    sums = np.cumsum(w)
    for bound, part in zip(bounds_of(w).tolist(), (sums / sums[-1]).tolist(), strict=True):
        assert bound == (int(END) if part == 1 else -int(-(Fraction(part) * 2**64) // 1))


def address(offset: int) -> Any:
    return KEY, offset, 0, None, None


@given(data=st.data())
@settings(max_examples=200)
def test_backends_draw_what_the_reference_draws(compiled: str, data: Any) -> None:
    rows, columns = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 300))
    bounds = bounds_of(weights(data.draw(st.sampled_from(KINDS)), (rows, columns), data.draw(st.integers(0, 99))))
    table, guide = table_of(bounds), guide_of(bounds)
    assert np.array_equal(table, [alias_table(b, table.shape[1]) for b in bounds])
    offset, count = data.draw(st.integers(0, 2**61)), data.draw(st.integers(0, 1200))
    found, wanted = np.full((2, count), -7), np.full((2, count), -8)
    threads = data.draw(st.integers(1, 2))
    active().draw_alias(table, found[0], threads, address(offset))
    active().draw_inverse(bounds, guide, found[1], threads, address(offset))
    reference.draw_alias(table, wanted[0], 1, address(offset))
    reference.draw_inverse(bounds, guide, wanted[1], 1, address(offset))
    assert np.array_equal(found, wanted)
    drawn = uniforms(KEY, np.uint64(offset) + np.arange(count, dtype=np.uint64))
    for n in range(0, count, 97):
        ends = [2**64 if b == END else b for b in bounds[n % rows].tolist()]
        assert found[1, n] == sum(end <= int(drawn[n]) for end in ends)


@given(data=st.data())
@settings(max_examples=200)
def test_draws_from_weights_are_those_of_their_bounds(compiled: str, data: Any) -> None:
    rows, columns = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 300))
    w = weights(data.draw(st.sampled_from(KINDS)), (rows, columns), data.draw(st.integers(0, 99)))
    with np.errstate(over="ignore"):
        w = w * data.draw(st.sampled_from([1.0, 2.0**-1060, 2.0**900, 1e-30]))
        w = w.astype(data.draw(st.sampled_from([np.float32, np.float64])))
    padded = np.full((rows, columns + 3), -1.0, w.dtype)
    padded[:, :columns] = w
    offset, count = data.draw(st.integers(0, 2**61)), data.draw(st.sampled_from([0, 1, 40, 200, 1200]))
    found, wanted, strided = np.full((3, count), -7)
    with np.errstate(over="ignore"):
        total = np.cumsum(w.astype(np.float64), axis=-1)[:, -1]
    good = bool(((total > 0) & (total < np.inf)).all())
    for kernels, x, index in ((active(), w, found), (active(), padded[:, :columns], strided), (reference, w, wanted)):
        assert kernels.draw_weights(x, index, data.draw(st.integers(1, 2)), address(offset)) == (0 if good else -1)
    assert np.array_equal(found, wanted)
    assert np.array_equal(found, strided)
    if good:
        bounds = bounds_of(w.astype(np.float64))
        active().draw_inverse(bounds, guide_of(bounds), wanted, 1, address(offset))
        assert np.array_equal(found, wanted)
    else:
        assert (found == -7).all()


@pytest.mark.parametrize("bad", [-1.0, -5e-324, np.nan, np.inf, -np.inf])
def test_weights_that_are_none_draw_nothing(backend: str, bad: float) -> None:
    for place in (0, 17, 99):
        w = np.ones((2, 100))
        w[1, place] = bad
        index = np.full(6, -7)
        assert active().draw_weights(w, index, 1, address(0)) == -1
        assert (index == -7).all()


def test_the_rarest_uniforms(compiled: str) -> None:
    """At uniforms next to a bound, which random ones never are, weights decide as bounds do."""
    drawn = uniforms(KEY, np.arange(64, dtype=np.uint64))
    for n in range(0, 64, 2):
        u = int(drawn[n])
        for total in (1.0, 3.0, 2.0**-900):
            first = np.ldexp(float(u), -64) * total
            for step in (-2, -1, 0, 1, 2):
                w = np.array([first + step * np.spacing(first), 0.0])
                w[1] = total - w[0]
                index = np.empty(1, np.int64)
                assert active().draw_weights(w, index, 1, address(n)) == 0
                assert index[0] == sum(int(b) <= u for b in bounds_of(w))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [1, 2, 3, 5, 64, 65, 1000])
def test_alias_tables_share_out_every_uniform(compiled: str, kind: str, columns: int) -> None:
    bounds = bounds_of(weights(kind, (3, columns), columns))
    for row, table in zip(bounds, table_of(bounds).tolist(), strict=True):
        ends = [0, *(2**64 if b == END else b for b in row.tolist())]
        bits, share = bits_of(columns), [0] * columns
        for column, entry in enumerate(table):
            own, alias = entry >> bits, entry % 2**bits
            share[alias] += 2 ** (64 - bits) - own
            if own:
                share[column] += own
        assert share == [b - a for a, b in pairwise(ends)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [1, 2, 6, 50])
def test_edges(kind: str, columns: int) -> None:
    w = weights(kind, (columns,), 5)
    bounds = bounds_of(w)
    table = alias_table(bounds, 1 << bits_of(columns))
    inner = bounds[(bounds != END) & (bounds > 0)]
    edges = np.concatenate([inner - np.uint64(1), inner, u64(0, 1, 2**63, 2**64 - 2, 2**64 - 1)])
    index = invert(bounds, edges)
    assert (w[index] > 0).all()
    assert (w[pick_alias(table, edges)] > 0).all()
    function = np.cumsum(w) / np.cumsum(w)[-1]
    for u, j in zip(edges.tolist(), index.tolist(), strict=True):
        assert function[j] > Fraction(u, 2**64)
        assert j == 0 or function[j - 1] <= Fraction(u, 2**64)


@pytest.mark.parametrize("method", [*TABLES, "gumbel"])
@pytest.mark.parametrize("columns", [2, 3, 16, 1000])
@pytest.mark.parametrize("dtype", DTYPES)
def test_frequencies(compiled: str, method: str, columns: int, dtype: str) -> None:
    stats = pytest.importorskip("scipy.stats")
    x, n = normal(dtype, columns, seed=columns, deviation=1), 60_000
    by_logits = gf.Categorical(x)
    # exp in the dtype: other probabilities than those of the logits, and exactly these are asked for.
    given = np.exp(x.astype(np.float64)).astype(x.dtype)
    for found in (by_logits, gf.Categorical(probs=given)):
        p = np.exp(x.astype(np.float64)) if found is by_logits else given.astype(np.float64)
        expected = n * p / p.sum()
        counts = np.bincount(found.sample(n, 11, method=method), minlength=columns)
        # Fewer than 500 such cases: 1e-6 for all of them together.
        assert ((counts - expected) ** 2 / expected).sum() < stats.chi2.isf(1e-6 / 500, columns - 1)


@pytest.mark.parametrize("method", TABLES)
def test_each_row_of_a_batch_has_its_table(compiled: str, method: str) -> None:
    w = weights("zeros", (2, 3, 40))
    found = gf.Categorical(probs=w).sample(5000, rng=3, method=method)
    assert found.shape == (5000, 2, 3)
    generator = gf.default_rng(3)
    for i, j in np.ndindex(2, 3):
        drawn = uniforms(generator.key, np.arange(30000, dtype=np.uint64)).reshape(5000, 6)
        bounds = bounds_of(w[i, j])
        alone = invert(bounds, drawn) if method == "inverse" else pick_alias(alias_table(bounds, 64), drawn)
        assert np.array_equal(found[:, i, j], alone[:, 3 * i + j])
        assert (w[i, j][found[:, i, j]] > 0).all()
    columns = gf.Categorical(probs=np.moveaxis(w, -1, 0), axis=0)
    assert np.array_equal(columns.sample(5000, rng=3, method=method), found)


@pytest.mark.parametrize("method", TABLES)
def test_threads_change_nothing(compiled: str, method: str) -> None:
    found = gf.Categorical(probs=weights("wide", (3, 100)))
    one = found.sample(40_001, rng=1, method=method, num_threads=1)
    assert np.array_equal(one, found.sample(40_001, rng=1, method=method, num_threads=2))
    assert np.array_equal(one, found.sample(40_001, rng=1, method=method, num_threads=7))


def test_more_categories_than_floats_can_count() -> None:
    columns = 2**24 + 100_003
    w = np.full(columns, np.float32(1e-3))
    w[-3] = 20_000
    w[2**24 + 1] = 0
    found = gf.Categorical(probs=w)
    for method in TABLES:
        index = found.sample(200_000, rng=2, method=method)
        beyond = index[index > 2**24]
        assert (index >= 0).all()
        assert (index < columns).all()
        assert not (index == 2**24 + 1).any()
        assert abs((index == columns - 3).mean() - 20_000 / float(w.sum(dtype=np.float64))) < 0.01
        assert np.unique(beyond[beyond != columns - 3]).size > 100
    assert found.mode() == columns - 3


@pytest.mark.parametrize("dtype", DTYPES)
def test_categorical_takes_a_table_where_asked(compiled: str, dtype: str) -> None:
    x = normal(dtype, (2, 3, 40))
    many = gf.categorical(x, size=(16, 16), rng=4, method="alias")
    assert np.array_equal(many, gf.Categorical(x).sample((16, 16), rng=4, method="alias"))
    for other in ({"empty": -1}, {"offset": 0}, {"num_threads": 2}, {"mask": np.ones(40, bool)}, {"temperature": 1.0}):
        found = gf.categorical(x, size=(16, 16), rng=gf.default_rng(4), method="alias", **other)
        assert np.array_equal(found, many)
    mask = np.arange(40) % 3 == 1
    hot = np.where(mask, x.astype(np.float64), np.nan).astype(x.dtype)
    heat = np.array([[0.5], [2.0]])
    found = gf.categorical(hot, size=300, rng=4, mask=mask, temperature=heat, method="alias")
    cold = np.where(mask, x.astype(np.float64) / heat[..., None], -np.inf)
    assert np.array_equal(found, gf.Categorical(cold).sample(300, rng=4, method="alias"))
    moved = gf.categorical(np.moveaxis(x, -1, 0), axis=0, size=300, rng=4, method="alias")
    assert np.array_equal(moved[:256], many.reshape(-1, 2, 3))
    rng = gf.default_rng(4)
    gf.categorical(x, size=300, rng=rng, method="alias")
    assert rng.offset == 300 * 6
    empty = x.copy()
    empty[1, 2] = -np.inf
    found = gf.categorical(empty, size=(16, 16), rng=4, method="alias", empty=7)
    assert np.all(found[..., 1, 2] == 7)
    assert np.array_equal(found.reshape(256, 6)[:, :5], many.reshape(256, 6)[:, :5])
    assert gf.categorical(empty[1, 2], rng=4, method="alias", empty=7) == 7


def test_tables_refuse_what_they_do_not_have() -> None:
    for name, value in (("seeds", 3), ("positions", 3), ("row_stride", 3), ("return_perturbed", True)):
        with pytest.raises(ValueError, match=f"^method='alias' takes no {name}, got {value}$"):
            gf.categorical(np.zeros(3), method="alias", **{name: value})


def test_categorical_refuses_before_it_draws_from_a_table() -> None:
    x = np.zeros((2, 3))
    x[1, 2] = np.nan
    text = "logits contain NaN at index (1, 2)"
    assert_refused(lambda rng: gf.categorical(x, size=500, rng=rng, method="alias"), ValueError, text)
    text = "row 1 has no finite logit"
    allowed = [[True], [False]]
    assert_refused(lambda rng: gf.categorical(x, mask=allowed, size=500, rng=rng, method="alias"), ValueError, text)
