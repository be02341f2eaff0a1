"""MAP solvers: dynamic programming on chains and trees, and enumeration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, thread_count
from .._engine.backend import active
from .._engine.types import LACKING, REFUSED
from . import _checks
from ._labelling import Labelling

Array = NDArray[Any]

MOST_LABELLINGS = 2**16  # the most that are enumerated


def viterbi(unary: ArrayLike, pairwise: ArrayLike, *, num_threads: int | None = None) -> Labelling:
    r"""The best labelling of chains, :math:`\arg\max_x \sum_t u_t(x_t) + \sum_{t>0} w_t(x_{t-1}, x_t)`.

    Parameters
    ----------
    unary : array_like of float16, bfloat16, float32 or float64, shape (..., T, S)
        Potential of each of S labels at each of T nodes, for any number of chains; -inf forbids a label.
    pairwise : array_like of floats, shape (S, S) or (T - 1, S, S)
        ``pairwise[i, j]`` for label i followed by label j; with three axes, ``pairwise[t - 1]`` between nodes t - 1
        and t. -inf forbids a pair. The same for all chains.
    num_threads : int, optional
        The most threads to use; the result does not depend on it.

    Returns
    -------
    Labelling
        ``labels`` of shape (..., T) and ``score`` of shape (...), float32, or float64 for float64 `unary`.

    Raises
    ------
    TypeError
        For potentials that are not floats.
    ValueError
        For shapes that do not fit, NaN or +inf, sums that overflow, and chains all of whose labellings score -inf.

    Notes
    -----
    Viterbi, "Error bounds for convolutional codes and an asymptotically optimum decoding algorithm" (1967). Sums run
    from the last node to the first, so among equally good labellings the first node takes the lowest label, then the
    second node the lowest given that, and so on: without rounding this is the first of them in lexicographic order.
    All compiled backends return the same bytes. float16 and bfloat16 are computed in float32.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.structures import viterbi
    >>> viterbi([[0.0, 1.0], [0.5, 0.0], [0.0, 1.0]], 2 * np.eye(2)).labels
    array([1, 1, 1])
    """
    x = _checks.unary(unary, ("nodes", "labels"))
    return _best(x, pairwise, np.arange(-1, x.shape[-2] - 1), num_threads)


def viterbi_tree(
    unary: ArrayLike, pairwise: ArrayLike, parents: ArrayLike, *, num_threads: int | None = None
) -> Labelling:
    r"""The best labelling of trees, :math:`\arg\max_x \sum_t u_t(x_t) + \sum_t w_t(x_{\pi(t)}, x_t)`.

    Parameters
    ----------
    unary, num_threads
        As in `viterbi`.
    pairwise : array_like of floats, shape (S, S) or (T - 1, S, S)
        ``pairwise[i, j]`` for label i at a parent and j at its child; with three axes, ``pairwise[t - 1]`` is that of
        node t and its parent, and without meaning if t is a root.
    parents : array_like of int, shape (T,)
        The parent of each node, which comes before it: ``-1 <= parents[t] < t``. -1 is a root; there may be several.
        A chain has ``parents[t] = t - 1``.

    Returns
    -------
    Labelling
        As of `viterbi`.

    Raises
    ------
    TypeError, ValueError
        As in `viterbi`, and for parents that are not in this order.

    Notes
    -----
    Max-product belief propagation from the last node to the first: Pearl, *Probabilistic Reasoning in Intelligent
    Systems* (1988). Ties are settled as in `viterbi`, in the order of the nodes.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.structures import viterbi_tree
    >>> unary = np.array([[0.5, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> best = viterbi_tree(unary, 2 * np.eye(2), parents=[-1, 0, 0])  # a root and its two children
    >>> best.labels.tolist(), float(best.score)
    ([1, 1, 1], 6.0)
    """
    x = _checks.unary(unary, ("nodes", "labels"))
    return _best(x, pairwise, _checks.tree(parents, x.shape[-2]), num_threads)


def _best(x: Array, pairwise: ArrayLike, parents: NDArray[np.int64], num_threads: int | None) -> Labelling:
    nodes, labels = x.shape[-2:]
    w = _checks.edges(pairwise, nodes, labels, x.dtype)
    index, score = np.empty(x.shape[:-1], np.int64), np.empty(x.shape[:-2], x.dtype)
    rows = x.reshape(-1, nodes, labels), w, parents, index.reshape(-1, nodes), score.reshape(-1)
    status = active().viterbi(*rows, thread_count.resolve(num_threads))
    if status == REFUSED:
        _checks.refuse(x)
    if status == LACKING:
        _checks.impossible(score)
    return Labelling(index, score[()])


def all_labellings(sites: int, labels: int) -> NDArray[np.int64]:
    """Every labelling of some sites, in lexicographic order."""
    if labels**sites > MOST_LABELLINGS:
        raise ValueError(f"{labels} labels at {sites} sites make more than {MOST_LABELLINGS} labellings")
    return np.arange(labels**sites)[:, None] // labels ** np.arange(sites)[::-1] % labels


def brute_force(
    unary: ArrayLike, interaction: Callable[[NDArray[np.int64]], ArrayLike] | None = None, *, site_ndim: int = 1
) -> Labelling:
    r"""The best labelling of tiny models, :math:`\arg\max_x \sum_i u_i(x_i) + w(x)`, by enumeration.

    Parameters
    ----------
    unary : array_like of float16, bfloat16, float32 or float64, shape (..., *sites, S)
        Potential of each of S labels at each site.
    interaction : callable, optional
        w: from all n labellings, an int64 array of shape (n, *sites), to n potentials.
    site_ndim : int, default 1
        How many axes the sites have: 1 for a chain, 2 for a grid.

    Returns
    -------
    Labelling
        The first of the best, in lexicographic order.

    Raises
    ------
    TypeError, ValueError
        As in `viterbi`; ValueError too for more than 65536 labellings.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.structures import brute_force
    >>> unary = np.array([[0.0, 1.0], [0.5, 0.0], [0.0, 1.0]])
    >>> best = brute_force(unary, lambda x: 2.0 * (np.diff(x) == 0).sum(axis=1))  # neighbours agree
    >>> best.labels.tolist(), float(best.score)
    ([1, 1, 1], 6.0)
    """
    axes = checks.as_integer(site_ndim, "site_ndim", 1)
    x = _checks.floats(unary)
    if axes >= x.ndim:
        raise ValueError(f"unary must have an axis of labels behind {axes} axes of sites, got shape {x.shape}")
    x = _checks.unary(x, (*(f"sites along axis {i - axes - 1}" for i in range(axes)), "labels"))
    _checks.no_nan(x, "unary")
    batch, sites, labels = x.shape[: -axes - 1], x.shape[-axes - 1 : -1], x.shape[-1]
    every = all_labellings(int(np.prod(sites)), labels)
    rows = x.reshape(-1, every.shape[1], labels)
    total = np.zeros((len(rows), len(every)), x.dtype)
    if interaction is not None:
        total += _checks.one_each(interaction(every.reshape(-1, *sites)), len(every), x.dtype)
    with np.errstate(over="ignore"):
        for i, label in enumerate(every.T):
            total += rows[:, i, label]
    if np.isposinf(total).any():
        _checks.refuse(x)
    best = total.argmax(axis=1)
    score = np.take_along_axis(total, best[:, None], axis=1).reshape(batch)
    if np.isneginf(score).any():
        _checks.impossible(score)
    return Labelling(every[best].reshape(x.shape[:-1]), score[()])
