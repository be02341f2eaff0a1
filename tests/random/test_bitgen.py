"""Philox4x32: its words and their order, its state, and what it refuses."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from helpers import KEY, Array, scalar_philox

import gumbelfast as gf
from gumbelfast import Philox4x32
from gumbelfast.reference.philox import block_words

DOMAIN_15 = 15 << 60
PERIOD = 2**130


def law(key: int, first: int, count: int) -> Array:
    """Words of domain 15 from number `first` on."""
    blocks = np.arange(first // 4, (first + count + 7) // 4, dtype=np.uint64)
    return np.stack(block_words(key, 15, blocks), axis=1).ravel()[first % 4 :][:count]


def direct(key: int, counter: int, blocks: int) -> list[int]:
    """The words of blocks from a counter of 128 bits on, carried on Python integers."""
    counters = [(counter + i) % 2**128 for i in range(blocks)]
    words = [tuple(at >> 32 * i & 0xFFFFFFFF for i in range(4)) for at in counters]
    return [word for c0, c1, c2, c3 in words for word in scalar_philox((c0, c1, c2, c3), key)]


def key_of(bits: Philox4x32) -> int:
    low, high = bits.state["state"]["key"].tolist()
    return int(low | high << 32)


def assert_same_state(found: Any, wanted: Any) -> None:
    np.testing.assert_equal(found.state, wanted.state)
    assert found.random_raw(200).tolist() == wanted.random_raw(200).tolist()


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        (0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (2**128 - 1, 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (0x0370734413198A2E85A308D3243F6A88, 0x299F31D0A4093822, "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_known_answers_of_random123(counter: int, key: int, words: str) -> None:
    forms: list[tuple[Any, Any]] = [(counter, key)]
    forms += [([counter >> 32 * i & 0xFFFFFFFF for i in range(4)], (np.uint64(key & 0xFFFFFFFF), key >> 32))]
    forms += [(np.array(c, np.uint32), np.array(k, np.int64)) for c, k in forms[1:]]
    for c, k in forms:
        bits = Philox4x32(counter=c, key=k)
        assert " ".join(f"{bits.random_raw():08x}" for _ in range(4)) == words


def test_words_of_the_law() -> None:
    for seed in (0, 7, 2**100, [1, 2, 3], np.random.SeedSequence(5)):
        bits = Philox4x32(seed)
        key = key_of(bits)
        assert key == gf.default_rng(seed).key
        raw = bits.random_raw(5000)
        assert raw.dtype == np.uint64
        np.testing.assert_array_equal(raw, law(key, 0, 5000))
    assert key_of(Philox4x32()) != key_of(Philox4x32())


def test_words_after_a_long_way() -> None:
    # Counter word 0 is about to carry into word 1, far inside the domain as well.
    for block in (2**32 - 9, 2**40 - 20, 2**60 - 30):
        bits = Philox4x32(key=KEY).advance(4 * block + 1)
        np.testing.assert_array_equal(bits.random_raw(115), law(KEY, 4 * block + 1, 115))


@pytest.mark.parametrize("power", [32, 64, 96, 128])
@pytest.mark.parametrize("before", [1, 15, 16, 17, 40])
def test_counter_carries(power: int, before: int) -> None:
    counter = 2**power - before
    wanted = direct(KEY, counter, 60)
    assert Philox4x32(counter=counter, key=KEY).random_raw(240).tolist() == wanted
    assert Philox4x32(key=KEY).advance(4 * (counter - DOMAIN_15) + 3).random_raw(237).tolist() == wanted[3:]


def test_how_words_make_numbers() -> None:
    words = [int(word) for word in law(KEY, 0, 300)]
    bits = Philox4x32(key=KEY)
    interface = bits.ctypes
    assert [interface.next_uint32(interface.state) for _ in range(3)] == words[:3]
    # From an odd place on, a pair lies across the end of every buffer.
    pairs = [words[i] | words[i + 1] << 32 for i in range(3, 299, 2)]
    assert [interface.next_uint64(interface.state) for _ in range(100)] == pairs[:100]
    assert [interface.next_double(interface.state) for _ in range(40)] == [(p >> 11) * 2.0**-53 for p in pairs[100:140]]


@pytest.mark.parametrize("drawn", [0, 1, 3, 4, 63, 64, 65, 1001])
@pytest.mark.parametrize("start", [{"seed": 3}, {"key": KEY, "counter": 2**128 - 5}])
def test_state_goes_round(drawn: int, start: dict[str, int]) -> None:
    bits = Philox4x32(**start)
    bits.random_raw(drawn, output=False)
    state = bits.state
    assert state["bit_generator"] == "Philox4x32"
    assert state["buffer_pos"] == drawn % 4
    assert [a.dtype.name for a in (state["state"]["counter"], state["state"]["key"], state["buffer"])] == ["uint32"] * 3
    counter = sum(int(word) << 32 * i for i, word in enumerate(state["state"]["counter"]))
    assert counter == (start.get("counter", DOMAIN_15) + drawn // 4) % 2**128
    assert state["buffer"].tolist() == direct(key_of(bits), counter, 1)
    other = Philox4x32()
    other.state = state
    plain = Philox4x32()
    plain.state = {  # as a text file would hold it
        "bit_generator": "Philox4x32",
        "state": {name: words.tolist() for name, words in state["state"].items()},
        "buffer": state["buffer"].tolist(),
        "buffer_pos": state["buffer_pos"],
    }
    copies = [other, plain, copy.copy(bits), copy.deepcopy(bits), pickle.loads(pickle.dumps(bits))]
    wanted = bits.random_raw(200).tolist()
    assert all(c.random_raw(200).tolist() == wanted for c in copies)


@pytest.mark.parametrize("delta", [0, 1, 3, 4, 63, 64, 65, 12345])
def test_advance_is_drawing(delta: int) -> None:
    drawn, moved = Philox4x32(3), Philox4x32(3)
    for bits in (drawn, moved):
        bits.random_raw(6)
    drawn.random_raw(delta, output=False)
    assert moved.advance(np.int64(delta)) is moved
    assert_same_state(moved, drawn)
    assert_same_state(moved.advance(-200 - delta), Philox4x32(3).advance(6))
    assert_same_state(moved.advance(PERIOD - 206 + 5 * PERIOD), Philox4x32(3))


def test_jumped() -> None:
    bits = Philox4x32(3)
    bits.random_raw(70)
    before = bits.state
    jumped = [bits.jumped(n) for n in range(5)]
    np.testing.assert_equal(bits.state, before)
    for n, other in enumerate(jumped):
        assert type(other) is Philox4x32
        assert other.seed_seq is bits.seed_seq
        assert other.state["state"]["counter"].tolist() == [17, DOMAIN_15 >> 32, n, 0]
    assert_same_state(bits.jumped().jumped(), bits.jumped(2))
    assert_same_state(bits.jumped(-1).jumped(2**64 + 1), copy.copy(bits))
    draws = np.stack([other.random_raw(10_000) for other in jumped])
    assert all(np.mean(a == b) < 0.001 for i, a in enumerate(draws) for b in draws[:i])


COUNTER = "counter must be an integer in [0, 2**128) or 4 words in [0, 2**32), got "
THE_KEY = "key must be an integer in [0, 2**64) or 2 words in [0, 2**32), got "


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        *(({"counter": bad}, ValueError, COUNTER) for bad in (-1, 2**128, [1, 2], [0, 0, 0, 2**32], (0, 0, 0, -1), "")),
        *(({"counter": bad}, TypeError, COUNTER) for bad in (1.5, "1234", [[1], 2, 3, 4], np.zeros(4), object())),
        *(({"key": bad}, ValueError, THE_KEY) for bad in (-1, 2**64, (), [1, 2**32], np.array([1, -1]), np.int8(-3))),
        *(({"key": bad}, TypeError, THE_KEY) for bad in (0.0, "ab", [None, 1], np.ones(2), np.eye(2, dtype=int))),
    ],
)
def test_bad_counters_and_keys(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        Philox4x32(**arguments)
    assert type(caught.value) is error
    assert str(caught.value) == f"{text}{next(iter(arguments.values()))!r}"


def test_bad_seeds_and_moves() -> None:
    with pytest.raises(ValueError, match=r"^expected a seed or a key, not both, got seed=1 and key=2$"):
        Philox4x32(1, key=2)
    seeds: dict[type[Exception], list[Any]] = {ValueError: [-1, [1, -1]], TypeError: [3.2, [None], "12"]}
    for error, refused in seeds.items():
        for seed in refused:
            with pytest.raises(error):
                Philox4x32(seed)
    bits: Any = Philox4x32(3)
    for call, name in ((bits.advance, "delta"), (bits.jumped, "jumps")):
        for bad in (1.0, None, "2", [3]):
            with pytest.raises(TypeError) as caught:
                call(bad)
            assert str(caught.value) == f"{name} must be an integer, got {bad!r}"
    assert_same_state(bits, Philox4x32(3))


BLOCK = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
PLACE = {"counter": 0, "key": [0, 0]}
GOOD: dict[str, Any] = {"bit_generator": "Philox4x32", "state": PLACE, "buffer": BLOCK, "buffer_pos": 1}
ENTRIES = "state must hold state (counter and key), buffer and buffer_pos, got "
WRONG = [BLOCK[0] + 1, *BLOCK[1:]]


@pytest.mark.parametrize(
    ("state", "error", "text"),
    [
        ({"1"}, TypeError, "state must be a dict, got {'1'}"),
        ({}, ValueError, "state must be one of a Philox4x32, got None"),
        (np.random.Philox(1).state, ValueError, "state must be one of a Philox4x32, got 'Philox'"),
        *(({k: v for k, v in GOOD.items() if k != lost}, ValueError, None) for lost in list(GOOD)[1:]),
        *((GOOD | {"state": bad}, ValueError, None) for bad in ({}, {"counter": 0}, [1, 2], 7)),
        (GOOD | {"state": {"counter": -1, "key": 0}}, ValueError, COUNTER + "-1"),
        (GOOD | {"state": {"counter": 0, "key": 0.5}}, TypeError, THE_KEY + "0.5"),
        *((GOOD | {"buffer_pos": bad}, ValueError, f"buffer_pos must lie in [0, 4), got {bad}") for bad in (-1, 4)),
        (GOOD | {"buffer_pos": 1.0}, TypeError, "buffer_pos must be an integer, got 1.0"),
        (GOOD | {"buffer": BLOCK[:3]}, ValueError, f"{COUNTER.replace('counter', 'buffer')}{BLOCK[:3]}"),
        (GOOD | {"buffer": WRONG}, ValueError, f"buffer must be the block at the counter, {BLOCK}, got {WRONG}"),
    ],
)
def test_bad_states_change_nothing(state: Any, error: type[Exception], text: str | None) -> None:
    bits, seen = Philox4x32(3), repr(state)
    bits.random_raw(5)
    with pytest.raises(error) as caught:
        bits.state = state
    assert type(caught.value) is error
    assert str(caught.value) == (ENTRIES + seen if text is None else text)
    assert_same_state(bits, Philox4x32(3).advance(5))
    bits.state = GOOD | {"more": "such as RandomState's own entries"}
    assert [bits.random_raw() for _ in range(3)] == BLOCK[1:]
