"""Weighted sampling without replacement, its probabilities, and shards in other processes."""

from concurrent.futures import ProcessPoolExecutor
from itertools import permutations
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, KEY, dtype_of
from scipy import stats

import gumbelfast as gf

WEIGHTS = np.array([0.5, 2.0, 0.0, 1.0, 4.0])


def test_ordered_draws_are_plackett_luce(compiled: str) -> None:
    draws = 200_000
    drawn = gf.weighted_sample(np.broadcast_to(WEIGHTS, (draws, 5)), 2, rng=11).indices
    orders = list(permutations([0, 1, 3, 4], 2))
    counts = [int((drawn == order).all(axis=1).sum()) for order in orders]
    assert sum(counts) == draws
    expected = draws * np.exp(
        [gf.distributions.plackett_luce_log_prob(np.log(WEIGHTS + 1e-300), order) for order in orders]
    )
    assert stats.chisquare(counts, expected * draws / expected.sum()).pvalue > 1e-6


@pytest.mark.parametrize("dtype", [*DTYPES, "int64"])
def test_is_the_largest_quotients_of_weights_and_exponentials(compiled: str, dtype: str) -> None:
    weights = (
        np.random.default_rng(3).integers(1, 100, (4, 3, 700)).astype(dtype if dtype == "int64" else dtype_of(dtype))
    )
    work = np.float64 if dtype in ("int64", "float64") else np.float32
    for k, axis in ((0, 1), (1, 1), (10, -1), (699, -1), (700, -1)):
        rows = np.moveaxis(weights, axis, -1).astype(work)
        quotient = rows.astype(np.float64) / gf.exponential(size=rows.shape, dtype=work, rng=5, offset=0)
        order = np.argsort(-quotient, axis=-1, kind="stable")
        perturbed = np.log(np.take_along_axis(quotient, order, -1))
        found = gf.weighted_sample(weights, k, axis=axis, rng=5)
        assert np.array_equal(np.moveaxis(found.indices, axis, -1), order[..., :k])
        np.testing.assert_allclose(np.moveaxis(found.perturbed, axis, -1), perturbed[..., :k], rtol=4e-16, atol=4e-16)
        threshold = perturbed[..., k] if k < rows.shape[-1] else np.full(rows.shape[:-1], -np.inf)
        np.testing.assert_allclose(found.kappa, threshold, rtol=4e-16, atol=4e-16)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_of_all_sizes_have_their_logarithms(backend: str, dtype: str) -> None:
    f = np.finfo(dtype)
    weights = np.array([f.smallest_subnormal, f.max, 1.0, f.tiny, f.tiny / 8, 0.0], dtype)
    found = gf.weighted_sample(weights, 5, rng=5)
    e = gf.exponential(size=6, dtype=dtype, rng=5, offset=0).astype(np.float64)
    perturbed = np.log(weights[:5].astype(np.float64)) - np.log(e[:5])
    assert found.indices.tolist() == np.argsort(-perturbed).tolist()
    np.testing.assert_allclose(found.perturbed, np.sort(perturbed)[::-1], rtol=1e-15)
    assert found.kappa == -np.inf


def test_threads_and_parts_change_nothing(compiled: str) -> None:
    weights = np.random.default_rng(1).exponential(size=300_000)
    weights[::5] = 0
    for k in (1, 100, 150_000):
        alone = gf.weighted_sample(weights, k, rng=1, num_threads=1)
        for threads in (2, 3, 4):
            together = gf.weighted_sample(weights, k, rng=1, num_threads=threads)
            assert together.indices.tobytes() == alone.indices.tobytes()
            assert together.perturbed.tobytes() == alone.perturbed.tobytes()
            assert together.kappa == alone.kappa
    with pytest.raises(ValueError, match=r"^k=240001 exceeds the 240000 positive weights of row 0$"):
        gf.weighted_sample(weights, 240_001, rng=1, num_threads=3)


def test_agrees_with_the_reference(compiled: str) -> None:
    weights = np.random.default_rng(0).exponential(size=(3, 1000))
    found, wanted = (f(weights, 50, rng=1) for f in (gf.weighted_sample, gf.reference.weighted_sample))
    assert np.array_equal(found.indices, wanted.indices)
    assert np.allclose(found.perturbed, wanted.perturbed, rtol=0, atol=1e-13)
    assert np.allclose(found.kappa, wanted.kappa, rtol=0, atol=1e-13)


