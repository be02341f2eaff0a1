"""The watermark: p-values are uniform without it, tiny with it, and come from the noise that tokens were drawn with."""

import hashlib
from typing import Any

import numpy as np
import pytest
from scipy.special import gammaincc
from scipy.stats import kstest

import gumbelfast as gf
from gumbelfast.serving import score_watermark, watermark_seeds

KEY = b"a key of 16 byte"


def text_of(length: int, key: bytes | None, seed: int, columns: int = 500) -> tuple[Any, Any]:
    """A text drawn token by token from random logits, and the windows of 3 tokens before each."""
    rng = np.random.default_rng(seed)
    text, windows = [0, 1, 2], []
    for x in rng.normal(0, 1.5, (length, columns)):
        windows.append(text[-3:])
        how: dict[str, Any] = {"rng": rng} if key is None else {"seeds": watermark_seeds(text[-3:], key)}
        text.append(int(gf.sample_tokens(x, **how)))
    return np.array(text[3:]), np.array(windows)


def test_seeds_are_keyed_hashes() -> None:
    contexts = np.arange(24).reshape(2, 4, 3)
    found = watermark_seeds(contexts, KEY)
    assert found.shape == (2, 4)
    digest = hashlib.blake2b(contexts[1, 2].astype("<i8").tobytes(), digest_size=8, key=KEY).digest()
    assert found[1, 2] == int.from_bytes(digest, "little")
    assert len(np.unique(np.concatenate([found.ravel(), watermark_seeds(contexts, KEY[::-1]).ravel()]))) == 16


def test_p_values_are_uniform_without_watermark() -> None:
    found = []
    for seed in range(400):
        text, windows = text_of(30, None, seed, columns=50)
        found.append(score_watermark(text, watermark_seeds(windows, KEY)).p_value)
    assert kstest(found, "uniform").pvalue > 1e-4


def test_a_watermark_is_found_with_its_key_only() -> None:
    text, windows = text_of(100, KEY, 1)
    whole = score_watermark(text, watermark_seeds(windows, KEY)).p_value
    assert whole < 1e-20
    assert score_watermark(text, watermark_seeds(windows, KEY[::-1])).p_value > 1e-3
    half = np.where(np.arange(100) % 2, text, (text + 1) % 500)
    assert whole * 1e6 < score_watermark(half, watermark_seeds(windows, KEY)).p_value < 1e-6


def test_the_score_is_that_of_the_noise_of_the_draw() -> None:
    x, seeds = np.random.default_rng(2).normal(size=(20, 300)), np.arange(20)
    tokens, perturbed = gf.categorical(x, seeds=seeds, return_perturbed=True)
    np.testing.assert_array_equal(tokens, gf.sample_tokens(x, seeds=seeds))
    noise = np.exp(x[np.arange(20), tokens] - perturbed)
    found = score_watermark(tokens, seeds)
    score = -np.log(-np.expm1(-noise)).sum()
    assert found.score == pytest.approx(score, rel=1e-12)
    assert found.p_value == pytest.approx(gammaincc(20, score), rel=1e-9)


def test_what_comes_again_counts_once() -> None:
    once = score_watermark([4, 7, 4], [1, 2, 3])
    again = score_watermark([4, 7, 4, 4, 7], [1, 2, 3, 1, 2])
    assert (once.counted, again.counted) == (3, 3)
    assert once == pytest.approx(again)
    assert score_watermark([], []) == (0.0, 0, 1.0)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: watermark_seeds([1, 2], b"short"), ValueError, "key must have 16 to 64 bytes, got 5"),
        (lambda: watermark_seeds([1, 2], "a key of 16 byte"), TypeError, "key must be bytes, got str"),
        (lambda: watermark_seeds(3, KEY), ValueError, "contexts must have an axis of tokens, got shape ()"),
        (lambda: watermark_seeds([0.5], KEY), TypeError, "contexts must be integers, got float64"),
        (lambda: score_watermark([[1]], [[1]]), ValueError, "tokens must have shape (n,), got (1, 1)"),
        (lambda: score_watermark([1, 2], [1]), ValueError, "seeds must have the shape of the tokens, (2,), got (1,)"),
        (lambda: score_watermark([-1], [1]), ValueError, "ids must lie in [0, 2**62), got -1 at index (0,)"),
        (lambda: score_watermark([1, 2], [1, None]), ValueError, "seeds must be integers, got None at index 1"),
    ],
    ids=range(8),
)
def test_bad_input(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
