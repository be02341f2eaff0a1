"""The Gumbel-max watermark: noise that a secret key and the context decide, and a score that token ids alone give."""

from __future__ import annotations

import hashlib
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, id_checks, row_checks
from .._sampling.noise_at import exponential_at
from .._sampling.softmax import logsumexp


class WatermarkScore(NamedTuple):
    """How much a text looks as if its tokens had been drawn with the noise of some seeds."""

    score: float
    """The sum of -log(1 - exp(-E)) over the tokens counted; about their number without watermark."""
    counted: int
    """How many tokens were counted: one that comes again with the same seed counts once."""
    p_value: float
    """The probability of this score or a larger one without watermark."""


def watermark_seeds(contexts: ArrayLike, key: bytes) -> NDArray[np.uint64]:
    """Seeds for `sample_tokens` that depend on a secret key and on the tokens before.

    Parameters
    ----------
    contexts : array_like of int, shape (..., h)
        The last h tokens before each token to come. A short context repeats often, and with it the noise; a long one is
        lost by any change of the text. 4 is usual.
    key : bytes
        The secret, 16 to 64 bytes.

    Returns
    -------
    ndarray of uint64, shape (...)
        The first 8 bytes of the keyed BLAKE2b hash of each context.

    Raises
    ------
    TypeError
        For a key that is no bytes, and tokens that are no integers.
    ValueError
        For a key of another length, and contexts without an axis.

    Notes
    -----
    Aaronson (2022) draws each token with noise that is a function of key and context; Kirchenbauer et al. (2023)
    discuss contexts. Who sees many texts must not find the noise: this rests on the hash alone. Philox, which makes
    noise from seeds, is no cryptographic function, and whoever knows a seed knows its noise.

    Examples
    --------
    >>> from gumbelfast.serving import watermark_seeds
    >>> seeds = watermark_seeds([[5, 2, 9], [2, 9, 4]], key=b"sixteen bytes ok")
    >>> seeds.shape, bool(seeds[0] == watermark_seeds([5, 2, 9], key=b"sixteen bytes ok"))
    ((2,), True)
    """
    if not isinstance(key, bytes):
        raise TypeError(f"key must be bytes, got {type(key).__name__}")
    if not 16 <= len(key) <= 64:
        raise ValueError(f"key must have 16 to 64 bytes, got {len(key)}")
    given = checks.as_integers(contexts, "contexts")
    if given.ndim == 0:
        raise ValueError("contexts must have an axis of tokens, got shape ()")
    rows = np.ascontiguousarray(given, "<i8").reshape(math.prod(given.shape[:-1]), given.shape[-1])
    hashed = [hashlib.blake2b(row.tobytes(), digest_size=8, key=key).digest() for row in rows]
    return np.frombuffer(b"".join(hashed), "<u8").astype(np.uint64).reshape(given.shape[:-1])


def score_watermark(tokens: ArrayLike, seeds: ArrayLike) -> WatermarkScore:
    r"""How far the tokens of a text follow the noise of these seeds; neither model nor logits are needed.

    Parameters
    ----------
    tokens : array_like of int, shape (n,)
        The tokens of a text.
    seeds : array_like of int, shape (n,)
        The seed that each would have been drawn with: `watermark_seeds` of what stands before it.

    Returns
    -------
    WatermarkScore

    Raises
    ------
    TypeError, ValueError
        For arrays that are no integers or out of range, and shapes that are not (n,).

    Notes
    -----
    Of a text that does not know the seeds each term of the score

    .. math:: S = \sum_t -\log(1 - e^{-E_t})

    is a standard exponential, E being the exponential of token t (``exponential_at``), so that S has a Gamma law, and
    the p-value is :math:`e^{-S} \sum_{k<n} S^k / k!`. With the watermark tokens have small E: a token of probability
    p that was drawn has an E of mean p, and the score grows with the entropy of the text (Aaronson 2022).

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> from gumbelfast.serving import score_watermark
    >>> seeds = np.arange(40, dtype=np.uint64)
    >>> marked = gf.sample_tokens(np.zeros((40, 1000)), seeds=seeds)
    >>> score_watermark(marked, seeds).p_value < 1e-9, score_watermark(marked[::-1], seeds).p_value > 0.01
    (True, True)
    """
    ids = id_checks.as_ids(tokens, None)
    if ids.ndim != 1:
        raise ValueError(f"tokens must have shape (n,), got {ids.shape}")
    if np.shape(seeds) != ids.shape:
        raise ValueError(f"seeds must have the shape of the tokens, {ids.shape}, got {np.shape(seeds)}")
    keys, missing = row_checks.seed_rows(seeds, ids.shape)
    if missing is not None:
        raise ValueError(f"seeds must be integers, got None at index {int(missing.argmax())}")
    pairs = np.unique(np.stack([ids.astype(np.uint64), keys]), axis=1)
    if not ids.size:
        return WatermarkScore(0.0, 0, 1.0)
    noise = exponential_at(pairs[0][:, None], seeds=pairs[1], dtype=np.float64)
    score = float(-np.log(-np.expm1(-noise)).sum())
    count = pairs.shape[1]
    return WatermarkScore(score, count, _tail_of_gamma(count, score))


def _tail_of_gamma(count: int, score: float) -> float:
    """The probability that so many standard exponentials add up to the score or more."""
    if score <= 0:
        return 1.0
    k = np.arange(count, dtype=np.float64)
    log_factorials = np.concatenate([[0.0], np.log(k[1:]).cumsum()])
    return min(1.0, math.exp(float(logsumexp(k * math.log(score) - log_factorials)) - score))