def test_zero_is_never_drawn(compiled: str) -> None:
    weights = np.random.default_rng(0).exponential(size=100_000)
    weights[::3] = 0
    positive = int((weights > 0).sum())
    found = gf.weighted_sample(weights, positive, rng=2)
    assert np.array_equal(np.sort(found.indices), np.flatnonzero(weights))
    assert found.kappa == -np.inf
    rng = gf.Generator(KEY, 5)
    with pytest.raises(ValueError, match=f"^k={positive + 1} exceeds the {positive} positive weights of row 0$"):
        gf.weighted_sample(weights, positive + 1, rng=rng)
    assert rng.offset == 5


def test_threshold_gives_inclusion_probabilities() -> None:
    # Duffield, Lund and Thorup: given kappa, sum of w/q over the sample is an unbiased estimate of the total.
    weights = np.random.default_rng(1).exponential(size=50)
    draws = 20_000
    found = gf.weighted_sample(np.broadcast_to(weights, (draws, 50)), 8, rng=4)
    drawn = weights[found.indices]
    q = -np.expm1(-drawn * np.exp(-found.kappa)[:, None])
    totals = (drawn / q).sum(axis=1)
    assert abs(totals.mean() - weights.sum()) < 5 * totals.std() / np.sqrt(draws)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_orders_have_probability_one_together(k: int) -> None:
    logits = np.array([0.3, -2.0, 1e3, 999.0])
    orders = np.array(list(permutations(range(4), k)))
    found = gf.distributions.plackett_luce_log_prob(np.broadcast_to(logits, (len(orders), 4)), orders)
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-12)
    assert gf.distributions.plackett_luce_log_prob(logits, orders[0]) == found[0]


def test_log_prob_of_a_long_order() -> None:
    # Weights over 600 orders of magnitude, where a sum less what was drawn would be nothing.
    logits = np.linspace(700, -700, 1401)
    found = gf.distributions.plackett_luce_log_prob(logits, np.arange(1401))
    tails = [np.log(np.exp(-np.arange(1401 - i, dtype=float)).sum()) for i in range(1401)]
    assert found == pytest.approx(-sum(tails), rel=1e-12)
    assert gf.distributions.plackett_luce_log_prob([0.0, -np.inf], [1]) == -np.inf


@pytest.mark.parametrize(
    ("weights", "k", "error", "text"),
    [
        ([1.0, -2.0], 1, ValueError, "weights must be finite and >= 0, got -2.0 at index (1,)"),
        ([[1.0, np.nan]], 1, ValueError, "weights must be finite and >= 0, got nan at index (0, 1)"),
        ([[1.0, np.inf]], 1, ValueError, "weights must be finite and >= 0, got inf at index (0, 1)"),
        ([1.0, 2.0], 3, ValueError, "k=3 exceeds the 2 columns"),
        ([1.0, 2.0], 1.5, TypeError, "k must be an integer, got 1.5"),
        (["a"], 1, TypeError, "expected float16, bfloat16, float32 or float64, got str32"),
    ],
)
def test_bad_weights(weights: Any, k: Any, error: type[Exception], text: str) -> None:
    rng = gf.Generator(KEY, 5)
    with pytest.raises(error) as caught:
        gf.weighted_sample(weights, k, rng=rng)
    assert str(caught.value) == text
    assert rng.offset == 5


@pytest.mark.parametrize(
    ("order", "error", "text"),
    [
        ([0, 0], ValueError, "order must hold different columns, got [0, 0]"),
        ([3], ValueError, "order must hold columns in [0, 3), got [3]"),
        ([[0]], ValueError, "order of shape (1, 1) does not fit logits with 1 axes"),
        ([0.5], TypeError, "order must be integers, got float64"),
    ],
)
def test_bad_orders(order: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        gf.distributions.plackett_luce_log_prob(np.zeros(3), order)
    assert str(caught.value) == text


ITEMS, TAKEN = 10_000_000, 1000


def _shard(begin: int, end: int) -> tuple[gf.shards.Argmax, gf.TopK]:
    logits = np.random.default_rng(7).standard_normal(ITEMS, dtype=np.float32)[begin:end]
    given = {"rng": gf.Generator(KEY), "offset": begin}
    return gf.categorical(logits, return_perturbed=True, **given), gf.gumbel_top_k(logits, TAKEN, **given)


def test_shards_in_other_processes_make_the_whole() -> None:
    whole = _shard(0, ITEMS)
    edges = [0, 1_234_567, 5_000_001, ITEMS]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        draws, tops = zip(*pool.map(_shard, edges[:-1], edges[1:]), strict=True)
    draw, top = gf.shards.merge(draws, starts=edges[:-1]), gf.shards.merge(tops, starts=edges[:-1])
    assert (draw.indices, draw.perturbed) == whole[0]
    assert np.array_equal(top.indices, whole[1].indices)
    assert np.array_equal(top.perturbed, whole[1].perturbed)
