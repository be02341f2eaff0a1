"""Sampling designs with given probabilities of inclusion: conditional Poisson sampling, and Sampford's."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks
from .._engine.sources import reserved
from .._engine.types import SeedLike
from .._sampling.argmax import categorical
from ..random.generator import Generator
from . import _checks as check
from . import exact

F64 = NDArray[np.float64]

_MOST_STEPS, _CLOSE = 500, 1e-12


def inclusion_probabilities(sizes: ArrayLike, k: int, *, axis: int = -1) -> F64:
    r"""Probabilities of inclusion proportional to sizes, none above 1: :math:`\pi_i = \min(1, c\, s_i)` with sum k.

    Parameters
    ----------
    sizes : array_like of real numbers
        Finite and >= 0, at least k above 0 in each row.
    k : int
        The number of items in a sample.
    axis : int, default -1
        The axis of the items.

    Returns
    -------
    ndarray of float64
        Shape of `sizes`; rows sum to k.

    Raises
    ------
    TypeError, ValueError
        For sizes that are negative or not finite, with the place, and a k that they cannot fill.

    Notes
    -----
    Probabilities that would exceed 1 are set to 1, and the others share the rest, until none exceeds 1 (Tillé,
    *Sampling Algorithms*, 2006, section 2.10; ``inclusionprobabilities`` of R's package sampling).

    Examples
    --------
    >>> from gumbelfast.subsets import inclusion_probabilities
    >>> inclusion_probabilities([1.0, 1.0, 2.0, 8.0], 2).tolist()
    [0.25, 0.25, 0.5, 1.0]
    """
    x, axis, k = check.sizes(sizes, axis, k)
    full = np.zeros(x.shape, bool)
    while True:
        free = np.where(full, 0, x)
        total = free.sum(axis=-1, keepdims=True)
        share = (k - full.sum(axis=-1, keepdims=True)) * (free / np.where(total > 0, total, 1))
        over = ~full & (share >= 1)
        if not over.any():
            return checks.restored(np.where(full, 1.0, share), axis)
        full |= over


def conditional_poisson_logits(inclusion: ArrayLike, *, axis: int = -1) -> F64:
    r"""Logits for which `subset_marginals` are these probabilities of inclusion.

    Parameters
    ----------
    inclusion : array_like of real numbers
        Probabilities in [0, 1] that sum to the same whole number k in every row.
    axis : int, default -1
        The axis of the items.

    Returns
    -------
    ndarray of float64
        -inf for items that are never in. All items that may be in or out have logits of mean 0. An item that is always
        in has a logit so large that it is practically always drawn.

    Raises
    ------
    TypeError, ValueError
        For probabilities out of range or with another sum, with the row.

    Notes
    -----
    Of all designs with these probabilities, conditional Poisson sampling has the largest entropy. Its logits are the
    fixed point of :math:`x \leftarrow x + \mathrm{logit}(\pi) - \mathrm{logit}(P(i \in S))` from
    :math:`x = \mathrm{logit}(\pi)` on (Chen, Dempster and Liu, "Weighted finite population sampling to maximize
    entropy", 1994, with an improved update), to 1e-12.

    Examples
    --------
    >>> from gumbelfast.subsets import conditional_poisson_logits, subset_marginals
    >>> x = conditional_poisson_logits([0.2, 0.3, 0.7, 0.8])
    >>> subset_marginals(x, 2).round(9).tolist()
    [0.2, 0.3, 0.7, 0.8]
    """
    pi, axis, _ = check.inclusion(inclusion, axis)
    rows = pi.reshape(-1, pi.shape[-1])
    result = np.full(rows.shape, -np.inf)
    for row, found in zip(rows, result, strict=True):
        open_, sure = (row > 0) & (row < 1), row == 1
        if open_.any():
            found[open_] = _fixed_point(row[open_])
        # So far above all others that they are in with probability 1 to the last digit.
        found[sure] = 800.0 + (np.ptp(found[open_]) + found[open_].max() if open_.any() else 0.0)
    return checks.restored(result.reshape(pi.shape), axis)


def _fixed_point(pi: F64) -> F64:
    k = int(np.rint(pi.sum()))
    wanted = np.log(pi) - np.log1p(-pi)
    x = wanted.copy()
    for _ in range(_MOST_STEPS):
        found = exact.marginals(x[None], k)[0]
        if np.abs(found / pi - 1).max() < _CLOSE:
            break
        # For items that are almost surely in, the probability to be out is that to be in among those that are out.
        out = exact.marginals(-x[None], len(x) - k)[0]
        x += wanted - (np.log(found) - np.log(out))
    centred: F64 = x - x.mean()
    return centred


def sample_sampford(
    inclusion: ArrayLike, size: int | tuple[int, ...] | None = None, *, axis: int = -1, rng: SeedLike = None
) -> NDArray[np.int64]:
    r"""Samples of Sampford's design, which has exactly these probabilities of inclusion.

    Parameters
    ----------
    inclusion : array_like of real numbers
        Probabilities in [0, 1] that sum to the same whole number k in every row.
    size : int or tuple of ints, optional
        Draws per row; these axes come in front.
    axis : int, default -1
        The axis of the items.
    rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
        Where the randomness comes from.

    Returns
    -------
    ndarray of int64
        Columns in ascending order, k along `axis`.

    Raises
    ------
    TypeError, ValueError
        As in `conditional_poisson_logits`; the generator is then left as it was.

    Notes
    -----
    Sampford, "On sampling without replacement with unequal probabilities of selection" (1967): with odds
    :math:`\lambda = \pi / (1 - \pi)`, of the items that are neither always nor never in,

    .. math:: P(S) \propto \Big(\sum_{i \in S} 1 - \pi_i\Big) \prod_{i \in S} \lambda_i

    Sampford draws with replacement until all k items differ, which takes far too long when k is large. Here one item i
    is drawn in proportion to :math:`\pi_i\, e_{k-1}(\lambda \setminus i)`, that is to its marginal under conditional
    Poisson sampling times :math:`1 - \pi_i`, and the other k - 1 by `sample_subsets` of the rest: the same law,
    exactly, in O(K k) per draw and without rejection.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.subsets import sample_sampford
    >>> drawn = sample_sampford([0.2, 0.3, 0.7, 0.8], 100_000, rng=0)
    >>> (np.bincount(drawn.ravel()) / 100_000).round(1).tolist()
    [0.2, 0.3, 0.7, 0.8]
    """
    pi, axis, k = check.inclusion(inclusion, axis)
    front = () if size is None else checks.size_tuple(size)
    rows, count = pi.reshape(-1, pi.shape[-1]), int(np.prod(front))
    index = np.zeros((count, len(rows), k), np.int64)
    width = 2 * rows.shape[1]  # noise of the first item, and of the others
    with reserved(rng, count * width * len(rows)) as (key, element):
        for i, row in enumerate(rows):
            first = element + i * count * width
            index[:, i] = np.sort(_one_row(row, k, count, key, first), axis=-1)
    drawn = index.reshape(*front, *pi.shape[:-1], k)
    return drawn if axis == -1 else np.moveaxis(drawn, -1, axis - pi.ndim)


def _one_row(pi: F64, k: int, count: int, key: int, element: int) -> NDArray[np.int64]:
    sure = np.flatnonzero(pi == 1)
    always = np.broadcast_to(sure, (count, len(sure)))
    places = np.flatnonzero((pi > 0) & (pi < 1))
    k, p = k - len(sure), pi[places]
    if k == 0 or count == 0:
        return np.array(always[:, : len(sure)]).reshape(count, len(sure) + k)
    x = np.log(p) - np.log1p(-p)
    log_first = np.log(exact.marginals(x[None], k)[0]) + np.log1p(-p)
    lead = categorical(log_first, size=count, rng=Generator(key), offset=element)
    rest = np.empty((count, k - 1), np.int64)
    behind = element + count * len(pi)
    for i in np.unique(lead):  # subsets of what is left by each first item
        mine = np.flatnonzero(lead == i)
        left = x.copy()
        left[i] = -np.inf
        rest[mine] = exact.pick(left[None], k - 1, len(mine), key, behind)[:, 0]
        behind += len(mine) * len(pi)
    return np.concatenate([always, places[lead[:, None]], places[rest]], axis=-1)
