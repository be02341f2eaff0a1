"""One run of a fuzzer: a call made from bytes.

It raises a documented error and leaves everything as it was, or else returns the same for the same values elsewhere in
memory, on another backend and other threads.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_arrays import Source, has_missing, plain
from fuzz_calls import ENTRIES
from fuzz_functions import Call, OwnError
from fuzz_states import STATES
from helpers import COMPILED

import gumbelfast as gf
from gumbelfast._engine import sources

ALLOWED = (TypeError, ValueError, IndexError, MemoryError)
SRC = Path(__file__).parents[2] / "src"
# What the binding asserts: no input may get so far.
ASSERTED = {
    text for name in ("core.cpp", "arrays.hpp")
    for text in re.findall(r'require\([^;]*?"([^"]+)"\)', (SRC / name).read_text(encoding="utf-8"))
}  # fmt: skip
assert len(ASSERTED) > 10


def of_the_process() -> None:
    """Stands for a call without `rng`: the generator that serves it begins anew."""
    sources._shared = gf.Philox4x32(key=5)


MAKERS = [
    lambda: gf.default_rng(5), lambda: gf.Generator(3, 2**62 - 1000), lambda: np.random.default_rng(5),
    lambda: np.random.PCG64(5), lambda: gf.Philox4x32(5), lambda: 5, of_the_process,
]  # fmt: skip


def one(data: bytes) -> str:
    """Run what `data` says; the name of an error, or 'returned'. AssertionError tells of a fault."""
    s = Source(data)
    if s.one_in(16):
        return s.choice(STATES)(s)
    call = s.choice(ENTRIES)(s)
    # NumPy warns of NaNs that signal, and of numbers that overflow when they are cast.
    with gf.use_backend(s.choice(COMPILED)), np.errstate(all="ignore"):
        return judged(call, s)


def judged(call: Call, s: Source) -> str:
    make = s.choice(MAKERS)
    seeds = call.given.get("seeds")
    draws = call.draws and (seeds is None or has_missing(seeds))
    of_the_process()
    rng = make() if draws else None
    arrays = [x for x in (*call.args, *call.given.values()) if isinstance(x, np.ndarray)]
    before, state = [x.tobytes() for x in arrays], numbers(rng)
    again = call._replace(args=tuple(map(plain, call.args)), given={k: plain(v) for k, v in call.given.items()})
    target = again.given.get("out")
    if target is not None:
        again.given["out"] = np.empty(np.shape(target), getattr(target, "dtype", None))
    failed, found = outcome(call, rng)
    if failed:
        assert str(failed) not in ASSERTED, failed
        assert [x.tobytes() for x in arrays] == before, "an error, and yet something was written"
        assert numbers(rng) == state or call.asked.may_have_moved, "an error, and yet the generator has moved"
        if target is None:
            other, _ = outcome(again, make() if draws else None)
            assert type(other) is type(failed), (failed, other)
        return type(failed).__name__
    assert draws or numbers(None) == state, "nothing was to be drawn, and yet a generator has moved"
    out = call.given.get("out")
    kept = [(x, b) for x, b in zip(arrays, before, strict=True) if out is None or not np.may_share_memory(x, out)]
    assert [x.tobytes() for x, _ in kept] == [b for _, b in kept], "an input was written to"
    again.check(found, *again.args, **again.given)
    if "num_threads" in again.given:
        again.given["num_threads"] = 3
    with gf.use_backend(s.choice(COMPILED)):
        error, wanted = outcome(again, make() if draws else None)
    assert error is None, f"an error from the same values elsewhere in memory: {error}"
    same(found, wanted)
    return "returned"


def outcome(call: Call, rng: Any) -> tuple[Any, Any]:
    call.asked.begin()
    try:
        found, failed = call.function(*call.args, **call.given, **({} if rng is None else {"rng": rng})), None
    except (*ALLOWED, OwnError) as error:
        found, failed = None, error
    assert call.asked.raised in (None, failed), "what the user's function raised did not come out"
    return failed, found


def numbers(rng: Any) -> str:
    """The state of a generator; None is that of the process."""
    rng = sources._shared if rng is None else rng
    bits = getattr(rng, "bit_generator", rng)
    return repr(bits.state) if isinstance(bits, np.random.BitGenerator) else ""


def same(found: Any, wanted: Any) -> None:
    if isinstance(found, tuple):
        for mine, other in zip(found, wanted, strict=True):
            same(mine, other)
        return
    one, other = np.asarray(found), np.asarray(wanted)
    assert one.dtype == other.dtype
    assert one.shape == other.shape
    # NaNs are equal whatever their payload, and alone differ from themselves.
    nan, other_nan = one != one, other != other
    assert (nan == other_nan).all()
    zero = np.zeros((), one.dtype)
    assert np.where(nan, zero, one).tobytes() == np.where(nan, zero, other).tobytes()
