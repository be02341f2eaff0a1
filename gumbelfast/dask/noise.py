"""Gumbel and exponential noise as chunked arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import exponential as _exponential
from .. import gumbel as _gumbel
from .._engine import checks
from .._engine.types import SeedLike
from .._parts import fill_noise, reserve
from ..random.generator import Generator
from . import _blocks, _checks

Array = NDArray[Any]


def gumbel(
    loc: Any = 0.0,
    scale: Any = 1.0,
    size: int | tuple[int, ...] | None = None,
    *,
    dtype: DTypeLike = np.float32,
    chunks: Any = None,
    rng: SeedLike = None,
    offset: int | None = None,
) -> da.Array:
    """Gumbel noise, ``loc + scale * g``, as `gumbelfast.gumbel`: the same numbers for any chunks.

    Parameters
    ----------
    loc, scale, size, dtype
        As in `gumbelfast.gumbel`; `loc` and `scale` may be dask arrays.
    chunks : optional
        As in `dask.array.zeros`; by default those of a dask array among `loc` and `scale` that has the shape of the
        result, else "auto". Chunks that span the last axes are filled fastest.
    rng, offset
        As in `categorical`.

    Returns
    -------
    dask array

    Raises
    ------
    TypeError, ValueError
        As in `gumbelfast.gumbel`: for dask arrays among `loc` and `scale` when the result is computed.

    Notes
    -----
    Element i, in C order of the whole array, is element i of the noise (``docs/stream.md``). Dask's own random arrays
    change with their chunks (dask/dask#1684).

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf, gumbelfast.dask as gfd
    >>> noise = gfd.gumbel(size=(5, 7), chunks=(2, 3), rng=3).compute()
    >>> bool((noise == gf.gumbel(size=(5, 7), rng=3)).all())
    True
    """
    return _filled(_gumbel, {"loc": loc, "scale": scale}, size, dtype, chunks, rng, offset)


def exponential(
    scale: Any = 1.0,
    size: int | tuple[int, ...] | None = None,
    *,
    dtype: DTypeLike = np.float32,
    chunks: Any = None,
    rng: SeedLike = None,
    offset: int | None = None,
) -> da.Array:
    """Exponential noise, ``scale * E``, as `gumbelfast.exponential`: the same numbers for any chunks.

    Parameters, results and errors are those of `gumbel`.

    Examples
    --------
    >>> import gumbelfast as gf, gumbelfast.dask as gfd
    >>> noise = gfd.exponential(size=(100, 10), chunks=(30, 4), rng=1)
    >>> bool((noise.compute() == gf.exponential(size=(100, 10), rng=1)).all())
    True
    """
    return _filled(_exponential, {"scale": scale}, size, dtype, chunks, rng, offset)


def _filled(
    fill: Callable[..., Any], given: dict[str, Any], size: Any, dtype: Any, chunks: Any, rng: SeedLike, offset: Any
) -> da.Array:
    found = checks.float_dtype(dtype)
    arrays = {name: value for name, value in given.items() if isinstance(value, da.Array)}
    for value in arrays.values():
        _checks.check_known(value)
    # Arguments in memory, and shapes, are checked by NumPy's function, called for as few numbers as possible.
    fill(**{name: 1.0 if name in arrays else value for name, value in given.items()}, dtype=found, rng=0)
    natural = np.broadcast_shapes(*(np.shape(value) for value in given.values()))
    shape = natural if size is None else checks.size_tuple(size)
    if natural and np.broadcast_shapes(natural, shape) != shape:
        _checks.refuse_size(tuple(given), natural, shape)
    if chunks is None:
        whole = [value.chunks for value in arrays.values() if value.shape == shape]
        chunks = whole[0] if whole else "auto"
    chunks = da.core.normalize_chunks(chunks, shape, dtype=found)
    key, first = reserve(rng, math.prod(shape), offset)
    spread = {
        name: da.broadcast_to(_blocks.beside(_array(value), chunks), shape, chunks=chunks)
        for name, value in given.items()
        if np.ndim(value) or name in arrays
    }
    numbers = {name: value for name, value in given.items() if name not in spread}
    return da.map_blocks(
        _block, *spread.values(), names=tuple(spread), numbers=numbers, fill=fill, key=key, first=first, dtype=found,
        chunks=chunks, meta=np.empty((0,) * len(shape), found),
    )  # fmt: skip


def _block(
    *arrays: Array, names: Any, numbers: Any, fill: Any, key: int, first: int, dtype: Any = None, block_info: Any = None
) -> Any:
    info = block_info[None]
    shape, location = info["shape"], [tuple(each) for each in info["array-location"]]
    out = np.empty(tuple(end - start for start, end in location), info["dtype"])
    given = numbers | dict(zip(names, arrays, strict=True))
    if not shape:
        return fill(**given, dtype=info["dtype"], rng=Generator(key), offset=first)
    if out.size:
        address = _blocks.Address(key, first, tuple(shape[:-1]), 0, shape[-1], len(shape) - 1)
        fill_noise(fill, out, address.noise({}, location), **given)
    return out


def _array(value: Any) -> Any:
    return value if isinstance(value, da.Array) else np.asarray(value)
