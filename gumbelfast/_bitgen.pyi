"""The Philox4x32-10 of the stream law as a `numpy.random.BitGenerator`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, SupportsIndex, TypeAlias, TypeVar

import numpy as np
from numpy.random import BitGenerator, SeedSequence
from numpy.typing import NDArray

_Words: TypeAlias = SupportsIndex | Sequence[SupportsIndex] | NDArray[np.integer[Any]]
# See gumbelfast/_engine/types.py.
_Address: TypeAlias = tuple[int, int, int, NDArray[np.uint64] | None, NDArray[np.uint64] | None]
_RowCall: TypeAlias = Callable[[_Address], int]
_Self = TypeVar("_Self", bound="Philox4x32")

class Philox4x32(BitGenerator):
    """The Philox4x32-10 words of Random123, in order, for `numpy.random.Generator`.

    This is no cryptographic generator.

    Parameters
    ----------
    seed : {None, int, sequence of int, SeedSequence}, optional
        As for NumPy's bit generators. It gives the key that `gumbelfast.default_rng` has for the same seed.
    counter : int or four words of 32 bits, optional
        Counter of the first block; without it, block 0 of domain 15 of the stream law.
    key : int or two words of 32 bits, optional
        Used as it is; not together with `seed`.
    """

    def __init__(
        self, seed: _Words | SeedSequence | None = None, counter: _Words | None = None, key: _Words | None = None
    ) -> None: ...
    @property
    def key(self) -> int:
        """The 64-bit key, of the words and of the addressable noise."""

    @property
    def noise_offset(self) -> int:
        """The next element of the addressable noise that a `gumbelfast.Generator` draws; may be set."""

    @noise_offset.setter
    def noise_offset(self, value: SupportsIndex) -> None: ...
    def _source(self) -> object:
        """A capsule that keeps this generator and tells compiled code where its key and its place in the noise lie."""

    def _take(self, elements: int) -> tuple[int, int, Any]:
        """The key, the first of so many elements that no other call gets, and where the noise stood."""

    def _put_back(self, taken: tuple[int, int, Any], elements: int) -> None:
        """Gives up what `_take` returned for so many elements."""

    @property
    def state(self) -> dict[str, Any]:
        """The state as a dict; may be set, and is checked before anything changes."""

    @state.setter
    def state(self, value: Mapping[str, Any]) -> None: ...
    def advance(self: _Self, delta: SupportsIndex) -> _Self:
        """Move as if `delta` words of 32 bits had been drawn.

        Parameters
        ----------
        delta : int
            Modulo the period of ``2**130``; a negative number goes back. A double or a 64-bit integer takes two words.

        Returns
        -------
        Philox4x32
            This generator.
        """

    def spawn(self: _Self, n_children: int) -> list[_Self]:
        """Children whose seed sequences are spawned from this one's; TypeError if it has one that cannot.

        One call at a time, so that threads that share a generator are never given the same child.
        """

    def jumped(self: _Self, jumps: SupportsIndex = 1) -> _Self:
        """A new generator, ``jumps * 2**64`` blocks (``2**66`` words) further.

        Parameters
        ----------
        jumps : int, default 1
            Modulo ``2**64``; it is added to words 2 and 3 of the counter.

        Returns
        -------
        Philox4x32
            With the same key and seed sequence.
        """

class _Source(Protocol):
    def _take(self, elements: int) -> tuple[int, int, Any]: ...
    def _put_back(self, taken: tuple[int, int, Any], elements: int) -> None: ...

def draw(source: _Source, elements: int, call: _RowCall, columns: int) -> int:
    """What ``call(address)`` returns on elements that no other call gets; a failure puts them back."""
