"""The noise of elements that are named one by one."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .._engine import address, checks, id_checks, row_checks, thread_count
from .._engine.backend import active
from .._engine.types import SeedLike


def gumbel_at(
    ids: ArrayLike,
    *,
    dtype: DTypeLike = np.float32,
    rng: SeedLike = None,
    seeds: ArrayLike | None = None,
    positions: ArrayLike | None = None,
    offset: int | ArrayLike | None = None,
    columns: int | None = None,
    num_threads: int | None = None,
) -> Any:
    r"""The Gumbel noise of some elements, gathered: that of id j is the one that a row of all ids has in column j.

    Parameters
    ----------
    ids : array_like of int
        Elements in any order, of any shape, ``0 <= id < 2**62``.
    dtype : {float32, float64, float16, bfloat16}
        Of the result.
    rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
        Whose key the noise is of: id j is element ``offset + j``. A generator is left as it is; a numpy Generator is
        asked for one key. It must be given where `seeds` are not.
    seeds, positions : array_like of int, optional
        One per row, the last axis of `ids` being the columns: id j of row i is element ``positions[i] * ceil32(columns)
        + j`` of the noise of ``seeds[i]``, as in `categorical`. A 1-d array of ids is one row.
    offset : int or array_like of int, optional
        By default 0; it may hold one element per row.
    columns : int, optional
        How many columns a row of all ids has: ids are below it. Needed with `positions`, and where a seed is None.
    num_threads : int, optional
        The most threads to use; the result does not depend on it.

    Returns
    -------
    ndarray of the shape of `ids`, or a scalar where that is ()

    Raises
    ------
    TypeError
        For ids that are not integers, and a dtype outside the four.
    ValueError
        For an id out of range, and a bad address.

    Notes
    -----
    Equal byte for byte to ``gumbel(size=n, dtype=dtype, rng=rng, offset=offset)[ids]``, of which only these elements
    are computed, wherever they lie (``docs/stream.md``).

    Examples
    --------
    >>> import gumbelfast as gf
    >>> some = gf.gumbel_at([10**15, 7, 7], rng=0)
    >>> bool(some[1] == gf.gumbel(size=8, rng=0)[7]), bool(some[1] == some[2])
    (True, True)

    A discrete choice model in which each person keeps the error term of each alternative from one scenario to the next:

    >>> import numpy as np
    >>> people, alternatives = np.array([501, 502]), np.array([3, 8, 20])
    >>> errors = gf.gumbel_at(np.tile(alternatives, (2, 1)), seeds=people, dtype=np.float64)
    >>> without_8 = gf.gumbel_at([[3, 20], [3, 20]], seeds=people, dtype=np.float64)
    >>> bool((errors[:, [0, 2]] == without_8).all())
    True
    """
    return _gather("gumbel_at", ids, dtype, rng, seeds, positions, offset, columns, num_threads)


def exponential_at(
    ids: ArrayLike,
    *,
    dtype: DTypeLike = np.float32,
    rng: SeedLike = None,
    seeds: ArrayLike | None = None,
    positions: ArrayLike | None = None,
    offset: int | ArrayLike | None = None,
    columns: int | None = None,
    num_threads: int | None = None,
) -> Any:
    r"""The exponential noise of some elements, gathered; what `gumbel_at` is made of.

    Parameters
    ----------
    ids, dtype, rng, seeds, positions, offset, columns, num_threads
        As in `gumbel_at`.

    Returns
    -------
    ndarray of the shape of `ids`, or a scalar where that is ()

    Raises
    ------
    TypeError, ValueError
        As in `gumbel_at`.

    Notes
    -----
    Equal byte for byte to ``exponential(size=n, dtype=dtype, rng=rng, offset=offset)[ids]``. Exponentials divided by
    weights arrive in the order of a weighted sample without replacement (Efraimidis and Spirakis 2006), so that items
    named by ids keep their arrival whatever else there is.

    Examples
    --------
    >>> import gumbelfast as gf
    >>> bool(gf.exponential_at(5, rng=0) == gf.exponential(size=6, rng=0)[5])
    True
    """
    return _gather("exponential_at", ids, dtype, rng, seeds, positions, offset, columns, num_threads)


def _gather(
    kernel: str,
    ids: ArrayLike,
    dtype: DTypeLike,
    rng: SeedLike,
    seeds: ArrayLike | None,
    positions: ArrayLike | None,
    offset: int | ArrayLike | None,
    columns: int | None,
    num_threads: int | None,
) -> Any:
    found = checks.float_dtype(dtype)
    columns = None if columns is None else id_checks.as_columns(columns)
    named = id_checks.as_ids(ids, columns)
    if columns is None:
        if positions is not None:
            id_checks.check_columns_given(columns, "positions")
        if seeds is not None and row_checks.seed_rows(seeds, named.shape[:-1])[1] is not None:
            id_checks.check_columns_given(columns, "a row without a seed")
    extent = columns or (int(named.max()) + 1 if named.size else 1)
    result, write, threads = np.empty(named.shape, found), getattr(active(), kernel), thread_count.resolve(num_threads)
    if seeds is None and positions is None and np.ndim(0 if offset is None else offset) == 0:
        call = partial(write, named.reshape(-1), result, threads)
        address.draw_flat(call, extent, rng, 0 if offset is None else offset)
    else:
        call = partial(write, named.reshape(-1) if named.ndim == 0 else named, result, threads)
        rows = named.size // named.shape[-1] if named.ndim and named.size else 1
        address.draw_rows(call, (*named.shape[:-1], extent), rows * extent, rng, seeds, positions, offset)
    return result[()]
