"""From the `generator` of a call to the noise it draws."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .._engine import sources
from .._engine.sources import KeySource, Source, Taken
from ..random.generator import Generator


class _Word(threading.local):
    """64 random bits in memory that no other thread writes to."""

    def __init__(self) -> None:
        with torch.inference_mode(False):
            self.bits = torch.empty((), dtype=torch.int64, device="cpu")
        self.number = self.bits.numpy().view(np.uint64)
        # Of the default generator: to name it takes longer.
        self.source = partial(self.bits.random_, -(2**63), None), self.number


_word = _Word()


def default_source() -> tuple[Callable[[], Any], NDArray[np.uint64]]:
    """What draws a word from torch's default generator, and where it lies then."""
    return _word.source


class _TorchSource(KeySource):
    """A torch generator, asked for one key.

    Of one whose call surely fails neither by a refusal nor by an error no state is kept, which takes longer than the
    draw of a small one.
    """

    def __init__(self, generator: torch.Generator | None, is_sure: bool) -> None:
        self._generator, self._is_sure = generator, is_sure

    def state(self) -> Any:
        return None if self._is_sure else self._moved().get_state()

    def draw_key(self) -> int:
        if self._generator is None:
            _word.source[0]()
        else:
            _word.bits.random_(-(2**63), None, generator=self._generator)
        return int(_word.number.item())

    def restore(self, state: Any) -> None:
        if state is not None:
            self._moved().set_state(state)

    def _moved(self) -> torch.Generator:
        return torch.default_generator if self._generator is None else self._generator


class Place(KeySource):
    """Stands in for a generator: the first draw is its, and later ones find the same noise again."""

    def __init__(self, generator: Any) -> None:
        self._given = source(generator)
        self._found: Taken | None = None

    def _take(self, elements: int) -> Taken:
        if self._found is not None:
            return *self._found[:2], None
        self._found = self._given._take(elements)
        return self._found

    def _put_back(self, taken: Taken, elements: int) -> None:
        if taken is self._found:
            self._given._put_back(taken, elements)
            self._found = None


def source(generator: Any, is_sure: bool = False) -> Source:
    """What a `generator` draws from: torch's, by default the one of `torch.manual_seed`, or one of ours."""
    if isinstance(generator, Generator | Place):
        return sources.source(generator)
    if not (generator is None or isinstance(generator, torch.Generator)):
        raise TypeError(
            f"generator must be a torch.Generator or a gumbelfast.Generator, got {type(generator).__name__}"
        )
    if generator is not None and generator.device.type != "cpu":
        raise TypeError(f"generator must be a CPU generator, got one of device {generator.device}")
    return _TorchSource(generator, is_sure)
