"""Gumbel and exponential noise."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._engine import address, checks, out_checks, thread_count
from .._engine.backend import active
from .._engine.types import SeedLike

Array = NDArray[Any]

_NUMBERS = (float, int)  # a union of types would be built in every call


def gumbel(
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    size: int | tuple[int, ...] | None = None,
    *,
    dtype: DTypeLike = np.float32,
    out: Array | None = None,
    rng: SeedLike = None,
    offset: int | None = None,
    num_threads: int | None = None,
) -> Any:
    r"""Gumbel noise, ``loc + scale * g``.

    Parameters
    ----------
    loc, scale : float or array_like of floats
        Location and scale (``scale >= 0``), finite; they broadcast against `size` as in NumPy.
    size : int or tuple of ints, optional
        Shape of the result; by default that of ``loc`` and ``scale`` together.
    dtype : {float32, float64, float16, bfloat16}
        Of the result. float16 and bfloat16 are the float32 result rounded once.
    out : ndarray, optional
        Takes the result; its shape and dtype must be those asked for.
    rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
        Where the randomness comes from. A numpy Generator is asked for one key.
    offset : int, optional
        First element of the key's noise to take; the generator is then left as it is.
    num_threads : int, optional
        The most threads to use; the result does not depend on it.

    Returns
    -------
    ndarray, or a scalar where the shape is ()

    Raises
    ------
    TypeError
        For a dtype outside the four, and for `loc` and `scale` that are not real numbers.
    ValueError
        If `loc` is not finite, `scale` negative or not finite, a size negative, or `out` unfit.

    Notes
    -----
    :math:`g = -\log E` with a standard exponential :math:`E`, so :math:`P(g \le x) = \exp(-e^{-x})`: Gumbel,
    *Statistical Theory of Extreme Values* (1954). Both tails are full: g spans -3.84 to 45.05, and its error is at most
    2 ulp of ``max(1, |g|)``. Which bits make which element: ``docs/stream.md``.

    Examples
    --------
    >>> import gumbelfast as gf
    >>> gf.gumbel(size=3, rng=0).shape
    (3,)
    """
    found = checks.float_dtype(out.dtype if isinstance(out, np.ndarray) and dtype is np.float32 else dtype)
    checks.finite(loc, "loc")
    checks.scale(scale)
    shape = _shape(loc, scale, size, out, "loc and scale")
    result = fill("gumbel", loc, scale, shape, found, out, rng, offset, num_threads)
    return result if shape or out is not None else result[()]


def exponential(
    scale: ArrayLike = 1.0,
    size: int | tuple[int, ...] | None = None,
    *,
    dtype: DTypeLike = np.float32,
    out: Array | None = None,
    rng: SeedLike = None,
    offset: int | None = None,
    num_threads: int | None = None,
) -> Any:
    r"""Exponential noise, ``scale * E``: what the Gumbel noise of the same elements is made of.

    Parameters
    ----------
    scale : float or array_like of floats
        The mean (``scale >= 0``), finite; broadcasts against `size` as in NumPy.
    size, dtype, out, rng, offset, num_threads
        As in `gumbel`.

    Returns
    -------
    ndarray, or a scalar where the shape is ()

    Raises
    ------
    TypeError, ValueError
        As in `gumbel`.

    Notes
    -----
    :math:`P(E \le x) = 1 - e^{-x}`, and :math:`-\log E` is the noise that `gumbel` returns for the element, but for
    rounding. E spans 2**-65 to 45.7; its error is at most 2 ulp of E itself, however small. Which bits
    make which element: ``docs/stream.md``.

    Examples
    --------
    >>> import gumbelfast as gf
    >>> gf.exponential(size=3, rng=0).shape
    (3,)
    """
    found = checks.float_dtype(out.dtype if isinstance(out, np.ndarray) and dtype is np.float32 else dtype)
    checks.scale(scale)
    shape = _shape(0.0, scale, size, out, "scale")
    result = fill("exponential", 0.0, scale, shape, found, out, rng, offset, num_threads)
    return result if shape or out is not None else result[()]


def _shape(loc: ArrayLike, scale: ArrayLike, size: Any, out: Any, names: str) -> tuple[int, ...]:
    natural = np.broadcast_shapes(np.shape(loc), np.shape(scale)) if not is_plain(loc, scale) else ()
    shape = checks.size_tuple(size) if size is not None else natural if out is None else np.shape(out)
    if natural and np.broadcast_shapes(natural, shape) != shape:
        plural = "" if " and " in names else "es"
        raise ValueError(f"{names} of shape {natural} do{plural} not broadcast to size {shape}")
    return shape


def is_plain(loc: Any, scale: Any) -> bool:
    """Whether both are single numbers; these are applied by the kernels."""
    return isinstance(loc, _NUMBERS) and isinstance(scale, _NUMBERS)


def fill(
    kernel: str,
    loc: Any,
    scale: Any,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    out: Array | None,
    rng: SeedLike,
    offset: int | None = None,
    num_threads: int | None = None,
) -> Array:
    """``loc + scale * noise`` of checked arguments, in `out` or a new array."""
    plain = is_plain(loc, scale)
    direct = out is not None and out_checks.output(out, shape, dtype, (loc, scale))
    # Arrays of loc and scale are applied before the noise is rounded, in memory that overlaps none of them.
    work = dtype if plain else checks.work_dtype(dtype)
    result = out if out is not None and direct and plain else np.empty(shape, work)
    write, threads = getattr(active(), kernel), thread_count.resolve(num_threads)
    at, times = (float(loc), float(scale)) if plain else (0.0, 1.0)

    address.draw_flat(partial(write, result, at, times, threads), result.size, rng, offset)
    if not plain:
        result *= np.asarray(scale, work)
        result += np.asarray(loc, work)
        result = result.astype(dtype, copy=False)
    if out is None:
        return result
    if result is not out:
        out[...] = result
    return out
