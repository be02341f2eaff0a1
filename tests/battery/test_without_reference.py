"""The law seen from outside: what must hold of noise and draws whoever computes them, without a reference.

Bounds are two-sided with an error probability of 1e-7 a test; seeds are fixed. The tests run
on the backend in force: others give the same bytes.
"""

from itertools import permutations

import numpy as np
import pytest
from helpers import normal, work_of
from scipy import stats

import gumbelfast as gf

pytestmark = pytest.mark.battery
ERROR = 1e-7
TILES = 200_000


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_maxima_of_tiles(dtype: str) -> None:
    """The largest of 32 standard Gumbels, less log 32, is a standard Gumbel; any of the 32 places may hold it."""
    noise = gf.gumbel(size=(TILES, 32), dtype=dtype, rng=21)
    shifted = noise.max(axis=1).astype(np.float64) - np.log(32)
    deviation = np.pi / np.sqrt(6 * TILES)
    assert abs(shifted.mean() - np.euler_gamma) < stats.norm.isf(ERROR / 2) * deviation
    counts = np.bincount(noise.argmax(axis=1), minlength=32)
    assert stats.chisquare(counts).pvalue > ERROR


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_is_hidden_from_the_draw(dtype: str) -> None:
    """Draws that look at few elements are those of the whole array of noise."""
    x = normal(dtype, (30_000, 700), seed=5)
    noise = gf.gumbel(size=x.shape, dtype=work_of(dtype), rng=22)
    assert np.array_equal(gf.categorical(x, rng=22), (x + noise).argmax(axis=1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_orders_of_draws_by_weights(dtype: str) -> None:
    """All orders of three of five weights, 10**8 samples: chi-square against the product of shares of what is left."""
    weights, samples, chunk = np.array([0.5, 2.0, 1.0, 4.0, 0.25], dtype), 10**8, 10**6
    urn, rng = gf.distributions.PlackettLuce(weights), gf.default_rng(24)
    counts = np.zeros(125, np.int64)
    for _ in range(samples // chunk):
        counts += np.bincount(urn.sample(3, chunk, rng=rng).indices @ [25, 5, 1], minlength=125)
    orders = np.array(list(permutations(range(5), 3)))
    drawn = weights.astype(np.float64)[orders]
    left = weights.astype(np.float64).sum() - np.cumsum(drawn, axis=1) + drawn
    assert counts.sum() == counts[orders @ [25, 5, 1]].sum()
    assert stats.chisquare(counts[orders @ [25, 5, 1]], samples * (drawn / left).prod(axis=1)).pvalue > ERROR


@pytest.mark.parametrize("method", ["alias", "inverse"])
def test_frequencies_to_a_thousandth(method: str) -> None:
    """10**8 draws: an error of one part in a thousand moves a share of 1/2 by ten standard deviations."""
    draws, chunk = 10**8, 10**7
    table, rng = gf.Categorical(probs=[0.5, 0.5]), gf.default_rng(23)
    hits = draws - sum(
        int(np.count_nonzero(table.sample(chunk, rng=rng, method=method))) for _ in range(draws // chunk)
    )
    assert abs(hits - draws / 2) < stats.norm.isf(ERROR / 2) * np.sqrt(draws / 4)
