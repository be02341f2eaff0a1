"""What draws leave behind, and how the draws of shards become the draw of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._engine import checks, state_checks

__all__ = ["Argmax", "merge"]


class Argmax(NamedTuple):
    """A draw and the perturbed logit that won it; shards of one row `merge` by the larger value."""

    indices: NDArray[np.int64]
    perturbed: NDArray[Any]


class TopK(NamedTuple):
    """Draws without replacement, in order, and their perturbed logits.

    The indices come first, as in all results of this package but those of `gumbelfast.torch`, whose TopK has the order
    of `torch.topk`: values, then indices. The names of the fields tell them apart.
    """

    indices: NDArray[np.int64]
    perturbed: NDArray[Any]


def merge(
    states: Sequence[Argmax | TopK], *, starts: Sequence[int] | None = None, k: int | None = None, axis: int = -1
) -> Any:
    """Combine what shards of the same rows drew into what the whole rows would have drawn, exactly.

    Parameters
    ----------
    states : sequence of Argmax or of TopK
        One per shard: `categorical` with ``return_perturbed=True``, or `gumbel_top_k`, each called on its columns with
        the shard's `offset` and the whole row's length as `row_stride`.
    starts : sequence of int, optional
        First column of each shard, added to its indices. Without it indices must already be those of the whole row.
    k : int, optional
        For TopK: how many to keep; by default the most that a shard holds.
    axis : int, default -1
        For TopK: the axis of the k entries.

    Returns
    -------
    Argmax or TopK

    Raises
    ------
    TypeError
        For states that are not all of one kind, indices that are not integers, or perturbed logits that are not floats.
    ValueError
        If there is no state, the shapes differ, a start is negative, fewer than k entries are at hand, or the merged
        draw holds a perturbed logit that overflowed in several states: which is the larger they do not tell.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> x = np.random.default_rng(0).normal(size=100)
    >>> shards = [gf.gumbel_top_k(x[a : a + 50], 5, rng=1, offset=a) for a in (0, 50)]
    >>> merged = gf.shards.merge(shards, starts=[0, 50])
    >>> bool((merged.indices == gf.gumbel_top_k(x, 5, rng=1).indices).all())
    True
    """
    states = list(states)
    if not states:
        raise ValueError("merge needs at least one state")
    top_k = isinstance(states[0], TopK)
    index, value = state_checks.shards(states, TopK if top_k else Argmax)
    shifts = state_checks.first_columns(starts, len(states))
    index = [np.where(i < 0, i, i + shift) for i, shift in zip(index, shifts, strict=True)]
    if not top_k:
        index, value = [i[..., None] for i in index], [v[..., None] for v in value]
    else:
        axis = checks.axis_index(axis, index[0].ndim)
        index, value = [np.moveaxis(i, axis, -1) for i in index], [np.moveaxis(v, axis, -1) for v in value]
    if len({i.shape[:-1] for i in index}) != 1:
        raise ValueError(f"states have different batch shapes: {[i.shape[:-1] for i in index]}")
    all_index, all_value = np.concatenate(index, axis=-1), np.concatenate(value, axis=-1)
    keep = 1 if not top_k else max(i.shape[-1] for i in index) if k is None else checks.count(k, all_index.shape[-1])
    # Largest first; the lower index first among equals; entries that stand for nothing last.
    lowest_first = np.where(all_index < 0, np.iinfo(np.int64).max, all_index)
    order = np.lexsort((lowest_first, -all_value), axis=-1)[..., :keep]
    merged_index = np.take_along_axis(all_index, order, axis=-1)
    merged_value = np.take_along_axis(all_value, order, axis=-1)
    state_checks.comparable(index, value, merged_index, merged_value)
    if not top_k:
        return Argmax(merged_index[..., 0], merged_value[..., 0])
    return TopK(np.moveaxis(merged_index, -1, axis), np.moveaxis(merged_value, -1, axis))
