"""A constant added to all logits changes no distribution: functions that draw, routes, logits up to 1e8 and 1e15.

Each case has a chance of 1e-7 of a false alarm; seeds are fixed.
"""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from helpers import Record
from scipy import stats

import gumbelfast as gf

Array = np.ndarray[Any, Any]
ERROR = 1e-7
LONG = 5000
SHIFTS = [
    ("float32", 1e4),
    ("float32", -3e6),
    ("float32", 1e8),
    ("float64", 1e8),
    ("float64", -1e12),
    ("float64", 1e15),
]


def rows(x: Array, n: int) -> Array:
    return np.tile(x, (n, 1))


def spread(x: Array) -> Array:
    """The places of the logits in a long row, and the row."""
    places = np.linspace(3, LONG - 7, x.size).astype(int)
    row = np.full(LONG, -np.inf, x.dtype)
    row[places] = x
    return row


def from_long(found: Array, x: Array) -> Array:
    return np.searchsorted(np.linspace(3, LONG - 7, x.size).astype(int), found)


def merged(x: Array, n: int, temperature: float) -> Array:
    """Of two shards of each row."""
    half, width = x.size // 2, x.size
    given: Any = {"temperature": temperature, "rng": 5, "row_stride": width, "return_perturbed": True}
    states = [gf.categorical(rows(part, n), offset=at, **given) for at, part in ((0, x[:half]), (half, x[half:]))]
    found: Array = gf.shards.merge(states, starts=[0, half]).indices
    return found


def seeds_from(rng: gf.Generator, n: int) -> Array:
    """The next n numbers of a generator's sequence of elements, as seeds."""
    first = rng.offset
    rng.offset = first + n
    return np.arange(first, first + n)


