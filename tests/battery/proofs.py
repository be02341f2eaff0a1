"""Bounds of rounding errors proved by gappa (Daumas and Melquiond 2010): exponentials and Gumbels, float32 and float64.

A proof cuts the exact exponential E = M + k log 2 - log(1 - y) into intervals, for each k and each size of M, and lets
gappa bound what the operations of csrc/kernels/elementary.hpp make of it. What gappa is told: the coefficients, and how
far the polynomials are from the logarithm (sollya's figures in csrc/kernels/coefficients.hpp). Sums have their terms in
the order of the code: gappa compares an exact expression with a rounded one of the same shape.
"""

import math
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path

SOURCE = (Path(__file__).parents[2] / "csrc" / "kernels" / "coefficients.hpp").read_text(encoding="utf-8")
LN2 = math.log(2)


@dataclass(frozen=True)
class Type:
    """A format: bits behind the point of its mantissa, and the most zeros that one word can have."""

    name: str
    gappa: str
    bits: int
    most_zeros: int  # of float32 words that are not short; all others are computed in double

    def body(self) -> str:
        return SOURCE[SOURCE.index(f"struct Coefficients<{self.name}>") :]

    def polynomial(self, which: str) -> tuple[list[str], float]:
        """Coefficients, the lowest first, and the distance from the function."""
        found = re.search(
            rf"to 2\*\*(-[\d.]+)\.\n  static constexpr {self.name} {which}\[\d+\] = {{(.*?)}};", self.body(), re.S
        )
        assert found
        return [number(c.strip()) for c in found[2].split(",")], 2.0 ** float(found[1])

    def ln2(self) -> float:
        found = re.search(r" ln2 = ([^;f]*(?:f[^;f]*)*?)f?;", self.body())
        assert found
        return float.fromhex(found[1])


FLOAT = Type("float", "ieee_32", 23, 14)
DOUBLE = Type("double", "ieee_64", 52, 64)
# Binades of E = M + X, from the least y on, and into how many pieces each is cut.
RANGES = {"float": ((range(-25, -4), 1), (range(-4, 7), 2)), "double": ((range(-54, -4), 1), (range(-4, 7), 2))}
LN2_ERROR = {"float": 2.0e-9, "double": 2.4e-17}  # |log 2 - ln2| of the format


def number(text: str | float) -> str:
    """A float as gappa writes it, an integer times a power of two."""
    exact = Fraction(float.fromhex(text.rstrip("f") if text.endswith("f") else text) if isinstance(text, str) else text)
    return f"{exact.numerator}b-{exact.denominator.bit_length() - 1}"


def evaluation(c: list[str], x: str, square: str, rounded: bool, name: str) -> list[str]:
    """`polynomial(x, square, c)` of elementary.hpp as `name`: even and odd terms, each by Horner's rule."""
    lines, sums = [], [c[-1], c[-2]]
    operation = "rnd({})" if rounded else "{}"
    for i in reversed(range(len(c) - 2)):
        own = (len(c) - 1 - i) % 2
        lines.append(f"{name}{i} = {operation.format(f'{sums[own]} * {square} + {c[i]}')};")
        sums[own] = f"{name}{i}"
    last = operation.format(f"{sums[len(c) % 2]} * {x} + {sums[(len(c) - 1) % 2]}")
    return [*lines, f"{name} = {last};"]


@cache
def bound(script: str) -> float:
    """The larger end of the interval that gappa finds for the question of a script."""
    done = subprocess.run(["gappa"], input=script, capture_output=True, text=True, check=False)
    found = re.search(r"in \[(-?\d+)(?:b(-?\d+))?(?: \{[^}]*\})?, (-?\d+)(?:b(-?\d+))?", done.stdout + done.stderr)
    assert found, (script, done.stdout, done.stderr)
    low, low_power, high, high_power = found.groups()
    ends = (
        Fraction(int(low)) * Fraction(2) ** int(low_power or 0),
        Fraction(int(high)) * Fraction(2) ** int(high_power or 0),
    )
    return float(max(abs(e) for e in ends))


def excess_error(
    t: Type, k: int, y: tuple[float, float], m: tuple[float, float], m_error: float, alone: bool = False
) -> float:
    """The error of `exponential` for k zeros, y and M in these intervals, M off by `m_error`; alone: without M."""
    c, distance = t.polynomial("excess")
    ln2 = t.ln2()
    low, high = y
    distance *= -math.log1p(-high) * 1.001
    inner = ["part = rnd(sq * p + y);"] if alone else ["inner = rnd(sq * p + m);", "part = rnd(inner + y);"]
    exact = "sqx * q + y" if alone else "(sqx * q + m) + y"
    lines = [
        f"@rnd = float<{t.gappa}, ne>;",
        "y = rnd(yy);" if alone else "y = rnd(yy); m = rnd(mm);",
        "sq = rnd(y * y);",
        "sqx = y * y;",
        *evaluation(c, "y", "sq", True, "p"),
        *evaluation(c, "y", "sqx", False, "q"),
        *inner,
        f"e = rnd({k} * {number(ln2)} + part);" if k else "e = part;",
        f"ex = {k} * {number(ln2)} + ({exact});" if k else f"ex = {exact};",
        f"{{ y in [{number(low)}, {number(high)}]"
        + ("" if alone else f" /\\ m in [{number(m[0])}, {number(m[1])}]")
        + " -> e - ex in ? }",
    ]
    return bound("\n".join(lines)) + distance + m_error + k * LN2_ERROR[t.name]


