"""What states can be merged, and what is said of others."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._validate import LAST_ELEMENT, Array, float_dtype


def shards(states: Sequence[Any], kind: type[Any]) -> tuple[list[Array], list[Array]]:
    """The indices of all states as int64, and their perturbed logits."""
    index, value = [], []
    for at, state in enumerate(states):
        if not isinstance(state, kind):
            raise TypeError(f"states must all be Argmax or all TopK, got {type(state).__name__} at {at}")
        i, v = np.asarray(state.indices), np.asarray(state.perturbed)
        if i.dtype.kind not in "iu":
            raise TypeError(f"indices of states must be integers, got {i.dtype} at {at}")
        if i.shape != v.shape:
            raise ValueError(f"state {at} has indices of shape {i.shape}, perturbed of shape {v.shape}")
        index.append(i.astype(np.int64))
        value.append(v.astype(float_dtype(v.dtype), copy=False))
    return index, value


def first_columns(starts: Sequence[int] | None, count: int) -> list[int]:
    """The first column of each shard."""
    if starts is None:
        return [0] * count
    columns = [operator.index(start) for start in starts]
    if len(columns) != count:
        raise ValueError(f"starts has {len(columns)} entries for {count} states")
    for column in columns:
        if not 0 <= column < LAST_ELEMENT:
            raise ValueError(f"starts must lie in [0, 2**62), got {column}")
    return columns
