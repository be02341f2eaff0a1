"""The evidence in an answer: upper bounds of p-values, which hold for every number of draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
PIECES = 64  # the number of groups in which many categories are counted


@dataclass(frozen=True)
class Finding:
    """The answer to one question.

    Attributes
    ----------
    seen : str
        What was observed, in words.
    p : float
        An upper bound of the probability that a correct sampler gives so bad an answer.
    fault : bool
        Whether no correct sampler can give this answer.
    """

    seen: str
    p: float = 1.0
    fault: bool = False


def count_bound(count: Any, draws: Any, p: Any) -> Array:
    """A bound of the two-sided probability of a count so far from ``draws * p``: Chernoff's, in Hoeffding's form.

    ``P(X >= c)``, and ``P(X <= c)`` on the other side, is at most ``exp(-n KL(c/n || p))`` for X binomial
    (Hoeffding 1963, theorem 1). It holds for every n.
    """
    n, seen, law = (np.asarray(a, np.float64) for a in (draws, count, p))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = seen / n
        hit = np.where(seen > 0, share * np.log(share / law), 0.0)
        miss = np.where(seen < n, (1 - share) * np.log((1 - share) / (1 - law)), 0.0)
    bound: Array = np.minimum(1.0, 2 * np.exp(-np.where(n > 0, n * (hit + miss), 0.0)))
    return bound


def worst(bounds: Any) -> float:
    """The smallest of several bounds, times their number (Bonferroni)."""
    every = np.concatenate([np.ravel(b) for b in bounds]) if isinstance(bounds, list) else np.ravel(bounds)
    return float(min(1.0, every.min(initial=1.0) * max(1, every.size)))


def law_of(logits: Array) -> Array:
    """Softmax in float64, of finite and infinite logits."""
    x = logits.astype(np.float64)
    w = np.exp(x - x.max())
    p: Array = w / w.sum()
    return p


def fit(index: Array, p: Array) -> float:
    """How well draws from one row follow its law: by all pieces and prefixes, in two orders, and by indices modulo 16.

    A piece is a category, or, where there are many, some neighbours with a total weight of about 1/64. The two orders
    are that of the categories, which shows errors of sums, and that of falling probability, which shows errors of
    tails.
    """
    counts, draws = np.bincount(index, minlength=p.size), index.size
    bounds = []
    for order in (np.arange(p.size), np.argsort(-p, kind="stable")):
        before = np.cumsum(p[order]) - p[order]
        piece = np.arange(p.size) if p.size <= PIECES else np.minimum(PIECES - 1, (before * PIECES).astype(np.int64))
        bounds += [*_pieces(piece, counts[order], p[order], draws)]
    lane = np.arange(p.size) % 16
    bounds += [*_pieces(lane, counts, p, draws)]
    return worst(bounds)


def _pieces(piece: Array, counts: Array, p: Array, draws: int) -> tuple[Array, Array]:
    seen, law = np.bincount(piece, counts), np.bincount(piece, p)
    # Sums of rounded numbers may leave [0, 1] by a rounding.
    prefix = np.clip(np.cumsum(law), 0, 1)[:-1]
    certain = prefix > 1 - 1e-12
    bounds = count_bound(np.cumsum(seen)[:-1], draws, np.where(certain, 0.5, prefix))
    return count_bound(seen, draws, np.clip(law, 0, 1)), np.where(certain, 1.0, bounds)


def resemblance(a: Array, b: Array | None, categories: int, lags: int) -> tuple[float, str]:
    """Whether draws from equal logits are repeated, between two sequences or within one (`b` is None).

    At each lag the differences modulo the number of categories are independent and uniform. This holds within one
    sequence too, where differences with a draw in common form chains. So the count of each difference is binomial, and
    every lag and difference is tested. They are counted by a Fourier transform over both axes.
    """
    n, own = a.size, b is None
    padded = 1 << (n + lags - 1).bit_length()
    spectra = [_spectrum(s, padded, categories) for s in ((a,) if b is None else (a, b))]
    product = np.conj(spectra[0])
    product *= spectra[-1]
    counts = np.rint(np.fft.irfft2(product, (padded, categories)))
    lag = np.arange(1, lags + 1) if own else np.arange(-lags, lags + 1)
    bounds = count_bound(counts[lag], (n - np.abs(lag))[:, None], 1 / categories)
    at, difference = np.unravel_index(int(bounds.argmin()), bounds.shape)
    seen = f"lag {lag[at]}: {counts[lag[at], difference]:.0f} of {n - abs(int(lag[at]))} differ by {difference}"
    return worst(bounds), seen


def _spectrum(drawn: Array, padded: int, categories: int) -> Array:
    marks = np.zeros((padded, categories), np.float32)
    marks[np.arange(drawn.size), drawn] = 1
    return np.fft.rfft2(marks)
