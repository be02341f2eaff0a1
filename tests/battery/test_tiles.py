"""A tile's noise is drawn from its smallest exponential up: what comes out is 32 independent exponentials.

Chi-square of places, pairs and triples against the products of their laws, in cells of equal probability. The tests of
a run are one family: it passes unless its smallest p-value, times their number, is below 1e-6.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from helpers import KEY, Array, Record

import gumbelfast as gf

stats = pytest.importorskip("scipy.stats")

ALPHA = 1e-6
PIECE = 2**15
TRIPLES = np.array([np.random.default_rng(5).choice(32, 3, replace=False) for _ in range(128)])
UPPER = {width: np.triu_indices(width, 1) for width in (31, 32)}


def cells(probability: Array, count: int) -> Array:
    return np.minimum((probability * count).astype(np.int64), count - 1)


def pair_tables(cell: Array, count: int) -> Array:
    """The tables of all pairs of columns, `count` by `count`: products of indicators, summed by one matrix product."""
    width = cell.shape[1]
    hot = (cell[:, :, None] == np.arange(count)).reshape(len(cell), -1).astype(np.float32)
    tables = (hot.T @ hot).reshape(width, count, width, count).swapaxes(1, 2)
    return tables[UPPER[width]].astype(np.int64).reshape(-1, count * count)


def tables_of(e: Array) -> dict[str, Array]:
    """Rows of counts, each of cells that are equally likely."""
    place, minimum = e.argmin(1), e.min(1)
    others = np.take_along_axis(e, (place[:, None] + np.arange(1, 32)) % 32, 1) - minimum[:, None]
    u, x, m = -np.expm1(-e), cells(-np.expm1(-others), 4), -np.expm1(-32 * minimum)
    quarter, place_and_m = np.ascontiguousarray(cells(u, 4).T), place * 4 + cells(m, 4)
    count = np.bincount
    return {
        "place": count(place, minlength=32)[None],
        "minimum": count(cells(m, 16), minlength=16)[None],
        "place and minimum": count(place * 16 + cells(m, 16), minlength=512)[None],
        "place, minimum and another": np.stack([count(place_and_m * 4 + x[:, r], minlength=512) for r in range(31)]),
        "two others": pair_tables(x, 4),
        "pairs": pair_tables(cells(u, 8), 8),
        "triples": np.stack(
            [count((quarter[a] * 4 + quarter[b]) * 4 + quarter[c], minlength=64) for a, b, c in TRIPLES]
        ),
    }


def smallest_p_value(tiles: Iterator[Array]) -> tuple[float, str]:
    """Of all tables, times their number; and the kind of table that has it."""
    totals: dict[str, Array] = {}
    for e in tiles:
        for name, counts in tables_of(e).items():
            totals[name] = totals.get(name, 0) + counts
    family = sum(len(counts) for counts in totals.values())
    p = {}
    for name, counts in totals.items():
        expected = counts.sum(1, keepdims=True) / counts.shape[1]
        p[name] = family * stats.chi2.sf(((counts - expected) ** 2 / expected).sum(1), counts.shape[1] - 1).min()
    worst = min(p, key=p.__getitem__)
    return p[worst], worst


@pytest.mark.parametrize("tiles", [2**16, pytest.param(2**21, marks=pytest.mark.battery)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tiles_are_independent_exponentials(dtype: str, tiles: int, record_property: Record) -> None:
    rng = gf.Generator(KEY)
    drawn = (gf.exponential(size=(PIECE, 32), dtype=dtype, rng=rng) for _ in range(tiles // PIECE))
    p, name = smallest_p_value(drawn)
    record_property("smallest p-value times their number", f"{p:.3g}, of {name}")
    assert p >= ALPHA, (name, p)


def tiles_made_by(change: Callable[[Array, Array, Array], None]) -> Iterator[Array]:
    """Tiles drawn as the law says, by NumPy, of which `change` spoils the minimum, the place or the excesses."""
    rng = np.random.default_rng(7)
    for _ in range(4):
        minimum, place = rng.standard_exponential((PIECE, 1)) / 32, rng.integers(0, 32, (PIECE, 1))
        excess = rng.standard_exponential((PIECE, 32))
        change(minimum, place, excess)
        np.put_along_axis(excess, place, 0, 1)
        yield minimum + excess


def nothing(minimum: Array, place: Array, excess: Array) -> None:
    pass


def rate_31(minimum: Array, place: Array, excess: Array) -> None:
    minimum *= 32 / 31


def never_last(minimum: Array, place: Array, excess: Array) -> None:
    place %= 31


def one_word_for_two(minimum: Array, place: Array, excess: Array) -> None:
    excess[:, 20] = excess[:, 4]


def place_from_minimum(minimum: Array, place: Array, excess: Array) -> None:
    place[minimum < 0.02] &= ~1


def biased_excess(minimum: Array, place: Array, excess: Array) -> None:
    excess[:, 9] *= 1.1


@pytest.mark.battery
def test_tiles_made_by_numpy_pass() -> None:
    assert smallest_p_value(tiles_made_by(nothing))[0] >= ALPHA


@pytest.mark.battery
@pytest.mark.parametrize("fault", [rate_31, never_last, one_word_for_two, place_from_minimum, biased_excess])
def test_faults_are_seen(fault: Callable[[Array, Array, Array], None]) -> None:
    assert smallest_p_value(tiles_made_by(fault))[0] < ALPHA
