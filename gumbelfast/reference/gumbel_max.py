"""Gumbel-max: a draw from softmax(x / T) is the argmax of x / T + g.

With independent standard Gumbels g, P(argmax = i) = exp(x_i / T) / sum_j exp(x_j / T), and the maximum itself is
Gumbel distributed around logsumexp(x / T), independent of the argmax (Gumbel 1954; Maddison, Tarlow, Minka 2014).
The logarithms of weights serve as logits as they are: no normalisation is needed.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def perturb(logits: NDArray[Any], noise: NDArray[Any], scale: float | NDArray[Any]) -> NDArray[Any]:
    """fl(fl(x * s) + g) in the dtype of the logits, s = 1 / T rounded to it: the one rounding of the stream law.

    A logit of -inf stays -inf, also where s rounds to 0.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        s = np.asarray(scale, logits.dtype)
        return np.where(np.isneginf(logits), logits, logits * s + noise)


def tie_breakers(logits: NDArray[Any], perturbed: NDArray[Any]) -> NDArray[Any]:
    """What decides between equal perturbed values: the logits where these overflow, nothing where they do not."""
    return np.where(np.isinf(perturbed), logits, 0)


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
    perturbed : array of shape (rows,)
        The maximum; -inf for a row with nothing to draw.
    """
    perturbed = perturb(logits, noise, scale)
    best = perturbed.max(axis=-1, keepdims=True)
    index = np.where(perturbed == best, tie_breakers(logits, perturbed), -np.inf).argmax(axis=-1)
    return np.where(np.isneginf(logits).all(axis=-1), -1, index), best[..., 0]
