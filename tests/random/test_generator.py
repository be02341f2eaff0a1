"""The generator as one of NumPy's: its laws, what it returns and refuses, its two streams, programs that take it."""

import copy
import pickle
import threading
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from generator_cases import EVEN, INHERITED, cases, outcome
from helpers import KEY, OLD_NUMPY, assert_same_bytes, exact_exponential, numpy_state
from scipy import stats

import gumbelfast as gf

LAWS: dict[str, tuple[Any, Any]] = {
    "gumbel": (lambda r, n: r.gumbel(2.0, 3.0, n), stats.gumbel_r(2, 3)),
    "gumbel of arrays": (lambda r, n: r.gumbel(np.full(n, 2.0), 3, n), stats.gumbel_r(2, 3)),
    "gumbel float32": (lambda r, n: r.gumbel(size=n, dtype=np.float32), stats.gumbel_r),
    "exponential": (lambda r, n: r.exponential(4.0, n), stats.expon(scale=4)),
    "standard_exponential": (lambda r, n: r.standard_exponential(n), stats.expon),
    "standard_exponential float32": (lambda r, n: r.standard_exponential(n, np.float32), stats.expon),
    "single values": (lambda r, n: [r.standard_exponential() for _ in range(n // 50)], stats.expon),
    "normal": (lambda r, n: r.normal(size=n), stats.norm),
    "random": (lambda r, n: r.random(n), stats.uniform),
}
FAMILY = 1e-6  # the chance that some test of a law fails by accident


@pytest.mark.parametrize("name", LAWS)
def test_laws(name: str) -> None:
    draw, law = LAWS[name]
    found = np.asarray(draw(gf.default_rng(20), 200_000), float)
    assert stats.kstest(found, law.cdf).pvalue > FAMILY / len(LAWS)


@pytest.mark.skipif(OLD_NUMPY, reason="choice of NumPy 1 refuses more sizes")
def test_outcomes_are_those_of_numpy() -> None:
    table = cases()
    assert len(table) > 1200
    with np.errstate(all="ignore"):
        for name, call in table.items():
            wanted = outcome(lambda: np.random.Generator(gf.Philox4x32(1)), call)
            assert outcome(lambda: gf.default_rng(1), call) == wanted, name


def test_refusals_move_nothing() -> None:
    rng = gf.default_rng(1)
    rng.gumbel(size=3)
    before = numpy_state(rng)
    with pytest.raises(ValueError, match="scale < 0"):
        rng.gumbel(scale=-1.0, size=5)
    with pytest.raises(ValueError, match="robabilities do not sum to 1"):
        rng.choice(3, 2, replace=False, p=[0.2, 0.3, 0.4])
    with pytest.raises(TypeError, match="expected float16, bfloat16, float32 or float64, got int64"):
        rng.gumbel(dtype=np.int64)
    with pytest.raises(ValueError, match=r"^out has dtype float32, expected float64$"):
        rng.gumbel(out=np.empty(3, np.float32))
    assert numpy_state(rng) == before


def test_exponentials_are_those_of_the_law(compiled: str) -> None:
    for name, dtype in (("float64", np.float64), ("float32", np.float32)):
        wanted = exact_exponential(64, 5000, name)
        rng = gf.Generator(KEY, 40)
        found = rng.standard_exponential(5000, dtype)
        assert rng.offset == 5064
        ulp = np.spacing(wanted.astype(dtype)).astype(np.longdouble)
        assert np.abs(found - wanted).max() < 1e-4
        assert (np.abs(found - wanted) / ulp).max() <= 2
        assert_same_bytes(gf.exponential(size=5000, dtype=dtype, rng=rng, offset=64), found)
        np.testing.assert_allclose(gf.gumbel(size=5000, dtype=dtype, rng=rng, offset=64), -np.log(found), atol=1e-5)
    assert_same_bytes(gf.Generator(KEY).exponential(3.0, 9), 3.0 * gf.Generator(KEY).standard_exponential(9))
    assert_same_bytes(gf.Generator(KEY).gumbel(size=9), gf.gumbel(size=9, dtype=float, rng=gf.Generator(KEY)))


def test_results_go_where_they_are_sent() -> None:
    for out in (np.empty((2, 3)), np.empty((2, 3), order="F"), np.empty((2, 3), np.float32)):
        rng, twin = gf.Generator(KEY), gf.Generator(KEY)
        assert rng.standard_exponential(dtype=out.dtype, out=out) is out
        assert_same_bytes(out, twin.standard_exponential((2, 3), out.dtype))
        assert rng.gumbel(1.0, 2.0, dtype=out.dtype, out=out) is out
        assert_same_bytes(out, twin.gumbel(1.0, 2.0, (2, 3), out.dtype))
    strided = np.zeros(6)[::2]
    assert_same_bytes(gf.Generator(KEY).gumbel(out=strided), gf.Generator(KEY).gumbel(size=3))
    assert gf.Generator(KEY).gumbel(loc=np.inf, dtype=np.float32, size=2).tolist() == [np.inf, np.inf]
    assert gf.Generator(KEY).gumbel(loc=np.inf, out=np.empty(2)).tolist() == [np.inf, np.inf]


def test_choice_without_replacement_is_successive() -> None:
    rng, n = gf.default_rng(3), 20_000
    drawn = [tuple(rng.choice(4, 3, replace=False, p=[0.1, 0.2, 0.0, 0.7]).tolist()) for _ in range(n)]
    p = {0: 0.1, 1: 0.2, 3: 0.7}
    orders = list(permutations(p))
    wanted = np.array([p[a] * p[b] / (1 - p[a]) for a, b, _ in orders])
    counts = np.array([drawn.count(order) for order in orders])
    assert counts.sum() == n
    assert stats.chisquare(counts, n * wanted).pvalue > FAMILY


@pytest.mark.parametrize("columns", [1, 3, 1000, 5000])
def test_choice_with_replacement_is_numpys(backend: str, columns: int) -> None:
    weights = np.random.default_rng(columns).dirichlet(np.ones(columns))
    weights[: columns // 3] = 0
    weights /= weights.sum()
    for before in (0, 1, 2, 3, 61):  # words that were drawn before, one by one
        own, theirs = gf.Philox4x32(5), gf.Philox4x32(5)
        own.random_raw(before), theirs.random_raw(before)
        rng, numpys = gf.Generator(own), np.random.Generator(theirs)
        for size in (40, (3, 700), 5001):
            assert_same_bytes(rng.choice(columns, size, p=weights), numpys.choice(columns, size, p=weights))
            assert_same_bytes(rng.random(3), numpys.random(3))
        assert own.state["state"]["counter"].tolist() == theirs.state["state"]["counter"].tolist()


@pytest.mark.parametrize("counter", [0, 2**60 - 3, 2**61 - 3, 2**64 - 400, 2**64 - 3, 2**64 + 5, 2**128 - 9])
def test_choice_at_any_counter(counter: int) -> None:
    weights = np.random.default_rng(0).dirichlet(np.ones(20))
    rng = gf.Generator(gf.Philox4x32(key=KEY, counter=counter))
    numpys = np.random.Generator(gf.Philox4x32(key=KEY, counter=counter))
    assert_same_bytes(rng.choice(20, 300, p=weights), numpys.choice(20, 300, p=weights))
    assert_same_bytes(rng.random(3), numpys.random(3))


def test_choice_takes_from_its_population() -> None:
    table = np.arange(12).reshape(3, 4)
    for size in (None, 2, (2, 1)):
        for replace in (True, False):
            place = gf.default_rng(5).choice(4, size, replace, [*EVEN, 0.0])
            found = gf.default_rng(5).choice(table, size, replace, [*EVEN, 0.0], axis=1)
            assert_same_bytes(found, table.take(place, axis=1))
    weights = np.random.default_rng(0).dirichlet(np.ones(10**5))
    drawn = gf.default_rng(5).choice(10**5, 10**4, replace=False, p=weights)
    assert np.unique(drawn).size == 10**4
    top = gf.gumbel_top_k(np.log(weights), 10**4, rng=5).indices
    assert_same_bytes(drawn, top)


@pytest.mark.parametrize("name", INHERITED)
def test_the_rest_is_numpy(name: str) -> None:
    rng, theirs = gf.default_rng(9), np.random.Generator(gf.Philox4x32(9))
    for _ in range(2):
        assert_same_bytes(INHERITED[name](rng), INHERITED[name](theirs))
    assert rng.offset == 0


def both(rng: gf.Generator) -> list[Any]:
    """A little of both streams."""
    return [
        rng.gumbel(size=40).tolist(),
        rng.integers(0, 1000, 3, dtype=np.uint32).tolist(),
        rng.normal(size=2).tolist(),
    ]


def test_states_hold_both_streams() -> None:
    rng = gf.default_rng(7)
    both(rng)
    state = rng.bit_generator.state
    assert state["noise_offset"] == rng.offset == 40
    twins = [copy.copy(rng), copy.deepcopy(rng), pickle.loads(pickle.dumps(rng)), gf.default_rng(8)]
    twins[3].bit_generator.state = state
    wanted = both(rng)
    for twin in twins:
        assert type(twin) is gf.Generator
        assert twin.bit_generator is not rng.bit_generator
        assert both(twin) == wanted
        assert repr(twin) == repr(rng) == str(rng)
    rng.bit_generator.state = state
    assert both(rng) == wanted
    del state["noise_offset"]  # as states were before noise was part of them
    rng.bit_generator.state = state
    assert rng.offset == 0
    before = numpy_state(rng)
    for bad, error in ((-1, ValueError), (2**62 + 1, ValueError), (0.5, TypeError), (None, TypeError)):
        with pytest.raises(error, match=r"^noise_offset must "):
            rng.bit_generator.state = gf.Philox4x32(1).state | {"noise_offset": bad}
        with pytest.raises(error, match=r"^noise_offset must "):
            rng.bit_generator.noise_offset = bad
        assert numpy_state(rng) == before


def test_jumps_and_spawned_children_have_noise_of_their_own() -> None:
    rng = gf.default_rng(7)
    rng.offset = 40
    for jumps, offset in ((1, 2**50 + 40), (4095, 4095 * 2**50 + 40), (4096, 40), (-1, 2**62 - 2**50 + 40), (0, 40)):
        other = gf.Generator(rng.bit_generator.jumped(jumps))
        assert (other.key, other.offset) == (rng.key, offset)
    rng.offset = 2**62
    assert rng.bit_generator.jumped(0).noise_offset == 2**62
    children = gf.default_rng(7).spawn(3)
    assert all(type(child) is gf.Generator and child.offset == 0 for child in children)
    assert len({child.key for child in children} | {rng.key}) == 4
    assert [c.key for c in children] == [gf.default_rng(s).key for s in np.random.SeedSequence(7).spawn(3)]
    with pytest.raises(TypeError, match="does not implement spawning"):
        gf.Generator(KEY).spawn(1)


def test_what_makes_a_generator() -> None:
    bits = gf.Philox4x32(7)
    rng = gf.Generator(bits, 5)
    assert rng.bit_generator is bits
    assert (rng.key, rng.offset, bits.noise_offset) == (bits.key, 5, 5)
    assert gf.Generator(bits).offset == 5
    assert isinstance(rng, np.random.Generator)
    assert np.random.default_rng(rng) is rng
    for bad in (np.random.PCG64(1), np.random.default_rng(1), np.random.MT19937(2)):
        with pytest.raises(TypeError) as caught:
            gf.Generator(bad)  # type: ignore[arg-type]
        assert str(caught.value).startswith(f"expected a Philox4x32 or a key, got {bad!r}; gumbelfast.default_rng ")

    class Mine(gf.Generator):
        pass

    mine = Mine(gf.Philox4x32(7))
    assert all(type(x) is Mine for x in (copy.copy(mine), copy.deepcopy(mine), *mine.spawn(1)))
    assert_same_bytes(gf.gumbel(size=5, rng=mine), gf.gumbel(size=5, rng=7))
    assert mine.offset == 5


def test_threads_share_both_streams() -> None:
    rng, taken = gf.Generator(KEY), [[] for _ in range(8)]

    def work(mine: list[Any]) -> None:
        for _ in range(300):
            mine.append(rng.standard_exponential(40))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drawn = np.concatenate([part for mine in taken for part in mine])
    assert np.unique(drawn).size == drawn.size == 8 * 300 * 40
    assert rng.offset == 8 * 300 * 64 - 24


def test_scipy_takes_it() -> None:
    data = (np.arange(20.0),)
    found = [stats.bootstrap(data, np.mean, n_resamples=99, random_state=gf.default_rng(3)) for _ in range(2)]
    assert found[0].confidence_interval == found[1].confidence_interval
    assert 7 < found[0].confidence_interval.low < found[0].confidence_interval.high < 12
    assert_same_bytes(
        stats.gumbel_r.rvs(size=5, random_state=gf.default_rng(3)),
        stats.gumbel_r.rvs(size=5, random_state=gf.default_rng(3)),
    )


def test_scikit_learn_takes_a_random_state_over_its_bits() -> None:
    utils = pytest.importorskip("sklearn.utils")
    with pytest.raises(ValueError, match=r"cannot be used to seed a numpy\.random\.RandomState instance"):
        utils.check_random_state(gf.default_rng(3))
    rng, alone = gf.default_rng(3), gf.default_rng(3)
    shuffled = utils.shuffle(np.arange(100), random_state=np.random.RandomState(rng.bit_generator))
    assert sorted(shuffled) == list(range(100))
    assert_same_bytes(shuffled, utils.shuffle(np.arange(100), random_state=np.random.RandomState(gf.Philox4x32(3))))
    # It has taken words of the generator, and none of its noise.
    assert numpy_state(rng) != numpy_state(alone)
    assert rng.offset == alone.offset == 0


def queue(rng: np.random.Generator, customers: int) -> float:
    """Mean waiting time of a queue with one server, by Lindley's recursion: a program written for NumPy."""
    steps = rng.exponential(0.5, customers) - rng.exponential(1.0, customers)
    walk = np.cumsum(steps)
    return float(np.mean(walk - np.minimum.accumulate(np.minimum(walk, 0))))


def test_a_simulation_runs_unchanged() -> None:
    # M/M/1 with load 1/2: rho / (mu - lambda) = 1/2.
    assert abs(queue(gf.default_rng(1), 10**6) - 0.5) < 0.02
    assert queue(gf.default_rng(1), 1000) == queue(gf.default_rng(1), 1000) != queue(np.random.default_rng(1), 1000)
