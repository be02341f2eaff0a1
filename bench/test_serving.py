"""The engines that the bench states anew are exact, and what it calls trained logits is what it says."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import scipy.stats

import engines
import serving

MASK = (1 << 64) - 1
BOTH = (np.float32, ml_dtypes.bfloat16)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """All of these tests need a compiler."""
    try:
        engines.library()
    except RuntimeError as reason:
        pytest.skip(str(reason))


def split_mix(state: int, count: int) -> list[int]:
    """SplitMix64 as Steele, Lea and Flood 2014 write it."""
    words = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        words.append(z ^ (z >> 31))
    return words


def uniform(seed: int, position: int) -> float:
    """The first uniform number of a request at a position."""
    return (split_mix(split_mix(seed, 1)[0] ^ position, 1)[0] >> 11) * 2.0**-53


def normal(shape: tuple[int, int], scale: float = 2) -> Any:
    return np.random.default_rng(5).normal(scale=scale, size=shape).astype(np.float32)


def ordered(x: Any, **settings: float) -> tuple[Any, Any]:
    """Tokens that llama.cpp's filters keep, in its order, and their weights; plain NumPy in float64."""
    first, last = settings["temperature"], 1.0
    if settings.get("temperature_last"):
        first, last = last, first
    y, token = x.astype(np.float64) / first, np.arange(len(x))

    def best_first() -> None:
        nonlocal y, token
        order = np.argsort(-y, kind="stable")
        y, token = y[order], token[order]

    if "top_n_sigma" in settings:
        keep = y >= y.max() - settings["top_n_sigma"] * y.std()
        y, token = y[keep], token[keep]
    if "top_k" in settings:
        best_first()
        y, token = y[: int(settings["top_k"])], token[: int(settings["top_k"])]
    if "typical_p" in settings:
        p = np.exp(y - y.max())
        p /= p.sum()
        order = np.argsort(np.abs(-np.log(p) + (p * np.log(p)).sum()))
        order = order[: np.searchsorted(p[order].cumsum(), settings["typical_p"], side="right") + 1]
        y, token = y[order], token[order]
    if "top_p" in settings:
        best_first()
        p = np.exp(y - y.max())
        count = np.searchsorted((p / p.sum()).cumsum(), settings["top_p"]) + 1
        y, token = y[:count], token[:count]
    if "min_p" in settings:
        keep = y >= y.max() + math.log(settings["min_p"])
        y, token = y[keep], token[keep]
    return token, np.exp((y - y.max()) / last)


CHAINS: dict[str, dict[str, float]] = {
    "temperature": {},
    "heap": {"top_k": 50},
    "buckets": {"top_k": 200},
    "top-k, top-p": {"top_k": 50, "top_p": 0.8},
    "top-p of 256": {"top_p": 0.3},
    "top-p of all": {"top_p": 0.95},
    "min-p": {"min_p": 0.05},
    "top-n-sigma": {"top_n_sigma": 1.5},
    "typical-p": {"typical_p": 0.7},
    "temperature last": {"top_k": 50, "top_p": 0.8, "temperature_last": 1},
}


@pytest.mark.parametrize("dtype", BOTH)
@pytest.mark.parametrize("columns", [100, 3000])
@pytest.mark.parametrize("name", CHAINS)
def test_chain_is_the_plain_statement(name: str, columns: int, dtype: Any) -> None:
    """The same uniform number picks the same token."""
    x = normal((200, columns))
    if dtype is ml_dtypes.bfloat16:
        # Equal logits have no order of their own: each value once, all of them exact.
        x = np.stack([np.random.default_rng(i).permutation(256) / 16 - 8 for i in range(200)])[:, :columns]
    x = x.astype(dtype)
    settings = {"temperature": 0.75, **CHAINS[name]}
    seeds = np.arange(1000, 1200, dtype=np.uint64)
    drawn = engines.Engine("chain", x, 1, **settings).draw(seeds, 7)
    for row, seed, token in zip(x, seeds, drawn, strict=True):
        tokens, weights = ordered(row, **settings)
        place = np.searchsorted(weights.cumsum(), uniform(int(seed), 7) * weights.sum(), side="right")
        assert token == tokens[place]


