"""Goodness of fit under one budget of error: every statistic of a run yields a p-value, or an upper bound of one.

A run is one family. It passes unless some p-value times the number of statistics is below 1e-6. Seeds are fixed.
"""

import os
from collections.abc import Callable
from functools import partial
from itertools import permutations

import numpy as np
import pytest
from helpers import KEY, Array, Record

import gumbelfast as gf

optimize = pytest.importorskip("scipy.optimize")
stats = pytest.importorskip("scipy.stats")

ALPHA = 1e-6
PIECE = 2**22


def dkw(distance: float, n: int) -> float:
    """A bound of P(sup |F_n - F| >= distance): Massart, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz
    inequality", 1990.
    """
    return min(1.0, 2 * np.exp(-2 * n * distance**2))


def anderson_darling(statistic: float) -> float:
    """A bound of P(A^2 >= statistic) for large n, by Chernoff's inequality.

    A^2 has in the limit the law of sum_j Z_j^2 / (j (j + 1)) with normal Z_j, and E exp(s A^2) =
    sqrt(-2 pi s / cos(pi sqrt(1 + 8 s) / 2)) for s < 1 (Anderson and Darling 1952).
    """

    def log_bound(s: float) -> float:
        return 0.5 * np.log(-2 * np.pi * s / np.cos(np.pi / 2 * np.sqrt(1 + 8 * s))) - s * statistic

    return float(np.exp(min(0.0, optimize.minimize_scalar(log_bound, bounds=(1e-6, 1 - 1e-6), method="bounded").fun)))


def fit(x: Array, cdf: Callable[[Array], Array], survival: Callable[[Array], Array]) -> list[float]:
    """Of a sample that it sorts: the bound of Dvoretzky, Kiefer and Wolfowitz, and that of Anderson and Darling."""
    x.sort()
    n, distance, total = x.size, 0.0, 0.0
    for start in range(0, n, PIECE):
        piece = x[start : start + PIECE].astype(np.float64)
        f, s = cdf(piece), survival(piece)
        i = np.arange(start, start + f.size)
        distance = max(distance, float(np.max((i + 1) / n - f)), float(np.max(f - i / n)))
        # The sum of (2 i - 1) (log F(x_i) + log S(x_{n+1-i})) for i from 1, taken by x.
        total += float(((2 * i + 1) * np.log(f) + (2 * (n - i) - 1) * np.log(s)).sum())
    return [dkw(distance, n), anderson_darling(-n - total / n)]


def gumbel_cdf(x: Array) -> Array:
    return np.exp(-np.exp(-x))


def gumbel_survival(x: Array) -> Array:
    return -np.expm1(-np.exp(-x))


def noise(dtype: str, n: int) -> list[float]:
    return fit(gf.gumbel(size=n, dtype=dtype, rng=gf.Generator(KEY)), gumbel_cdf, gumbel_survival)


def exponentials(dtype: str, n: int) -> list[float]:
    x = gf.exponential(size=n, dtype=dtype, rng=gf.Generator(KEY))
    return fit(x, lambda e: -np.expm1(-e), lambda e: np.exp(-e))


def chi_square(counts: Array, p: Array) -> list[float]:
    """Two-sided: a fit too good is no fit."""
    expected = counts.sum() * p
    assert expected.min() >= 5
    statistic = float(((counts - expected) ** 2 / expected).sum())
    law = stats.chi2(p.size - 1)
    return [min(1.0, 2 * min(law.sf(statistic), law.cdf(statistic)))]


def logits_of(k: int) -> Array:
    return np.random.default_rng(k).normal(size=k) / 2


def shares_of(logits: Array) -> Array:
    p = np.exp(logits - logits.max())
    return p / p.sum()


