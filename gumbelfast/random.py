"""Keys and offsets: where the noise of a call lies.

Noise is one endless array per key (see ``docs/stream.md``). A `Generator` holds a key and the place where its next call
begins; a generator of NumPy's gives a key to each call. This is no cryptographic generator.
"""

from __future__ import annotations

import os

import numpy as np

from . import _validate
from ._bitgen import Philox4x32
from ._types import RowCall, SeedLike
from .generator import Generator


class _Foreign:
    """A numpy Generator: asked for one key per call, and put back if the call fails."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def _draw(self, elements: int, call: RowCall, columns: int) -> int:
        bits = self._rng.bit_generator
        before = bits.state
        code = -1
        try:
            code = Philox4x32(key=_key_from_numpy(self._rng))._draw(elements, call, columns)
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
        What `numpy.random.SeedSequence` raises for the seed; TypeError for a boolean as well.

    Examples
    --------
    >>> import gumbelfast as gf
    >>> rng = gf.default_rng(7)
    >>> gf.categorical([0.0, 1.0, 2.0], rng=rng)
    np.int64(2)
    """
    if isinstance(seed, Generator):
        return seed
    if isinstance(seed, bool) or getattr(seed, "shape", None) == ():  # scalars that SeedSequence may not know
        seed = _validate.as_integer(seed, "seed")
    if isinstance(seed, np.random.BitGenerator):
        seed = np.random.Generator(seed)
    if isinstance(seed, np.random.Generator):
        return Generator(_key_from_numpy(seed))
    return Generator(Philox4x32(seed))


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
    if isinstance(rng, np.random.Generator) and not isinstance(rng, Generator):
        return _Foreign(rng)
    return default_rng(rng)
