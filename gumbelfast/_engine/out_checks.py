"""Which arrays results can be written to."""

from __future__ import annotations

from typing import Any

import numpy as np

from .checks import Array


def output(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], inputs: tuple[Any, ...]) -> bool:
    """Checks an `out`, which may be one of the inputs exactly; True if a kernel can write to it as it lies."""
    if type(out) is not np.ndarray:
        raise TypeError(f"out must be a numpy array, got {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, expected {shape}")
    if out.dtype != dtype:
        raise ValueError(f"out has dtype {out.dtype}, expected {dtype}")
    flags = out.flags
    if not flags.writeable:
        raise ValueError("out is read-only")
    if not flags.forc and _lies_upon_itself(out):
        raise ValueError(f"elements of out share memory: strides {out.strides} for shape {shape}")
    for given in inputs:
        if given is not out and isinstance(given, np.ndarray) and may_share_memory(out, given):
            same = out.__array_interface__["data"] == given.__array_interface__["data"] and out.strides == given.strides
            if not same and np.shares_memory(out, given):
                raise ValueError("out overlaps an input without being the same array")
    return bool(flags.c_contiguous and flags.aligned)


def may_share_memory(a: Array, b: Array) -> bool:
    """`numpy.shares_memory`, with a quick answer if both arrays own their memory."""
    if a is not b and a.flags.owndata and b.flags.owndata:
        return False
    return np.may_share_memory(a, b)


def _lies_upon_itself(x: Array) -> bool:
    """Whether two elements of a strided array have a byte in common."""
    steps = sorted((abs(stride), n) for n, stride in zip(x.shape, x.strides, strict=True) if n > 1)
    extent, nested = x.itemsize, True
    for stride, n in steps:  # no overlap if each axis steps over everything that the shorter axes span
        nested = nested and stride >= extent
        extent += (n - 1) * stride
    if nested or x.nbytes > extent:
        return not nested
    starts = np.zeros(1, np.intp)
    for stride, n in steps:
        starts = (starts + stride * np.arange(n)[:, None]).ravel()
    return bool((np.diff(np.sort(starts)) < x.itemsize).any())
