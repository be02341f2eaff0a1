"""Gumbel-max: a draw from softmax(x / T) is the argmax of x / T + g.

With independent standard Gumbels g, P(argmax = i) = exp(x_i / T) / sum_j exp(x_j / T), and the maximum itself is
Gumbel distributed around logsumexp(x / T), independent of the argmax (Gumbel 1954; Maddison, Tarlow, Minka 2014).
The logarithms of weights serve as logits as they are: no normalisation is needed.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def perturb(logits: NDArray[Any], noise: NDArray[Any], scale: float) -> NDArray[Any]:
    """fl(fl(x * s) + g) in the dtype of the logits, s = 1 / T rounded to it: the one rounding of the stream law.

    A logit of -inf stays -inf, also where s rounds to 0.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        s = logits.dtype.type(scale)
        return np.where(np.isneginf(logits), logits, logits * s + noise)


def gumbel_max(logits: NDArray[Any], noise: NDArray[Any], scale: float = 1.0) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Draw one category per row.

    Parameters
    ----------
    logits : float32 or float64 array of shape (rows, K)
        Unnormalised log-probabilities; -inf is never drawn.
    noise : array like ``logits``
        Standard Gumbel noise.
    scale : float
        1 / T.

    Returns
    -------
    index : int64 array of shape (rows,)
        The argmax, the lowest of equals; -1 for a row with nothing to draw.
    perturbed : array of shape (rows,)
        The maximum; -inf for a row with nothing to draw.
    """
    perturbed = perturb(logits, noise, scale)
    best = perturbed.max(axis=-1)
    return np.where(np.isneginf(best), -1, perturbed.argmax(axis=-1)), best
