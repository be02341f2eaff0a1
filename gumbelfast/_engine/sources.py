"""What the `rng` argument of a call draws from.

A source has ``_draw(elements, call, columns)``: it runs a call on elements of noise that no other call gets, and takes
them back where the call fails.
"""

from __future__ import annotations

import os
from typing import Any, Protocol, cast

import numpy as np

from .._bitgen import Philox4x32
from . import checks
from .types import REFUSED, RowCall, SeedLike


class Source(Protocol):
    """A generator, or what stands in for one."""

    def _draw(self, elements: int, call: RowCall, columns: int) -> int: ...


# Classes of generators that are sources themselves; asking for a type is cheaper than looking for a method.
OURS: set[type] = set()


class _Foreign:
    """A numpy Generator: asked for one key per call, and put back if the call fails."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def _draw(self, elements: int, call: RowCall, columns: int) -> int:
        bits = self._rng.bit_generator
        before = bits.state
        status = REFUSED
        try:
            status = Philox4x32(key=draw_key(self._rng))._draw(elements, call, columns)
        finally:
            if status < 0:
                bits.state = before
        return status


def draw_key(rng: np.random.Generator) -> int:
    """The 64-bit key that a numpy Generator gives."""
    return int(rng.integers(0, 2**64 - 1, dtype=np.uint64, endpoint=True))


def as_seed(seed: Any) -> Any:
    """A seed as `numpy.random.SeedSequence` takes it, which may not know scalars of others."""
    return checks.as_integer(seed, "seed") if isinstance(seed, bool) or getattr(seed, "shape", None) == () else seed


_shared: Philox4x32 | None = None


def _forget_shared() -> None:
    global _shared
    _shared = None


if hasattr(os, "register_at_fork"):
    # A forked child must not repeat its parent's noise.
    os.register_at_fork(after_in_child=_forget_shared)


def shared() -> Philox4x32:
    """The one generator per process, seeded by the system, that calls without `rng` draw from."""
    global _shared
    if _shared is None:
        _shared = Philox4x32()
    return _shared


def is_ours(rng: Any) -> bool:
    """Whether a generator has a key and an offset of its own."""
    return isinstance(rng, tuple(OURS))


def source(rng: SeedLike) -> Source:
    """What `rng` stands for; None is `shared`."""
    if type(rng) in OURS:
        return cast(Source, rng)
    if rng is None:
        return shared()
    if isinstance(rng, np.random.BitGenerator):
        rng = np.random.Generator(rng)
    if isinstance(rng, np.random.Generator):
        return cast(Source, rng) if is_ours(rng) else _Foreign(rng)
    return Philox4x32(as_seed(rng))
