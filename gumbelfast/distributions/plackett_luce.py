"""The distribution of draws without replacement: probabilities of orders and of sets, their gradient, prepared weights.

To draw from it once, `gumbel_top_k` takes logits and `weighted_sample` takes weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, row_checks, table_checks
from .._engine.refused import refuse
from .._engine.types import SeedLike
from .._sampling.softmax import logsumexp
from .._sampling.weighted import WeightedSample, race_weights
from . import subsets

Array = NDArray[Any]

_TILE, _GROUP = 32, 16  # elements of a tile of noise, tiles of a group


class PlackettLuce:
    r"""The law of draws without replacement, of weights that are prepared once for many draws.

    Parameters
    ----------
    weights : array_like of float16, bfloat16, float32, float64 or integers
        Weights or probabilities, finite and >= 0; they need not sum to 1. What weighs 0 is never drawn. Copied;
        integers as float64.
    axis : int, default -1
        The axis of the items; the others are the batch.

    Raises
    ------
    TypeError
        For weights that are not real numbers.
    ValueError
        For negative, NaN or infinite weights.

    Notes
    -----
    The largest weight of each 32 items is kept. A draw of k reads these, the weights that may be among the k largest
    :math:`w / E`, and no others; it is what `weighted_sample` draws from the same weights, in every bit. A weight is
    changed in constant time.

    Examples
    --------
    >>> import gumbelfast as gf
    >>> urn = gf.distributions.PlackettLuce([0.0, 3.0, 0.0, 1.0])
    >>> sorted(urn.sample(2, rng=0).indices.tolist())
    [1, 3]
    >>> urn.update(3, 0.0)
    >>> urn.sample(1, rng=0).indices.tolist()
    [1]
    """

    def __init__(self, weights: ArrayLike, *, axis: int = -1) -> None:
        x, self._axis = checks.rows(table_checks.counted(weights), axis)
        if x.size and not (x.min() >= 0 and x.max() < np.inf):
            table_checks.refuse_weights(x, self._axis)
        self._x = x.copy()
        columns = x.shape[-1]
        parts = -(-columns // _TILE)
        self._tops = np.zeros((x.size // columns, parts + 2 * _GROUP), checks.work_dtype(x.dtype))
        rows, whole = self._rows, columns // _TILE
        tops = self._tops[:, _GROUP : _GROUP + parts]
        tops[:, :whole] = rows[:, : whole * _TILE].reshape(len(rows), whole, _TILE).max(axis=-1)
        if whole < parts:
            tops[:, whole] = rows[:, whole * _TILE :].max(axis=-1)

    def __repr__(self) -> str:
        return f"gumbelfast.distributions.PlackettLuce(items={self._x.shape[-1]}, batch_shape={self.batch_shape})"

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The shape of the batch."""
        return self._x.shape[:-1]

    @property
    def _rows(self) -> Array:
        return self._x.reshape(-1, self._x.shape[-1])

    @property
    def weights(self) -> Array:
        """The weights as they are now: a copy, shaped as the input."""
        return checks.restored(self._x.copy(), self._axis)

    def sample(
        self,
        k: int,
        size: int | tuple[int, ...] | None = None,
        *,
        rng: SeedLike = None,
        seeds: ArrayLike | None = None,
        positions: ArrayLike | None = None,
        offset: int | ArrayLike | None = None,
        row_stride: int | None = None,
        num_threads: int | None = None,
    ) -> WeightedSample:
        """Draw k items per row without replacement, in order.

        Parameters
        ----------
        k : int
            How many, ``0 <= k <= items``.
        size : int or tuple of ints, optional
            Samples per row; the results have `size` in front. The first of n samples are those of fewer.
        rng, seeds, positions, offset, row_stride, num_threads
            As in `gumbelfast.categorical`.

        Returns
        -------
        WeightedSample
            As `gumbelfast.weighted_sample` of the weights returns it.

        Raises
        ------
        TypeError, ValueError
            For a k that is no integer, or above the items or the positive weights of a row; for a negative size and a
            bad address.
        """
        count = checks.count(k, self._x.shape[-1])
        shape = () if size is None else checks.size_tuple(size)
        where = rng, seeds, positions, offset, row_stride
        return race_weights(self._x, self._tops, count, self._axis, where, num_threads, shape)

    def update(self, items: ArrayLike, weights: ArrayLike) -> None:
        """Give items other weights.

        Parameters
        ----------
        items : int or array_like of int
            Different columns along `axis`, the other axes as in the weights; one of a single row may be a number.
        weights : array_like of real numbers
            Their weights from now on, finite and >= 0; broadcasts to the shape of `items`.

        Raises
        ------
        TypeError, ValueError
            For items that are no integers, out of range or repeated, and for bad weights. Nothing is changed then.
        """
        named = np.atleast_1d(checks.as_integers(items, "items")) if self._x.ndim == 1 else items
        columns = table_checks.columns_of(named, self._x.shape, self._axis, "items")
        shape = np.moveaxis(columns, -1, self._axis).shape
        given = np.moveaxis(np.broadcast_to(checks.real(weights, "weights"), shape), self._axis, -1)
        with np.errstate(over="ignore"):
            new = given.astype(self._x.dtype)
        if new.size and not (new.min() >= 0 and new.max() < np.inf):
            table_checks.refuse_weights(new, self._axis, given)
        np.put_along_axis(self._x, columns, new, -1)
        row = np.arange(len(self._tops))[:, None, None]
        part = columns.reshape(len(self._tops), -1, 1) // _TILE
        # Where the last part ends early, its last item stands for what is missing.
        held = np.minimum(part * _TILE + np.arange(_TILE), self._x.shape[-1] - 1)
        self._tops[row[..., 0], part[..., 0] + _GROUP] = self._rows[row, held].max(axis=-1)

    def log_prob(self, order: ArrayLike) -> Any:
        """The log-probability that the first draws are these items in this order, as `plackett_luce_log_prob` has it.

        Parameters
        ----------
        order : array_like of int
            k different columns along `axis`, in the order drawn; the other axes as in the weights.

        Returns
        -------
        float64 or ndarray of float64
            -inf for an order that cannot be drawn.

        Raises
        ------
        TypeError, ValueError
            For columns that are no integers, out of range or repeated, and another shape.
        """
        with np.errstate(divide="ignore"):
            log_w = np.log(self._x.astype(np.float64))
        return plackett_luce_log_prob(checks.restored(log_w, self._axis), order, axis=self._axis)


