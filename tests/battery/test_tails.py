"""Rare events, drawn: counts beyond far quantiles, and categories whose share is rare together.

A count is judged by the binomial law it should have, in a band that holds it but for a chance of 1e-9.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from helpers import DTYPES, KEY, Array, Record, dtype_of

import gumbelfast as gf

stats = pytest.importorskip("scipy.stats")

ALPHA = 1e-9
PIECE = 2**20
TAILS = 2.0 ** -np.array([20, 24, 27])
HIGH, LOW = -np.log(-np.log1p(-TAILS)), -np.log(-np.log(TAILS))


def assert_binomial(count: int, draws: int, p: float) -> None:
    low, high = stats.binom.ppf(ALPHA / 2, draws, p), stats.binom.isf(ALPHA / 2, draws, p)
    assert low <= count <= high, (count, draws * p, (low, high))


def assert_tails(pieces: Iterator[Array], record: Record = lambda name, value: None) -> None:
    """Standard Gumbels in pieces: how many lie below each of LOW and above each of HIGH."""
    draws, below, above = 0, np.zeros(3, np.int64), np.zeros(3, np.int64)
    for x in pieces:
        # The quantiles as floats, and what lies beyond these.
        high, low = HIGH.astype(x.dtype), LOW.astype(x.dtype)
        draws += x.size
        rare = x[x > high[0]]
        above += [np.count_nonzero(rare > end) for end in high]
        rare = x[x < low[0]]
        below += [np.count_nonzero(rare < end) for end in low]
    record("expected", (draws * TAILS).tolist())
    record("above", above.tolist())
    record("below", below.tolist())
    for i in range(3):
        assert_binomial(above[i], draws, -np.expm1(-np.exp(-float(high[i]))))
        assert_binomial(below[i], draws, np.exp(-np.exp(-float(low[i]))))


@pytest.mark.parametrize("draws", [2**28, pytest.param(2**33, marks=pytest.mark.battery)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_counts_beyond_far_quantiles(dtype: str, draws: int, record_property: Record) -> None:
    rng = gf.Generator(KEY)
    out = np.empty(PIECE, dtype)
    assert_tails((gf.gumbel(out=out, rng=rng) for _ in range(draws // PIECE)), record_property)


def uniforms_of_18_bits() -> Iterator[Array]:
    rng = np.random.default_rng(3)
    for _ in range(64):
        yield -np.log(-np.log((rng.integers(0, 2**18, PIECE) + 0.5) / 2**18))


def noise_larger_by_a_twentieth() -> Iterator[Array]:
    rng = gf.Generator(KEY)
    for _ in range(256):
        yield gf.gumbel(0.05, size=PIECE, rng=rng)


@pytest.mark.parametrize("fault", [uniforms_of_18_bits, noise_larger_by_a_twentieth])
def test_faults_are_seen(fault: Callable[[], Iterator[Array]]) -> None:
    with pytest.raises(AssertionError):
        assert_tails(fault())


TAIL, GAP = 262_144, 20.5


@pytest.mark.parametrize(
    ("dtype", "draws"),
    [("float32", 10**5)]
    + [pytest.param(dtype, 10**5, marks=pytest.mark.battery) for dtype in DTYPES if dtype != "float32"]
    + [pytest.param("float32", 10**6, marks=pytest.mark.battery)],
)
def test_many_rare_categories_race_a_likely_one(dtype: str, draws: int, record_property: Record) -> None:
    """262,144 categories that lie 20.5 below one are drawn 32.76 times in 100,000 (vllm-project/vllm#43150).

    Their share is w / (1 + w) of w = 262,144 exp(-20.5) = 3.277e-4. Noise of 24-bit uniforms, which ends at 16.6, would
    need a noise below -3.9 at the one, of chance exp(-49). The quarters of the 262,144 are equally likely.
    """
    logits = np.full(1 + TAIL, -GAP, dtype_of(dtype))
    logits[0] = 0
    weight = TAIL * np.exp(-GAP)
    index = gf.categorical(logits, size=draws, method="gumbel", rng=gf.Generator(KEY))
    hits = index[index > 0]
    record_property("rare categories drawn", hits.size)
    assert_binomial(hits.size, draws, weight / (1 + weight))
    for count in np.bincount((hits - 1) * 4 // TAIL, minlength=4).tolist():
        assert_binomial(count, hits.size, 0.25)
