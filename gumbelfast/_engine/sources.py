"""What the `rng` argument of a call draws from.

A source gives elements of noise to one call at a time: ``_take(elements)`` returns a key, the first element and what
``_put_back(taken, elements)`` wants to know, which undoes it. `draw` runs a kernel on what a source gives, and puts it
back where the kernel fails; `reserved` does so for a block of Python.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import numpy as np

from .._bitgen import Philox4x32, draw
from . import checks
from .types import SeedLike

__all__ = ["FixedKey", "KeySource", "Source", "draw", "reserved", "reserved_from", "source"]

Taken = tuple[int, int, Any]


class Source(Protocol):
    """A generator, or what stands in for one."""

    def _take(self, elements: int) -> Taken: ...

    def _put_back(self, taken: Taken, elements: int) -> None: ...


# Classes of generators that keep a source as `_bits`: a look at the type is cheaper than one for an attribute.
OURS: set[type] = set()


class KeySource:
    """A generator of another library: each call takes a key from it, and its state is restored if the call fails."""

    def _take(self, elements: int) -> Taken:
        if elements > checks.LAST_ELEMENT:
            raise ValueError(f"the noise of this key ends at element 2**62; offset 0 + {elements} is beyond")
        before = self.state()
        return self.draw_key(), 0, before

    def _put_back(self, taken: Taken, elements: int) -> None:
        self.restore(taken[2])

    def state(self) -> Any:
        """What `restore` goes back to."""

    def draw_key(self) -> int:
        """64 bits of the generator's own."""
        raise NotImplementedError

    def restore(self, state: Any) -> None:
        """Go back to a state."""


class FixedKey(KeySource):
    """A given key; there is no state."""

    def __init__(self, key: int) -> None:
        self._key = key

    def draw_key(self) -> int:
        return self._key


class _Foreign(KeySource):
    """A numpy Generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def state(self) -> Any:
        return self._rng.bit_generator.state

    def draw_key(self) -> int:
        return draw_key(self._rng)

    def restore(self, state: Any) -> None:
        self._rng.bit_generator.state = state


def draw_key(rng: np.random.Generator) -> int:
    """The 64-bit key that a numpy Generator gives."""
    return int(rng.integers(0, 2**64 - 1, dtype=np.uint64, endpoint=True))


def as_seed(seed: Any) -> Any:
    """A seed as `numpy.random.SeedSequence` accepts it, which does not know scalars of other libraries."""
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
    """What `rng` stands for; None is `shared`, and a source stands for itself."""
    if type(rng) in OURS:
        return rng._bits  # type: ignore[no-any-return]
    if rng is None:
        return shared()
    if isinstance(rng, KeySource):
        return rng
    if isinstance(rng, np.random.BitGenerator):
        rng = np.random.Generator(rng)
    if isinstance(rng, np.random.Generator):
        return rng._bits if is_ours(rng) else _Foreign(rng)  # type: ignore[attr-defined]
    return Philox4x32(as_seed(rng))


def reserved(rng: SeedLike, elements: int) -> AbstractContextManager[tuple[int, int]]:
    """A key, and the first of so many elements that no other call gets; an error in the block gives them back."""
    return reserved_from(source(rng), elements)


@contextmanager
def reserved_from(given: Source, elements: int) -> Iterator[tuple[int, int]]:
    """The same of a source."""
    taken = given._take(elements)
    try:
        yield taken[:2]
    except BaseException:
        given._put_back(taken, elements)
        raise
