"""Generators put into states from outside, whole and damaged: they take them, or refuse and stay as they were."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from fuzz_arrays import ODD, Source

import gumbelfast as gf

REFUSED = (TypeError, ValueError, OverflowError)
PLACES = [("bit_generator",), ("state",), ("state", "counter"), ("state", "key"), ("buffer",), ("buffer_pos",),
          ("noise_offset",), ("more",)]  # fmt: skip
NUMBERS = [
    3,
    2**31,
    2**63,
    2**130,
    np.uint32([1, 2, 3, 4]),
    np.uint32([1, 2]),
    [2**32, 0],
    [1] * 4,
    np.ones(4),
    "Philox4x32",
]


def damaged(s: Source, state: dict[str, Any]) -> Any:
    """A copy of which up to three entries are others, or gone."""
    state = copy.deepcopy(state)
    for _ in range(s.below(4)):
        *way, last = s.choice(PLACES)
        part = state
        for name in way:
            part = part.get(name) if isinstance(part, dict) else None
        if isinstance(part, dict):
            if s.one_in(4):
                part.pop(last, None)
            else:
                part[last] = copy.deepcopy(s.choice([*ODD, *NUMBERS]))  # which the next one may go into
    return s.mostly([state])


def _works(bits: gf.Philox4x32) -> None:
    """A generator with a state it took draws, and tells the state that leads to the same draws."""
    state = bits.state
    words = bits.random_raw(9)
    other = gf.Philox4x32(1)
    other.state = state
    assert (other.random_raw(9) == words).all()


def set_state(s: Source) -> str:
    bits = gf.Philox4x32(s.below(100))
    bits.random_raw(s.below(9))
    before = repr(bits.state)
    value = damaged(s, gf.Philox4x32(7).jumped(s.below(3)).state)
    try:
        bits.state = value
    except REFUSED as error:
        assert repr(bits.state) == before, "an error, and yet the generator has moved"
        return type(error).__name__
    _works(bits)
    return "returned"


def unpickle(s: Source) -> str:
    """What `pickle` does with the parts that a pickle holds, when these are damaged."""
    rng = gf.default_rng(s.below(100))
    make, args, *state = rng.bit_generator.__reduce__()
    parts: Any = s.mostly([(damaged(s, state[0][0]), state[0][1])], [*ODD, (1, 2, 3), (None, None)])
    bits = make(*args)
    before = repr(bits.state)
    try:
        bits.__setstate__(parts)
    except REFUSED as error:
        assert repr(bits.state) == before, "an error, and yet the generator has moved"
        return type(error).__name__
    _works(bits)
    if bits.noise_offset + 3 <= 2**62:
        assert gf.Generator(bits).categorical(np.zeros(3, np.float32)) in (0, 1, 2)
    return "returned"


def build(s: Source) -> str:
    def number() -> Any:
        return s.choice([None, None, 0, 7, *ODD, *NUMBERS])

    bits = gf.Philox4x32(1)
    try:
        way = s.below(5)
        if way == 0:
            bits = gf.Philox4x32(number(), counter=number(), key=number())
        elif way == 1:
            bits = gf.Generator(number(), number()).bit_generator
        elif way == 2:
            bits = gf.default_rng(number()).bit_generator
        elif way == 3:
            bits = bits.jumped(number())
        else:
            bits = bits.advance(number())
    except REFUSED as error:
        return type(error).__name__
    _works(bits)
    return "returned"


STATES = [set_state, unpickle, build]
