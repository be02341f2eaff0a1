"""The steps of the demo beside NumPy, and the chi-square test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._sampling.argmax import categorical, gumbel_top_k
from ..._sampling.relaxed import gumbel_softmax, gumbel_softmax_backward
from ..._sampling.softmax import softmax
from ...random.generator import Generator
from .. import numpy_ways, text
from ..turns import Contest, Step

Array = NDArray[Any]

ROUNDS = 7


@dataclass(frozen=True)
class Race:
    """The same work done by both, and the median seconds of either."""

    what: str
    numpy_way: str
    numpy: float
    ours: float


def races(logits: Array, rng: Generator, seed: int) -> list[Race]:
    """Each step timed against NumPy: float32, one thread, noise drawn anew by both."""
    theirs = np.random.default_rng(seed)
    weights = np.exp(logits, dtype=np.float64)
    p = weights / weights.sum()
    columns, draws, rows, k, tau = logits.size, 2000, 256, 20, 0.5
    batch = logits + numpy_ways.noise(theirs, (rows, columns))
    grad = numpy_ways.noise(theirs, (rows, columns))

    def relaxed() -> Array:
        y = gumbel_softmax(batch, tau, rng=rng, num_threads=1)
        return gumbel_softmax_backward(grad, y, tau, num_threads=1)

    steps: list[tuple[str, str, Step, Step]] = [
        (
            f"draw {draws:,} words",
            "noise + argmax",
            lambda: numpy_ways.categorical(theirs, logits, draws),
            lambda: categorical(logits, size=draws, rng=rng, method="gumbel", num_threads=1),
        ),
        (
            f"draw {draws:,} words",
            "choice(p=...)",
            lambda: numpy_ways.draws(theirs, p, draws),
            lambda: categorical(logits, size=draws, rng=rng, method="gumbel", num_threads=1),
        ),
        (
            f"{k} different words",
            "noise + argpartition",
            lambda: numpy_ways.top_k(theirs, logits, k),
            lambda: gumbel_top_k(logits, k, rng=rng, num_threads=1),
        ),
        (
            f"{k} different words",
            "choice(replace=False)",
            lambda: numpy_ways.choice(theirs, p, k),
            lambda: gumbel_top_k(logits, k, rng=rng, num_threads=1),
        ),
        (
            f"softmax of {rows} rows",
            "max, exp, sum, divide",
            lambda: numpy_ways.softmax(batch),
            lambda: softmax(batch, num_threads=1),
        ),
        (
            f"Gumbel-softmax of {rows} rows, with gradient",
            "noise, softmax, product",
            lambda: numpy_ways.relaxed(theirs, batch, grad, tau),
            relaxed,
        ),
    ]
    return [Race(what, way, *_medians(a, b)) for what, way, a, b in steps]


def _medians(a: Step, b: Step) -> list[float]:
    contest = Contest((a, b))
    for _ in range(ROUNDS):
        contest.round()
    return contest.medians()


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
