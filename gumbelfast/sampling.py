"""Draws from discrete distributions: the largest perturbed logit, or the k largest."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import _address, _threads, _validate, _validate_tables
from ._backend import active
from ._tables import Tables, weights_of_logits
from ._types import RowCall, SeedLike
from .states import Argmax, TopK

_INT64 = np.dtype(np.int64)

# Draws per row that an alias table pays for: measured, 25 to 300 on rows of 10 to 10**6 categories.
_TABLE_DRAWS = 256


def _empty_allowed(call: RowCall) -> RowCall:
    """The call, for which rows without anything to draw are no failure."""

    def tolerant(*address: Any) -> int:
        tiles = call(*address)
        return -2 - tiles if tiles < -1 else tiles

    return tolerant


def categorical(
    logits: ArrayLike,
    *,
    axis: int = -1,
    size: int | tuple[int, ...] | None = None,
    temperature: float = 1.0,
    mask: ArrayLike | None = None,
    rng: SeedLike = None,
    seeds: ArrayLike | None = None,
    positions: ArrayLike | None = None,
    offset: int | ArrayLike | None = None,
    row_stride: int | None = None,
    return_perturbed: bool = False,
    method: str = "auto",
    empty: int | None = None,
    num_threads: int | None = None,
) -> Any:
    r"""Draw from the categorical distribution of each row of logits, by the Gumbel-max trick.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        Unnormalised log-probabilities; -inf is never drawn.
    axis : int, default -1
        The axis of the categories.
    size : int or tuple of ints, optional
        Draws per row; the result has shape ``size + batch shape``.
    temperature : float, default 1.0
        Logits are divided by it.
    mask : array_like of bool, optional
        True where a category is allowed; broadcasts to `logits`. What is masked is not looked at.
    rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
        Where the randomness comes from.
    seeds, positions : array_like of int, optional
        One per row: row i draws at place ``positions[i]`` (default 0) of the noise of ``seeds[i]``, whatever its
        batch-mates. No generator is touched.
    offset, row_stride : int, optional
        Row i, column j takes element ``offset + i * row_stride + j`` of the noise of `rng`'s key: the way to draw a
        part of a larger array. The generator is left as it is. `offset` may hold one element per row.
    return_perturbed : bool, default False
        Return the winning perturbed logit as well.
    method : {"auto", "gumbel"}
        "gumbel" takes perturbed logits always. "auto" draws from an alias table, as `Categorical` does, where `size`
        asks for 256 draws a row or more, unless there are `seeds`, `offset`, `return_perturbed` or `empty`. Both are
        exact, but they draw different values.
    empty : int, optional
        What a row without a finite logit yields, instead of an error.
    num_threads : int, optional
        The most threads to use; no number changes a result.

    Returns
    -------
    ndarray of int64, or `Argmax` with `return_perturbed`
        The perturbed logits are float32 (float64 for float64 logits), -inf for an empty row.

    Raises
    ------
    TypeError
        For logits that are not floats, a mask that is not boolean, or an `empty` that is no integer.
    ValueError
        For NaN or +inf among the allowed logits, rows without a finite one, a bad temperature, `empty` or address.

    Notes
    -----
    :math:`\arg\max_j (x_j / T + g_j)` with standard Gumbels g has distribution :math:`\mathrm{softmax}(x / T)`
    (Gumbel 1954; Maddison, Tarlow and Minka 2014). The result equals ``argmax(logits * s + gumbel(...))`` at the same
    address, s = 1/T rounded to the working dtype, the lowest index among equals; almost none of that noise is ever
    computed (``docs/stream.md``). Draws from a table take one element each instead of one per logit.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> gf.categorical(np.log([0.1, 0.2, 0.7]), size=5, rng=0).shape
    (5,)
    """
    if method not in ("auto", "gumbel"):
        raise ValueError(f"method must be 'auto' or 'gumbel', got {method!r}")
    x, axis = _validate.rows(logits, axis)
    scale = _validate.positive_reciprocal(temperature, "temperature", x.dtype)
    allowed = None if mask is None else _validate.mask_for(mask, np.shape(logits), axis)
    if empty is not None:
        empty = _validate_tables.empty_value(empty)
    drawn = x.shape if size is None else _validate.size_tuple(size) + x.shape
    index = np.empty(drawn[:-1], _INT64)
    if method == "auto" and size is not None and not return_perturbed and empty is None:
        # Only the shapes decide, so that the same call always draws the same values.
        plain = seeds is None and positions is None and offset is None and row_stride is None
        if plain and index.size >= _TABLE_DRAWS * math.prod(x.shape[:-1]) > 0:
            threads = _threads.resolve(num_threads)
            weights = weights_of_logits(x, axis, scale, allowed, threads)
            Tables(weights).draw("alias", index, rng, None, threads)
            return index
    perturbed = np.empty(drawn[:-1], _validate.work_dtype(x.dtype)) if return_perturbed else None
    call: RowCall = partial(active().gumbel_max, x, allowed, scale, index, perturbed, _threads.resolve(num_threads))
    if empty is not None:
        call = _empty_allowed(call)
    if _address.draw_rows(call, drawn, index.size * drawn[-1], rng, seeds, positions, offset, row_stride) < 0:
        _validate.refuse(x, allowed, axis, empty_allowed=empty is not None)
    if empty is not None and empty != -1:
        index[index < 0] = empty
    if perturbed is not None:
        return Argmax(index[()], perturbed[()])
    return index if index.ndim else index[()]


def gumbel_top_k(
    logits: ArrayLike,
    k: int,
    *,
    axis: int = -1,
    temperature: float = 1.0,
    mask: ArrayLike | None = None,
    rng: SeedLike = None,
    seeds: ArrayLike | None = None,
    positions: ArrayLike | None = None,
    offset: int | ArrayLike | None = None,
    row_stride: int | None = None,
    num_threads: int | None = None,
) -> TopK:
    r"""Draw k categories per row without replacement, in order, by the k largest perturbed logits.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        Unnormalised log-probabilities; -inf is never drawn.
    k : int
        How many, ``0 <= k <= columns``.
    axis, temperature, mask, rng, seeds, positions, offset, row_stride, num_threads
        As in `categorical`.

    Returns
    -------
    TopK
        ``indices`` (int64) and ``perturbed`` (float32, or float64 for float64 logits), with k entries along `axis`,
        the largest perturbed logit first. In this order, and not that of `torch.topk`, which
        `gumbelfast.torch.gumbel_top_k` keeps.

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
    """
    x, axis = _validate.rows(logits, axis)
    scale = _validate.positive_reciprocal(temperature, "temperature", x.dtype)
    allowed = None if mask is None else _validate.mask_for(mask, np.shape(logits), axis)
    k = _validate.count(k, x.shape[-1])
    shape = (*x.shape[:-1], k)
    index = np.empty(shape, _INT64)
    perturbed = np.empty(shape, _validate.work_dtype(x.dtype))
    call = partial(active().gumbel_top_k, x, allowed, scale, index, perturbed, _threads.resolve(num_threads))
    tiles = _address.draw_rows(call, x.shape, x.size, rng, seeds, positions, offset, row_stride)
    if tiles < -1:
        _validate.too_few(x, k, index)
    if tiles < 0:
        _validate.refuse(x, allowed, axis, empty_allowed=True)
    return TopK(_validate.restored(index, axis), _validate.restored(perturbed, axis))
