"""Samples from streams: what comes in chunks, need not fit in memory, and may come from several places."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _items, shards
from ._engine import checks, table_checks
from ._engine.types import SeedLike
from ._parts import RowNoise, draw_weighted, split_threshold
from .random.seeding import default_rng
from .shards import TopK

__all__ = ["ReservoirSample", "WeightedReservoir"]

Array = NDArray[Any]


class ReservoirSample(NamedTuple):
    """What a `WeightedReservoir` holds: places in the stream in the order drawn, and the items if they were given.

    The first three fields are those of `gumbelfast.WeightedSample`.
    """

    indices: NDArray[np.int64]
    perturbed: NDArray[np.float64]
    kappa: float
    items: Any


class WeightedReservoir:
    r"""k items of a stream without replacement, with probabilities proportional to weights, in O(k) memory.

    The sample is the same however the stream is cut into chunks, and that of ``weighted_sample(weights, k, rng=rng)``
    of all weights as float64.

    Parameters
    ----------
    k : int
        How many items to keep, ``k >= 0``.
    rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
        Where the randomness comes from. Item number i of the stream takes element i of the key's noise, counted from
        the offset of a `gumbelfast.Generator`, which stays where it is. Reservoirs to be merged need the same key.
    start : int, default 0
        The number of the first item: parts of one stream that are read in several places begin at different ones.

    Raises
    ------
    TypeError
        For a k or start that is not an integer.
    ValueError
        For a k or start below 0.

    Notes
    -----
    The k largest :math:`\log w_i + g_i` with standard Gumbels g are successive draws, each in proportion to the weights
    that are left: Efraimidis and Spirakis, "Weighted random sampling with a reservoir" (2006), whose keys
    :math:`u^{1/w}` these are in other units. One more entry is kept: its value is the threshold kappa.

    A reservoir is pickled with all that it needs to go on; what follows is what would have followed.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> weights = np.random.default_rng(0).exponential(size=1000)
    >>> reservoir = gf.streams.WeightedReservoir(5, rng=7)
    >>> for chunk in np.array_split(weights, 13):
    ...     reservoir.update(chunk)
    >>> bool((reservoir.sample().indices == gf.weighted_sample(weights, 5, rng=7).indices).all())
    True

    Of a table in batches, rows and all: ``for batch in table.to_batches(): reservoir.update(batch["weight"], batch)``.
    """

    def __init__(self, k: int, *, rng: SeedLike = None, start: int = 0) -> None:
        self._k = checks.as_integer(k, "k", 0, checks.LAST_ELEMENT)
        self._next = checks.as_integer(start, "start", 0, checks.LAST_ELEMENT)
        generator = default_rng(rng)
        self._key, self._first = generator.key, generator.offset
        self._seen: list[tuple[int, int]] = []
        self._state = TopK(np.empty(0, np.int64), np.empty(0))
        self._items: Any = None

    @property
    def k(self) -> int:
        """How many items are kept."""
        return self._k

    @property
    def seen(self) -> int:
        """How many items have come, those of merged reservoirs included."""
        return sum(end - start for start, end in self._seen)

    def __repr__(self) -> str:
        return f"gumbelfast.streams.WeightedReservoir(k={self._k}, seen={self.seen})"

    def update(self, weights: ArrayLike, items: Any = None) -> None:
        """Take the next chunk of the stream.

        Parameters
        ----------
        weights : array_like of real numbers, shape (n,)
            Finite and >= 0; what weighs 0 is never drawn. A column of pandas, polars or Arrow will do.
        items : sequence of n items, optional
            What the weights belong to: a list, an array (rows along its first axis), a DataFrame of pandas or polars,
            or a table or array of Arrow. Rows of what is drawn are kept, of the same kind in all chunks.

        Raises
        ------
        TypeError
            For weights that are not real numbers, and items of some chunks only.
        ValueError
            For weights that are negative or not finite, of another shape, or another number than there are items.
        """
        w = np.asarray(_items.as_array(weights))
        w = np.asarray(table_checks.counted(w))
        if w.ndim != 1:
            raise ValueError(f"weights must have one axis, got shape {w.shape}")
        checks.float_dtype(w.dtype)
        w = w.astype(np.float64)
        if items is not None and (n := _items.count(items)) != w.size:
            raise ValueError(f"weights of {w.size} items, but items holds {n}")
        if self._seen and w.size and (items is None) is not (self._items is None):
            raise TypeError("items must be given with every chunk or with none")
        if not w.size:
            return
        place = self._first + self._next
        drawn = draw_weighted(
            w, self._k + 1, RowNoise(np.array(self._key, np.uint64), np.array(place, np.uint64)), None
        )
        kept = drawn.indices >= 0
        local = TopK(drawn.indices[kept], drawn.perturbed[kept])
        self._take(TopK(local.indices + self._next, local.perturbed), items, local.indices)
        self._saw(self._next, self._next + w.size)
        self._next += w.size

    def merge(self, other: WeightedReservoir) -> None:
        """Take in what another reservoir holds, of another part of the same stream.

        Afterwards this one is what it would be had it seen both parts, in whatever order; `update` goes on after the
        last item that either has seen.

        Raises
        ------
        TypeError
            For an argument that is not a reservoir, and if only one of the two has items.
        ValueError
            For reservoirs of another k or key, or if both have seen an item of the same number.
        """
        if not isinstance(other, WeightedReservoir):
            raise TypeError(f"expected a WeightedReservoir, got {type(other).__name__}")
        if (self._k, self._key, self._first) != (other._k, other._key, other._first):
            raise ValueError("reservoirs to be merged need the same k and the same rng")
        for start, end in other._seen:
            for mine, mine_end in self._seen:
                if start < mine_end and mine < end:
                    raise ValueError(
                        f"both reservoirs have seen item {max(start, mine)}: give parts of a stream different starts"
                    )
        if self._seen and other._seen and (self._items is None) is not (other._items is None):
            raise TypeError("both reservoirs or neither must have items")
        self._take(other._state, other._items, np.arange(other._state.indices.size))
        for start, end in other._seen:
            self._saw(start, end)
        self._next = max(self._next, other._next)

    def sample(self) -> ReservoirSample:
        """What has been drawn so far: k items in the order of the draw, or fewer if fewer weigh more than 0.

        Returns
        -------
        ReservoirSample
            ``indices`` (int64, numbers of items in the stream), ``perturbed`` log-weights (float64), ``kappa``, the
            threshold that estimators divide by (-inf where nothing is left), and ``items``: the rows that were drawn,
            None where none were given.
        """
        index, value, kappa = split_threshold(self._state, self._k)
        items = None if self._items is None else _items.take(self._items, np.arange(index.size))
        return ReservoirSample(index, value, float(kappa), items)

    def _take(self, state: TopK, items: Any, rows: NDArray[np.int64]) -> None:
        """Merge a state of numbers in the stream, whose entries are these rows of `items`."""
        mine = self._state
        merged: TopK = shards.merge([mine, state], k=min(self._k + 1, mine.indices.size + state.indices.size))
        if items is not None:
            # Places of the merged entries among mine and then those of the other.
            both = np.concatenate([mine.indices, state.indices])
            order = np.argsort(both)
            where = order[np.searchsorted(both, merged.indices, sorter=order)]
            new = _items.take(items, rows[where[where >= mine.indices.size] - mine.indices.size])
            old = where[where < mine.indices.size]
            parts = new if self._items is None else _items.join([_items.take(self._items, old), new])
            place = np.argsort(np.argsort(where >= mine.indices.size, kind="stable"), kind="stable")
            self._items = _items.take(parts, place)
        self._state = merged

    def _saw(self, start: int, end: int) -> None:
        """Note which numbers have come, ranges that touch as one."""
        ranges = sorted([*self._seen, (start, end)])
        joined = ranges[:1]
        for begin, stop in ranges[1:]:
            if begin == joined[-1][1]:
                joined[-1] = joined[-1][0], stop
            else:
                joined.append((begin, stop))
        self._seen = joined
