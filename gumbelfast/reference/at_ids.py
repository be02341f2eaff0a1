"""Columns that are ids in a larger space: a row's draw is that of the whole row with all other columns at -inf.

The noise of column j is that of the row's element j, and none but the elements that are named is computed. So a draw
depends on the ids of a row, not on their order or on what else is there; the lower id goes first among equals.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .gumbel_max import perturb, tie_breakers
from .philox import U64


def top_k_at(
    logits: NDArray[Any], noise: NDArray[Any], scale: float, ids: U64, k: int
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Draw k ids of one row without replacement, in order.

    Parameters
    ----------
    logits : float32 or float64 array of shape (n,)
        Unnormalised log-probabilities; -inf is never drawn.
    noise : array like ``logits``
        The Gumbel noise of each id.
    scale : float
        1 / T.
    ids : uint64 array of shape (n,)
        The columns, all different.
    k : int
        How many; 1 is the Gumbel-max draw.

    Returns
    -------
    index : int64 array of shape (k,)
        Ids, the largest perturbed value first; -1 where nothing is left.
    perturbed : float64 array of shape (k,)
        Their perturbed values, -inf where nothing is left.
    """
    perturbed = perturb(logits, noise, scale)
    order = np.lexsort((ids, -tie_breakers(logits, perturbed), -perturbed.sum))
    order = order[np.isfinite(logits[order])][:k]
    index, best = np.full(k, -1, np.int64), np.full(k, -np.inf)
    index[: order.size], best[: order.size] = ids[order], perturbed.sum[order]
    return index, best
