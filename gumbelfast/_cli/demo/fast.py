"""The steps of the demo as NumPy does them, turns for a fair comparison, and the chi-square test."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._sampling.argmax import categorical, gumbel_top_k
from ..._sampling.relaxed import gumbel_softmax, gumbel_softmax_backward
from ..._sampling.softmax import softmax
from ...random.generator import Generator
from .. import text

Array = NDArray[Any]
Step = Callable[[], Any]

ROUNDS = 7
TURN = 0.02  # seconds that a turn lasts at least


@dataclass(frozen=True)
class Race:
    """The same work done by both, and the median seconds of either."""

    what: str
    numpy_way: str
    numpy: float
    ours: float


def noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Gumbel noise in float32: minus the logarithm of exponential noise, NumPy's quickest way to it."""
    e = rng.standard_exponential(shape, dtype=np.float32)
    np.maximum(e, np.finfo(np.float32).tiny, out=e)  # some are 0, which would make infinite noise, and NaN after that
    np.log(e, out=e)
    return np.negative(e, out=e)


def numpy_draws(rng: np.random.Generator, logits: Array, draws: int) -> Array:
    """Gumbel-max."""
    perturbed = noise(rng, (draws, logits.size))
    perturbed += logits
    index: Array = perturbed.argmax(axis=-1)
    return index


def numpy_top_k(rng: np.random.Generator, logits: Array, k: int) -> Array:
    """The k largest perturbed logits in order, without sorting the others."""
    perturbed = noise(rng, logits.shape)
    perturbed += logits
    index = np.argpartition(perturbed, -k)[-k:]
    ordered: Array = index[np.argsort(-perturbed[index])]
    return ordered


def numpy_softmax(x: Array) -> Array:
    """Softmax in as few passes as NumPy has."""
    y: Array = x - x.max(axis=-1, keepdims=True)
    np.exp(y, out=y)
    y /= y.sum(axis=-1, keepdims=True)
    return y


def numpy_relaxed(rng: np.random.Generator, logits: Array, grad: Array, tau: float) -> Array:
    """Gumbel-softmax, and the gradient by its logits."""
    x = noise(rng, logits.shape)
    x += logits
    x /= np.float32(tau)
    y = numpy_softmax(x)
    result: Array = grad - np.einsum("ij,ij->i", grad, y)[:, None]
    result *= y
    result /= np.float32(tau)
    return result


def races(logits: Array, rng: Generator, seed: int) -> list[Race]:
    """Each step timed against NumPy: float32, one thread, noise drawn anew by both."""
    theirs = np.random.default_rng(seed)
    weights = np.exp(logits, dtype=np.float64)
    p = weights / weights.sum()
    columns, draws, rows, k, tau = logits.size, 2000, 256, 20, 0.5
    batch, grad = logits + noise(theirs, (rows, columns)), noise(theirs, (rows, columns))

    def relaxed() -> Array:
        y = gumbel_softmax(batch, tau, rng=rng, num_threads=1)
        return gumbel_softmax_backward(grad, y, tau, num_threads=1)

    steps: list[tuple[str, str, Step, Step]] = [
        (
            f"draw {draws:,} words",
            "noise + argmax",
            lambda: numpy_draws(theirs, logits, draws),
            lambda: categorical(logits, size=draws, rng=rng, method="gumbel", num_threads=1),
        ),
        (
            f"draw {draws:,} words",
            "choice(p=...)",
            lambda: theirs.choice(columns, draws, p=p),
            lambda: categorical(logits, size=draws, rng=rng, method="gumbel", num_threads=1),
        ),
        (
            f"{k} different words",
            "noise + argpartition",
            lambda: numpy_top_k(theirs, logits, k),
            lambda: gumbel_top_k(logits, k, rng=rng, num_threads=1),
        ),
        (
            f"{k} different words",
            "choice(replace=False)",
            lambda: theirs.choice(columns, k, replace=False, p=p),
            lambda: gumbel_top_k(logits, k, rng=rng, num_threads=1),
        ),
        (
            f"softmax of {rows} rows",
            "max, exp, sum, divide",
            lambda: numpy_softmax(batch),
            lambda: softmax(batch, num_threads=1),
        ),
        (
            f"Gumbel-softmax of {rows} rows, with gradient",
            "noise, softmax, product",
            lambda: numpy_relaxed(theirs, batch, grad, tau),
            relaxed,
        ),
    ]
    return [Race(what, way, *turns(a, b)) for what, way, a, b in steps]


def turns(a: Step, b: Step) -> tuple[float, float]:
    """Median seconds of one call of each, taking turns A B A B so that a drifting machine wrongs neither."""
    calls = [max(1, math.ceil(TURN / _seconds(step, 2))) for step in (a, b)]
    found: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for step, count, times in zip((a, b), calls, found, strict=True):
            times.append(_seconds(step, count))
    return statistics.median(found[0]), statistics.median(found[1])


def _seconds(step: Step, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        step()
    return max((time.perf_counter() - start) / calls, 1e-9)


def chi_square(drawn: Array, expected: Array) -> tuple[float, int, float, str]:
    """Pearson's statistic, its degrees of freedom, the p-value and who computed it.

    Words that are expected less than five times are counted together.
    """
    rare = expected < 5
    observed = np.append(drawn[~rare], drawn[rare].sum())
    wanted = np.append(expected[~rare], expected[rare].sum())
    if wanted[-1] < 5:  # too few even together: count them with the last of the others
        observed, wanted = (np.append(a[:-2], a[-2:].sum()) for a in (observed, wanted))
    statistic, freedom = float(((observed - wanted) ** 2 / wanted).sum()), len(wanted) - 1
    scipy = text.optional("scipy.stats")
    if scipy:
        return statistic, freedom, float(scipy.chi2.sf(statistic, freedom)), "scipy"
    return statistic, freedom, wilson_hilferty(statistic, freedom), "the Wilson-Hilferty approximation"


def wilson_hilferty(statistic: float, freedom: int) -> float:
    """P(chi-square > statistic): the cube root of chi-square / freedom is nearly normal (Wilson and Hilferty 1931)."""
    spread = 2 / (9 * freedom)
    return math.erfc(((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(2 * spread)) / 2
