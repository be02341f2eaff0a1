"""Arrays and their chunks, drawn by hypothesis."""

from typing import Any

import dask.array as da
import numpy as np
from helpers import DTYPES, dtype_of
from hypothesis import strategies as st

Array = np.ndarray[Any, Any]


@st.composite
def chunks_of(draw: Any, shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Any way to cut an array, empty chunks along the way included."""
    found = []
    for n in shape:
        cuts = sorted(draw(st.lists(st.integers(0, n), max_size=4)))
        found.append(tuple(np.diff([0, *cuts, n]).tolist()))
    return tuple(found)


@st.composite
def logits(draw: Any, dtypes: list[str] = DTYPES) -> tuple[Array, da.Array, int]:
    """An array, the same in chunks, and an axis."""
    shape = tuple(draw(st.lists(st.integers(1, 6), max_size=2)))
    axis = draw(st.integers(0, len(shape)))
    shape = (*shape[:axis], draw(st.integers(1, 150)), *shape[axis:])
    dtype = draw(st.sampled_from(dtypes))
    x = (np.random.default_rng(draw(st.integers(0, 99))).normal(size=shape) * 3).astype(dtype_of(dtype))
    if draw(st.booleans()):
        axis -= len(shape)
    return x, da.from_array(x, chunks=draw(chunks_of(shape))), axis


@st.composite
def perhaps_dask(draw: Any, array: Array) -> Any:
    """The array, or the same in chunks of its own."""
    return da.from_array(array, chunks=draw(chunks_of(array.shape))) if draw(st.booleans()) else array


def batch_of(x: Array, axis: int) -> tuple[int, ...]:
    return tuple(np.delete(np.array(x.shape), axis).tolist())
