"""Perturbed logits of which the largest, or a bound above all, is known.

The times exp(-z) of perturbed logits z = x + g are the first points of independent Poisson processes with rates exp(x),
and z <= M says that a point is not before exp(-M). A Poisson process has no memory: from there on it starts anew, so
the point lies at exp(-M) + exp(-z') with an unconditional z' (Maddison, Tarlow, Minka 2014, "truncated Gumbel"). The
largest of them is independent of its place, and Gumbel distributed around logsumexp(x): Kool, van Hoof and Welling
(2019), whose appendix B draws the same law from the unconditional maximum.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .softmax import logsumexp, widen

Array: TypeAlias = NDArray[Any]


def maximum_at(logits: Array, noise: Array, index: NDArray[np.int64]) -> Array:
    """logsumexp(x) + g of the entry that is known to be the largest: one value per row, of the dtype of the logits."""
    g = np.take_along_axis(noise, index[:, None], axis=-1)[:, 0]
    top: Array = logsumexp(logits) + g
    return top.astype(logits.dtype)


def conditional_gumbel(
    logits: Array, noise: Array, bound: Array, index: NDArray[np.int64] | None = None
) -> NDArray[Any]:
    """Draw the perturbed logits of each row.

    Parameters
    ----------
    logits : float32 or float64 array of shape (rows, K)
        Unnormalised log-probabilities.
    noise : array like ``logits``
        Standard Gumbel noise.
    bound : array of shape (rows,), dtype of ``logits``
        M: no perturbed logit exceeds it. Infinities are limits like others.
    index : int64 array of shape (rows,), optional
        The place where M itself stands; all others are smaller.

    Returns
    -------
    array of shape (rows, K), dtype of ``logits``
        -log(exp(-M) + exp(-fl(x + g))), computed one precision above and rounded once.
    """
    p, _ = widen(logits + noise)
    with np.errstate(under="ignore", over="ignore"):
        z: Array = (-np.logaddexp(-bound[:, None].astype(p.dtype), -p)).astype(logits.dtype)
    if index is None:
        return z
    z = np.minimum(z, np.nextafter(bound, bound.dtype.type(-np.inf))[:, None])
    np.put_along_axis(z, index[:, None], bound[:, None], axis=-1)
    return z
