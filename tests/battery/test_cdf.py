"""The laws of a tile's pieces, exactly: how many of all bit patterns give at most t, on every compiled backend.

From bits to the minimum M and to its noise the maps are monotone (up to an ulp), and so is that to X among words with
the same number of leading zeros, so that bisection counts the patterns. Thresholds lie half-way between two floats,
where a value rounded to nearest changes. Tails end at 2**-42 of the 59 bits of a head and at 2**-47 of the 64 of an
element: 2**17 patterns are left there, and counting them whole costs 2**-18 of their number. As a head is a minimum
of 32, both are noise beyond which there is 2**-47.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from helpers import Array, Record, u64
from numpy.typing import NDArray
from probes import Map

from gumbelfast.reference.noise import from_bits, tile_minimum

Long = NDArray[np.longdouble]
RELATIVE = 1e-5


class Law(NamedTuple):
    """One map: its result, the bits it takes, the sign of its slope, log P(> t), its inverse, and the tails' ends."""

    dtype: str
    bits: int
    rising: bool
    log_survival: Callable[[Long], Long]
    quantile: Callable[[Long], Long]  # the t of a survival given as its logarithm
    lower: float = 42
    upper: float = 42


def log1mexp(x: Long) -> Long:
    """log(1 - exp(x)) of x < 0."""
    return np.where(x > -0.7, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


MINIMUM = (lambda t: -32 * t, lambda log_s: -log_s / 32)
EXCESS = (lambda t: -t, lambda log_s: -log_s)
TOP = (lambda g: log1mexp(-32 * np.exp(-g)), lambda log_s: -np.log(-log1mexp(log_s) / 32))
# A float's m has 23 bits: a small excess is that coarse. What it is added to is not.
LAWS = {
    "head": Law("float32", 59, True, *MINIMUM),
    "top": Law("float32", 59, False, *TOP),
    "word": Law("float32", 64, True, *EXCESS, lower=7, upper=47),
    "head64": Law("float64", 59, True, *MINIMUM),
    "top64": Law("float64", 59, False, *TOP),
    "word64": Law("float64", 64, True, *EXCESS, lower=35, upper=47),
}


def value(apply: Map, name: str, n: Array) -> Array:
    """What the map makes of bit patterns; of words below 2**17 in float32 as kernels do, with their extension."""
    law = LAWS[name]
    if law.bits == 59:
        return apply(name, n << np.uint64(5), law.dtype)
    if law.dtype == "float64":
        return apply(name, n, law.dtype)
    extended = apply("extended", n, law.dtype)
    return np.where(n >> np.uint64(49) == 0, extended, apply(name, (n >> np.uint64(32)).astype(np.uint32), law.dtype))


def bisected(apply: Map, name: str, t: Array, first: Array, bits: Array) -> Array:
    """How many of the 2**bits patterns from `first` on have a value of at most t."""
    count = np.zeros(t.size, np.uint64)
    rising = LAWS[name].rising
    for bit in reversed(range(int(bits.max()) + 1)):
        trial = count + np.uint64(1 << bit)
        last = trial - np.uint64(1)
        whole = np.left_shift(np.uint64(1), bits)
        inside = trial <= whole
        n = first + np.where(inside, last if rising else whole - trial, np.uint64(0))
        count = np.where(inside & (value(apply, name, n) <= t), trial, count)
    return count


def patterns_at_most(apply: Map, name: str, t: Array) -> Array:
    """How many bit patterns have a value of at most t."""
    if LAWS[name].bits == 59:
        return bisected(apply, name, t, np.zeros(t.size, np.uint64), np.full(t.size, 59, np.uint64))
    # Words with k zeros have X from k log 2 to (k + 1) log 2: only where t is near does one have to look.
    zeros = np.clip(np.floor(t.astype(float) / np.log(2) - 1e-6), 0, 62).astype(np.uint64)
    count = np.where(zeros > 0, np.uint64(0) - np.left_shift(np.uint64(1), (np.uint64(64) - zeros) % np.uint64(64)), 0)
    for k in (zeros, zeros + np.uint64(1)):
        bits = np.uint64(63) - k
        count = count + bisected(apply, name, t, np.left_shift(np.uint64(1), bits), bits)
    return count


def thresholds(law: Law, count: int) -> Array:
    """Floats near the quantiles of 2**-1 down to the tails' ends, at random places of both."""
    rng = np.random.default_rng(1)
    lower = np.log(-np.expm1(-np.longdouble(np.log(2)) * rng.uniform(1, law.lower, count // 2).astype(np.longdouble)))
    upper = -np.longdouble(np.log(2)) * rng.uniform(1, law.upper, count - count // 2)
    return law.quantile(np.concatenate([lower, upper])).astype(law.dtype)


def relative_errors(law: Law, count: Array, t: Array) -> Long:
    """Of the smaller of P(<= t) and P(> t), counted, against the law at the place between t and the next float."""
    between = (t.astype(np.longdouble) + np.nextafter(t, t.dtype.type(np.inf))) / 2
    log_survival = law.log_survival(between)
    upper = log_survival < -0.6931
    beyond = np.where(upper, np.uint64((1 << law.bits) - 1) - count + np.uint64(1), count)
    wanted = np.where(upper, np.exp(log_survival), -np.expm1(log_survival))
    return np.abs(np.ldexp(beyond.astype(np.longdouble), -law.bits) / wanted - 1)


SIZES = [10**4, pytest.param(10**5, marks=pytest.mark.battery)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", LAWS)
def test_patterns_beyond_thresholds(apply: Map, name: str, size: int, record_property: Record) -> None:
    t = thresholds(LAWS[name], size)
    errors = relative_errors(LAWS[name], patterns_at_most(apply, name, t), t)
    record_property("largest relative error", f"{errors.max():.3g}")
    assert errors.max() <= RELATIVE, (float(t[errors.argmax()]), float(errors.max()))


@pytest.mark.parametrize("name", ["head", "word64"])
def test_a_slightly_wrong_law_is_seen(apply: Map, name: str) -> None:
    """Values larger by 2e-6 of themselves are beyond the bound in the upper tail."""
    t = thresholds(LAWS[name], 1000)
    count = patterns_at_most(apply, name, (t / (1 + 2e-6)).astype(t.dtype))
    assert relative_errors(LAWS[name], count, t).max() > RELATIVE


@pytest.mark.parametrize(("head", "word"), [("head", "word"), ("head64", "word64")])
def test_the_composition_is_exponential(apply: Map, head: str, word: str) -> None:
    """P(E <= t) from the counts above: E is M at one of 32 places, and M + X at the others, X independent of M.

    With y = 32 M standard exponential, P(E <= t) = P(M <= t) / 32 + 31/32 * integral of P(X <= t - M) exp(-y) dy over M
    below t; P(E > t) is P(M > t) and 31/32 of the integral of P(X > t - M). On paper both give 1 - exp(-t).
    """
    law = LAWS[head]
    p = 2.0 ** -np.random.default_rng(2).uniform(1, 42, 200)
    t = np.concatenate([-np.log1p(-p[:100]), -np.log(p[100:])]).astype(law.dtype)
    node, weight = np.polynomial.legendre.leggauss(48)
    width = np.minimum(32 * t.astype(float), 40)
    y = width[:, None] * (node + 1) / 2
    weight = width[:, None] * weight / 2 * np.exp(-y)
    place = np.ldexp(-np.expm1(-y.astype(np.longdouble)), 59).astype(np.uint64)
    below = t[:, None] - value(apply, head, place.ravel()).reshape(y.shape)
    at_most = patterns_at_most(apply, word, below.ravel()).reshape(y.shape).astype(np.longdouble) / 2.0**64
    heads = patterns_at_most(apply, head, t).astype(np.longdouble) / 2**59
    lower = heads / 32 + 31 / 32 * (weight * at_most).sum(1)
    upper = (1 - heads) + 31 / 32 * (weight * (1 - at_most)).sum(1)
    wanted = -np.expm1(-t.astype(np.longdouble))
    errors = np.where(wanted < 0.5, np.abs(lower / wanted - 1), np.abs(upper / (1 - wanted) - 1))
    assert errors.max() <= RELATIVE, (float(t[errors.argmax()]), float(errors.max()))


def crafted(bits: int) -> Array:
    """0, all ones, 2**k and its neighbours, and the complements of them all."""
    near = {2**k + d for k in range(bits) for d in (-1, 0, 1)}
    return u64(*sorted({n for k in near for n in (k, 2**bits - 1 - k) if 0 <= n < 2**bits}))


@pytest.mark.parametrize("name", LAWS)
def test_crafted_words(apply: Map, name: str) -> None:
    n = crafted(LAWS[name].bits)
    found = value(apply, name, n)
    if LAWS[name].bits == 59:
        wanted = tile_minimum(n << np.uint64(5), LAWS[name].dtype)[0]
    else:
        extended = (n >> np.uint64(49) == 0) | (LAWS[name].dtype == "float64")
        wanted = np.where(extended, from_bits(n, 64, 52), from_bits(n >> np.uint64(32), 32, 23))
    if name.startswith("top"):
        wanted = -np.log(wanted)
    scale = np.maximum(1, np.abs(wanted)) if name.startswith("top") else wanted
    errors = np.abs(found - wanted) / np.spacing(scale.astype(found.dtype))
    assert errors.max() <= 2, (hex(int(n[errors.argmax()])), float(errors.max()))
