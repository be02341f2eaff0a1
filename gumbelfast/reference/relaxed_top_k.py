"""The relaxed k largest of each row: k softmaxes, each of what the ones before left (Xie and Ermon 2019).

With alpha_1 = z, for j = 1 ... k: p_j = softmax(alpha_j / tau), alpha_(j+1) = alpha_j + log(1 - p_j), and the result is
the sum of all p_j. Only one entry of p_j, the largest, can exceed 1/2. Its log(1 - p) is the logarithm of what the
others make up together, so nothing cancels, and nothing underflows however small tau is.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


class Step(NamedTuple):
    """One softmax p of each row (n, K), the place of its largest entry, and the softmax of all others (there 0)."""

    p: Array
    top: NDArray[np.int64]
    others: Array


def take(alpha: Array, inv_tau: Array) -> tuple[Step, Array]:
    """The softmax of ``alpha * inv_tau``, and alpha without what it took."""
    rows, top = np.arange(len(alpha)), alpha.argmax(axis=-1)
    with np.errstate(over="ignore"):
        rest = (alpha - alpha[rows, top][:, None]) * inv_tau
    rest[rows, top] = -np.inf
    second = rest.max(axis=-1)
    second[np.isneginf(second)] = 0
    with np.errstate(under="ignore", divide="ignore"):
        shares = np.exp(rest - second[:, None])
        total = shares.sum(axis=-1)
        # Of all others to the largest: what is left of it is this over 1 + this.
        log_rest = np.log(total) + second
        odds = np.exp(log_rest)
        p = np.exp(rest) / (1 + odds)[:, None]
        loss = np.log1p(-p)
        loss[rows, top] = log_rest - np.log1p(odds)
        p[rows, top] = 1 / (1 + odds)
        others = shares / np.where(total > 0, total, 1)[:, None]
    return Step(p, top, others), alpha + loss


def relaxed_top_k(z: Array, k: int, inv_tau: Array) -> Array:
    """The sum of the k softmaxes of each row.

    Parameters
    ----------
    z : float32 or float64 array of shape (n, K)
        Perturbed logits, at least k of them finite in each row.
    k : int
    inv_tau : array of shape (n, 1), dtype of ``z``
    """
    y = np.zeros_like(z)
    for _ in range(k):
        step, z = take(z, inv_tau)
        y += step.p
    return y


def relaxed_top_k_backward(grad: Array, z: Array, k: int, inv_tau: Array) -> Array:
    """The gradient with respect to z, from that with respect to the result.

    Backwards through the steps, with A the gradient with respect to alpha_(j+1) and g that with respect to the result,

        dp = g - A / (1 - p)        dalpha = A + p (dp - sum dp p) / tau

    in which p_i p_j / (1 - p_j) of the largest entry j is p_j times the softmax of the others at i.
    """
    steps = []
    for _ in range(k):
        step, z = take(z, inv_tau)
        steps.append(step)
    rows, above = np.arange(len(z)), np.zeros_like(z)
    for p, top, others in reversed(steps):
        most, told = p[rows, top], above[rows, top]
        odds = above * p / (1 - np.where(others > 0, p, 0))
        odds[rows, top] = 0
        total = odds.sum(axis=-1, keepdims=True)
        cross = p * (total - odds) + (told * most)[:, None] * others
        own = p * (grad - (grad * p).sum(axis=-1, keepdims=True) - above)
        above = above + inv_tau * (own + cross)
    return above