@pytest.mark.parametrize("dtype", BOTH)
@pytest.mark.parametrize("columns", [1, 5, 32, 45, 200])
def test_blocks_follow_the_softmax(columns: int, dtype: Any) -> None:
    """Chi-square of many requests with the same logits, some of them -inf, blocks of different sizes of weight."""
    row = normal((1, columns))[0].astype(dtype)
    row[1::7] = -np.inf
    row[32:64] -= dtype(3)
    draws = 200_000
    engine = engines.Engine("blocks", np.broadcast_to(row, (draws, columns)), temperature=0.75)
    drawn = engine.draw(np.arange(draws, dtype=np.uint64), 3)
    wide = row.astype(np.float64) / 0.75
    p = np.exp(wide - wide.max())
    p /= p.sum()
    counts = np.bincount(drawn, minlength=columns)
    assert counts[p == 0].sum() == 0
    rare = p * draws < 10
    expected = np.append(p[~rare] * draws, p[rare].sum() * draws)
    found = np.append(counts[~rare], counts[rare].sum())
    if expected[-1] == 0:
        expected, found = expected[:-1], found[:-1]
    if len(found) > 1:
        assert scipy.stats.chisquare(found, expected * (found.sum() / expected.sum())).pvalue > 1e-4
    # Requests are independent: what one draws does not depend on its batch, nor on threads.
    few = engines.Engine("blocks", engine.logits[:5], threads=2, temperature=0.75)
    assert (few.draw(np.arange(5, dtype=np.uint64), 3) == drawn[:5]).all()


def test_blocks_reach_far_tails() -> None:
    """A million tokens 12 below the best one hold e**-12 * 10**6 / (1 + e**-12 * 10**6) of the probability."""
    x = np.full((1, 1_000_000), -12, np.float32)
    x[0, 77] = 0
    draws = 3000
    engine = engines.Engine("blocks", x)
    far = sum(int(engine.draw(np.array([seed], np.uint64), 0)[0]) != 77 for seed in range(draws))
    mass = 1e6 * math.exp(-12)
    mass /= 1 + mass
    assert scipy.stats.binomtest(far, draws, mass).pvalue > 1e-4


@pytest.mark.parametrize("dtype", BOTH)
@pytest.mark.parametrize("place", [0, 40, 95, 97])
def test_blocks_refuse_bad_rows(place: int, dtype: Any) -> None:
    """NaN, +inf and rows of -inf alone give -1, and the rows beside them a token."""
    x = np.zeros((4, 98), dtype)
    x[0, place], x[1, place], x[2] = np.nan, np.inf, -np.inf
    drawn = engines.Engine("blocks", x).draw(np.arange(4, dtype=np.uint64), 0)
    assert (drawn[:3] == -1).all()
    assert 0 <= drawn[3] < 98


def test_settings_that_an_engine_lacks() -> None:
    """They are named, and so is a dtype that is not read."""
    with pytest.raises(ValueError, match="blocks has no top_k, top_p"):
        engines.Engine("blocks", normal((2, 5)), temperature=1, top_p=0.5, top_k=3)
    with pytest.raises(ValueError, match="logits are float64"):
        engines.Engine("chain", np.zeros((2, 5)))


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names the program that was looked for."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(RuntimeError, match="no C\\+\\+ compiler: no-such-compiler is not found"):
        engines.library.__wrapped__()


def test_trained_logits() -> None:
    """The same for a seed; nuclei from a few tokens to about a thousand; means of zero."""
    x = serving.trained_logits((64, 20_000), seed=3)
    assert (x == serving.trained_logits((64, 20_000), seed=3)).all()
    assert not (x == serving.trained_logits((64, 20_000), seed=4)).any(-1).all()
    assert np.abs(x.mean(-1)).max() < 1e-3
    p = np.exp(np.sort(x.astype(np.float64), -1)[:, ::-1])
    sizes = ((p / p.sum(-1, keepdims=True)).cumsum(-1) < 0.9).sum(-1) + 1
    assert sizes.min() <= 3
    assert 5 <= np.median(sizes) <= 200
    assert 200 <= sizes.max() <= 3000
