"""Generators: what `rng` may be, how offsets move, and that no two calls share noise."""

import copy
import os
import pickle
import threading
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from helpers import KEY, assert_same_bytes, numpy_state, run_python

import gumbelfast as gf
from gumbelfast._engine.sources import draw, source


def key_of(seed: Any) -> int:
    low, high = np.random.SeedSequence(seed).generate_state(2, np.uint32).tolist()
    return low + (high << 32)


def test_seeds() -> None:
    for seed in (0, 7, 2**80, [1, 2, 3], np.int64(4), np.array([5, 6], np.uint32)):
        assert gf.default_rng(seed).key == key_of(seed)
        assert gf.default_rng(seed).offset == 0
    assert gf.default_rng(np.random.SeedSequence(7)).key == key_of(7)
    assert gf.default_rng().key != gf.default_rng().key
    rng = gf.Generator(5)
    assert gf.default_rng(rng) is rng


def test_numpy_generators_give_one_key() -> None:
    for make in (np.random.PCG64, np.random.MT19937, np.random.Philox):
        wanted = int(np.random.Generator(make(3)).integers(0, 2**64 - 1, dtype=np.uint64, endpoint=True))
        bits, theirs = make(3), np.random.Generator(make(3))
        assert gf.default_rng(bits).key == gf.default_rng(theirs).key == wanted
        assert numpy_state(bits) == numpy_state(theirs) != numpy_state(make(3))


DRAWS = {
    "gumbel": lambda **r: gf.gumbel(size=50, **r),
    "categorical": lambda **r: gf.categorical(np.zeros(10**6), **r),
    "top_k": lambda **r: gf.gumbel_top_k(np.zeros(1000), 10, **r).indices,
    "softmax": lambda **r: gf.gumbel_softmax(np.zeros(50), **r),
}


@pytest.mark.parametrize("name", DRAWS)
def test_what_rng_may_be(compiled: str, name: str) -> None:
    draw = DRAWS[name]
    wanted = draw(rng=gf.Generator(key_of(7)))
    for rng in (7, np.int64(7), [7], np.random.SeedSequence(7), gf.default_rng(7)):
        assert_same_bytes(draw(rng=rng), wanted)
    assert_same_bytes(draw(rng=7), wanted)
    theirs, again = np.random.default_rng(7), np.random.default_rng(7)
    first, second = draw(rng=theirs), draw(rng=theirs)
    assert not np.array_equal(first, second)
    assert_same_bytes(draw(rng=again), first)
    assert_same_bytes(draw(rng=again.bit_generator), second)
    assert numpy_state(theirs) == numpy_state(again)
    key = gf.default_rng(np.random.default_rng(7)).key
    assert_same_bytes(draw(rng=gf.Generator(key)), first)
    assert not np.array_equal(draw(rng=None), draw(rng=None))
    assert not np.array_equal(draw(), draw())


def test_offsets_start_at_whole_tiles(compiled: str) -> None:
    rng = gf.Generator(KEY)
    x = np.zeros((2, 50), np.float32)
    steps = [
        (lambda: rng.gumbel(size=1), 1),
        (lambda: rng.gumbel(size=32), 64),
        (lambda: rng.categorical(x), 164),
        (lambda: rng.categorical(x, size=3), 192 + 300),
        (lambda: rng.gumbel_top_k(x, 4), 512 + 100),
        (lambda: rng.gumbel_softmax(x.T, axis=0), 640 + 100),
        (lambda: gf.gumbel(size=5, rng=rng), 768 + 5),
        (lambda: gf.categorical(x, rng=rng, offset=3), 768 + 5),
        (lambda: gf.categorical(x, seeds=[3, 4]), 768 + 5),
        (lambda: rng.gumbel(size=(2, 0)), 800),
    ]
    for step, offset in steps:
        step()
        assert rng.offset == offset


