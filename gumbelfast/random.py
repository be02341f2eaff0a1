"""Keys and offsets: where the noise of a call lies.

Noise is one endless array per key (see ``docs/stream.md``). A `Generator` holds a key and the place where its next call
begins. This is no cryptographic generator.
"""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _validate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .states import TopK

    _U64 = NDArray[np.uint64]

SeedLike = Any  # None, int, sequence of ints, SeedSequence, BitGenerator, numpy Generator, or a Generator of ours

# (key, offset, row_stride, seeds, offsets), as backends take them.
RowCall = Callable[[int, int, int, "_U64 | None", "_U64 | None"], int]

_TILE, _LAST = 32, _validate.LAST_ELEMENT


def _key_from_seed(seed: Any) -> int:
    sequence = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    low, high = sequence.generate_state(2, np.uint32).tolist()
    return int(low | high << 32)


class Generator:
    """A key and the offset of the next element of its noise.

    Parameters
    ----------
    key : int
        64 bits, ``0 <= key < 2**64``; `default_rng` makes one from a seed.
    offset : int, default 0
        The next element, ``0 <= offset <= 2**62``.

    Notes
    -----
    A call that needs n elements starts at the next multiple of 32 and leaves the offset at its own end. A call that
    raises leaves it where it was. Threads may share a generator: no two calls get the same elements.
    """

    def __init__(self, key: int, offset: int = 0) -> None:
        key = operator.index(key)
        if not 0 <= key < 2**64:
            raise ValueError(f"key must lie in [0, 2**64), got {key}")
        self._key = key
        self._lock = threading.Lock()
        self.offset = offset

    @property
    def key(self) -> int:
        """The 64-bit key."""
        return self._key

    @property
    def offset(self) -> int:
        """The next element of the noise stream; may be set."""
        return self._offset

    @offset.setter
    def offset(self, value: int) -> None:
        value = operator.index(value)
        if not 0 <= value <= _validate.LAST_ELEMENT:
            raise ValueError(f"offset must lie in [0, 2**62], got {value}")
        self._offset = value

    def __repr__(self) -> str:
        return f"gumbelfast.Generator(key={self._key:#018x}, offset={self._offset})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Generator, (self._key, self._offset)

    def _draw(self, elements: int, call: RowCall, columns: int) -> int:
        """What ``call(key, first element, columns, None, None)`` returns.

        Where that is negative, or an error, the offset goes back.
        """
        with self._lock:
            before = self._offset
            first = before + _TILE - 1 & -_TILE
            end = first + elements
            if end > _LAST:
                raise ValueError(f"the noise of this key ends at element 2**62; offset {before} + {elements} is beyond")
            self._offset = end
        code = -1
        try:
            code = call(self._key, first, columns, None, None)
        finally:
            if code < 0:
                with self._lock:
                    if self._offset == end:
                        self._offset = before
        return code

    def gumbel(self, *args: Any, **kwargs: Any) -> Any:
        """`gumbelfast.gumbel` with this generator."""
        return noise.gumbel(*args, rng=self, **kwargs)

    def categorical(self, *args: Any, **kwargs: Any) -> Any:
        """`gumbelfast.categorical` with this generator."""
        return sampling.categorical(*args, rng=self, **kwargs)

    def gumbel_top_k(self, *args: Any, **kwargs: Any) -> TopK:
        """`gumbelfast.gumbel_top_k` with this generator."""
        return sampling.gumbel_top_k(*args, rng=self, **kwargs)

    def sample_tokens(self, *args: Any, **kwargs: Any) -> Any:
        """`gumbelfast.sample_tokens` with this generator."""
        return tokens.sample_tokens(*args, rng=self, **kwargs)

    def gumbel_softmax(self, *args: Any, **kwargs: Any) -> Any:
        """`gumbelfast.gumbel_softmax` with this generator."""
        return relaxed.gumbel_softmax(*args, rng=self, **kwargs)


class _Foreign:
    """A numpy Generator: asked for one key per call, and put back if the call fails."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def _draw(self, elements: int, call: RowCall, columns: int) -> int:
        bits = self._rng.bit_generator
        before = bits.state
        code = -1
        try:
            code = Generator(_key_from_numpy(self._rng))._draw(elements, call, columns)
        finally:
            if code < 0:
                bits.state = before
        return code


def _key_from_numpy(rng: np.random.Generator) -> int:
    return int(rng.integers(0, 2**64 - 1, dtype=np.uint64, endpoint=True))


def default_rng(seed: SeedLike = None) -> Generator:
    """A generator of addressable noise.

    Parameters
    ----------
    seed : {None, int, sequence of int, SeedSequence, BitGenerator, numpy Generator, Generator}, optional
        As in `numpy.random.default_rng`. None takes fresh entropy from the operating system. A BitGenerator or a numpy
        Generator is asked for one 64-bit key, so its state advances. A generator of ours is returned as it is.

    Returns
    -------
    Generator
        At offset 0.

    Raises
    ------
    TypeError, ValueError
        What `numpy.random.SeedSequence` raises for the seed.

    Examples
    --------
    >>> import gumbelfast as gf
    >>> rng = gf.default_rng(7)
    >>> gf.categorical([0.0, 1.0, 2.0], rng=rng)
    np.int64(2)
    """
    if isinstance(seed, Generator):
        return seed
    if isinstance(seed, np.random.BitGenerator):
        seed = np.random.Generator(seed)
    if isinstance(seed, np.random.Generator):
        return Generator(_key_from_numpy(seed))
    return Generator(_key_from_seed(seed))


_shared: Generator | None = None


def _forget_shared() -> None:
    global _shared
    _shared = None


if hasattr(os, "register_at_fork"):
    # A forked child must not repeat its parent's noise.
    os.register_at_fork(after_in_child=_forget_shared)


def source(rng: SeedLike) -> Generator | _Foreign:
    """What the `rng` argument of a call draws from; None is one generator per process, seeded by the system."""
    global _shared
    if type(rng) is Generator:
        return rng
    if rng is None:
        if _shared is None:
            _shared = default_rng()
        return _shared
    if isinstance(rng, np.random.BitGenerator):
        rng = np.random.Generator(rng)
    if isinstance(rng, np.random.Generator):
        return _Foreign(rng)
    return default_rng(rng)


# Last, since these modules name this one's types.
from . import noise, relaxed, sampling, tokens  # noqa: E402