def plackett_luce_log_prob(logits: ArrayLike, order: ArrayLike, *, axis: int = -1) -> Any:
    r"""Log-probability that successive sampling draws items in this order.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        Log-weights, unnormalised; -inf for what cannot be drawn.
    order : array_like of int
        k different columns along `axis`, in the order drawn; the other axes as in `logits`.
    axis : int, default -1
        The axis of the items.

    Returns
    -------
    float64 or ndarray of float64
        :math:`\sum_i x_{o_i} - \log \sum_{j \notin \{o_1 \dots o_{i-1}\}} \exp x_j`, of the shape of the batch; -inf
        for an order that cannot be drawn.

    Raises
    ------
    TypeError, ValueError
        For logits as in `categorical`, columns that are not integers, out of range or repeated, and shapes that differ.

    Notes
    -----
    Plackett (1975); Luce (1959). Sums are taken from the end, so that no remainder is computed as a difference.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> round(float(np.exp(gf.distributions.plackett_luce_log_prob(np.log([0.2, 0.3, 0.5]), [2, 0]))), 3)
    0.2
    """
    x, axis = _logits(logits, axis)
    picked, others = _split(x, table_checks.columns_of(order, x.shape, axis, "order"))
    with np.errstate(invalid="ignore"):
        terms = np.where(np.isneginf(picked), -np.inf, picked - _remaining(picked, others))
    return terms.sum(axis=-1)[()]


