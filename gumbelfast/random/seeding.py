"""Keys and offsets: where the noise of a call lies.

Noise is one endless array per key (see ``docs/stream.md``). A `Generator` holds a key and the place where its next call
begins; a generator of NumPy's gives a key to each call. This is no cryptographic generator.
"""

from __future__ import annotations

import numpy as np

from .._bitgen import Philox4x32
from .._engine import sources
from .._engine.types import SeedLike
from .generator import Generator


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
    seed = sources.as_seed(seed)
    if isinstance(seed, np.random.BitGenerator):
        seed = np.random.Generator(seed)
    if isinstance(seed, np.random.Generator):
        return Generator(sources.draw_key(seed))
    return Generator(Philox4x32(seed))
