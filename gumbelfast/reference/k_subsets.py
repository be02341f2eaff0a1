"""Sums over all subsets of k items: elementary symmetric polynomials of the weights, in the logarithm.

With weights w = exp(x), e_j(i) = the sum over all j of the first i items of the product of their weights follows from
e_j(i) = e_j(i - 1) + w_i e_(j-1)(i - 1): O(K k) additions of positive numbers, so nothing cancels (Gail, Lubin and
Rubinstein 1981; Ahmed, Zeng, Niepert and Van den Broeck, "SIMPLE", 2023).
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


def sums(x: Array, k: int) -> Array:
    """The logarithm of e_j(i) of rows (n, K), shape (K + 1, n, k + 1): of the first i items, j taken."""
    table = np.full((x.shape[1] + 1, len(x), k + 1), -np.inf, x.dtype)
    table[0, :, 0] = 0
    for i, item in enumerate(x.T):
        table[i + 1] = table[i]
        table[i + 1, :, 1:] = np.logaddexp(table[i, :, 1:], table[i, :, :-1] + item[:, None])
    return table


def marginals(x: Array, k: int) -> Array:
    """The probability that each item is in the subset, (n, K), where that has probability prod w / e_k."""
    before, behind = sums(x, k), sums(x[:, ::-1], k)[::-1]
    if k == 0:
        return np.zeros_like(x)
    joined = before[:-1, :, :k] + behind[1:, :, k - 1 :: -1]
    with np.errstate(under="ignore"):
        log_p = np.logaddexp.reduce(joined, axis=-1).T + x - before[-1, :, k, None]
        found: Array = np.exp(log_p)
    return found


def derivatives(x: Array, k: int, rate: Array) -> Array:
    """How fast the marginals change where x changes at these rates (n, K): their covariance times the rates."""
    if k == 0:
        return np.zeros_like(x)
    before, d_before = _moving(x, k, rate)
    behind, d_behind = (each[::-1] for each in _moving(x[:, ::-1], k, rate[:, ::-1]))
    joined = before[:-1, :, :k] + behind[1:, :, k - 1 :: -1]
    with np.errstate(under="ignore"):
        total = np.logaddexp.reduce(joined, axis=-1)
        none = np.isneginf(total)
        share = np.exp(joined - np.where(none, 0, total)[..., None])
        inner = (share * (d_before[:-1, :, :k] + d_behind[1:, :, k - 1 :: -1])).sum(axis=-1).T
        p = np.exp(total.T + x - before[-1, :, k, None])
    found: Array = p * (rate + inner - d_before[-1, :, k, None])
    return found


def _moving(x: Array, k: int, rate: Array) -> tuple[Array, Array]:
    """`sums`, and their derivatives."""
    table = sums(x, k)
    moving = np.zeros_like(table)
    with np.errstate(invalid="ignore", under="ignore"):
        for i, item in enumerate(x.T):
            whole = table[i + 1, :, 1:]
            kept, taken = (
                np.where(np.isneginf(whole), 0, np.exp(part - whole))
                for part in (table[i, :, 1:], table[i, :, :-1] + item[:, None])
            )
            moving[i + 1] = moving[i]
            moving[i + 1, :, 1:] = kept * moving[i, :, 1:] + taken * (rate[:, i, None] + moving[i, :, :-1])
    return table, moving
