"""What the noise was, given what was drawn; and what would have been drawn instead."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, draws, thread_count
from .._engine.backend import active
from .._engine.types import Address, SeedLike
from . import conditional_checks as check

Array = NDArray[Any]


def hindsight_gumbel(
    logits: ArrayLike,
    observed: ArrayLike,
    size: int | tuple[int, ...] | None = None,
    *,
    axis: int = -1,
    rng: SeedLike = None,
    seeds: ArrayLike | None = None,
    positions: ArrayLike | None = None,
    offset: int | ArrayLike | None = None,
    row_stride: int | None = None,
    num_threads: int | None = None,
) -> NDArray[np.float64]:
    r"""Gumbel noise given that ``argmax(logits + noise)`` was `observed`.

    The same seed at the same position gives the same noise again: with `seeds`, move `positions` from call to call.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        Unnormalised log-probabilities, of which the draws were made; -inf is never drawn.
    observed : array_like of int
        One per row: the category that was drawn. Broadcasts to the batch shape.
    size : int or tuple of ints, optional
        Draws of the noise per row; these axes come in front.
    axis, rng, seeds, positions, offset, row_stride, num_threads
        As in `categorical`.

    Returns
    -------
    ndarray of float64, shape (*size, *logits.shape)
        With it, and logits in float64, the sum is largest at `observed` alone, rounding included.

    Raises
    ------
    TypeError, ValueError
        As in `conditional_gumbel` with an `index`, with ``observed`` in its place.

    Notes
    -----
    ``z - logits`` of perturbed logits z as `conditional_gumbel` draws them given the index of the largest, in float64
    (Maddison, Tarlow and Minka, "A* sampling", 2014; Oberst and Sontag, "Counterfactual off-policy evaluation with
    Gumbel-max structural causal models", 2019). Categories that could not be drawn tell nothing of their noise, which
    is that of `gumbel`. Draws from a posterior of the noise: averaged over observations that were drawn from the
    logits, it is Gumbel noise again. For a sequence of tokens give the logits before each, shape (..., T, V): its steps
    are independent of each other given what was observed (Ravfogel, Svete, Snæbjarnarson and Cotterell, "Gumbel
    counterfactual generation from language models", 2025).

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> logits = np.log([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]])
    >>> noise = gf.hindsight_gumbel(logits, [0, 2], 1000, rng=0)
    >>> noise.shape, bool((np.argmax(logits + noise, axis=-1) == [0, 2]).all())
    ((1000, 2, 3), True)
    """
    x, axis = _wide(logits, axis)
    which = check.winners(observed, x, "observed")
    z = _perturbed(x, which, size, rng, seeds, positions, offset, row_stride, num_threads)
    noise: Array = np.where(np.isneginf(x), z, z - x)
    # Values that rounding has put above the winner, or level with it, are moved below it.
    top = np.broadcast_to(which[..., None], (*noise.shape[:-1], 1))
    total, won = x + noise, np.take_along_axis(np.broadcast_to(x, noise.shape), top, -1)
    np.put_along_axis(total, top, -np.inf, -1)
    best, mine = total.max(axis=-1, keepdims=True), np.take_along_axis(noise, top, -1)
    step = 4 * np.spacing(np.maximum(np.abs(won), np.abs(np.where(np.isfinite(best), best, 0))))
    with np.errstate(invalid="ignore"):
        np.put_along_axis(noise, top, np.where(won + mine > best, mine, best - won + step), -1)
    return noise if axis == -1 else np.moveaxis(noise, -1, axis - x.ndim)


def counterfactual(
    logits: ArrayLike,
    observed: ArrayLike,
    new_logits: ArrayLike,
    size: int | tuple[int, ...] | None = None,
    *,
    axis: int = -1,
    rng: SeedLike = None,
    seeds: ArrayLike | None = None,
    positions: ArrayLike | None = None,
    offset: int | ArrayLike | None = None,
    row_stride: int | None = None,
    num_threads: int | None = None,
) -> Any:
    r"""What would have been drawn from other logits, with the noise that drew `observed` from `logits`.

    The same seed at the same position gives the same noise again: with `seeds`, move `positions` from call to call.

    Parameters
    ----------
    logits, observed, size, axis, rng, seeds, positions, offset, row_stride, num_threads
        As in `hindsight_gumbel`, of which this takes the noise.
    new_logits : array_like of float16, bfloat16, float32 or float64
        The logits under the intervention, of the shape of `logits`; -inf is never drawn.

    Returns
    -------
    ndarray of int64, shape (*size, *batch), or a scalar
        One draw from the posterior of ``argmax(new_logits + noise)``.

    Raises
    ------
    TypeError, ValueError
        As in `hindsight_gumbel`, and for new logits of another shape, with NaN or +inf, or with nothing to draw.

    Notes
    -----
    The Gumbel-max structural causal model of Oberst and Sontag, "Counterfactual off-policy evaluation with Gumbel-max
    structural causal models" (2019): abduction of the noise, intervention, prediction. It is counterfactually stable:
    category j takes the place of the observed i only if its odds against i grew, :math:`p'_j / p'_i > p_j / p_i`, which
    holds here to the last bit: with the differences :math:`d = x' - x`, the largest :math:`z_j + d_j` is drawn, and i
    among equals. Averaged over observations from `logits` it draws from `new_logits`.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> bad, good = np.log([0.6, 0.3, 0.1]), np.log([0.1, 0.3, 0.6])
    >>> drawn = gf.counterfactual(bad, 1, good, 1000, rng=0)
    >>> bool((drawn >= 1).all())  # 0 has become less likely: what it did not draw before it does not draw now
    True
    """
    x, axis = _wide(logits, axis)
    which = check.winners(observed, x, "observed")
    other, _ = _wide(new_logits, axis)
    if other.shape != x.shape:
        shapes = f"{np.shape(new_logits)}, expected that of the logits, {np.shape(logits)}"
        raise ValueError(f"new_logits have shape {shapes}")
    if active().refuses((other, None, 1.0), thread_count.resolve(num_threads)):
        check.refuse_new(other, axis)
    z = _perturbed(x, which, size, rng, seeds, positions, offset, row_stride, num_threads)
    score = z + np.where(np.isneginf(x), other, other - np.where(np.isneginf(x), 0, x))
    index = np.asarray(score.argmax(axis=-1))
    at = np.broadcast_to(which, index.shape)
    kept = np.take_along_axis(score, at[..., None], -1)[..., 0] == score.max(axis=-1)
    return np.where(kept, at, index)[()]


def _wide(logits: ArrayLike, axis: int) -> tuple[Array, int]:
    x, axis = checks.rows(logits, axis)
    return np.ascontiguousarray(x, np.float64), axis


def _perturbed(
    x: Array,
    which: NDArray[np.int64],
    size: int | tuple[int, ...] | None,
    rng: SeedLike,
    seeds: ArrayLike | None,
    positions: ArrayLike | None,
    offset: int | ArrayLike | None,
    row_stride: int | None,
    num_threads: int | None,
) -> Array:
    """Perturbed logits whose largest is known; where a logit is -inf, the noise itself."""
    front, threads = () if size is None else checks.size_tuple(size), thread_count.resolve(num_threads)
    shape = (*front, *x.shape)
    rows, z = (np.ascontiguousarray(np.broadcast_to(x, shape)), None, 1.0), np.empty(shape)
    tops, impossible = np.ascontiguousarray(np.broadcast_to(which, shape[:-1])), np.isneginf(x)
    free = np.empty(shape) if impossible.any() else None
    anything = np.full(shape[:-1], np.inf)

    def call(place: Address) -> int:
        if free is not None:  # without a bound, and with logits of 0, the result is the noise
            active().conditional_gumbel((np.zeros(shape), None, 1.0), anything, None, free, threads, place)
        return active().conditional_gumbel(rows, None, tops, z, threads, place)

    draws.run(call, (x, None, 1.0), -1, shape, z.size, (rng, seeds, positions, offset, row_stride))
    return z if free is None else np.where(impossible, free, z)