def counted(k: int, n: int, draw: Callable[[int], Array]) -> Array:
    counts = np.zeros(k, np.int64)
    for _ in range(16):
        counts += np.bincount(draw(n // 16), minlength=k)
    return counts


def in_groups(counts: Array, p: Array) -> list[float]:
    """Of many categories those with the same remainder are taken together, 100 draws or more to a group."""
    groups = int(min(p.size, counts.sum() // 100))
    group = np.arange(p.size) % groups
    return chi_square(np.bincount(group, counts, groups), np.bincount(group, p, groups))


def by_gumbel(k: int, share: float, n: int) -> list[float]:
    logits, rng = logits_of(k), gf.Generator(KEY)
    draw = partial(gf.categorical, logits, method="gumbel", rng=rng, num_threads=os.cpu_count())
    return in_groups(counted(k, int(n * share), lambda size: draw(size=size)), shares_of(logits))


def by_table(method: str, k: int, n: int) -> list[float]:
    logits, rng = logits_of(k), gf.Generator(KEY)
    table = gf.Categorical(logits)
    return in_groups(counted(k, n, lambda size: table.sample(size, rng=rng, method=method)), shares_of(logits))


def ordered_triples(n: int) -> list[float]:
    """All 60 outcomes of three from five without replacement, against Plackett and Luce."""
    logits, rng, code = logits_of(5), gf.Generator(KEY), np.array([25, 5, 1])
    draw = partial(gf.gumbel_top_k, k=3, rng=rng)
    counts = counted(125, n, lambda size: draw(np.broadcast_to(logits, (size, 5))).indices @ code)
    w = np.exp(logits)
    orders = np.array(list(permutations(range(5), 3)))
    a, b, c = w[orders.T]
    p = a / w.sum() * b / (w.sum() - a) * c / (w.sum() - a - b)
    drawn = counts[orders @ code]
    assert drawn.sum() == counts.sum()
    return chi_square(drawn, p)


# The draws of perturbed rows of so many categories are shared out by what a row costs.
SHARES = {2: 0.4, 3: 0.3, 16: 0.25, 1000: 0.046, 131072: 0.004}
FAMILY: dict[str, Callable[[int], list[float]]] = {
    **{f"gumbel {dtype}": partial(noise, dtype) for dtype in ("float32", "float64")},
    **{f"exponential {dtype}": partial(exponentials, dtype) for dtype in ("float32", "float64")},
    **{f"gumbel-max of {k}": partial(by_gumbel, k, share) for k, share in SHARES.items()},
    **{f"{m} of {k}": partial(by_table, m, k) for m in ("alias", "inverse") for k in SHARES},
    "Plackett-Luce": ordered_triples,
}
STATISTICS = 2 * 4 + 5 + 10 + 1


@pytest.mark.parametrize("n", [10**6, pytest.param(10**8, marks=pytest.mark.battery)])
def test_the_family_fits(n: int, record_property: Record) -> None:
    p = {name: statistic(n) for name, statistic in FAMILY.items()}
    for name, values in p.items():
        record_property(f"p, {name}", " ".join(f"{value:.3g}" for value in values))
    assert sum(map(len, p.values())) == STATISTICS
    assert min(min(values) for values in p.values()) * STATISTICS >= ALPHA, p


@pytest.mark.release
def test_perturbed_logits_at_length(record_property: Record) -> None:
    """10**8 draws from as many categories as each of SHARES has, a family of their own."""
    p = {k: by_gumbel(k, 1, 10**8)[0] for k in SHARES}
    for k, value in p.items():
        record_property(f"p, gumbel-max of {k}", f"{value:.3g}")
    assert min(p.values()) * len(p) >= ALPHA, p


def test_faults_of_a_sample_are_seen() -> None:
    x = gf.gumbel(size=10**6, dtype=np.float64, rng=gf.Generator(KEY))
    assert max(fit(x * 1.02, gumbel_cdf, gumbel_survival)) * STATISTICS < ALPHA


@pytest.mark.battery
def test_a_share_larger_by_a_thousandth_is_seen() -> None:
    logits, rng = np.log([0.5, 0.5]), gf.Generator(KEY)
    counts = counted(2, 10**8, lambda size: gf.categorical(logits, size=size, method="gumbel", rng=rng))
    assert chi_square(counts, np.array([0.5, 0.5]))[0] * STATISTICS >= ALPHA
    assert chi_square(counts, np.array([0.5005, 0.4995]))[0] * STATISTICS < ALPHA
