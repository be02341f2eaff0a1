"""Draws from discrete distributions: the largest perturbed logit, or the k largest."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, draws, draws_at, id_checks, row_checks, table_checks, thread_count
from .._engine.direct import in_one_step
from .._engine.tables import Tables, weights_of_logits
from .._engine.types import SeedLike
from ..shards import Argmax, TopK


@in_one_step
def categorical(
    logits: ArrayLike,
    *,
    axis: int = -1,
    size: int | tuple[int, ...] | None = None,
    temperature: ArrayLike = 1.0,
    mask: ArrayLike | None = None,
    rng: SeedLike = None,
    seeds: ArrayLike | None = None,
    positions: ArrayLike | None = None,
    offset: int | ArrayLike | None = None,
    row_stride: int | None = None,
    return_perturbed: bool = False,
    method: str = "gumbel",
    empty: int | None = None,
    ids: ArrayLike | None = None,
    indptr: ArrayLike | None = None,
    columns: int | None = None,
    num_threads: int | None = None,
) -> Any:
    r"""Draw from the categorical distribution of each row of logits, by the Gumbel-max trick.

    The same seed at the same position gives the same noise again: with `seeds`, move `positions` from call to call.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        Unnormalised log-probabilities; -inf is never drawn.
    axis : int, default -1
        The axis of the categories.
    size : int or tuple of ints, optional
        Draws per row; the result has shape ``size + batch shape``. The first of n draws are those of fewer.
    temperature : float or array_like of float, default 1.0
        Logits are divided by it: one number, or one per row, which broadcasts to the batch shape.
    mask : array_like of bool, optional
        True where a category is allowed; broadcasts to `logits`. Masked logits are not read.
    rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
        Where the randomness comes from.
    seeds, positions : array_like of int, optional
        One per row: row i draws at place ``positions[i]`` (default 0) of the noise of ``seeds[i]``, whatever its
        batch-mates. Rows whose seed is None, or masked in a masked array, draw from `rng`; without such rows no
        generator is touched. Seeds and positions that would give several rows the same noise by broadcasting are an
        error; equal ones given row by row are not.
    offset, row_stride : int, optional
        Row i, column j takes element ``offset + i * row_stride + j`` of the noise of `rng`'s key: the way to draw a
        part of a larger array. The generator is left as it is. `offset` may hold one element per row.
    return_perturbed : bool, default False
        Return the winning perturbed logit as well.
    method : {"gumbel", "alias"}, default "gumbel"
        "alias" draws from an alias table, as `Categorical` does: 5 to 100 times faster for hundreds of draws a row and
        more. Both are exact, but they draw different values. Tables take neither `seeds` nor `row_stride`, and have no
        perturbed logits.
    empty : int, optional
        What a row without a finite logit yields, instead of an error.
    ids : array_like of int, optional
        The columns, in a space of `columns`, that the logits are of, in any order; broadcasts to `logits`. A row draws
        what it would draw if all its other columns were -inf: its noise goes by the ids, whatever else is there. Those
        of a row differ, which is not checked.
    indptr : array_like of int, optional
        Rows of any lengths, as in sparse matrices of type CSR: `logits` has one axis, and row i is
        ``logits[indptr[i] : indptr[i + 1]]``. Without `ids` the places within a row stand for them.
    columns : int, optional
        How many columns the whole space has: ids lie in ``[0, columns)``, and `columns` is K in every address. To be
        given with `ids` and `indptr`.
    num_threads : int, optional
        The most threads to use; the result does not depend on it.

    Returns
    -------
    ndarray of int64, or `Argmax` with `return_perturbed`
        The columns drawn: places along the axis, or ids. The perturbed logits are float64, -inf for an empty row. A
        value that overflows is infinite.

    Raises
    ------
    TypeError
        For logits that are not floats, a mask that is not boolean, and ids or an `empty` that are not integers.
    ValueError
        For NaN or +inf among the allowed logits, rows without a finite one, a bad temperature, `empty` or address, ids
        out of range, a bad `indptr`, and for what `method` does not have.

    Notes
    -----
    :math:`\arg\max_j (x_j / T + g_j)` with standard Gumbels g has distribution :math:`\mathrm{softmax}(x / T)`
    (Gumbel 1954; Maddison, Tarlow and Minka 2014). The result equals
    ``argmax(logits.astype(float64) / T + gumbel(...))`` at the same address, the lowest index among equals; almost none
    of that noise is ever computed (``docs/stream.md``). The sum is kept with the error of its rounding, so a constant
    added to all logits changes no distribution. Where products overflow float64, logits decide: the result tends to
    their argmax as T tends to 0. Draws from a table take one element each instead of one per logit.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> gf.categorical(np.log([0.1, 0.2, 0.7]), size=5, rng=0).shape
    (5,)

    Two of 10**6 alternatives. One that is left out changes the choice of those only who had chosen it:

    >>> gf.categorical([[1.0, 1.0]] * 3, ids=[7, 40], columns=10**6, seeds=[1, 2, 3]).tolist()
    [7, 40, 40]
    >>> gf.categorical([[1.0]] * 3, ids=[40], columns=10**6, seeds=[1, 2, 3]).tolist()
    [40, 40, 40]
    """
    if not (ids is None and indptr is None):
        if empty is not None:
            empty = table_checks.empty_value(empty)
        if method != "gumbel":
            table_checks.one_of(method, "method", ("gumbel", "alias"))
            table_checks.for_tables(ids=ids, indptr=indptr)
        shape = () if size is None else checks.size_tuple(size)
        index, perturbed = draws_at.choose_at(
            draws_at.as_entries(logits, axis, temperature, mask, ids, indptr, columns),
            shape,
            thread_count.resolve(num_threads),
            (rng, seeds, positions, offset, row_stride),
            perturbed=return_perturbed,
            empty_allowed=empty is not None,
        )
        return _drawn(index, perturbed, empty)
    id_checks.check_no_columns(columns)
    x, axis = checks.rows(logits, axis)
    scale = row_checks.positive_reciprocals(temperature, "temperature", x.shape[:-1], x.dtype)
    allowed = None if mask is None else checks.mask_for(mask, np.shape(logits), axis)
    if empty is not None:
        empty = table_checks.empty_value(empty)
    shape, threads = () if size is None else checks.size_tuple(size), thread_count.resolve(num_threads)
    if method != "gumbel":
        table_checks.one_of(method, "method", ("gumbel", "alias"))
        table_checks.for_tables(
            seeds=seeds, positions=positions, row_stride=row_stride, return_perturbed=return_perturbed or None
        )
        index = np.empty(shape + x.shape[:-1], np.int64)
        weights, none = weights_of_logits(x, axis, scale, allowed, threads, empty is not None)
        Tables(weights).draw("alias", index, rng, offset, threads)
        if empty is not None:
            index[..., none] = empty
        return index if index.ndim else index[()]
    index, perturbed = draws.choose(
        (x, allowed, scale),
        shape,
        axis,
        threads,
        (rng, seeds, positions, offset, row_stride),
        perturbed=return_perturbed,
        empty_allowed=empty is not None,
    )
    return _drawn(index, perturbed, empty)


def _drawn(index: NDArray[np.int64], perturbed: NDArray[Any] | None, empty: int | None) -> Any:
    if empty is not None and empty != -1:
        index[index < 0] = empty
    if perturbed is not None:
        return Argmax(index[()], perturbed[()])
    return index if index.ndim else index[()]


@in_one_step
def gumbel_top_k(
    logits: ArrayLike,
    k: int,
    *,
    axis: int = -1,
    temperature: ArrayLike = 1.0,
    mask: ArrayLike | None = None,
    rng: SeedLike = None,
    seeds: ArrayLike | None = None,
    positions: ArrayLike | None = None,
    offset: int | ArrayLike | None = None,
    row_stride: int | None = None,
    ids: ArrayLike | None = None,
    indptr: ArrayLike | None = None,
    columns: int | None = None,
    num_threads: int | None = None,
) -> TopK:
    r"""Draw k categories per row without replacement, in order, by the k largest perturbed logits.

    The same seed at the same position gives the same noise again: with `seeds`, move `positions` from call to call.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        Unnormalised log-probabilities; -inf is never drawn.
    k : int
        How many, ``0 <= k <= columns``.
    axis, temperature, mask, rng, seeds, positions, offset, row_stride, ids, indptr, columns, num_threads
        As in `categorical`. With `indptr` a row may have fewer than k: what is missing holds -1 and -inf.

    Returns
    -------
    TopK
        ``indices`` (int64) and ``perturbed`` (float64), with k entries along `axis`,
        the largest perturbed logit first. In this order, and not that of `torch.topk`, which
        `gumbelfast.torch.gumbel_top_k` keeps. A value that overflows is infinite, and in the order
        of its logit.

    Raises
    ------
    TypeError, ValueError
        As in `categorical`; ValueError too if k exceeds the columns, or the allowed entries of a row.

    Notes
    -----
    The order is a draw from the Plackett-Luce distribution, that is, successive sampling without replacement with
    probabilities :math:`\mathrm{softmax}(x / T)`: Vieira (2014); Kool, van Hoof and Welling, "Stochastic beams and
    where to find them" (2019).

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> sorted(gf.gumbel_top_k(np.zeros(3), 3, rng=0).indices.tolist())
    [0, 1, 2]

    Up to two neighbours of each node of a graph, by the weights of its edges, without replacement:

    >>> indptr, neighbours = np.array([0, 3, 3, 4]), np.array([1, 2, 9, 0])
    >>> weights = np.array([1.0, 5.0, 2.0, 1.0])
    >>> drawn = gf.gumbel_top_k(np.log(weights), 2, ids=neighbours, indptr=indptr, columns=10, rng=1)
    >>> drawn.indices[1:].tolist()
    [[-1, -1], [0, -1]]
    """
    where = rng, seeds, positions, offset, row_stride
    if not (ids is None and indptr is None):
        entries = draws_at.as_entries(logits, axis, temperature, mask, ids, indptr, columns)
        index, perturbed = draws_at.choose_distinct_at(entries, k, thread_count.resolve(num_threads), where)
        return TopK(checks.restored(index, entries.axis), checks.restored(perturbed, entries.axis))
    id_checks.check_no_columns(columns)
    x, axis = checks.rows(logits, axis)
    scale = row_checks.positive_reciprocals(temperature, "temperature", x.shape[:-1], x.dtype)
    allowed = None if mask is None else checks.mask_for(mask, np.shape(logits), axis)
    k = checks.count(k, x.shape[-1])
    rows, threads = (x, allowed, scale), thread_count.resolve(num_threads)
    index, perturbed = draws.choose_distinct(rows, k, axis, threads, where)
    return TopK(checks.restored(index, axis), checks.restored(perturbed, axis))
