"""Gumbel-softmax: a Gumbel-max draw, relaxed so that it can be differentiated.

softmax((x + g) / tau) is a point of the simplex that tends to the one-hot of argmax(x + g) as tau tends to 0
(Jang, Gu, Poole 2017; Maddison, Mnih, Teh 2017: the Concrete distribution). The temperature follows the noise here,
so the argmax is that of an untempered Gumbel-max draw whatever tau is.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .gumbel_max import perturb
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
        softmax((p - max p) / tau) of p = fl(x + g), not yet rounded to the dtype of the logits.
    hard : bool array of shape (rows, K)
        True at the maximum of p, the lowest of equals.
    """
    p = perturb(logits, noise, 1.0)
    hard = np.arange(p.shape[-1]) == p.argmax(axis=-1, keepdims=True)
    return softmax(p, inv_tau), hard
