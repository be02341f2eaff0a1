"""A race of weights: item j arrives at the time E_j / w_j, and the first k to arrive are k draws without replacement.

With standard exponentials E the first is item j with probability w_j / sum w, and after it the others race on as if
from the start: successive sampling, the Plackett-Luce model (Efraimidis and Spirakis 2006). Here the scores w / E are
compared, which is the same order; log(w / E) is the perturbed logarithm of Gumbel-top-k.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def race(weights: NDArray[Any], exponentials: NDArray[Any], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Draw k places per row without replacement, in order.

    Parameters
    ----------
    weights : float32 or float64 array of shape (rows, K)
        Finite and >= 0; what weighs 0 is never drawn.
    exponentials : array like ``weights``
        Standard exponential noise.
    k : int
        Draws per row, at most K.

    Returns
    -------
    index : int64 array of shape (rows, k)
        The largest w / E first, the lower place first among equals; -1 where nothing is left. The quotient is rounded
        to 53 bits, with an exponent that neither overflows nor underflows.
    perturbed : float64 array of shape (rows, k)
        log(w / E), -inf where nothing is left.
    """
    significand, exponent = np.frexp(weights.astype(np.float64))
    quotient, more = np.frexp(significand / exponentials.astype(np.float64))
    score = np.where(weights > 0, exponent + more, np.iinfo(np.int32).min)
    place = np.broadcast_to(np.arange(weights.shape[-1]), weights.shape)
    index = np.lexsort((place, -quotient, -score.astype(np.int64)), axis=-1)[:, :k]
    drawn, octaves, rest = (np.take_along_axis(each, index, axis=-1) for each in (weights > 0, score, quotient))
    # Around 1 nothing is lost where the two terms have the same sign.
    halved = rest < 0.5**0.5
    rest, octaves = np.where(halved, 2 * rest, rest), octaves - halved
    perturbed = np.log(np.where(drawn, rest, 1)) + octaves * np.log(2)
    return np.where(drawn, index, -1), np.where(drawn, perturbed, -np.inf)
