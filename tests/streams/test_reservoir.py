"""A reservoir holds what one call on the whole stream would draw, however the stream comes."""

import doctest
import importlib
import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gumbelfast as gf
from gumbelfast.streams import WeightedReservoir

WEIGHTS = np.random.default_rng(0).exponential(size=400)
WEIGHTS[::3] = 0
NUMBERS = np.arange(400)


def filled(chunks: Any, k: int = 7, **given: Any) -> WeightedReservoir:
    found = WeightedReservoir(k, rng=5, **given)
    for chunk in chunks:
        found.update(chunk)
    return found


def assert_is_sample_of(reservoir: WeightedReservoir, weights: Any) -> None:
    sample, whole = reservoir.sample(), gf.weighted_sample(weights, reservoir.k, rng=5)
    assert sample.indices.tolist() == whole.indices.tolist()
    assert sample.perturbed.tobytes() == whole.perturbed.tobytes()
    assert sample.kappa == whole.kappa


def test_it_draws_by_the_formula() -> None:
    # Efraimidis and Spirakis: the largest log(w) + g, each item with the noise of its place in the stream.
    sample = filled(np.array_split(WEIGHTS, 5)).sample()
    with np.errstate(divide="ignore"):
        perturbed = np.log(WEIGHTS) + gf.gumbel(size=400, dtype=np.float64, rng=5, offset=0)
    order = np.argsort(-perturbed)
    assert sample.indices.tolist() == order[:7].tolist()
    np.testing.assert_allclose(sample.perturbed, perturbed[order[:7]], rtol=1e-12)
    assert sample.kappa == pytest.approx(perturbed[order[7]], rel=1e-12)


@given(st.lists(st.integers(0, 400), max_size=12), st.integers(0, 12))
def test_cuts_change_nothing(cuts: list[int], k: int) -> None:
    assert_is_sample_of(filled(np.split(WEIGHTS, sorted(cuts)), k), WEIGHTS)


@given(st.lists(st.integers(0, 400), min_size=1, max_size=6), st.randoms())
def test_parts_merge_in_any_order(cuts: list[int], random: Any) -> None:
    edges = [0, *sorted(cuts), 400]
    parts = [filled([WEIGHTS[a:b]], start=a) for a, b in pairwise(edges)]
    random.shuffle(parts)
    for part in parts[1:]:
        parts[0].merge(part)
    assert_is_sample_of(parts[0], WEIGHTS)
    assert parts[0].seen == 400


def test_it_goes_on_from_a_pickle() -> None:
    half = pickle.loads(pickle.dumps(filled([WEIGHTS[:123]])))
    half.update(WEIGHTS[123:])
    assert_is_sample_of(half, WEIGHTS)
    # And after a merge behind the last item.
    first, second = filled([WEIGHTS[:50]]), filled([WEIGHTS[50:123]], start=50)
    first.merge(second)
    first.update(WEIGHTS[123:])
    assert_is_sample_of(first, WEIGHTS)


def test_a_generator_stays_where_it_is() -> None:
    rng = gf.default_rng(5)
    rng.offset = 96
    reservoir = WeightedReservoir(3, rng=rng)
    reservoir.update(WEIGHTS)
    assert rng.offset == 96
    assert reservoir.sample().indices.tolist() == gf.weighted_sample(WEIGHTS, 3, rng=rng).indices.tolist()


def test_less_than_k() -> None:
    sample = filled([[0.0, 2.0], [], [0.0], [1.0]]).sample()
    assert sorted(sample.indices.tolist()) == [1, 3]
    assert sample.kappa == -np.inf
    assert filled([]).sample().indices.tolist() == []


def test_its_size_does_not_grow() -> None:
    small, large = filled([WEIGHTS]), WeightedReservoir(7, rng=5)
    for chunk in np.array_split(np.tile(WEIGHTS, 50), 90):
        large.update(chunk)
    assert len(pickle.dumps(large)) <= len(pickle.dumps(small)) + 8


