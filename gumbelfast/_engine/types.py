"""Types that signatures of several modules name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    U64 = NDArray[np.uint64]
    Array = NDArray[Any]

SeedLike = Any  # None, int, sequence of ints, SeedSequence, BitGenerator, numpy Generator, or a Generator of ours

# Tuples that are passed to backends (_core.pyi): (key, offset, row_stride, keys, offsets), and (array, mask,
# scale).
Address = tuple[int, int, int, "U64 | None", "U64 | None"]
Logits = tuple["Array", "Array | None", "float | Array"]

# A kernel that lacks only its address. It returns a status: the number of tiles that it opened, or one of these.
RowCall = Callable[[Address], int]
REFUSED, LACKING = -1, -2