def plackett_luce_log_prob_backward(grad: ArrayLike, logits: ArrayLike, order: ArrayLike, *, axis: int = -1) -> Array:
    r"""Gradient of `plackett_luce_log_prob` with respect to its logits.

    Parameters
    ----------
    grad : array_like of floats
        Gradient with respect to the log-probabilities; broadcasts to the shape of the batch.
    logits, order, axis
        As in `plackett_luce_log_prob`.

    Returns
    -------
    ndarray of float64
        Shape of `logits`: for column j, drawn at place r (k + 1 if it is not drawn), it is ``grad`` times
        :math:`[r \le k] - \exp(x_j) \sum_{i \le \min(r, k)} 1 / R_i`, where :math:`R_i` is the weight that is left
        before draw i. NaN for a row whose order cannot be drawn.

    Raises
    ------
    TypeError, ValueError
        As in `plackett_luce_log_prob`, and for a `grad` of another shape.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> gf.distributions.plackett_luce_log_prob_backward(1.0, np.log([0.2, 0.3, 0.5]), [2]).round(3)
    array([-0.2, -0.3,  0.5])
    """
    x, axis = _logits(logits, axis)
    columns = table_checks.columns_of(order, x.shape, axis, "order")
    outer = row_checks.real_rows(grad, "grad", x.shape[:-1]).reshape(x.shape[:-1])
    picked, others = _split(x, columns)
    with np.errstate(invalid="ignore"):
        shares = np.logaddexp.accumulate(-_remaining(picked, others), axis=-1)
        whole = shares[..., -1:] if columns.shape[-1] else np.full((*x.shape[:-1], 1), -np.inf)
        result = -np.exp(others + whole)
        np.put_along_axis(result, columns, 1 - np.exp(picked + shares), -1)
    result[np.isneginf(picked).any(axis=-1)] = np.nan
    result *= outer[..., None]
    return checks.restored(result, axis)


def plackett_luce_set_log_prob(logits: ArrayLike, items: ArrayLike, *, axis: int = -1) -> Any:
    r"""Log-probability that the first k draws of successive sampling are these items, in any order.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        Log-weights, unnormalised; -inf for what cannot be drawn.
    items : array_like of int
        k different columns along `axis`; the other axes as in `logits`.
    axis : int, default -1
        The axis of the items.

    Returns
    -------
    float64 or ndarray of float64
        Of the shape of the batch; -inf for a set that cannot be drawn.

    Raises
    ------
    TypeError, ValueError
        As in `plackett_luce_log_prob`.

    Notes
    -----
    The sum of the probabilities of all k! orders: for k up to 6 by a recursion over subsets, beyond by quadrature of

    .. math:: \int_0^1 \prod_{i \in S} \left(1 - u^{w_i / W}\right) du, \qquad W = \sum_{j \notin S} w_j,

    with :math:`w = \exp x`, to a relative error of about 1e-13: Kool, van Hoof and Welling, "Estimating gradients for
    discrete random variables by sampling without replacement" (2020), appendix B.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> round(float(np.exp(gf.distributions.plackett_luce_set_log_prob(np.log([0.2, 0.3, 0.5]), [2, 0]))), 3)
    0.325
    """
    x, axis = _logits(logits, axis)
    inside, others = _split(x, table_checks.columns_of(items, x.shape, axis, "items"))
    impossible = np.isneginf(inside).any(axis=-1)
    inside[impossible] = 0
    return np.where(impossible, -np.inf, subsets.set_log_prob(inside, logsumexp(others)))[()]


def _logits(logits: ArrayLike, axis: int) -> tuple[Array, int]:
    x, axis = checks.rows(logits, axis)
    if x.size and not x.max(initial=-np.inf) < np.inf:
        refuse(x, None, axis)
    return x, axis


def _split(x: Array, columns: NDArray[np.int64]) -> tuple[Array, Array]:
    """The logits of the columns, and all others, where those of the columns are -inf; float64."""
    others = x.astype(np.float64)
    picked = np.take_along_axis(others, columns, -1)
    np.put_along_axis(others, columns, -np.inf, -1)
    return picked, others


def _remaining(picked: Array, others: Array) -> Array:
    """The logarithm of the weight that is left before each draw, summed from the end."""
    ends = np.concatenate([logsumexp(others)[..., None], picked[..., ::-1]], axis=-1)
    return np.logaddexp.accumulate(ends, axis=-1)[..., :0:-1]