def tables(kind: str, weights: Any, numbers: Any) -> tuple[Any, Any]:
    """Weights and items of one chunk."""
    match kind:
        case "list":
            return weights.tolist(), numbers.tolist()
        case "numpy":
            return weights, np.stack([numbers, -numbers], 1)
        case "pandas":
            frame = pytest.importorskip("pandas").DataFrame({"w": weights, "n": numbers}, index=numbers + 1000)
        case "polars":
            frame = pytest.importorskip("polars").DataFrame({"w": weights, "n": numbers})
        case "arrow table":
            frame = pytest.importorskip("pyarrow").table({"w": weights, "n": numbers})
        case "arrow batch":
            frame = pytest.importorskip("pyarrow").RecordBatch.from_pydict({"w": weights, "n": numbers})
        case "arrow array":
            pa = pytest.importorskip("pyarrow")
            return pa.array(weights), pa.array(numbers)
    return frame["w"], frame


KINDS = ["list", "numpy", "pandas", "polars", "arrow table", "arrow batch", "arrow array"]


@pytest.mark.parametrize("kind", KINDS)
def test_items_come_along(kind: str) -> None:
    reservoir = WeightedReservoir(7, rng=5)
    for w, n in zip(np.split(WEIGHTS, [1, 2, 200, 200]), np.split(NUMBERS, [1, 2, 200, 200]), strict=True):
        reservoir.update(*tables(kind, w, n))
    sample = pickle.loads(pickle.dumps(reservoir)).sample()
    items = sample.items
    if kind == "numpy":
        assert np.array_equal(items, np.stack([sample.indices, -sample.indices], 1))
    elif kind in ("list", "arrow array"):
        assert [int(getattr(n, "as_py", lambda n=n: n)()) for n in items] == sample.indices.tolist()
    else:
        assert np.asarray(items["n"]).tolist() == sample.indices.tolist()
        assert np.array_equal(np.asarray(items["w"]), WEIGHTS[sample.indices])
    if kind == "pandas":
        assert items.index.tolist() == (sample.indices + 1000).tolist()


def test_items_of_merged_parts() -> None:
    parts = [WeightedReservoir(7, rng=5, start=start) for start in (0, 150)]
    parts[0].update(WEIGHTS[:150], NUMBERS[:150])
    parts[1].update(WEIGHTS[150:], NUMBERS[150:])
    parts[1].merge(parts[0])
    sample = parts[1].sample()
    assert np.array_equal(sample.items, sample.indices)
    assert_is_sample_of(parts[1], WEIGHTS)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda r: r.update([1.0, -1.0]), ValueError, "weights must be finite and >= 0, got -1.0 at index (1,)"),
        (lambda r: r.update([[1.0]]), ValueError, "weights must have one axis, got shape (1, 1)"),
        (lambda r: r.update([True]), TypeError, "expected float16, bfloat16, float32 or float64, got bool"),
        (lambda r: r.update([1.0], [1, 2]), ValueError, "weights of 1 items, but items holds 2"),
        (lambda r: r.update([1.0], [1]), TypeError, "items must be given with every chunk or with none"),
        (lambda r: r.merge(3), TypeError, "expected a WeightedReservoir, got int"),
        (
            lambda r: r.merge(WeightedReservoir(6, rng=5)),
            ValueError,
            "reservoirs to be merged need the same k and the same rng",
        ),
        (
            lambda r: r.merge(WeightedReservoir(7, rng=6)),
            ValueError,
            "reservoirs to be merged need the same k and the same rng",
        ),
        (
            lambda r: r.merge(filled([[1.0]], start=3)),
            ValueError,
            "both reservoirs have seen item 3: give parts of a stream different starts",
        ),
        (lambda r: WeightedReservoir(-1), ValueError, "k must be >= 0, got -1"),
        (lambda r: WeightedReservoir(1, start=2.0), TypeError, "start must be an integer, got 2.0"),
    ],
)
def test_what_is_refused_changes_nothing(call: Any, error: type[Exception], text: str) -> None:
    reservoir = filled([WEIGHTS])
    before = pickle.dumps(reservoir)
    with pytest.raises(error) as caught:
        call(reservoir)
    assert str(caught.value) == text
    assert pickle.dumps(reservoir) == before


def test_items_on_one_side_do_not_merge() -> None:
    other = WeightedReservoir(7, rng=5, start=400)
    other.update([1.0], ["a"])
    with pytest.raises(TypeError, match="both reservoirs or neither must have items"):
        filled([WEIGHTS]).merge(other)


def test_the_example_is_true() -> None:
    found = doctest.testmod(importlib.import_module("gumbelfast.streams"))
    assert found.attempted
    assert not found.failed