Draws = Callable[[Array, int, float, gf.Generator], Array]
# (logits, number of draws, temperature, generator) to indices.
ROUTES: dict[str, Draws] = {
    "categorical": lambda x, n, t, rng: gf.categorical(x, size=n, temperature=t, rng=rng),
    "categorical of rows": lambda x, n, t, rng: gf.categorical(rows(x, n), temperature=np.full(n, t), rng=rng),
    "perturbed": lambda x, n, t, rng: gf.categorical(x, size=n, temperature=t, rng=rng, return_perturbed=True).indices,
    "seeds": lambda x, n, t, rng: gf.categorical(rows(x, n), temperature=t, seeds=seeds_from(rng, n)),
    "mask": lambda x, n, t, rng: gf.categorical(
        np.append(x, x.max()), size=n, temperature=t, rng=rng, mask=np.arange(x.size + 1) < x.size
    ),
    "long rows": lambda x, n, t, rng: from_long(gf.categorical(spread(x), size=n // 10, temperature=t, rng=rng), x),
    "threads": lambda x, n, t, rng: from_long(
        gf.categorical(spread(x), size=n // 10, temperature=t, rng=rng, num_threads=3), x
    ),
    "top-k": lambda x, n, t, rng: gf.gumbel_top_k(rows(x, n), 1, temperature=t, rng=rng).indices[:, 0],
    "top-k of long rows": lambda x, n, t, rng: from_long(
        gf.gumbel_top_k(rows(spread(x), n // 100), 1, temperature=t, rng=rng).indices[:, 0], x
    ),
    "tokens": lambda x, n, t, rng: gf.sample_tokens(rows(x, n), temperature=t, rng=rng),
    "tokens of long rows": lambda x, n, t, rng: from_long(
        gf.sample_tokens(rows(spread(x), n // 100), temperature=t, rng=rng), x
    ),
    "tokens, top-k": lambda x, n, t, rng: from_long(
        gf.sample_tokens(rows(spread(x), n // 100), temperature=t, top_k=x.size, rng=rng), x
    ),
    "tokens, min-p": lambda x, n, t, rng: gf.sample_tokens(rows(x, n), temperature=t, min_p=1e-6, rng=rng),
}
AT_ONE: dict[str, Draws] = {
    "gumbel_softmax, hard": lambda x, n, _, rng: gf.gumbel_softmax(rows(x, n), hard=True, rng=rng).argmax(axis=-1),
    "gumbel_softmax": lambda x, n, _, rng: gf.gumbel_softmax(rows(x, n), rng=rng).argmax(axis=-1),
    "Concrete": lambda x, n, _, rng: gf.distributions.Concrete(x, 0.5).sample(n, rng=rng).argmax(axis=-1),
    "Categorical": lambda x, n, _, rng: gf.Categorical(logits=x).sample(n, rng=rng),
}
ALL = ROUTES | AT_ONE


def count(draws: Draws, x: Array, n: int, temperature: float, seed: list[int]) -> Array:
    """How often each category is drawn, by pieces that fit into memory."""
    rng, counts, piece = gf.default_rng(seed), np.zeros(x.size, np.int64), 2**20 // x.size
    for start in range(0, n, piece):
        found = draws(x, min(piece, n - start), temperature, rng)
        counts += np.bincount(found, minlength=x.size)
    return counts


def check(counts: Array, x: Array, temperature: float) -> float:
    """The p-value of the counts."""
    wide = x.astype(np.longdouble) / temperature
    p = np.exp((wide - wide.max()).astype(float))
    p /= p.sum()
    expected = p * counts.sum()
    p_value = float(stats.chisquare(counts, expected).pvalue)
    assert p_value > ERROR, (counts, expected)
    return p_value


def logits(dtype: str, shift: float, columns: int, steps: int) -> tuple[Array, float]:
    """Logits around the shift that differ by 0 to `steps` times what can be told apart there, and the temperature."""
    grain = float(np.spacing(np.abs(np.array(shift, dtype)))) if steps else 1.0
    grain = max(grain, 0.25)
    x = (shift + grain * (np.arange(columns) * 7 % (steps + 1))).astype(dtype)
    return x, grain


@pytest.mark.parametrize("draws", [20_000, pytest.param(10**7, marks=pytest.mark.release)])
@pytest.mark.parametrize(("dtype", "shift"), SHIFTS)
@pytest.mark.parametrize("name", ALL)
def test_frequencies(name: str, dtype: str, shift: float, draws: int, record_property: Record) -> None:
    cases, found = [(2, 0), (10, 0), (10, 3), (60, 2)], []
    seed = [list(ALL).index(name), SHIFTS.index((dtype, shift))]
    for columns, steps in cases if draws < 10**6 else [*cases, (1000, 2)]:
        x, temperature = logits(dtype, shift, columns, steps)
        if name in AT_ONE:
            if temperature > 1:
                continue
            temperature = 1.0
        found.append(check(count(ALL[name], x, draws, temperature, seed), x, temperature))
    record_property("p", " ".join(f"{p:.3g}" for p in found))


@pytest.mark.parametrize(("dtype", "shift"), SHIFTS)
@pytest.mark.parametrize("long", [False, True])
def test_orders_of_top_k(dtype: str, shift: float, long: bool) -> None:
    x, temperature = logits(dtype, shift, 4, 2)
    n = 2000 if long else 40_000
    given = rows(spread(x), n) if long else rows(x, n)
    found = gf.gumbel_top_k(given, 3, temperature=temperature, rng=20)
    index = from_long(found.indices, x) if long else found.indices
    w = np.exp(((x.astype(np.longdouble) - x.max()) / temperature).astype(float))
    orders = list(permutations(range(4), 3))
    p = [np.prod([w[o[i]] / (w.sum() - w[list(o[:i])].sum()) for i in range(3)]) for o in orders]
    counts = [np.count_nonzero((index == o).all(axis=1)) for o in orders]
    assert sum(counts) == n
    assert stats.chisquare(counts, np.array(p) * n).pvalue > ERROR
    assert found.perturbed.dtype == np.float64
    assert (np.diff(found.perturbed, axis=-1) <= 0).all()


@pytest.mark.parametrize(("dtype", "shift"), [c for c in SHIFTS if c[0] == "float32"])
def test_merged_shards(dtype: str, shift: float) -> None:
    x, temperature = logits(dtype, shift, 10, 3)
    found = merged(x, 20_000, temperature)
    assert np.array_equal(found, gf.categorical(rows(x, 20_000), temperature=temperature, rng=5))
    check(np.bincount(found), x, temperature)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [10, 300, 6000])
def test_draws_are_the_argmax_in_double(dtype: str, columns: int) -> None:
    """Bit for bit, at shifts where float32 sees many equal values."""
    rng = np.random.default_rng(columns)
    for shift in (0.0, 3e3, 1e7) if dtype == "float32" else (0.0, 1e9, 1e15):
        x = (shift + rng.normal(size=(40, columns))).astype(dtype)
        g = gf.gumbel(size=x.shape, dtype=dtype, rng=columns)
        exact = (x - x.max()).astype(np.longdouble) + g  # the difference of numbers so near is exact
        assert np.array_equal(gf.categorical(x, rng=columns), exact.argmax(axis=-1)), shift
        order = np.argsort(-exact, axis=-1, kind="stable")[:, :5]
        assert np.array_equal(gf.gumbel_top_k(x, 5, rng=columns).indices, order), shift
