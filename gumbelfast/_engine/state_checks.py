"""Which states can be merged, and the errors for all others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .checks import INT64_END, LAST_ELEMENT, Array, as_integers, float_dtype, is_outside, row_name


def shards(states: Sequence[Any], kind: type[Any]) -> tuple[list[Array], list[Array]]:
    """The indices of all states as int64, and their perturbed logits."""
    index, value = [], []
    for at, state in enumerate(states):
        if not isinstance(state, kind):
            raise TypeError(f"states must all be Argmax or all TopK, got {type(state).__name__} at {at}")
        try:
            i, v = as_integers(state.indices, "indices of states"), np.asarray(state.perturbed)
        except TypeError as error:
            raise TypeError(f"{error} at {at}") from None
        wrong = is_outside(i, -INT64_END, LAST_ELEMENT)
        if wrong.any():
            raise ValueError(f"indices of states must lie in [-2**63, 2**62), got {i[wrong][0]} at {at}")
        if i.shape != v.shape:
            raise ValueError(f"state {at} has indices of shape {i.shape}, perturbed of shape {v.shape}")
        index.append(i.astype(np.int64))
        value.append(v.astype(float_dtype(v.dtype), copy=False))
    return index, value


def comparable(index: list[Array], value: list[Array], merged_index: Array, merged_value: Array) -> None:
    """Refuses a merged draw with a value that overflowed in more than one state; entries on the last axis."""
    for infinity in (np.inf, -np.inf):
        chosen = ((merged_value == infinity) & (merged_index >= 0)).any(axis=-1)
        holders = np.stack([((v == infinity) & (i >= 0)).any(axis=-1) for i, v in zip(index, value, strict=True)])
        fault = np.atleast_1d(chosen & (holders.sum(axis=0) > 1))
        if fault.any():
            row = row_name(int(fault.argmax()), (*fault.shape, 1))
            raise ValueError(f"perturbed logits of row {row} are {infinity} in several states: they cannot be merged")


def first_columns(starts: Sequence[int] | None, count: int) -> list[int]:
    """The first column of each shard."""
    if starts is None:
        return [0] * count
    columns = as_integers(starts, "starts")
    if columns.shape != (count,):
        raise ValueError(f"starts has {columns.size} entries for {count} states")
    wrong = is_outside(columns, 0, LAST_ELEMENT)
    if wrong.any():
        raise ValueError(f"starts must lie in [0, 2**62), got {columns[wrong][0]}")
    found: list[int] = columns.tolist()
    return found
