"""Prepared weights: what is kept of each tile changes no draw, and single weights may change."""

from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, dtype_of

import gumbelfast as gf
from gumbelfast.distributions import PlackettLuce


def assert_same(found: Any, wanted: Any) -> None:
    for mine, theirs in zip(found, wanted, strict=True):
        assert np.asarray(mine).tobytes() == np.asarray(theirs).tobytes()
        assert np.shape(mine) == np.shape(theirs)


def weights_of(kind: str, shape: tuple[int, ...]) -> Any:
    random = np.random.default_rng(5)
    w = random.exponential(size=shape)
    if kind == "sparse":
        w[random.random(shape) < 0.95] = 0
    elif kind == "peaked":  # one weight of each tile outweighs the others
        w = np.where(np.arange(shape[-1]) % 32 == 7, w * 1000, w)
    elif kind == "powers":
        w = w**20
    return w


@pytest.mark.parametrize("dtype", [*DTYPES, "int64"])
@pytest.mark.parametrize("kind", ["even", "sparse", "peaked", "powers"])
@pytest.mark.parametrize("shape", [(5,), (1, 448), (3, 449), (2, 4097), (150_001,)])
def test_draws_are_those_of_weighted_sample(compiled: str, dtype: str, kind: str, shape: tuple[int, ...]) -> None:
    w = np.minimum(weights_of(kind, shape), 1000)
    w = np.ceil(w).astype(dtype) if dtype == "int64" else w.astype(dtype_of(dtype))
    most = int((w > 0).sum(axis=-1).min())
    urn = PlackettLuce(w)
    for k in {0, 1, 3, 40, 900} & set(range(most + 1)):
        assert_same(urn.sample(k, rng=7), gf.weighted_sample(w, k, rng=7))
        # Noise that begins anywhere: tiles of it lie across two of the kept parts.
        for offset in (1, 31, 64, 513):
            given: Any = {"rng": 7, "offset": offset}
            assert_same(urn.sample(k, **given), gf.weighted_sample(w, k, **given))
        assert_same(urn.sample(k, rng=7, num_threads=4), gf.weighted_sample(w, k, rng=7))


def test_seeds_and_axes(backend: str) -> None:
    w = weights_of("even", (3, 700, 2))
    urn = PlackettLuce(w, axis=1)
    given: Any = {"seeds": [[1, 2], [3, 4], [5, 6]], "positions": np.arange(6).reshape(3, 2)}
    assert_same(urn.sample(9, **given), gf.weighted_sample(w, 9, axis=1, **given))
    assert urn.weights.tobytes() == w.tobytes()
    assert urn.batch_shape == (3, 2)


def test_many_samples_begin_as_few_do(backend: str) -> None:
    w = weights_of("even", (2, 600))
    found = PlackettLuce(w).sample(3, (4, 2), rng=3)
    assert [np.shape(each) for each in found] == [(4, 2, 2, 3), (4, 2, 2, 3), (4, 2, 2)]
    few = PlackettLuce(w).sample(3, 2, rng=3)
    assert np.array_equal(found.indices[0], few.indices)
    assert np.array_equal(found.kappa[0], few.kappa)
    whole = gf.weighted_sample(np.tile(w, (8, 1)), 3, rng=3)
    assert np.array_equal(found.indices.reshape(16, 3), whole.indices)
    turned = PlackettLuce(w.T, axis=0).sample(3, (4, 2), rng=3)
    assert np.array_equal(np.moveaxis(turned.indices, -2, -1), found.indices)


@pytest.mark.parametrize("dtype", DTYPES)
def test_updates(compiled: str, dtype: str) -> None:
    random = np.random.default_rng(0)
    w = random.exponential(size=5003).astype(dtype_of(dtype))
    urn = PlackettLuce(w)
    for turn in range(20):
        items = random.permutation(5003)[: turn + 1]
        new = (random.exponential(size=turn + 1) * 10.0 ** random.integers(-3, 4, turn + 1)).astype(dtype_of(dtype))
        w[items] = new
        urn.update(items, new)
        assert_same(urn.sample(20, rng=turn), gf.weighted_sample(w, 20, rng=turn))
    urn.update(5002, 0.0)
    w[5002] = 0
    urn.update([0, 31, 32], 7)
    w[[0, 31, 32]] = 7
    assert_same(urn.sample(5002, rng=1), gf.weighted_sample(w, 5002, rng=1))


def test_updates_of_rows() -> None:
    w = weights_of("even", (2, 70, 3))
    urn = PlackettLuce(w, axis=1)
    urn.update([[[0, 3, 5]], [[69, 64, 0]]], [[[0, 1, 2]], [[3, 4, 5]]])
    for row, column, item, new in (
        (0, 0, 0, 0),
        (0, 1, 3, 1),
        (0, 2, 5, 2),
        (1, 0, 69, 3),
        (1, 1, 64, 4),
        (1, 2, 0, 5),
    ):
        w[row, item, column] = new
    assert urn.weights.tobytes() == w.tobytes()
    assert_same(urn.sample(60, rng=1), gf.weighted_sample(w, 60, axis=1, rng=1))


def test_the_callers_weights_stay_theirs() -> None:
    w = np.ones(100)
    urn = PlackettLuce(w)
    urn.update(3, 9.0)
    assert w[3] == 1
    urn.weights[4] = 0
    assert urn.weights[4] == 1


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_refusals(bad: float) -> None:
    with pytest.raises(ValueError, match=rf"^weights must be finite and >= 0, got {bad} at index \(1, 2\)$"):
        PlackettLuce([[1, 1, 1], [1, 1, bad]])
    urn = PlackettLuce([[1.0, 2.0, 3.0], [1.0, 0.0, 0.0]])
    before = urn.weights
    with pytest.raises(ValueError, match=rf"^weights must be finite and >= 0, got {bad} at index \(1, 0\)$"):
        urn.update([[0], [1]], [[1], [bad]])
    with pytest.raises(ValueError, match=r"^items must hold columns in \[0, 3\), got \[3\] at index \(0,\)$"):
        urn.update([[3], [1]], 1)
    with pytest.raises(ValueError, match=r"^items must hold different columns, got \[1, 1\] at index \(1,\)$"):
        urn.update([[0, 1], [1, 1]], 1)
    with pytest.raises(TypeError, match=r"^items must be integers"):
        urn.update([[0.5], [1]], 1)
    assert urn.weights.tobytes() == before.tobytes()
    with pytest.raises(ValueError, match=r"^k=4 exceeds the 3 columns$"):
        urn.sample(4, rng=0)
    with pytest.raises(ValueError, match=r"^k=2 exceeds the 1 positive weights of row 1$"):
        urn.sample(2, rng=0)
    with pytest.raises(ValueError, match=r"^weights must be finite in float32, got 1e[+]300 at index \(0,\)$"):
        PlackettLuce(np.ones(4, np.float32)).update(2, 1e300)  # infinite in float32


def test_log_prob_is_that_of_the_logarithms() -> None:
    w = weights_of("sparse", (2, 60))
    order = PlackettLuce(w).sample(2, rng=0).indices
    with np.errstate(divide="ignore"):
        wanted = gf.distributions.plackett_luce_log_prob(np.log(w), order)
    assert PlackettLuce(w).log_prob(order).tolist() == wanted.tolist()
    assert "items=60, batch_shape=(2,)" in repr(PlackettLuce(w))
