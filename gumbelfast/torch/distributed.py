"""Draws over the processes of `torch.distributed`: of vocabularies that they share, and of items for data loaders.

    from gumbelfast.torch import distributed as gtd

Every process gets the same tokens, and they are those of one process with all the logits, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from .. import Categorical, sample_tokens, weighted_sample
from .. import logsumexp as _logsumexp
from .._engine import checks, row_checks
from .._engine.tokens import SMALLEST_SHARE
from .._parts import (
    check_count,
    check_drawn,
    draw_argmax,
    draw_top_k,
    end_of_positions,
    merge_messages,
    message_of,
)
from ..random.generator import Generator
from ..shards import Argmax
from ..shards import TopK as _State
from . import _filters
from ._group import Shard, all_gathered, noise_of, shard_of
from .sampling import TopK

__all__ = [
    "DistributedWeightedSampler",
    "vocab_parallel_categorical",
    "vocab_parallel_sample_tokens",
    "vocab_parallel_top_k",
]

Array = NDArray[Any]

_DRAWS = 1 << 16  # that a sampler makes at a time


def vocab_parallel_categorical(
    local_logits: Tensor,
    start: int,
    group: Any = None,
    *,
    vocab_size: int | None = None,
    temperature: Any = 1.0,
    mask: Tensor | None = None,
    seeds: Any = None,
    positions: Any = None,
    generator: Any = None,
) -> Tensor:
    """Draw from rows of logits of which each process of a group holds some columns, as `gumbelfast.categorical`.

    Parameters
    ----------
    local_logits : Tensor of float16, bfloat16, float32 or float64, shape (..., columns)
        The columns of this process, on the CPU. -inf is never drawn. All processes have rows of the same shape.
    start : int
        The first column of this process in the whole rows. Together the processes hold each column once.
    group : ProcessGroup, optional
        By default all processes.
    vocab_size : int, optional
        The number of columns of the whole rows; without it, one more exchange finds it out.
    temperature : float or array_like of float, default 1.0
        One number, or one per row; the same on all processes, as are `seeds` and `positions`.
    mask : Tensor of bool, optional
        True where a category is allowed: of the columns of this process, broadcasting to `local_logits`.
    seeds, positions : array_like of int, optional
        One per row, as in `gumbelfast.categorical`; none may be None.
    generator : gumbelfast.Generator or torch.Generator, optional
        A `gumbelfast.Generator` is in the same state on all processes, and advances on all. Of a torch generator, by
        default torch's, each process draws one key, and that of the group's first is used.

    Returns
    -------
    Tensor of int64, shape (...)
        Columns of the whole rows, the same on every process and for any number of them: what
        `gumbelfast.categorical` draws from the whole rows with these seeds or this `gumbelfast.Generator`, and
        `gumbelfast.torch.categorical` with the first process's torch generator.

    Raises
    ------
    TypeError, ValueError
        As in `gumbelfast.categorical`, on all processes alike for what is wrong with logits; no generator has moved.
    NotImplementedError
        For tensors of another device.

    Notes
    -----
    Each process draws from its own columns on the noise of the whole rows, and the largest perturbed logit of all wins
    (``docs/stream.md``): 16 bytes per row and process are exchanged, once.

    Examples
    --------
    >>> import torch, torch.distributed as dist
    >>> from gumbelfast.torch import distributed
    >>> dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    >>> local = torch.tensor([[0.0, -torch.inf, -torch.inf], [-torch.inf, 0.0, -torch.inf]])
    >>> distributed.vocab_parallel_categorical(local, 0, seeds=[1, 2])
    tensor([0, 1])
    >>> dist.destroy_process_group()
    """
    shard = shard_of(local_logits, start, vocab_size, group)
    each = _temperatures(temperature, shard)
    allowed, place = _mask_of(mask, shard), _places_of(seeds, positions, shard)
    with _put_back(generator):
        noise = noise_of(shard, *place, generator)
        return _winner(lambda: draw_argmax(shard.x, noise, (), allowed, each, None), shard, allowed)


def vocab_parallel_top_k(
    local_logits: Tensor,
    start: int,
    k: int,
    group: Any = None,
    *,
    vocab_size: int | None = None,
    temperature: Any = 1.0,
    mask: Tensor | None = None,
    seeds: Any = None,
    positions: Any = None,
    generator: Any = None,
) -> TopK:
    """Draw k categories per row without replacement, of which each process of a group holds some columns.

    Parameters
    ----------
    local_logits, start, group, vocab_size, temperature, mask, seeds, positions, generator
        As in `vocab_parallel_categorical`.
    k : int
        How many, at most as many as there are in the whole rows.

    Returns
    -------
    TopK
        ``values``, the perturbed logits, and ``indices``, columns of the whole rows, the largest first: what
        `gumbelfast.gumbel_top_k` draws from the whole rows, on every process.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `vocab_parallel_categorical`; ValueError too for a k above the allowed columns of a row.

    Notes
    -----
    16 k bytes per row and process are exchanged, once.

    Examples
    --------
    >>> import torch, torch.distributed as dist
    >>> from gumbelfast.torch import distributed
    >>> dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    >>> distributed.vocab_parallel_top_k(torch.tensor([[0.0, -torch.inf, 99.0]]), 0, 2, seeds=[1]).indices
    tensor([[2, 0]])
    >>> dist.destroy_process_group()
    """
    shard = shard_of(local_logits, start, vocab_size, group)
    each, k = _temperatures(temperature, shard), checks.count(k, shard.vocab_size)
    allowed, place = _mask_of(mask, shard), _places_of(seeds, positions, shard)
    with _put_back(generator):
        noise = noise_of(shard, *place, generator)
        merged = _merged(lambda: draw_top_k(shard.x, k, noise, allowed, each, None), shard, allowed, k)
        check_count(merged.indices, k, "allowed entries")
    values = merged.perturbed.astype(shard.x.dtype)
    return TopK(torch.from_numpy(values), torch.from_numpy(merged.indices))


def vocab_parallel_sample_tokens(
    local_logits: Tensor,
    start: int,
    group: Any = None,
    *,
    vocab_size: int | None = None,
    temperature: Any = 1.0,
    top_k: Any = None,
    top_p: Any = None,
    min_p: Any = None,
    mask: Tensor | None = None,
    seeds: Any = None,
    positions: Any = None,
    generator: Any = None,
) -> Tensor:
    """Draw one token per row, of which each process of a group holds some columns, as `gumbelfast.sample_tokens`.

    Parameters
    ----------
    local_logits, start, group, vocab_size, mask, seeds, positions, generator
        As in `vocab_parallel_categorical`.
    temperature, top_k, top_p, min_p : optional
        As in `gumbelfast.sample_tokens`: one value, or one per row; the same on all processes.

    Returns
    -------
    Tensor of int64, shape (...)
        The tokens, the same on every process and for any number of them: those of `gumbelfast.reference.sample_tokens`
        of the whole rows. A compiled backend's exponentials may differ in their last bit, and with them the filter of
        top-p where a cumulative probability is within 1e-7 of it.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `gumbelfast.sample_tokens`, on all processes alike for what is wrong with logits; no generator has moved.

    Notes
    -----
    Top-k exchanges the k largest logits of each process. Top-p adds up probabilities as integers, digit by digit of the
    logit where they reach p: sums over processes are exact, and 2 KB per row are exchanged 4 times (for float64, 8
    times). ``docs/api.md`` has the arithmetic.

    Examples
    --------
    >>> import torch, torch.distributed as dist
    >>> from gumbelfast.torch import distributed
    >>> dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    >>> distributed.vocab_parallel_sample_tokens(torch.tensor([[0.0, 1.0, 2.0]]), 0, top_k=1, seeds=[1])
    tensor([2])
    >>> dist.destroy_process_group()
    """
    shard = shard_of(local_logits, start, vocab_size, group)
    batch, work = shard.x.shape[:-1], shard.x.dtype
    given = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
    sample_tokens(np.zeros((*batch, 1), work), rng=0, **given)  # raises the errors of settings
    t, k, p, m = (
        _one_a_row(value, nothing, batch) for value, nothing in zip(given.values(), (1, 0, 1, 0), strict=True)
    )
    allowed, place = _mask_of(mask, shard), _places_of(seeds, positions, shard)
    with _put_back(generator):
        noise = noise_of(shard, *place, generator)
        x = shard.x if allowed is None else np.where(allowed, shard.x, work.type(-np.inf))
        largest = _merged(lambda: _largest(x), shard, allowed, 1)
        check_drawn(np.asarray(largest.indices[..., 0] < 0))
        most = largest.perturbed.reshape(-1).astype(work)
        with np.errstate(divide="ignore"):
            scale = np.maximum(1 / t, float(np.finfo(work).smallest_subnormal))
        rows = x.reshape(most.size, x.shape[-1])
        rows = _filters.keep_top_k(shard, rows, k.astype(np.int64))
        rows = _filters.keep_top_p(shard, rows, most, scale, np.where(t > 0, np.maximum(p, SMALLEST_SHARE), 1))
        rows = _filters.keep_min_p(rows, most, scale, np.where(t > 0, m, 0))
        each = np.where(t > 0, t, 1).reshape(batch)
        drawn = _winner(lambda: draw_argmax(rows.reshape(x.shape), noise, (), None, each, None), shard, None)
    return torch.where(torch.from_numpy(t.reshape(batch) > 0), drawn, torch.from_numpy(largest.indices[..., 0]))


class DistributedWeightedSampler(Sampler[int]):
    """Indices drawn by weights for data loaders of several processes, each of which gets its share of one epoch.

    The epoch is the same for any number of processes: its draw number i goes to process ``i % num_replicas``.

    Parameters
    ----------
    weights : array_like or Tensor of real numbers, shape (n,)
        Finite and >= 0, not all 0; they need not sum to 1. There may be more than 2**24.
    num_samples : int
        The draws of an epoch, of all processes together. Without replacement at most the number of positive weights.
    replacement : bool, default True
        Whether an index may come again within an epoch.
    seed : int, default 0
        The same on all processes.
    num_replicas, rank : int, optional
        How many processes, and which this one is; by default those of `torch.distributed`.
    drop_last : bool, default False
        Where `num_samples` is not a multiple of `num_replicas`: drop the remainder. By default some processes get the
        first draws of the epoch once more, so that all get equally many.

    Raises
    ------
    TypeError, ValueError
        For weights, counts or a rank that do not fit.

    Notes
    -----
    `torch.utils.data.WeightedRandomSampler` is of one process, and takes at most 2**24 weights
    (pytorch/pytorch#23430, #77154, #2576). With replacement the draws come from an alias table
    (`gumbelfast.Categorical`), element i of the noise of ``[seed, epoch]`` for draw i; without, they are those of
    `gumbelfast.weighted_sample`, in order.

    Examples
    --------
    >>> from gumbelfast.torch.distributed import DistributedWeightedSampler
    >>> shares = [list(DistributedWeightedSampler([1, 0, 3], 6, num_replicas=2, rank=r)) for r in range(2)]
    >>> whole = list(DistributedWeightedSampler([1, 0, 3], 6, num_replicas=1, rank=0))
    >>> [share[i] for i in range(3) for share in shares] == whole
    True

    Call ``sampler.set_epoch(epoch)`` before each epoch, or all epochs are the same.
    """

    def __init__(
        self,
        weights: Any,
        num_samples: int,
        replacement: bool = True,
        seed: int = 0,
        *,
        num_replicas: int | None = None,
        rank: int | None = None,
        drop_last: bool = False,
    ) -> None:
        w = np.asarray(weights)
        if w.ndim != 1:
            raise ValueError(f"weights must have one axis, got shape {w.shape}")
        self._categories = Categorical(probs=w)  # raises the errors of weights
        self._weights = w
        self._draws = checks.positive_count(num_samples, "num_samples")
        positive = int(np.count_nonzero(w))
        if not replacement and self._draws > positive:
            raise ValueError(
                f"num_samples={self._draws} exceeds the {positive} positive weights: there is no replacement"
            )
        self._replacement = bool(replacement)
        self._seed = checks.as_integer(seed, "seed", 0)
        replicas = dist.get_world_size() if num_replicas is None else num_replicas
        self._replicas = checks.positive_count(replicas, "num_replicas")
        self._rank = checks.as_integer(dist.get_rank() if rank is None else rank, "rank", 0)
        if self._rank >= self._replicas:
            raise ValueError(f"rank must be < num_replicas={self._replicas}, got {self._rank}")
        self._drop_last = bool(drop_last)
        self._epoch = 0
        self._drawn: tuple[int, NDArray[np.int64]] | None = None  # an epoch without replacement

    def set_epoch(self, epoch: int) -> None:
        """Number the next epoch, ``epoch >= 0``: the same on all processes."""
        self._epoch = checks.as_integer(epoch, "epoch", 0)

    def __len__(self) -> int:
        """How many indices each process gets."""
        return self._draws // self._replicas if self._drop_last else -(-self._draws // self._replicas)

    def __iter__(self) -> Iterator[int]:
        # Not a generator itself: the epoch is that of now.
        return self._share(partial(self._with_replacement if self._replacement else self._distinct, self._epoch))

    def _share(self, epoch: Callable[[int, int], NDArray[np.int64]]) -> Iterator[int]:
        end = len(self) * self._replicas
        for first in range(0, min(end, self._draws), step := _DRAWS * self._replicas):
            yield from epoch(first, min(first + step, end, self._draws))[self._rank :: self._replicas].tolist()
        # What is missing starts over; an epoch may have fewer draws than there are processes.
        missing = np.arange(self._draws, end)
        for place in missing[missing % self._replicas == self._rank].tolist():
            yield int(epoch(place % self._draws, place % self._draws + 1)[0])

    def _with_replacement(self, epoch: int, begin: int, end: int) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self._categories.sample(end - begin, [self._seed, epoch], offset=begin)
        return found

    def _distinct(self, epoch: int, begin: int, end: int) -> NDArray[np.int64]:
        if self._drawn is None or self._drawn[0] != epoch:
            drawn = weighted_sample(self._weights, self._draws, rng=[self._seed, epoch]).indices
            self._drawn = epoch, drawn
        return self._drawn[1][begin:end]


def _one_a_row(value: Any, nothing: float, batch: tuple[int, ...]) -> Array:
    """One setting per row, in a row, as float64; what filters nothing where it is not given."""
    return np.broadcast_to(np.asarray(row_checks.where_none(value, nothing), np.float64), batch).reshape(-1)


def _temperatures(temperature: Any, shard: Shard) -> Any:
    _logsumexp(np.zeros((*shard.x.shape[:-1], 1), shard.x.dtype), temperature=temperature)  # says what is wrong
    return temperature.numpy(force=True) if isinstance(temperature, Tensor) else temperature


def _mask_of(mask: Any, shard: Shard) -> Array | None:
    if mask is None:
        return None
    found = mask.numpy(force=True) if isinstance(mask, Tensor) else np.asarray(mask)
    checks.is_mask(found.dtype)
    try:
        return np.broadcast_to(found, shard.x.shape)
    except ValueError:
        checks.refuse_mask(found.shape, shard.x.shape)


def _places_of(seeds: Any, positions: Any, shard: Shard) -> tuple[Array | None, Array | None]:
    """One seed and one position per row, if there are any."""
    if seeds is None:
        if positions is not None:
            raise ValueError("positions needs seeds")
        return None, None
    batch, positions = shard.x.shape[:-1], 0 if positions is None else positions
    found, missing = row_checks.seed_rows(seeds, batch)
    if missing is not None:
        raise ValueError("seeds must be given for all rows of a shared vocabulary, got None")
    places = row_checks.uint64_rows(positions, "positions", batch, end_of_positions(shard.vocab_size))
    row_checks.different_noise(seeds, positions, batch)
    return found.reshape(batch), places.reshape(batch)


@contextmanager
def _put_back(generator: Any) -> Iterator[None]:
    """Within, an error leaves a generator where it was."""
    ours = isinstance(generator, Generator)
    moved = torch.default_generator if generator is None else generator
    before = moved.offset if ours else moved.get_state() if isinstance(moved, torch.Generator) else None
    try:
        yield
    except BaseException:
        if ours:
            moved.offset = before
        elif before is not None:
            moved.set_state(before)
        raise


def _largest(x: Array) -> Argmax:
    """The largest logit of each row, the lowest index among equals; -1 where there is none."""
    if np.isnan(x).any() or np.isposinf(x).any():
        raise ValueError("logits contain NaN or +inf")  # `message_of` says where
    if not x.shape[-1]:
        return Argmax(np.full(x.shape[:-1], -1), np.full(x.shape[:-1], -np.inf))
    most = x.max(axis=-1)
    return Argmax(np.where(np.isneginf(most), -1, x.argmax(axis=-1)), most)


def _winner(draw: Callable[[], Argmax], shard: Shard, allowed: Array | None) -> Tensor:
    """The indices that win among all processes."""
    index = _merged(draw, shard, allowed, 1).indices[..., 0]
    check_drawn(np.asarray(index < 0))
    return torch.from_numpy(np.ascontiguousarray(index))


def _merged(draw: Callable[[], Any], shard: Shard, allowed: Array | None, entries: int) -> _State:
    """The largest of what `draw` finds on all processes; a fault in the logits of one is an error on all."""
    mine = message_of(draw, shard.x, allowed, shard.start, entries)
    return merge_messages(all_gathered(mine, shard.group) if entries else [mine], entries)
