"""Messages between the processes of a group about rows whose columns they share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from .._engine import checks
from .._parts import RowNoise, noise_of_rows, reserve, seeded_noise
from ..random.generator import Generator

Array = NDArray[Any]


class Shard(NamedTuple):
    """The columns of a process, as an array of rows in the dtype of the work, and where they lie in the whole rows."""

    x: Array
    start: int
    vocab_size: int
    group: Any


def shard_of(local_logits: Any, start: Any, vocab_size: Any, group: Any) -> Shard:
    """The rows of a tensor, half types as float32; all processes learn how many columns there are together."""
    if not isinstance(local_logits, Tensor):
        raise TypeError(f"local_logits must be a torch.Tensor, got {type(local_logits).__name__}")
    if not local_logits.is_cpu:
        raise NotImplementedError(f"local_logits is on device {local_logits.device}; gumbelfast works on the CPU")
    if not local_logits.is_floating_point() or local_logits.element_size() < 2:
        raise TypeError(f"expected float16, bfloat16, float32 or float64, got {str(local_logits.dtype)[6:]}")
    if local_logits.ndim == 0:
        raise ValueError("local_logits must have an axis of categories, got shape ()")
    first = checks.as_integer(start, "start", 0, checks.LAST_ELEMENT)
    half = local_logits.element_size() == 2
    x = (local_logits.float() if half else local_logits).numpy(force=True)
    end = first + x.shape[-1]
    if vocab_size is None:
        return Shard(x, first, int(all_reduced(np.array([end]), group, "max")[0]), group)
    whole = checks.as_integer(vocab_size, "vocab_size", 1)
    if end > whole:
        raise ValueError(f"columns {first} to {end - 1} do not lie in a vocabulary of {whole}")
    return Shard(x, first, whole, group)


def all_reduced(values: Array, group: Any, how: str) -> Array:
    """The sum or the largest of what all processes have; integers and floats of 64 bits."""
    found = torch.from_numpy(np.ascontiguousarray(values))
    dist.all_reduce(found, dist.ReduceOp.MAX if how == "max" else dist.ReduceOp.SUM, group=group)
    result: Array = found.numpy()
    return result


def all_gathered(values: Array, group: Any) -> list[Array]:
    """What all processes have, in the order of their ranks."""
    mine = torch.from_numpy(np.ascontiguousarray(values))
    found = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
    dist.all_gather(found, mine, group=group)
    return [each.numpy() for each in found]


def agreed_key(generator: Any, group: Any) -> int:
    """A key that the first process of a group draws from its generator of torch; all others draw one from theirs."""
    word = torch.empty((), dtype=torch.int64).random_(-(2**63), None, generator=generator)
    dist.broadcast(word, src=dist.get_global_rank(group or dist.group.WORLD, 0), group=group)
    return int(word.item()) % 2**64


def noise_of(shard: Shard, seeds: Array | None, positions: Array | None, generator: Any) -> RowNoise:
    """Of the rows of a shard, one seed and position each, or the next elements of a generator."""
    batch, size = shard.x.shape[:-1], shard.vocab_size
    if seeds is not None and positions is not None:
        return seeded_noise(seeds, positions, size, (shard.start, shard.start + shard.x.shape[-1]))
    number = np.arange(int(np.prod(batch)), dtype=np.uint64).reshape(batch)
    if isinstance(generator, Generator):
        key, first = reserve(generator, number.size * size)
    elif generator is None or isinstance(generator, torch.Generator):
        key, first = agreed_key(generator, shard.group), 0
    else:
        raise TypeError(
            f"generator must be a torch.Generator or a gumbelfast.Generator, got {type(generator).__name__}"
        )
    return noise_of_rows(key, first + shard.start, number, size)
