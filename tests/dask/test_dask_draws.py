"""Draws from chunked arrays are those from the whole, byte for byte, and known in shape before they are computed."""

from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
from dask_cases import batch_of, chunks_of, logits, perhaps_dask
from helpers import assert_same_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

import gumbelfast as gf
import gumbelfast.dask as gfd

few = settings(max_examples=40)


def assert_same(lazy: da.Array, wanted: Any) -> None:
    """Shape, dtype and meta without computing, then the bytes, of every block and of all."""
    wanted = np.asarray(wanted)
    assert (lazy.shape, lazy.dtype, lazy.ndim) == (wanted.shape, wanted.dtype, wanted.ndim)
    assert (lazy._meta.shape, lazy._meta.dtype) == ((0,) * wanted.ndim, wanted.dtype)
    found = lazy.compute(scheduler="sync")
    assert_same_bytes(found, wanted)
    last = lazy.blocks[(-1,) * lazy.ndim] if lazy.ndim else lazy
    assert last.compute(scheduler="sync").shape == last.shape


@st.composite
def options(draw: Any, x: Any, axis: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of a call on an array at hand, and the same for one in chunks."""
    batch, whole = batch_of(x, axis), {}
    numbers = np.random.default_rng(draw(st.integers(0, 99)))
    if draw(st.booleans()):
        whole["temperature"] = 0.5 + numbers.random(batch)
    if draw(st.booleans()):
        mask = numbers.random(x.shape) < 0.7
        mask[tuple(slice(None) if i != axis % x.ndim else slice(0, 1) for i in range(x.ndim))] = True
        whole["mask"] = mask
    if draw(st.booleans()):
        whole["seeds"] = numbers.integers(0, 2**64, batch, np.uint64)
        if draw(st.booleans()):
            whole["positions"] = numbers.integers(0, 1000, batch)
    chunked = {name: draw(perhaps_dask(value)) for name, value in whole.items()}
    if "seeds" not in whole:
        if draw(st.booleans()):
            whole["offset"] = chunked["offset"] = draw(st.integers(0, 1000))
        whole["rng"] = chunked["rng"] = draw(st.integers(0, 99))
    return whole, chunked


@few
@given(st.data(), logits())
def test_categorical(data: Any, case: Any) -> None:
    x, chunked, axis = case
    whole, lazy = data.draw(options(x, axis))
    wanted = gf.categorical(x, axis=axis, return_perturbed=True, **whole)
    found = gfd.categorical(chunked, axis=axis, return_perturbed=True, **lazy)
    assert_same(found.indices, wanted.indices)
    assert_same(found.perturbed, wanted.perturbed)
    assert_same(gfd.categorical(chunked, axis=axis, **lazy), wanted.indices)
    assert found.indices.chunks == batch_of_chunks(chunked, axis)


def batch_of_chunks(x: da.Array, axis: int) -> Any:
    return tuple(c for place, c in enumerate(x.chunks) if place != axis % x.ndim)


@few
@given(st.data(), logits())
def test_gumbel_top_k(data: Any, case: Any) -> None:
    x, chunked, axis = case
    whole, lazy = data.draw(options(x, axis))
    allowed = np.broadcast_to(whole.get("mask", True), x.shape)
    k = data.draw(st.integers(0, int(allowed.sum(axis=axis).min())))
    wanted = gf.gumbel_top_k(x, k, axis=axis, **whole)
    found = gfd.gumbel_top_k(chunked, k, axis=axis, **lazy)
    assert_same(found.indices, wanted.indices)
    assert_same(found.perturbed, wanted.perturbed)


@few
@given(st.data(), logits())
def test_weighted_sample(data: Any, case: Any) -> None:
    x, chunked, axis = case
    kind = data.draw(st.sampled_from(["floats", "many zeros", "counts"]))
    if kind == "counts":
        weights = np.rint(np.abs(x.astype(np.float64)) * 3).astype(np.int32)
    else:
        weights = np.where(
            x < (0 if kind == "many zeros" else -1),
            x.dtype.type(0),
            np.exp(np.minimum(x.astype(np.float32), 10)).astype(x.dtype),
        )
    k = data.draw(st.integers(0, int((weights > 0).sum(axis=axis).min())))
    wanted = gf.weighted_sample(weights, k, axis=axis, rng=3)
    found = gfd.weighted_sample(da.from_array(weights, chunks=chunked.chunks), k, axis=axis, rng=3)
    for lazy, part in zip(found, wanted, strict=True):
        assert_same(lazy, part)


@few
@given(st.data(), logits(["float32", "float64"]), st.sampled_from([3, (2, 3), (1,), (0, 2)]))
def test_several_draws(data: Any, case: Any, size: Any) -> None:
    x, chunked, axis = case
    whole, lazy = data.draw(options(x, axis))
    if "seeds" in whole and np.prod(size) > 1:
        places = np.arange(np.prod(size)).reshape(size) if isinstance(size, tuple) else np.arange(size)
        whole["positions"] = lazy["positions"] = places.reshape(places.shape + (1,) * (x.ndim - 1))
    assert_same(
        gfd.categorical(chunked, axis=axis, size=size, **lazy), gf.categorical(x, axis=axis, size=size, **whole)
    )


@few
@given(st.data(), logits(["float32", "float64"]))
def test_hard_relaxed_samples(data: Any, case: Any) -> None:
    x, chunked, axis = case
    whole, lazy = data.draw(options(x, axis))
    for given_ in (whole, lazy):
        given_.pop("mask", None)
        given_["tau"] = given_.pop("temperature", 0.5)
    wanted = gf.gumbel_softmax(x, hard=True, axis=axis, **whole)
    found = gfd.gumbel_softmax(chunked, hard=True, axis=axis, **lazy)
    assert_same(found, wanted)
    assert found.chunks == chunked.chunks


@few
@given(st.data(), logits(["float32", "float64"]))
def test_soft_relaxed_samples(data: Any, case: Any) -> None:
    x, chunked, axis = case
    whole, lazy = data.draw(options(x, axis))
    for given_ in (whole, lazy):
        given_.pop("mask", None)
        given_["tau"] = given_.pop("temperature", 0.5)
    wanted = gf.gumbel_softmax(x, axis=axis, **whole)
    found, soft = gfd.gumbel_softmax(chunked, axis=axis, return_soft=True, **lazy)
    assert soft is found
    if chunked.numblocks[axis] == 1:
        assert_same(found, wanted)
    # Perturbed logits of some 20 are rounded once in NumPy's function, and divided by 0.5 and more.
    eps = np.finfo(x.dtype).eps
    np.testing.assert_allclose(found.compute(scheduler="sync"), wanted, rtol=100 * eps, atol=np.finfo(x.dtype).tiny)


def test_a_constant_changes_no_relaxed_sample() -> None:
    """Of cut rows as well: at 1e17 the numbers next to each other are 16 apart, further than noise goes."""
    x = np.array([[1e17, 1e17 + 32, -np.inf, 1e17 + 16], [-1e17, -1e17, -1e17 - 16, -1.7e308]])
    moved = np.array([[0, 32, -np.inf, 16], [0, 0, -16, -np.inf]])
    for tau in (0.5, 20.0):
        wanted = gf.gumbel_softmax(moved, tau, rng=4)
        for chunks in ((2, 3), (1, 1), (2, 4)):
            found = gfd.gumbel_softmax(da.from_array(x, chunks=chunks), tau, rng=4).compute()
            np.testing.assert_allclose(found, wanted, rtol=1e-13)


def test_seeds_that_are_missing_draw_from_the_generator() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 90))
    seeds = np.arange(12).reshape(3, 4).astype(object)
    seeds[0, 1] = seeds[2, 3] = seeds[2, 0] = None
    masked = np.ma.MaskedArray(np.arange(12).reshape(3, 4), seeds == None)  # noqa: E711 - entry by entry
    for given_ in (seeds, masked, seeds.tolist()):
        mine, theirs = gf.default_rng(5), gf.default_rng(5)
        for chunks in ((2, 3, 40), (3, 4, 90)):
            found = gfd.categorical(da.from_array(x, chunks=chunks), seeds=given_, rng=mine)
            assert_same(found, gf.categorical(x, seeds=given_, rng=theirs))
            assert mine.offset == theirs.offset


@pytest.mark.parametrize(
    "make", [gf.default_rng, np.random.default_rng, np.random.SeedSequence, np.random.PCG64, lambda seed: [seed, 8]]
)
def test_generators_move_as_they_do_for_arrays_at_hand(make: Any) -> None:
    x = np.random.default_rng(0).normal(size=(3, 70)).astype(np.float32)
    chunked = da.from_array(x, chunks=(2, 33))
    mine, theirs = make(7), make(7)
    for _ in range(2):
        lazy = gfd.categorical(chunked, rng=mine), gfd.gumbel(size=(4, 5), chunks=2, rng=mine)
        assert_same(lazy[0], gf.categorical(x, rng=theirs))
        assert_same(lazy[1], gf.gumbel(size=(4, 5), rng=theirs))


def test_the_shared_generator_never_repeats_itself() -> None:
    x = da.zeros((50, 1000), chunks=(50, 300))
    first, second = gfd.categorical(x), gfd.categorical(x)
    assert (first.compute() != second.compute()).any()
    assert_same_bytes(first.compute(), first.compute())


def test_computing_moves_no_generator() -> None:
    rng = gf.default_rng(1)
    lazy = gfd.categorical(da.zeros((4, 1000), chunks=300), rng=rng)
    before = rng.offset
    assert before == 4000
    assert_same_bytes(lazy.compute(), lazy.compute())
    gfd.categorical(da.zeros((4, 1000), chunks=300), rng=rng, offset=17)
    assert rng.offset == before


@few
@given(st.data(), st.lists(st.integers(0, 9), max_size=3), st.sampled_from(["float16", "float32", "float64"]))
def test_noise(data: Any, shape: list[int], dtype: str) -> None:
    shape = tuple(shape)
    chunks = data.draw(chunks_of(shape))
    given_: dict[str, Any] = {"dtype": dtype, "rng": 3, "offset": data.draw(st.integers(0, 100))}
    loc, scale = np.float64(0.5), np.abs(np.random.default_rng(1).normal(size=shape))
    assert_same(gfd.gumbel(size=shape, chunks=chunks, **given_), gf.gumbel(size=shape, **given_))
    assert_same(gfd.exponential(2.0, shape, chunks=chunks, **given_), gf.exponential(2.0, shape, **given_))
    lazy = data.draw(perhaps_dask(np.asarray(scale)))
    assert_same(gfd.gumbel(0.5, lazy, chunks=chunks, **given_), gf.gumbel(0.5, scale, **given_))
    wide = gfd.gumbel(loc, lazy, (2, *shape), chunks=((1, 1), *chunks), **given_)
    assert_same(wide, gf.gumbel(loc, scale, (2, *shape), **given_))


def test_chunks_of_noise_are_those_of_its_location() -> None:
    loc = da.zeros((4, 6), chunks=(3, 2))
    assert gfd.gumbel(loc, rng=1).chunks == loc.chunks
    assert gfd.gumbel(loc, rng=1, chunks=2).chunks == ((2, 2), (2, 2, 2))
    assert gfd.gumbel(size=(4, 6), rng=1).numblocks == (1, 1)


def test_a_tree_of_many_states() -> None:
    x = np.random.default_rng(0).normal(size=5000)
    lazy = gfd.gumbel_top_k(da.from_array(x, chunks=17), 40, rng=2)
    assert_same_bytes(lazy.indices.compute(), gf.gumbel_top_k(x, 40, rng=2).indices)


def test_blocks_are_read_once_and_stay_where_they_are() -> None:
    read = []

    def block(x: Any, block_id: Any = None) -> Any:
        read.append(block_id)
        return x

    x = da.zeros((6, 100), chunks=(4, 30)).map_blocks(block, dtype=float, meta=np.empty((0, 0)))
    drawn = gfd.categorical(x, rng=1, return_perturbed=True)
    dask.compute(*drawn, scheduler="sync")
    assert len(read) == len(set(read)) == 8
    # What tasks hand on is a state: one entry per row, however many columns a block has.
    states = [layer for name, layer in drawn.indices.dask.layers.items() if "aggregate" in name or "partial" in name]
    assert states


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
def test_backends_and_schedulers_agree(backend: str, scheduler: str) -> None:
    x = np.random.default_rng(0).normal(size=(5, 400))
    lazy = gfd.categorical(da.from_array(x, chunks=(2, 90)), rng=3, temperature=0.7)
    assert_same_bytes(lazy.compute(scheduler=scheduler), gf.categorical(x, rng=3, temperature=0.7))


def test_same_calls_have_same_names_and_others_do_not() -> None:
    x = da.zeros((4, 100), chunks=30)
    names = [gfd.categorical(x, rng=1).name, gfd.categorical(x, rng=2).name, gfd.categorical(x, rng=1, offset=1).name]
    names += [gfd.categorical(x, seeds=[1, 2, 3, 4]).name, gfd.categorical(x, seeds=[1, 2, 3, 5]).name]
    assert gfd.categorical(x, rng=1).name == names[0]
    assert len(set(names)) == len(names)
    assert gfd.gumbel_top_k(x, 2, rng=1).indices.name != gfd.gumbel_top_k(x, 3, rng=1).indices.name


def test_numpy_arrays_and_lists_will_do() -> None:
    assert_same(gfd.categorical([[0.0, 1.0]], rng=1), gf.categorical([[0.0, 1.0]], rng=1))
    assert_same(gfd.weighted_sample([1, 0, 2], 2, rng=1).indices, gf.weighted_sample([1, 0, 2], 2, rng=1).indices)
