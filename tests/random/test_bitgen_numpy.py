"""Philox4x32 inside NumPy's Generator and RandomState, in SciPy and among threads; pickles, spawning, subclasses."""

import ast
import copy
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import KEY, Array

import gumbelfast as gf
from gumbelfast import Philox4x32, _bitgen
from gumbelfast.reference.philox import block_words

NUMPY_2 = int(np.__version__.split(".")[0]) >= 2


def words(count: int) -> Array:
    """Words of domain 15 under KEY."""
    return np.stack(block_words(KEY, 15, np.arange(count // 4, dtype=np.uint64)), axis=1).ravel()


def pairs(count: int) -> Array:
    both = words(2 * count)
    joined: Array = both[::2] | both[1::2] << np.uint64(32)
    return joined


def test_uniforms_are_the_words() -> None:
    def rng() -> np.random.Generator:
        return np.random.Generator(Philox4x32(key=KEY))

    np.testing.assert_array_equal(rng().random(1000), (pairs(1000) >> np.uint64(11)) * 2.0**-53)
    singles = ((words(1000) >> np.uint64(8)) * 2.0**-24).astype(np.float32)
    np.testing.assert_array_equal(rng().random(1000, dtype=np.float32), singles)
    np.testing.assert_array_equal(rng().integers(0, 2**64 - 1, 100, dtype=np.uint64, endpoint=True), pairs(100))
    np.testing.assert_array_equal(rng().integers(0, 2**32 - 1, 100, dtype=np.uint32, endpoint=True), words(100))
    assert rng().bytes(400) == words(100).astype("<u4").tobytes()


DRAWS: dict[str, Callable[[np.random.Generator], Any]] = {
    "random": lambda rng: rng.random(2000),
    "integers": lambda rng: rng.integers(-5, 12, 2000),
    "bounded bytes": lambda rng: rng.integers(0, 200, 2001, dtype=np.uint8),
    "normal": lambda rng: rng.normal(3, 2, (20, 100)),
    "choice": lambda rng: rng.choice(1000, 50, replace=False),
    "weighted": lambda rng: rng.choice(["a", "b", "c"], 500, p=[0.2, 0.3, 0.5]),
    "permutation": lambda rng: rng.permutation(500),
    "gamma": lambda rng: rng.gamma(0.7, size=500),
    "poisson": lambda rng: rng.poisson(50, 500),
    "multinomial": lambda rng: rng.multinomial(50, [0.2, 0.3, 0.5], 100),
}


@pytest.mark.parametrize("name", DRAWS)
def test_generator_repeats_itself(name: str) -> None:
    draw = DRAWS[name]
    rng = np.random.Generator(Philox4x32(5))
    first, second = draw(rng), draw(rng)
    again = np.random.Generator(Philox4x32(5))
    np.testing.assert_array_equal(draw(again), first)
    np.testing.assert_array_equal(draw(again), second)
    assert not np.array_equal(first, second)


def test_what_is_drawn_fits_its_distribution() -> None:
    rng = np.random.Generator(Philox4x32(5))
    assert abs(rng.random(10**5).mean() - 0.5) < 5 / np.sqrt(12e5)
    assert abs(rng.normal(size=10**5).mean()) < 5 / np.sqrt(1e5)
    counts = np.bincount(rng.integers(0, 10, 10**5), minlength=10)
    assert ((counts - 1e4) ** 2 / 1e4).sum() < 45  # chi-squared with 9 degrees of freedom: one in a million
    shuffled = np.arange(1000)
    rng.shuffle(shuffled)
    assert (np.sort(shuffled) == np.arange(1000)).all()
    assert (shuffled != np.arange(1000)).sum() > 980


def test_random_state() -> None:
    old = np.random.RandomState(Philox4x32(5))
    old.standard_normal(3)
    state = old.get_state(legacy=False)
    wanted = old.standard_normal(5)
    old.set_state(state)
    np.testing.assert_array_equal(old.standard_normal(5), wanted)


def test_pickle_keeps_the_seed_sequence() -> None:
    bits = Philox4x32(11)
    bits.spawn(3)
    other = pickle.loads(pickle.dumps(bits))
    assert type(other) is Philox4x32
    assert str(other.seed_seq) == str(bits.seed_seq)
    np.testing.assert_equal(other.spawn(1)[0].state, bits.spawn(1)[0].state)
    assert pickle.loads(pickle.dumps(Philox4x32(key=KEY))).seed_seq is None


@pytest.mark.skipif(not NUMPY_2, reason="NumPy 1.26 knows a pickled bit generator by its name")
def test_pickled_numpy_generator() -> None:
    rng = np.random.Generator(Philox4x32(11))
    rng.random(7)
    copies = [pickle.loads(pickle.dumps(rng)), copy.deepcopy(rng)]
    wanted = rng.random(9).tolist()
    assert all(c.random(9).tolist() == wanted for c in copies)


class Mine(Philox4x32):
    pass


def test_spawned_generators_are_those_of_numpy() -> None:
    children = Philox4x32(3).spawn(3)
    assert [type(child) for child in children] == [Philox4x32] * 3
    for child, sequence in zip(children, np.random.SeedSequence(3).spawn(3), strict=True):
        np.testing.assert_equal(child.state, Philox4x32(sequence).state)
    assert len({str(child.state["state"]["key"]) for child in children}) == 3
    with pytest.raises(TypeError, match="does not implement spawning"):
        Philox4x32(key=1).spawn(1)


def test_subclasses_keep_their_type() -> None:
    mine = Mine(3)
    assert mine.state["bit_generator"] == "Mine"
    for other in (copy.copy(mine), pickle.loads(pickle.dumps(mine)), mine.jumped(0), mine.spawn(1)[0]):
        assert type(other) is Mine
    with pytest.raises(ValueError, match=r"^state must be one of a Philox4x32, got 'Mine'$"):
        Philox4x32().state = mine.state


def test_our_functions_take_a_key_from_it() -> None:
    bits = Philox4x32(5)
    rng = gf.default_rng(bits)
    assert rng.key == np.random.Generator(Philox4x32(5)).integers(0, 2**64 - 1, dtype=np.uint64, endpoint=True)
    assert bits.state["buffer_pos"] == 2
    x = np.zeros(1000)
    assert gf.categorical(x, rng=np.random.Generator(Philox4x32(5))) == gf.categorical(x, rng=Philox4x32(5))


def test_scipy_takes_it() -> None:
    stats, sampling = pytest.importorskip("scipy.stats"), pytest.importorskip("scipy.stats.sampling")

    def rng() -> np.random.Generator:
        return np.random.Generator(Philox4x32(5))

    draws = stats.norm.rvs(size=2000, random_state=rng())
    np.testing.assert_array_equal(draws, rng().standard_normal(2000))
    assert stats.kstest(draws, "norm").pvalue > 1e-6
    # UNU.RAN draws through the functions in the capsule.
    made = sampling.NumericalInversePolynomial(stats.norm(), random_state=rng()).rvs(2000)
    np.testing.assert_allclose(made, stats.norm.ppf(rng().random(2000)), atol=1e-8)


def run_threads(work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_threads_share_it() -> None:
    bits = Philox4x32(key=KEY)
    drawn: list[Array] = []

    def draw() -> None:
        for _ in range(100):
            drawn.append(bits.random_raw(101))
            assert bits.state["bit_generator"] == "Philox4x32"

    run_threads(draw)
    assert bits.state["state"]["counter"].tolist() == [400 * 101 // 4, 15 << 28, 0, 0]
    np.testing.assert_array_equal(np.sort(np.concatenate(drawn)), np.sort(words(400 * 101)))

    def move() -> None:
        for _ in range(1000):
            bits.advance(3)

    run_threads(move)
    assert bits.state["state"]["counter"].tolist() == [(400 * 101 + 4 * 3000) // 4, 15 << 28, 0, 0]


def test_stub_names_what_the_module_has() -> None:
    path = Path(gf.__file__).with_name("_bitgen.pyi")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    stub = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Philox4x32")
    members = {node.name for node in stub.body if isinstance(node, ast.FunctionDef) and node.name[0] != "_"}
    assert members == {name for name in vars(Philox4x32) if not name.startswith("_")}
    for name in members:
        assert getattr(Philox4x32, name).__doc__
    assert {name for name in vars(_bitgen) if not name.startswith("_")} == {"Philox4x32", "draw"}
