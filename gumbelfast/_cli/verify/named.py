"""The kernels of columns that are ids: held against the same backend's kernels of whole rows, which others check."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._engine.types import LACKING, REFUSED
from .cases import Case
from .inputs import Array, Inputs


def space_of(case: Case) -> int:
    """How many columns the whole rows have."""
    return 4 * case.columns + 3


def ids_of(case: Case) -> NDArray[np.uint64]:
    """Different ids for each row, in no order."""
    rng = np.random.default_rng(case.columns)
    return np.argsort(rng.random((case.rows, space_of(case))))[:, : case.columns].astype(np.uint64)


def run_named(backend: Any, case: Case, given: Inputs, threads: int) -> tuple[Array, ...]:
    """The results of a kernel whose name ends with _at."""
    kernel, ids, x = getattr(backend, case.kernel), ids_of(case), given.x
    if not case.kernel.startswith("gumbel_max") and not case.kernel.startswith("gumbel_top_k"):
        out = np.empty_like(x)
        kernel(ids, out, threads, given.address)
        return (out,)
    if given.mask is not None:
        x = np.where(np.broadcast_to(given.mask, x.shape), x, x.dtype.type(-np.inf))
    index, perturbed = _results(case)
    status = kernel(x, 1 / case.temperature, ids, None, index, perturbed, threads, given.address)
    return () if status == REFUSED else (index, perturbed, np.array([status == LACKING]))


def run_whole(backend: Any, case: Case, given: Inputs) -> tuple[Array, ...]:
    """What whole rows give at the ids, or with all else at -inf."""
    ids, x, space = ids_of(case).astype(np.int64), given.x, space_of(case)
    kernel = getattr(backend, case.kernel.removesuffix("_at"))
    if case.kernel in ("gumbel_at", "exponential_at"):
        key, first, stride, *_ = given.address
        noise = np.empty((case.rows - 1) * stride + space, x.dtype)
        kernel(noise, 0.0, 1.0, 1, (key, first, 0, None, None))
        return (noise[ids + np.arange(case.rows)[:, None] * stride],)
    whole = np.full((case.rows, space), -np.inf).astype(x.dtype)
    allowed = np.ones(x.shape, bool) if given.mask is None else np.broadcast_to(given.mask, x.shape)
    np.put_along_axis(whole, ids, np.where(allowed, x, x.dtype.type(-np.inf)), -1)
    index, perturbed = _results(case)
    status = kernel((whole, None, 1 / case.temperature), index, perturbed, 1, given.address)
    return () if status == REFUSED else (index, perturbed, np.array([status == LACKING]))


def _results(case: Case) -> tuple[Array, Array]:
    rows = case.rows * case.draws
    shape = (rows,) if case.kernel == "gumbel_max_at" else (rows, case.k)
    return np.empty(shape, np.int64), np.empty(shape)