def log_error(t: Type, octave: int, r: tuple[float, float]) -> float:
    """The error of `minus_log` in an octave, for 1 - t in [3/4, 3/2) with t in an interval."""
    c, distance = t.polynomial("log")
    lines = [
        f"@rnd = float<{t.gappa}, ne>;",
        "t = rnd(tt);",
        "sq = rnd(t * t);",
        "sqx = t * t;",
        *evaluation(c, "t", "sq", True, "p"),
        *evaluation(c, "t", "sqx", False, "q"),
        "near = rnd(sq * p + t);",
        f"g = rnd({octave} * {number(-t.ln2())} + near);" if octave else "g = near;",
        f"gx = {octave} * {number(-t.ln2())} + (sqx * q + t);" if octave else "gx = sqx * q + t;",
        f"{{ t in [{number(r[0])}, {number(r[1])}] -> g - gx in ? }}",
    ]
    return bound("\n".join(lines)) + distance + abs(octave) * LN2_ERROR[t.name]


def unit(t: Type, x: float) -> float:
    """The ulp of a positive number."""
    return 2.0 ** (math.frexp(x)[1] - 1 - t.bits)


def y_of(excess: float) -> float:
    return min(max(-math.expm1(-excess), 0.0), 0.5)


def excess_ulps(t: Type, most_zeros: int) -> float:
    """The largest error of X in its ulp; y is exact by the law. A minimum M is such an X, divided by 32 exactly."""
    worst = 0.0
    for k in range(most_zeros + 1):
        even = [0.25 + i / 64 for i in range(17)] if k < 4 else [0.25, 0.5]
        for low, high in pairwise([2.0**-i for i in range(30, 2, -1)] + even if k == 0 else [2.0**-60, 0.125, *even]):
            least = k * LN2 - math.log1p(-low)
            worst = max(worst, excess_error(t, k, (low, high), (0, 0), 0, alone=True) / unit(t, least))
    return worst


@dataclass(frozen=True)
class Part:
    """E in [low, high] with k zeros, y and M in intervals."""

    low: float
    high: float
    k: int
    y: tuple[float, float]
    m: tuple[float, float]


def parts(t: Type, binades: range, pieces: int) -> Iterator[Part]:
    for e in binades:
        for i in range(pieces):
            low, high = 2.0**e * (1 + i / pieces), 2.0**e * (1 + (i + 1) / pieces)
            sizes = [2.0 ** (e + 1 - j) for j in range(5)] + [0.0]
            for k in range(t.most_zeros + 1):
                for m_high, m_low in pairwise(sizes):
                    most, least = high - k * LN2 - m_low, low - k * LN2 - m_high
                    if most > 0 and least < LN2:
                        y = y_of(max(least, 0.0) * (1 - 1e-9)), y_of(most * (1 + 1e-9))
                        yield Part(
                            low,
                            high,
                            k,
                            (max(y[0], 2.0 ** -(t.bits + 2)), max(y[1], 2.0 ** -(t.bits + 2))),
                            (m_low, min(m_high, high)),
                        )


def octave_and_t(x: float) -> tuple[int, float]:
    octave = math.floor(math.log2(x / 0.75))
    return octave, 1 - x / 2.0**octave


def gumbel_error(t: Type, low: float, high: float, e_error: float) -> float:
    """The error of -log of what stands for an E in [low, high], in ulp of max(1, |g|)."""
    low, high = low - e_error, high + e_error
    edges = sorted({low, high, *(0.75 * 2.0**n for n in range(-70, 8) if low < 0.75 * 2.0**n < high)})
    logarithm = 0.0
    for a, b in pairwise(edges):
        octave, _ = octave_and_t((a + b) / 2)
        logarithm = max(logarithm, log_error(t, octave, (1 - b / 2.0**octave, 1 - a / 2.0**octave)))
    nearest = min(abs(math.log(low)), abs(math.log(high))) if (low - 1) * (high - 1) > 0 else 0.0
    return (e_error / low + logarithm) / unit(t, max(1.0, nearest))


def worst(t: Type, binades: range, pieces: int, m_ulps: float) -> tuple[float, float]:
    """The largest errors of E in its ulp, and of g in that of max(1, |g|)."""

    def errors(part: Part) -> tuple[float, float]:
        m_error = m_ulps * unit(t, part.m[1] * 0.999 if part.m[1] else 2.0**-120)
        e = excess_error(t, part.k, part.y, part.m, m_error)
        return e / unit(t, part.low), gumbel_error(t, part.low, part.high, e)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(errors, parts(t, binades, pieces)))
    # Minima alone reach below what y = m / 2 can be.
    alone = [gumbel_error(t, 2.0**e, 2.0 ** (e + 1), m_ulps * unit(t, 2.0**e)) for e in range(-66, 2)]
    return max(e for e, _ in found), max(*(g for _, g in found), *alone)
