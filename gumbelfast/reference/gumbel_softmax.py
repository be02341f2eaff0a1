"""Gumbel-softmax: a Gumbel-max draw, relaxed so that it can be differentiated.

softmax((x + g) / tau) is a point of the simplex that tends to the one-hot of argmax(x + g) as tau tends to 0
(Jang, Gu, Poole 2017; Maddison, Mnih, Teh 2017: the Concrete distribution). The temperature follows the noise here,
so the argmax is that of an untempered Gumbel-max draw whatever tau is.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .gumbel_max import gumbel_max
from .softmax import softmax


def gumbel_softmax(
    logits: NDArray[Any], noise: NDArray[Any], inv_tau: float | NDArray[Any] = 1.0
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Draw a relaxed and a hard one-hot vector per row.

    Parameters
    ----------
    logits : float32 or float64 array of shape (rows, K)
        Unnormalised log-probabilities; every row has a finite one.
    noise : array like ``logits``
        Standard Gumbel noise.
    inv_tau : float
        1 / tau.

    Returns
    -------
    soft : array of shape (rows, K)
        softmax((p - max p) / tau) of p = fl(fl(x - max x) + g), not yet rounded to the dtype of the logits.
    hard : bool array of shape (rows, K)
        True at the Gumbel-max draw.
    """
    index, _ = gumbel_max(logits, noise)
    return softmax(relaxed_logits(logits, noise), inv_tau), np.arange(logits.shape[-1]) == index[:, None]


def relaxed_logits(logits: NDArray[Any], noise: NDArray[Any]) -> NDArray[Any]:
    """fl(fl(x - max x) + g): small numbers, whatever is common to all logits, so that none of the noise is lost."""
    with np.errstate(over="ignore"):
        p: NDArray[Any] = (logits - logits.max(axis=-1, keepdims=True)) + noise
    return p
