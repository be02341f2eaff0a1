"""Files of numbers as dask arrays: each task opens the file itself."""

from __future__ import annotations

import mmap
import os
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize


def from_memmap(array: np.memmap[Any, Any], chunks: Any = "auto") -> da.Array:
    """A dask array over a memory-mapped file, of which only the name is sent: each worker opens the file itself.

    Parameters
    ----------
    array : numpy.memmap
        As `numpy.memmap` or ``numpy.load(path, mmap_mode="r")`` opened it, whole. All workers must see the file under
        the same name.
    chunks : optional
        As in `dask.array.from_array`.

    Returns
    -------
    dask.array.Array

    Raises
    ------
    TypeError
        For an argument that is not a memory map, or is only a part of one.

    Notes
    -----
    `dask.array.from_array` would put the numbers themselves into the graph wherever it is sent to another process.
    Pages that were read stay in the system's cache while there is room; they do not count as memory of a worker.

    Examples
    --------
    >>> import os, tempfile, numpy as np, gumbelfast.dask as gfd
    >>> path = os.path.join(tempfile.mkdtemp(), "logits.npy")
    >>> np.save(path, np.zeros((4, 6), np.float32))
    >>> gfd.from_memmap(np.load(path, mmap_mode="r"), chunks=(4, 3)).numblocks
    (1, 2)
    """
    if not isinstance(array, np.memmap):
        raise TypeError(f"expected a numpy.memmap, got {type(array).__name__}")
    if not is_whole(array):
        raise TypeError("expected a memory map as it was opened, got a part of one: slice the dask array instead")
    order = "C" if array.flags.c_contiguous else "F"
    file = (str(array.filename), array.dtype, array.offset, array.shape, order)
    chunks = da.core.normalize_chunks(chunks, array.shape, dtype=array.dtype)
    # What the file holds now, in these chunks: Dask takes arrays of one name for the same.
    seen = os.stat(str(array.filename))
    token = tokenize(file, chunks, seen.st_mtime_ns, seen.st_size)
    return da.map_blocks(_read, file, chunks=chunks, dtype=array.dtype, meta=_meta(array), name=f"memmap-{token}")


def is_whole(array: Any) -> bool:
    """Whether this is a memory map as it was opened, so that its name, offset and shape say where its numbers are."""
    return isinstance(array, np.memmap) and array.filename is not None and isinstance(array.base, mmap.mmap)


def _meta(array: np.memmap[Any, Any]) -> Any:
    return np.empty((0,) * array.ndim, array.dtype)


def _read(file: tuple[Any, ...], block_info: Any = None) -> Any:
    path, dtype, offset, shape, order = file
    mapped = np.memmap(path, dtype, "r", offset, shape, order)
    return np.asarray(mapped[tuple(slice(*each) for each in block_info[None]["array-location"])])
