"""The state of Philox4x32 as its users write it: numbers, or words of 32 bits, the lowest first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import checks

integer = checks.as_integer  # the name that src/bitgen.pyx uses


def number(value: Any, count: int, name: str) -> int:
    """An integer of `count` words, or those words."""
    end = 2 ** (32 * count)
    try:
        found = integer(value, name)
    except TypeError:
        pass
    else:
        if 0 <= found < end:
            return found
        raise ValueError(_wanted(value, count, name))
    try:
        if isinstance(value, bytes):  # its entries are integers
            raise TypeError
        words = [integer(word, name) for word in value]
    except TypeError:
        raise TypeError(_wanted(value, count, name)) from None
    if len(words) != count or not all(0 <= word < 2**32 for word in words):
        raise ValueError(_wanted(value, count, name))
    return sum(word << 32 * i for i, word in enumerate(words))


def _wanted(value: Any, count: int, name: str) -> str:
    return f"{name} must be an integer in [0, 2**{32 * count}) or {count} words in [0, 2**32), got {value!r}"


def split(value: int, count: int) -> NDArray[np.uint32]:
    """The `count` words of a number."""
    return np.array([value >> 32 * i & 0xFFFFFFFF for i in range(count)], dtype=np.uint32)


def noise_element(value: Any) -> int:
    """A place in the noise of a key."""
    found = integer(value, "noise_offset")
    if not 0 <= found <= checks.LAST_ELEMENT:
        raise ValueError(f"noise_offset must lie in [0, 2**62], got {found}")
    return found


def read_state(value: Any, kind: str) -> tuple[int, int, int, int, int]:
    """Counter, key, buffer, place in the buffer and noise offset of the state of a `kind` of bit generator."""
    if not isinstance(value, dict):
        raise TypeError(f"state must be a dict, got {value!r}")
    if value.get("bit_generator") != kind:
        raise ValueError(f"state must be one of a {kind}, got {value.get('bit_generator')!r}")
    try:
        counter, key = value["state"]["counter"], value["state"]["key"]
        buffer, word = value["buffer"], value["buffer_pos"]
    except (KeyError, IndexError, TypeError):
        raise ValueError(f"state must hold state (counter and key), buffer and buffer_pos, got {value!r}") from None
    counter, key = number(counter, 4, "counter"), number(key, 2, "key")
    buffer, word = number(buffer, 4, "buffer"), integer(word, "buffer_pos")
    if not 0 <= word < 4:
        raise ValueError(f"buffer_pos must lie in [0, 4), got {word}")
    return counter, key, buffer, word, noise_element(value.get("noise_offset", 0))
