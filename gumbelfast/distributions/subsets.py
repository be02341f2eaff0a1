"""Probabilities that successive sampling draws a given set first, also with some of its items left out."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_FEW = 6  # up to here all orders are summed; the sums cost 2**k, and agree with the integral to rounding


class LeaveOut(NamedTuple):
    """Log-probabilities that the first draws are the items of a set S, in any order.

    Attributes
    ----------
    none : ndarray of shape (...)
        From all items.
    one : ndarray of shape (..., k)
        That they are S without item i, where item i cannot be drawn.
    two : ndarray of shape (..., k, k)
        That they are S without items i and j, where neither can be drawn; minus infinity for i = j, which has no
        meaning.
    """

    none: Array
    one: Array
    two: Array


def log_inclusion(t: Array) -> Array:
    """log(1 - exp(-exp(t))); below t = -37 that is t to all digits."""
    with np.errstate(over="ignore", divide="ignore"):
        return np.where(t < -37, t, np.log(-np.expm1(-np.exp(t))))


def leave_out(inside: Array, outside: Array) -> LeaveOut:
    """From the finite log-weights of the items, shape (..., k), and the logarithm of the weight of all others."""
    return by_orders(inside, outside) if inside.shape[-1] <= _FEW else by_integral(inside, outside)


def set_log_prob(inside: Array, outside: Array) -> Array:
    """`LeaveOut.none` alone."""
    if inside.shape[-1] <= _FEW:
        return _sums(inside, outside)[..., 0]
    base, factors = _integrand(inside, outside)
    return _log_sum(base + factors.sum(axis=-1))


def by_orders(inside: Array, outside: Array) -> LeaveOut:
    """By summation over orders, one subset of S after the other."""
    k = inside.shape[-1]
    table, bit = _sums(inside, outside), 1 << np.arange(k)
    two = table[..., bit[:, None] | bit]
    two[..., np.arange(k), np.arange(k)] = -np.inf
    return LeaveOut(table[..., 0], table[..., bit], two)


def _sums(inside: Array, outside: Array) -> Array:
    """At place A (a set of bits): the log-probability that the next draws are S less A, where A has been drawn.

    The first of them is s with probability w_s / (the weight of all but A), and the rest follows as if A and s had been
    drawn: sums of positive terms, without any cancellation.
    """
    k = inside.shape[-1]
    left = np.empty((*inside.shape[:-1], 1 << k))
    table = np.zeros_like(left)
    left[..., -1] = outside
    for drawn in reversed(range((1 << k) - 1)):
        rest = [s for s in range(k) if not drawn >> s & 1]
        then = [drawn | 1 << s for s in rest]
        left[..., drawn] = np.logaddexp(left[..., then[0]], inside[..., rest[0]])
        table[..., drawn] = np.logaddexp.reduce(inside[..., rest] + table[..., then], axis=-1) - left[..., drawn]
    return table


def by_integral(inside: Array, outside: Array) -> LeaveOut:
    """By the integral over the arrival of the first item that is not in the set."""
    base, factors = _integrand(inside, outside)
    log_product = base + factors.sum(axis=-1)
    one = np.stack([_log_sum(log_product - f) for f in np.moveaxis(factors, -1, 0)], axis=-1)
    k = inside.shape[-1]
    two = np.full((*inside.shape, k), -np.inf)
    for i in range(k):
        for j in range(i):
            without = log_product - factors[..., i] - factors[..., j]
            two[..., i, j] = two[..., j, i] = _log_sum(without)
    return LeaveOut(_log_sum(log_product), one, two)


def _integrand(inside: Array, outside: Array) -> tuple[Array, Array]:
    """Logarithms at the nodes of a quadrature: of the weights, shape (n,), and of the factors, shape (..., n, k).

    Items arrive at exponential times with rates w; W is the rate of all others, and T = e^s / W the first of them. Then

        P(S) = int_0^1 prod_i (1 - u^(w_i / W)) du = int e^(s - e^s) prod_i (1 - exp(-(w_i / W) e^s)) ds.

    The logarithm of the integrand is concave in s. Where its slope is 0, M = e^s lies in [1, k + 1], and it falls by
    M (d - 1 + e^-d) or more over d to the left, by M (e^d - 1 - d) or more to the right: what is cut off is below
    e^-40 of the whole. It is analytic for |Im s| < pi/2 and no narrower than 1/sqrt(k + 1), so the trapezoidal rule
    converges geometrically (Trefethen and Weideman 2014); with this step its error is below that of the rounding.
    """
    k = inside.shape[-1]
    step = 0.5 / np.sqrt(k + 1)
    s = np.arange(-42, np.log(k + 1) + 4, step)
    rate = inside - outside[..., None]
    return s - np.exp(s) + np.log(step), log_inclusion(s[:, None] + rate[..., None, :])


def _log_sum(terms: Array) -> Array:
    most = terms.max(axis=-1, keepdims=True)
    total: Array = np.log(np.exp(terms - most).sum(axis=-1)) + most[..., 0]
    return total
