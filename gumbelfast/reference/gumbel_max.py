"""Gumbel-max: a draw from softmax(x / T) is the argmax of x / T + g.

With independent standard Gumbels g, P(argmax = i) = exp(x_i / T) / sum_j exp(x_j / T), and the maximum itself is
Gumbel distributed around logsumexp(x / T), independent of the argmax (Gumbel 1954; Maddison, Tarlow, Minka 2014).
The logarithms of weights serve as logits as they are: no normalisation is needed.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Perturbed(NamedTuple):
    """Perturbed values: the sum in float64, and the error of its rounding."""

    sum: NDArray[np.float64]
    rest: NDArray[np.float64]


def perturb(logits: NDArray[Any], noise: NDArray[Any], scale: float | NDArray[Any]) -> Perturbed:
    """fl(x * s) + g in float64, s = 1 / T.

    The error of that sum is a float64 number, too (Knuth's two-sum). It is kept, so that nothing of the noise is lost,
    however large the logit.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        x, g = logits.astype(np.float64), noise.astype(np.float64)
        p = np.where(np.isneginf(x), x, x * np.asarray(scale, np.float64))
        total = p + g
        part = total - p
        error = (p - (total - part)) + (g - part)
    return Perturbed(total, np.where(np.isfinite(total), error, 0.0))


def tie_breakers(logits: NDArray[Any], perturbed: Perturbed) -> NDArray[Any]:
    """What decides between equal sums: the rest, or the logits where these overflow."""
    return np.where(np.isinf(perturbed.sum), logits, perturbed.rest)


def gumbel_max(
    logits: NDArray[Any], noise: NDArray[Any], scale: float | NDArray[Any] = 1.0
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Draw one category per row.

    Parameters
    ----------
    logits : float32 or float64 array of shape (rows, K)
        Unnormalised log-probabilities; -inf is never drawn.
    noise : array like ``logits``
        Standard Gumbel noise.
    scale : float, or array of shape (rows, 1)
        1 / T.

    Returns
    -------
    index : int64 array of shape (rows,)
        The argmax, the lowest of equals; -1 for a row with nothing to draw. Where the maximum overflows, equal values
        are told apart by their logits.
    perturbed : float64 array of shape (rows,)
        The maximum; -inf for a row with nothing to draw.
    """
    perturbed = perturb(logits, noise, scale)
    best = perturbed.sum.max(axis=-1, keepdims=True)
    index = np.where(perturbed.sum == best, tie_breakers(logits, perturbed), -np.inf).argmax(axis=-1)
    return np.where(np.isneginf(logits).all(axis=-1), -1, index), best[..., 0]