def test_noise_lies_where_the_offset_says(compiled: str) -> None:
    noise = gf.gumbel(size=1000, rng=gf.Generator(KEY), offset=0)
    rng = gf.Generator(KEY, 33)
    assert_same_bytes(rng.gumbel(size=40, dtype=np.float32), noise[64:104])
    rng.offset = 500
    assert_same_bytes(rng.gumbel(size=40, dtype=np.float32), noise[512:552])
    x = np.zeros((3, 70), np.float32)
    rng.offset = 1
    assert_same_bytes(rng.categorical(x), noise[32:242].reshape(3, 70).argmax(axis=1))
    assert_same_bytes(gf.gumbel(size=10, rng=rng, offset=321), noise[321:331])
    spread = gf.categorical(x, rng=rng, offset=5, row_stride=90)
    assert spread.tolist() == [noise[5 + 90 * i :][:70].argmax() for i in range(3)]


def test_methods_are_the_functions(compiled: str) -> None:
    x = np.linspace(0, 1, 40)
    pairs = [
        (lambda r: r.gumbel(1.0, 2.0, 5, dtype=float), lambda r: gf.gumbel(1.0, 2.0, 5, dtype=float, rng=r)),
        (lambda r: r.categorical(x, size=3), lambda r: gf.categorical(x, size=3, rng=r)),
        (lambda r: r.gumbel_top_k(x, 3)[0], lambda r: gf.gumbel_top_k(x, 3, rng=r)[0]),
        (lambda r: r.gumbel_softmax(x, 0.5), lambda r: gf.gumbel_softmax(x, 0.5, rng=r)),
    ]
    for method, function in pairs:
        assert_same_bytes(method(gf.Generator(KEY, 64)), function(gf.Generator(KEY, 64)))


def test_copies_and_pickles_go_on_alike() -> None:
    rng = gf.Generator(KEY, 100)
    for twin in (copy.copy(rng), copy.deepcopy(rng), pickle.loads(pickle.dumps(rng))):
        assert (twin.key, twin.offset) == (KEY, 100)
        assert_same_bytes(twin.gumbel(size=9), gf.Generator(KEY, 100).gumbel(size=9))
        assert rng.offset == 100


def test_threads_share_a_generator_without_overlap() -> None:
    rng, taken = gf.Generator(KEY), []

    def work() -> None:
        for n in range(1, 200):
            taken.append(rng.gumbel(size=n, dtype=np.float32))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Whatever the order, each call took whole tiles of its own, and none was left out.
    tiles = sum(4 * -(-n // 32) for n in range(1, 200))
    assert -(-rng.offset // 32) == tiles
    whole = gf.gumbel(size=32 * tiles, rng=gf.Generator(KEY)).reshape(tiles, 32)
    where = {row.tobytes()[:4]: i for i, row in enumerate(whole)}
    starts = sorted((where[part.tobytes()[:4]], -(-part.size // 32)) for part in taken)
    assert len(where) == tiles
    assert all(a + n == b for (a, n), (b, _) in pairwise(starts))
    assert starts[0][0] == 0


def test_a_failed_call_puts_back_only_its_own_offset() -> None:
    rng = gf.Generator(KEY, 40)

    def fail(address: tuple[object, ...]) -> int:
        assert (address, rng.offset) == ((KEY, 64, 10, None, None), 74)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw(source(rng), 10, fail, 10)
    assert rng.offset == 40

    def fail_after_another_call(*_: object) -> int:
        rng.gumbel(size=5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw(source(rng), 10, fail_after_another_call, 10)
    assert rng.offset == 96 + 5


FORK = """
import os, warnings
import gumbelfast as gf
from gumbelfast._engine.sources import draw, source
warnings.simplefilter("ignore", DeprecationWarning)
parent = gf.gumbel(size=4).tolist()
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, repr(gf.gumbel(size=4).tolist()).encode())
    os._exit(0)
assert os.wait()[1] == 0
child = eval(os.read(read, 1000))
after = gf.gumbel(size=4).tolist()
assert len(child) == 4 and child != after and child != parent, (parent, child, after)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_noise_of_its_own() -> None:
    done = run_python(FORK)
    assert done.returncode == 0, done.stderr


def test_repr() -> None:
    assert repr(gf.Generator(255, 3)) == "gumbelfast.Generator(key=0x00000000000000ff, offset=3)"
