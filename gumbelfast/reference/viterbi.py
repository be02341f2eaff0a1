"""Max-sum on trees: the labelling with the largest sum of unary and pairwise terms.

From the leaves to the roots, b[t, j] = u[t, j] + sum over the children c of t of max_k (w_c[j, k] + b[c, k]) is the
best score of the nodes from t downwards if t is labelled j; from the roots back, every node takes its best label given
its parent's (Viterbi 1967; Pearl 1988). The lowest label is taken among equals, which in exact arithmetic makes the
result the first optimal labelling in lexicographic order.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def viterbi(
    unary: NDArray[Any], pairwise: NDArray[Any], parents: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Any] | None:
    """The best labelling of one tree or forest.

    Parameters
    ----------
    unary : float32 or float64 array of shape (T, S)
        Score of each label at each node.
    pairwise : array of shape (S, S) or (T - 1, S, S)
        ``pairwise[i, j]``, or ``pairwise[t - 1, i, j]`` for node t, scores label i of the parent with label j of the
        node.
    parents : int64 array of shape (T,)
        ``parents[t] < t``; -1 for a root.

    Returns
    -------
    labels : int64 array of shape (T,)
    score : scalar
        Their score. Sums run in the order of the code, so that it is the same to the last bit wherever it is computed.

    None if NaN or +inf comes up.
    """
    b, total = unary.copy(), unary.dtype.type(0)
    best = np.zeros(unary.shape, np.int64)
    with np.errstate(invalid="ignore", over="ignore"):
        for t in reversed(range(len(b))):
            if np.isnan(b[t]).any() or np.isposinf(b[t]).any():
                return None
            if parents[t] < 0:
                best[t] = b[t].argmax()
                total = total + b[t].max()
            else:
                told = (pairwise if pairwise.ndim == 2 else pairwise[t - 1]) + b[t]
                best[t] = told.argmax(axis=1)
                b[parents[t]] += told.max(axis=1)
    if np.isposinf(total):
        return None
    labels = np.zeros(len(b), np.int64)
    for t, parent in enumerate(parents):
        labels[t] = best[t, 0 if parent < 0 else labels[parent]]
    return labels, total
