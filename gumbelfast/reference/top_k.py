"""Gumbel-top-k: the k largest of x / T + g are k draws without replacement.

In the order of their perturbed values they follow the Plackett-Luce model: each next draw comes from softmax(x / T)
over the categories that are left (Yellott 1977; Kool, van Hoof, Welling 2019). The first one is the Gumbel-max draw.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .gumbel_max import perturb, tie_breakers


def gumbel_top_k(
    logits: NDArray[Any], noise: NDArray[Any], scale: float | NDArray[Any], k: int
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Draw k categories per row without replacement, in order.

    Parameters
    ----------
    logits : float32 or float64 array of shape (rows, K)
        Unnormalised log-probabilities; -inf is never drawn.
    noise : array like ``logits``
        Standard Gumbel noise.
    scale : float, or array of shape (rows, 1)
        1 / T.
    k : int
        Draws per row, at most K.

    Returns
    -------
    index : int64 array of shape (rows, k)
        Largest perturbed value first, the lower index first among equals, and of values that overflow the larger logit;
        -1 where the row has nothing left.
    perturbed : float64 array of shape (rows, k)
        The perturbed values, -inf where the row has nothing left.
    """
    perturbed = perturb(logits, noise, scale)
    # A stable ascending sort of the negated values keeps equals in the order of their indices.
    index = np.lexsort((-tie_breakers(logits, perturbed), -perturbed.sum), axis=-1)[:, :k]
    best = np.take_along_axis(perturbed.sum, index, axis=-1)
    return np.where(np.isneginf(np.take_along_axis(logits, index, axis=-1)), -1, index), best
