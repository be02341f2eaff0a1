"""The law of subsets of k items that is proportional to the product of their weights: conditional Poisson sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, table_checks, thread_count
from .._engine.backend import active
from .._engine.sources import reserved
from .._engine.types import SeedLike
from .._sampling.noise import exponential
from ..random.generator import Generator
from ..reference import k_subsets as kernel
from . import _checks as check

Array = NDArray[Any]


def subset_log_partition(logits: ArrayLike, k: int, *, axis: int = -1) -> Any:
    r"""The logarithm of the sum over all subsets of k items, :math:`\log \sum_{|S| = k} \exp \sum_{i \in S} x_i`.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        Log-weights, at least k of them finite in each row; -inf for what cannot be in a subset.
    k : int
        The size of the subsets.
    axis : int, default -1
        The axis of the items.

    Returns
    -------
    float64 or ndarray of float64
        Of the shape of the batch. Its gradient is `subset_marginals`.

    Raises
    ------
    TypeError, ValueError
        For logits as in `gumbel_top_k`, and a k that they cannot fill.

    Notes
    -----
    The elementary symmetric polynomial of the weights, by :math:`e_j(i) = e_j(i-1) + w_i e_{j-1}(i-1)` in
    the logarithm, O(K k) (Gail, Lubin and Rubinstein, "Likelihood calculations for matched case-control studies", 1981;
    Ahmed, Zeng, Niepert and Van den Broeck, "SIMPLE: a gradient estimator for k-subset sampling", 2023).

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.subsets import subset_log_partition
    >>> float(np.exp(subset_log_partition(np.zeros(6), 3)).round(9))  # 6 choose 3
    20.0
    """
    rows, k, shape, _ = _rows(logits, k, axis)
    return _log_sums(rows, k).reshape(shape[:-1])[()]


def subset_marginals(logits: ArrayLike, k: int, *, axis: int = -1) -> NDArray[np.float64]:
    r"""The probability that each item is in the subset, :math:`P(i \in S) = \partial \log e_k / \partial x_i`.

    Parameters
    ----------
    logits, k, axis
        As in `subset_log_partition`.

    Returns
    -------
    ndarray of float64
        Shape of `logits`; rows sum to k.

    Raises
    ------
    TypeError, ValueError
        As in `subset_log_partition`.

    Notes
    -----
    :math:`w_i \sum_j e_j(\text{before } i)\, e_{k-1-j}(\text{behind } i) / e_k` from the polynomials of
    both sides, O(K k): sums of positive numbers, so small probabilities keep their relative accuracy.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.subsets import subset_marginals
    >>> subset_marginals(np.log([1.0, 1.0, 2.0]), 2).round(3).tolist()
    [0.6, 0.6, 0.8]
    """
    rows, k, shape, axis = _rows(logits, k, axis)
    return checks.restored(marginals(rows, k).reshape(shape), axis)


def subset_marginals_backward(grad: ArrayLike, logits: ArrayLike, k: int, *, axis: int = -1) -> NDArray[np.float64]:
    r"""Gradient of `subset_marginals` with respect to the logits.

    Parameters
    ----------
    grad : array_like of real numbers
        Gradient with respect to the marginals; broadcasts to their shape.
    logits, k, axis
        As in `subset_log_partition`.

    Returns
    -------
    ndarray of float64
        Shape of `logits`.

    Raises
    ------
    TypeError, ValueError
        As in `subset_log_partition`, and for a `grad` that does not fit.

    Notes
    -----
    The Jacobian is the covariance of the indicators of items, which is symmetric: the gradient is the derivative of the
    marginals along `grad`, O(K k). With a sample in the forward pass this is the SIMPLE estimator (Ahmed et al. 2023).

    Examples
    --------
    >>> from gumbelfast.subsets import subset_marginals_backward
    >>> subset_marginals_backward([1.0, 0.0], [0.0, 0.0], 1).tolist()
    [0.25, -0.25]
    """
    rows, k, shape, axis = _rows(logits, k, axis)
    found = np.empty_like(rows)
    outer = check.rows_like(grad, "grad", shape, axis)
    active().subset_marginals_backward(outer, rows, k, found, thread_count.resolve(None))
    return checks.restored(found.reshape(shape), axis)


def subset_log_prob(logits: ArrayLike, items: ArrayLike, *, axis: int = -1) -> Any:
    r"""Log-probability of subsets, :math:`\sum_{i \in S} x_i - \log e_k`.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        Log-weights; -inf for what cannot be in a subset.
    items : array_like of int
        k different columns along `axis`, in any order; the other axes as in `logits`.
    axis : int, default -1
        The axis of the items.

    Returns
    -------
    float64 or ndarray of float64
        Of the shape of the batch.

    Raises
    ------
    TypeError, ValueError
        As in `plackett_luce_set_log_prob`, whose law is another one: there the items are drawn one after the other.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.subsets import subset_log_prob
    >>> round(float(np.exp(subset_log_prob(np.log([1.0, 1.0, 2.0]), [2, 0]))), 3)
    0.4
    """
    x, _ = checks.rows(logits, axis)
    columns = table_checks.columns_of(items, x.shape, axis, "items")
    rows, k, shape, _ = _rows(logits, columns.shape[-1], axis)
    picked = np.take_along_axis(rows.reshape(shape), columns, -1).sum(axis=-1)
    return (picked - _log_sums(rows, k).reshape(shape[:-1]))[()]


def sample_subsets(
    logits: ArrayLike, k: int, size: int | tuple[int, ...] | None = None, *, axis: int = -1, rng: SeedLike = None
) -> NDArray[np.int64]:
    r"""Exact samples of subsets, :math:`P(S) \propto \exp \sum_{i \in S} x_i` with :math:`|S| = k`.

    Parameters
    ----------
    logits, k, axis
        As in `subset_log_partition`.
    size : int or tuple of ints, optional
        Draws per row; these axes come in front.
    rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
        Where the randomness comes from.

    Returns
    -------
    ndarray of int64
        Columns in ascending order, k along `axis`.

    Raises
    ------
    TypeError, ValueError
        As in `subset_log_partition`; the generator is then left as it was.

    Notes
    -----
    From the last item to the first, item i is taken with probability :math:`w_i e_{j-1}(i-1) / e_j(i)` where j are
    still to be taken (Chen and Liu, "Statistical applications of the Poisson-binomial and conditional Bernoulli
    distributions", 1997): if its exponential, one element of ``exponential(size=(*size, ..., K), dtype=float64)``, is
    below :math:`\log e_j(i) - \log e_j(i - 1)`. This is conditional Poisson sampling, the law of independent inclusions
    conditioned on their number (Hájek 1964). `gumbel_top_k` draws one item after the other, which follows another law.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.subsets import sample_subsets
    >>> sample_subsets(np.zeros(6), 2, 1000, rng=0).shape
    (1000, 2)
    """
    rows, k, shape, axis = _rows(logits, k, axis)
    front = () if size is None else checks.size_tuple(size)
    drawn = draw(rows, k, int(np.prod(front)), rng).reshape(*front, *shape[:-1], k)
    return drawn if axis == -1 else np.moveaxis(drawn, -1, axis - len(shape))


def marginals(rows: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """The marginals of contiguous rows with at least k finite logits."""
    found = np.empty_like(rows)
    active().subset_marginals(rows, k, found, np.empty(len(rows)), thread_count.resolve(None))
    return found


def _log_sums(rows: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    found = np.empty(len(rows))
    active().subset_marginals(rows, k, None, found, thread_count.resolve(None))
    return found


def draw(rows: NDArray[np.float64], k: int, count: int, rng: SeedLike) -> NDArray[np.int64]:
    """Subsets of each row (count, n, k)."""
    with reserved(rng, count * rows.size) as (key, first):
        return pick(rows, k, count, key, first)


def pick(rows: NDArray[np.float64], k: int, count: int, key: int, element: int) -> NDArray[np.int64]:
    """The same from elements of a key."""
    table = kernel.sums(rows, k)
    noise = exponential(size=(count, *rows.shape), dtype=np.float64, rng=Generator(key), offset=element)
    n = np.arange(len(rows))
    index = np.zeros((count, len(rows), k + 1), np.int64)  # the last column receives items that are not drawn
    left = np.full((count, len(rows)), k)
    for i in reversed(range(rows.shape[1])):
        whole, without = table[i + 1, n, left], table[i, n, left]
        with np.errstate(invalid="ignore"):
            taken = (left > 0) & (noise[..., i] < np.where(np.isneginf(without), np.inf, whole - without))
        place = np.where(taken, left - 1, k)
        np.put_along_axis(index, place[..., None], i, -1)
        left = left - taken
    return index[..., :k]


def _rows(logits: ArrayLike, k: Any, axis: Any) -> tuple[NDArray[np.float64], int, tuple[int, ...], int]:
    x, axis, k = check.logits(logits, axis, k)
    return np.ascontiguousarray(x, np.float64).reshape(-1, x.shape[-1]), k, x.shape, axis
