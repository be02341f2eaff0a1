"""From the `generator` of a call to the noise it draws."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .._engine.types import REFUSED, Address, RowCall
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


class Place:
    """Stands in for a generator: the first draw is its, and later ones find the same noise again."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator
        self._address: tuple[int, int] | None = None

    def draw(self, elements: int, call: RowCall, columns: int) -> int:
        if self._address is not None:
            return call((*self._address, columns, None, None))

        def noting(address: Address) -> int:
            self._address = address[:2]
            return call(address)

        return draw(self._generator, elements, noting, columns)


def draw(generator: Any, elements: int, call: RowCall, columns: int, is_sure: bool = False) -> int:
    """Run `call` on that many elements of noise, and return what it returns.

    A torch generator is asked for one key. What has moved is put back if `call` raises or answers less than 0; of a
    call that surely does neither no state is kept, which takes longer than the draw of a small one.
    """
    if isinstance(generator, Place):
        return generator.draw(elements, call, columns)
    if isinstance(generator, Generator):
        return generator._draw(elements, call, columns)
    if not (generator is None or isinstance(generator, torch.Generator)):
        raise TypeError(
            f"generator must be a torch.Generator or a gumbelfast.Generator, got {type(generator).__name__}"
        )
    if generator is not None and generator.device.type != "cpu":
        raise TypeError(f"generator must be a CPU generator, got one of device {generator.device}")
    if is_sure:
        return call((_draw_word(generator), 0, columns, None, None))
    moved = torch.default_generator if generator is None else generator
    before = moved.get_state()
    status = REFUSED
    try:
        status = call((_draw_word(generator), 0, columns, None, None))
    finally:
        if status < 0:
            moved.set_state(before)
    return status


def _draw_word(generator: torch.Generator | None) -> int:
    if generator is None:
        _word.source[0]()
    else:
        _word.bits.random_(-(2**63), None, generator=generator)
    return int(_word.number.item())
