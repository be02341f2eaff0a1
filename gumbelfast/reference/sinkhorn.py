"""Sinkhorn's normalisation of rows and columns, in the logarithm (Sinkhorn 1964; Mena et al. 2018).

A matrix exp(z / tau) is divided by the sums of its rows, then by those of its columns, again and again. After t rounds
its logarithm is z / tau less one number per row and one per column, which is all that the way back needs to know.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


def logsumexp(x: Array, axis: int) -> Array:
    """Of finite numbers, the axis kept."""
    most = x.max(axis=axis, keepdims=True)
    with np.errstate(under="ignore"):
        found: Array = most + np.log(np.exp(x - most).sum(axis=axis, keepdims=True))
    return found


def rounds(z: Array, inv_tau: Array, iterations: int) -> tuple[Array, list[tuple[Array, Array]]]:
    """The logarithm of the result; what was subtracted from rows (n, N, 1) and columns (n, 1, N) after each step."""
    start = z * inv_tau
    row, column = np.zeros_like(start[..., :1]), np.zeros_like(start[:, :1])
    seen = []
    for _ in range(iterations):
        row = logsumexp(start - column, -1)
        seen.append((row, column))
        column = logsumexp(start - row, -2)
        seen.append((row, column))
    return start - row - column, seen


def sinkhorn(z: Array, inv_tau: Array, iterations: int) -> Array:
    """Matrices whose columns sum to 1, and whose rows nearly do.

    Parameters
    ----------
    z : float32 or float64 array of shape (n, N, N), finite
    inv_tau : array of shape (n, 1, 1), dtype of ``z``
    iterations : int
        Rounds of rows and columns.
    """
    with np.errstate(under="ignore"):
        return np.exp(rounds(z, inv_tau, iterations)[0])


def sinkhorn_backward(grad: Array, z: Array, inv_tau: Array, iterations: int) -> Array:
    """The gradient with respect to z: of log y' = log y - logsumexp(log y) it is g - y' sum(g), once for each axis."""
    log_y, seen = rounds(z, inv_tau, iterations)
    start = z * inv_tau
    with np.errstate(under="ignore"):
        g = grad * np.exp(log_y)
        for i, (row, column) in reversed(list(enumerate(seen))):
            g = g - np.exp(start - row - column) * g.sum(axis=-1 - i % 2, keepdims=True)
    return g * inv_tau
