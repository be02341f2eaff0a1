"""Writes csrc/kernels/tables.hpp: the tables and polynomials of log and exp. Needs mpmath and NumPy.

log: x = 2**k * m with m in [0.5, 1), cut in 16 buckets by the top four bits of the mantissa. Each bucket has a
reciprocal 1/c near its centre, chosen so that -log(c) lies within 2**-10 ulp of a float (Gal's accurate tables); the
last bucket, which ends at 1, has c = 1, so that log keeps its relative accuracy there.
log1p(r) = r + r*r*q(r) on |r| <= 1/31. exp(r) = 1 + r + r*r*q(r) on |r| <= log(2)/2.
Polynomials: weighted least squares on Chebyshev nodes, reweighted towards the largest error (Lawson's method).
"""

import mpmath as mp
import numpy as np

mp.mp.prec = 160
BUCKETS = 16


def bucket(i: int) -> tuple[mp.mpf, mp.mpf]:
    """The interval of mantissas that bucket i takes."""
    return mp.mpf(16 + i) / 32, mp.mpf(17 + i) / 32


def accurate_entry(i: int, real: type) -> tuple[float, float]:
    """A reciprocal near the bucket's centre and minus its logarithm, both almost exactly representable."""
    if i == BUCKETS - 1:
        return 1.0, 0.0
    low, high = bucket(i)
    start = real(2 / (low + high))
    step = np.spacing(start)
    best = (mp.inf, 0.0, 0.0)
    for n in range(20000):
        inv = real(start + real((n // 2 + n % 2) * (-1) ** n) * step)
        exact = mp.log(mp.mpf(float(inv)))
        rounded = real(exact)
        error = abs(exact - mp.mpf(float(rounded))) / mp.mpf(float(np.spacing(abs(rounded))))
        if error < best[0]:
            best = (error, float(inv), float(rounded))
        if error < mp.mpf(2) ** -10:
            break
    return best[1], best[2]


def fit(function, weight, low: float, high: float, terms: int) -> tuple[list[mp.mpf], mp.mpf]:
    """Coefficients of the polynomial that nearly minimises max |weight * (p - function)|, and that maximum."""
    nodes = 12 * terms
    xs = [(low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (j + mp.mpf(1) / 2) / nodes) for j in range(nodes)]
    half = max(abs(mp.mpf(low)), abs(mp.mpf(high)))
    rows = [[(x / half) ** n for n in range(terms)] for x in xs]
    values = [function(x) for x in xs]
    scale = [weight(x) for x in xs]
    lawson = [mp.mpf(1)] * nodes
    best = (mp.inf, [])
    for _ in range(60):
        factor = [mp.sqrt(u) * s for u, s in zip(lawson, scale, strict=True)]
        a = mp.matrix([[f * v for v in row] for f, row in zip(factor, rows, strict=True)])
        b = mp.matrix([f * v for f, v in zip(factor, values, strict=True)])
        c = mp.lu_solve(a.T * a, a.T * b)
        errors = [
            abs(s * (sum(c[n] * row[n] for n in range(terms)) - v))
            for s, row, v in zip(scale, rows, values, strict=True)
        ]
        if max(errors) < best[0]:
            best = (max(errors), [c[n] / half**n for n in range(terms)])
        lawson = [u * (e + max(errors) * mp.mpf("1e-3")) for u, e in zip(lawson, errors, strict=True)]
        total = sum(lawson)
        lawson = [u / total for u in lawson]
    return best[1], best[0]


def array(values: list[float], real: type) -> str:
    suffix = "f" if real is np.float32 else ""
    return ",\n    ".join(
        ", ".join(float(real(v)).hex() + suffix for v in values[i : i + 4]) for i in range(0, len(values), 4)
    )


def main() -> None:
    bound = mp.mpf(1) / 31
    print("// Written by csrc/tables/generate.py; do not edit.\n#pragma once\n\nnamespace gumbelfast {\nnamespace {\n")
    print("template <class T>\nstruct Tables;\n")
    for real, log_terms, exp_terms in ((np.float32, 3, 5), (np.float64, 8, 10)):
        ctype = "float" if real is np.float32 else "double"
        entries = [accurate_entry(i, real) for i in range(BUCKETS)]
        log_q, log_error = fit(
            lambda r: (mp.log1p(r) - r) / (r * r), lambda r: r * r / mp.log1p(r), -bound, bound, log_terms
        )
        # Where the log itself is the result, an error beside its own rounding would show.
        fine_q, _ = fit(
            lambda r: (mp.log1p(r) - r) / (r * r), lambda r: r * r / mp.log1p(r), -bound, bound, log_terms + 1
        )
        ln2 = mp.log(2)
        exp_q, exp_error = fit(
            lambda r: (mp.expm1(r) - r) / (r * r), lambda r: r * r / mp.exp(r), -ln2 / 2, ln2 / 2, exp_terms
        )
        # The high part of log(2) leaves room for an exact product with any exponent.
        bits = 15 if real is np.float32 else 41
        ln2_high = mp.floor(ln2 * mp.mpf(2) ** bits) / mp.mpf(2) ** bits
        print(f"template <>\nstruct Tables<{ctype}> {{")
        print(f"  // relative error of the polynomials: log1p {mp.nstr(log_error, 3)}, exp {mp.nstr(exp_error, 3)}")
        for place, name in enumerate(("reciprocal", "minus_log")):
            values = array([entry[place] for entry in entries], real)
            print(f"  alignas(64) static constexpr {ctype} {name}[16] = {{\n    {values}}};")
        print(f"  static constexpr {ctype} log_q[{log_terms}] = {{\n    {array(log_q, real)}}};")
        print(f"  static constexpr {ctype} log_q_fine[{log_terms + 1}] = {{\n    {array(fine_q, real)}}};")
        print(f"  static constexpr {ctype} exp_q[{exp_terms}] = {{\n    {array(exp_q, real)}}};")
        for name, value in (
            ("ln2", ln2),
            ("ln2_high", ln2_high),
            ("ln2_low", ln2 - ln2_high),
            ("log2_e", 1 / ln2),
        ):
            print(f"  static constexpr {ctype} {name} = {array([value], real)};")
        print("};\n")
    print("}  // namespace\n}  // namespace gumbelfast")


if __name__ == "__main__":
    main()
