"""Formulas of estimators for arrays of NumPy, PyTorch and JAX alike; `xp` is the module that an array comes from.

They use only functions that have the same name in all three. PyTorch accepts `axis` and `keepdims` too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = Any

_FEW = 6  # distinct draws up to which all orders are summed


def across(values: Array, z: Array) -> Array:
    """The values, with axes of size 1 for those that f summed over."""
    return values.reshape(tuple(values.shape) + (1,) * (z.ndim - values.ndim))


def along(y: Array, t: Array) -> Array:
    """The derivative of a softmax that gave y along t, or its transpose: they are the same."""
    return y * (t - (y * t).sum(axis=-1, keepdims=True))


def less_the_others(xp: Any, values: Array, weight: Array) -> Array:
    """Each sample's value minus the weighted mean of the other samples' values."""
    rest, weighted = weight.sum(axis=0) - weight, weight * values
    known = rest > 0
    rest_sum = weighted.sum(axis=0) - weighted
    return values - xp.where(known, rest_sum / xp.where(known, rest, 1.0), 0.0)


def given_winner(xp: Any, x: Array, log_total: Array, noise: Array, z: Array) -> Array:
    """Perturbed logits, given that the one-hot `z` names the largest: what `conditional_gumbel` draws."""
    top = log_total + (z * noise).sum(axis=-1, keepdims=True)
    free = x + noise
    below = xp.minimum(free, top) - xp.log1p(xp.exp(-abs(top - free)))
    return xp.where(z > 0, top, below)


def through_the_winner(xp: Any, slope: Array, given: Array, p: Array) -> Array:
    """The gradient with respect to the logits, from one with respect to perturbed logits drawn given their largest.

    With t = exp(-maximum) the conditional race is exp(-given_i) = t + e_i exp(-x_i), and t = e / sum exp(x): hence
    d given_i / d x_j = w_i p_j + (1 - w_i) [i = j], w_i = exp(given_i - maximum).
    """
    share = xp.exp(given - xp.amax(given, axis=-1, keepdims=True))
    return (1 - share) * slope + p * (share * slope).sum(axis=-1, keepdims=True)


def gapped(xp: Any, x: Array, z: Array, gap: float) -> Array:
    """The logits with the chosen one raised to the largest, and the others lowered to at least `gap` below it."""
    top = xp.amax(x, axis=-1, keepdims=True)
    return xp.where(z > 0, top, xp.minimum(x, top - gap))


def logistic(xp: Any, e: Array) -> tuple[Array, Array]:
    """From standard exponentials: uniforms u = 1 - exp(-e), and log(u / (1 - u))."""
    u = -xp.expm1(-e)
    return u, e + xp.log(u)


def antithetic(xp: Any, x: Array, e: Array, kind: str) -> tuple[Array, Array]:
    """Bits from u, then bits from 1 - u, and the weight of the difference of their values."""
    u, noise = logistic(xp, e)
    bits = [xp.where(x + sign * noise > 0, xp.ones_like(noise), xp.zeros_like(noise)) for sign in (1, -1)]
    if kind == "arm":
        return xp.stack(bits), u - 0.5
    return xp.stack(bits), 0.5 * (bits[0] - bits[1]) / (1 + xp.exp(-abs(x)))


def log_sum(xp: Any, terms: Array, axis: int) -> Array:
    """Log of the sum of exp(terms), with that axis of size 1; no row has only -inf."""
    top = xp.amax(terms, axis=axis, keepdims=True)
    return top + xp.log(xp.exp(terms - top).sum(axis=axis, keepdims=True))


def vimco_coefficients(xp: Any, log_w: Array) -> Array:
    """The weights of the scores of K samples, for the gradient of E[log mean w] with respect to their distribution.

    The baseline of sample i has the geometric mean of the other weights in place of its own (Mnih and Rezende 2016,
    section 2.5); the last term is the derivative of -log q within the weights.
    """
    count = log_w.shape[0]
    others = (log_w.sum(axis=0) - log_w) / (count - 1)
    top = xp.amax(log_w, axis=0)  # no less than the mean of any others
    own = xp.exp(log_w - top)
    replaced = own.sum(axis=0) - own + xp.exp(others - top)
    total = own.sum(axis=0)
    return xp.log(total / replaced) - own / total


def log_inclusion(xp: Any, t: Array) -> Array:
    """log(1 - exp(-exp(t))); below t = -37 that is t to all digits."""
    near = xp.where(t < -37, -37.0, t)
    return xp.where(t < -37, t, xp.log(-xp.expm1(-xp.exp(near))))


def leave_out(xp: Any, inside: Array, outside: Array) -> tuple[Array, Array, Array]:
    """Log-probabilities that the first draws are a set, the set less one item, less two: those of `subsets`."""
    return (_by_orders if inside.shape[-1] <= _FEW else _by_integral)(xp, inside, outside)


def _by_orders(xp: Any, inside: Array, outside: Array) -> tuple[Array, Array, Array]:
    k = inside.shape[-1]
    every = (1 << k) - 1
    left, table = {every: outside}, {every: xp.zeros_like(outside)}
    for drawn in reversed(range(every)):
        rest = [s for s in range(k) if not drawn >> s & 1]
        left[drawn] = xp.logaddexp(left[drawn | 1 << rest[0]], inside[..., rest[0]])
        terms = xp.stack([inside[..., s] + table[drawn | 1 << s] for s in rest], -1)
        table[drawn] = log_sum(xp, terms, -1)[..., 0] - left[drawn]
    one = xp.stack([table[1 << i] for i in range(k)], -1)
    two = xp.stack([xp.stack([table[1 << i | 1 << j] for j in range(k)], -1) for i in range(k)], -2)
    return table[0], one, two


def _by_integral(xp: Any, inside: Array, outside: Array) -> tuple[Array, Array, Array]:
    k = inside.shape[-1]
    step = 0.5 / math.sqrt(k + 1)
    nodes = np.arange(-42, math.log(k + 1) + 4, step).reshape(-1, *(1,) * inside.ndim)
    s = xp.asarray(nodes, dtype=inside.dtype)
    factors = log_inclusion(xp, s + (inside - outside[..., None]))
    product = s + (factors.sum(axis=-1, keepdims=True) - xp.exp(s) + math.log(step))

    one = product - factors
    two = one[..., None] - factors[..., None, :]
    return log_sum(xp, product[..., 0], 0)[0], log_sum(xp, one, 0)[0], log_sum(xp, two, 0)[0]


def unordered_weights(xp: Any, log_p: Array, outside: Array, f: Array, baseline: str | None) -> tuple[Array, Array]:
    """The products p(s) R(S, s), and the same times f(s) - b(s)."""
    none, one, two = leave_out(xp, log_p, outside)
    weights = xp.exp(log_p + one - none[..., None])
    if baseline is None:
        return weights, weights * f
    own = xp.asarray(np.eye(log_p.shape[-1]), dtype=log_p.dtype)
    others = xp.where(own > 0, 0.0, xp.exp(log_p[..., None, :] + two - one[..., None]))
    return weights, weights * (-xp.expm1(log_p) * f - (others * f[..., None, :]).sum(axis=-1))


def importance_weights(xp: Any, log_p: Array, kappa: Array, f: Array, baseline: str | None) -> tuple[Array, Array]:
    """The weights w = p / q, with q the probability that a perturbed log-probability exceeds kappa, and w (f - b)."""
    weights = xp.exp(log_p - log_inclusion(xp, log_p - kappa[..., None]))
    if baseline == "normalized":
        weights = weights / weights.sum(axis=-1, keepdims=True)
    if baseline is None:
        return weights, weights * f
    mean = (weights * f).sum(axis=-1, keepdims=True)
    own = weights - xp.exp(log_p) if baseline == "leave_one_out" else 0.0
    return weights, weights * (f - (mean - own * f))
