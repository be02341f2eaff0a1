"""Perturbed logits given the largest of them, or a bound above all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, draws, out_checks, thread_count
from .._engine.backend import active
from .._engine.types import REFUSED, Address, SeedLike
from . import conditional_checks as check

Array = NDArray[Any]


def conditional_gumbel(
    logits: ArrayLike,
    index: ArrayLike | None = None,
    *,
    maximum: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    axis: int = -1,
    rng: SeedLike = None,
    seeds: ArrayLike | None = None,
    positions: ArrayLike | None = None,
    offset: int | ArrayLike | None = None,
    row_stride: int | None = None,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Any:
    r"""Perturbed logits ``logits + g``, given which is the largest, its value, or a bound above all of them.

    The same seed at the same position gives the same noise again: with `seeds`, move `positions` from call to call.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        Unnormalised log-probabilities; entries of -inf stay -inf.
    index : array_like of int, optional
        One per row: the place of the largest perturbed logit. Broadcasts to the batch shape.
    maximum : array_like of float, optional
        One per row: the value of the largest perturbed logit. With `index` it stands there. Alone, its place is drawn
        first: its law is ``softmax(logits)``, whatever the value.
    upper : array_like of float, optional
        One per row: every perturbed logit is at most this, and nothing else is known. inf allows everything. Not
        together with `index` or `maximum`.
    axis, rng, seeds, positions, offset, row_stride, num_threads
        As in `categorical`. With `maximum` alone a row is twice as wide: its first half draws the place as
        `categorical` does, the second one the perturbed logits.
    out : ndarray, optional
        Takes the result; it may be `logits` itself.

    Returns
    -------
    ndarray of float32, or of float64 for float64 logits
        Shape of `logits`. With `index` or `maximum` the largest entry is the only one of its value: the others are at
        most the next smaller number. With `upper` no entry exceeds it, rounded to this dtype.

    Raises
    ------
    TypeError
        For logits that are not floats, an `index` that is not integer, bounds that are not numbers, or if it is not one
        of the four combinations above.
    ValueError
        For NaN or +inf among the logits, rows without a finite one, an index out of range or with a logit of -inf, a
        `maximum` that is not finite, an `upper` that is NaN, or a bad address.

    Notes
    -----
    :math:`\exp(-z_j)` of perturbed logits z are exponentials with rates :math:`\exp(x_j)`. Having no memory, given
    :math:`z_j \le M` they are :math:`\exp(-M)` later than without (Maddison, Tarlow and Minka, "A* sampling", 2014):

    .. math:: z_j = -\log(e^{-M} + e^{-z'_j}) = \min(M, z'_j) - \log(1 + e^{-|M - z'_j|})

    with the unconditional :math:`z'_j = x_j + g_j`. Kool, van Hoof and Welling, "Stochastic beams and where to find
    them" (2019), draw the same law by shifting the unconditional maximum to M, where differences of nearly equal
    numbers enter a logarithm. Here none do: given :math:`z'_j` and M, the result is within 1.5 ulp of
    ``max(1, |z_j|)``.

    The largest is distributed as a Gumbel around ``logsumexp(logits)``, independent of its place; if only `index` is
    given it is ``logsumexp(logits) + g`` with that entry's own noise, which nothing else uses.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> z = gf.conditional_gumbel(np.log([0.1, 0.2, 0.7]), 0, maximum=1.5, rng=0)
    >>> int(z.argmax()), float(z.max())
    (0, 1.5)
    """
    check.condition(index, maximum, upper)
    x, axis = checks.rows(logits, axis)
    winner = None if index is None else check.winners(index, x)
    known = maximum if upper is None else upper
    bound = None if known is None else check.tops(known, "maximum" if upper is None else "upper", x)
    work, threads = checks.work_dtype(x.dtype), thread_count.resolve(num_threads)
    rows = x, None, 1.0
    target = None
    if out is not None:
        direct = out_checks.output(out, np.shape(logits), work, (logits,))
        target = out if direct and axis == -1 else None
    result = np.empty(x.shape, work) if target is None else target
    place_drawn = index is None and upper is None
    # If the index is drawn, bad logits are refused there, before anything is written.
    if target is not None and not place_drawn:
        draws.check_drawable(rows, axis, threads)

    def call(place: Address) -> int:
        which = winner
        if place_drawn:
            which = np.empty(x.shape[:-1], np.int64)
            if active().gumbel_max(rows, which, None, threads, place) < 0:
                return REFUSED
            key, first, stride, keys, starts = place
            behind = None if starts is None else starts + np.uint64(x.shape[-1])
            place = key, first + x.shape[-1], stride, keys, behind
        return int(active().conditional_gumbel(rows, bound, which, result, threads, place))

    width = 1 + place_drawn
    shape = (*x.shape[:-1], width * x.shape[-1])
    draws.run(call, rows, axis, shape, width * x.size, (rng, seeds, positions, offset, row_stride))
    if out is None or target is out:
        return checks.restored(result, axis)
    out[...] = checks.restored(result, axis)
    return out
