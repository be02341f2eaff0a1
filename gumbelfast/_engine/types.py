"""Types that signatures of several modules name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    U64 = NDArray[np.uint64]

SeedLike = Any  # None, int, sequence of ints, SeedSequence, BitGenerator, numpy Generator, or a Generator of ours

# (key, offset, row_stride, keys, offsets), as backends take them.
RowCall = Callable[[int, int, int, "U64 | None", "U64 | None"], int]
