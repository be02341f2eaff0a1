"""Gumbel noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from . import _address, _threads, _validate
from ._backend import active
from .random import SeedLike

Array = NDArray[Any]


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
        The most threads to use; no number changes a result.

    Returns
    -------
    ndarray, or a scalar where the shape is ()

    Raises
    ------
    TypeError
        For a dtype outside the four.
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
    found = _validate.float_dtype(out.dtype if isinstance(out, np.ndarray) and dtype is np.float32 else dtype)
    plain = isinstance(loc, float | int) and isinstance(scale, float | int)
    _validate.finite(loc, "loc")
    _validate.scale(scale)
    natural = () if plain else np.broadcast_shapes(np.shape(loc), np.shape(scale))
    shape = _validate.size_tuple(size) if size is not None else natural if out is None else np.shape(out)
    if np.broadcast_shapes(natural, shape) != shape:
        raise ValueError(f"loc and scale of shape {natural} do not broadcast to size {shape}")
    direct = out is not None and _validate.output(out, shape, found, (loc, scale))
    # Arrays of loc and scale are applied to noise that is not rounded yet, in memory that none of them occupies.
    work = found if plain else _validate.work_dtype(found)
    result = out if out is not None and direct and plain else np.empty(shape, work)
    kernels, threads = active(), _threads.resolve(num_threads)
    at, times = (float(loc), float(scale)) if plain else (0.0, 1.0)  # type: ignore[arg-type]

    def call(key: int, first: int, *_: Any) -> int:
        if result.size:
            kernels.gumbel(result, at, times, key, first, threads)
        return 0

    _address.draw_flat(call, result.size, rng, offset)
    if not plain:
        result *= np.asarray(scale, work)
        result += np.asarray(loc, work)
        result = result.astype(found, copy=False)
    if out is not None:
        if result is not out:
            out[...] = result
        return out
    return result if shape else result[()]
