"""A race of weights: the largest w / E in order, by exact arithmetic on the same noise, whatever the weights."""

from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, KEY, dtype_of, work_of

import gumbelfast as gf
from gumbelfast._engine.backend import active
from gumbelfast._engine.types import LACKING, REFUSED


def race(w: Any, k: int, offset: int = 0, threads: int = 1) -> tuple[Any, int]:
    index = np.empty((len(w), k), np.int64)
    return index, active().race((w, None, 1.0), None, index, None, None, threads, (KEY, offset, w.shape[1], None, None))


def exact_order(w: Any, k: int, offset: int = 0) -> Any:
    """The places of the largest quotients of exact numbers; -1 where no weight is left."""
    e = gf.exponential(size=w.shape, dtype=work_of(w.dtype.name), rng=gf.Generator(KEY), offset=offset)
    found = np.full((len(w), k), -1)
    for row, (weights, times) in enumerate(zip(w.astype(np.float64), e, strict=True)):
        drawn = np.flatnonzero(weights)
        score = {int(j): Fraction(float(weights[j])) / Fraction(float(times[j])) for j in drawn}
        first = sorted(score, key=lambda j: (-score[j], j))[:k]
        found[row, : len(first)] = first
    return found


def weights_of(dtype: str, shape: tuple[int, int], kind: str) -> Any:
    random = np.random.default_rng(3)
    w = random.exponential(size=shape)
    most = {"float64": 300, "float32": 37, "bfloat16": 37, "float16": 4}[dtype]
    if kind == "mixed":
        w = 10.0 ** random.uniform(-most, most, shape)
    elif kind == "subnormal":
        w = w * {"float64": 1e-320, "float32": 1e-43, "bfloat16": 1e-39, "float16": 1e-6}[dtype]
    elif kind == "zeros":
        w[random.random(shape) < 0.9] = 0
    return w.astype(dtype_of(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["even", "mixed", "subnormal", "zeros"])
@pytest.mark.parametrize(
    ("shape", "k"), [((7, 5), 3), ((3, 128), 128), ((3, 129), 1), ((2, 700), 20), ((1, 9000), 300)]
)
def test_the_largest_quotients(compiled: str, dtype: str, kind: str, shape: tuple[int, int], k: int) -> None:
    w = weights_of(dtype, shape, kind)
    for offset in (0, 77):
        wanted = exact_order(w, k, offset)
        found, status = race(w, k, offset)
        assert found.tolist() == wanted.tolist()
        assert (status == LACKING) == bool((wanted < 0).any())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_of_many(compiled: str, dtype: str) -> None:
    w = weights_of(dtype, (2, 300_001), "even")
    e = gf.exponential(size=w.shape, dtype=dtype, rng=gf.Generator(KEY), offset=5)
    wanted = np.argsort(-(w.astype(np.float64) / e), axis=-1, kind="stable")
    assert race(w, 1, 5)[0].tolist() == wanted[:, :1].tolist()
    assert race(w, 2000, 5)[0].tolist() == wanted[:, :2000].tolist()
    assert race(w, 300_001, 5, 3)[0].tolist() == wanted.tolist()


def test_equal_to_the_reference(compiled: str) -> None:
    for dtype in ("float32", "float64"):
        w = weights_of(dtype, (5, 300), "mixed")
        found = race(w, 20)[0]
        with gf.use_backend("reference"):
            assert race(w, 20)[0].tolist() == found.tolist()


@pytest.mark.parametrize("columns", [5, 200, 5000])
@pytest.mark.parametrize("bad", [-1.0, -1e-30, np.nan, np.inf, -np.inf])
def test_bad_weights_are_refused_wherever_they_are(backend: str, columns: int, bad: float) -> None:
    for place in {0, columns // 2, columns - 1}:
        for dtype in (np.float32, np.float64):
            w = np.ones((2, columns), dtype)
            w[1, place] = bad
            assert race(w, 2)[1] == REFUSED


def test_zeros_are_never_drawn(backend: str) -> None:
    w = np.zeros((3, 300), np.float32)
    w[0, 7], w[1, [299, 3]] = 1e-45, 3e38
    w[2] = -0.0
    found, status = race(w, 3)
    assert status == LACKING
    assert found[0].tolist() == [7, -1, -1]
    assert sorted(found[1].tolist()) == [-1, 3, 299]
    assert found[2].tolist() == [-1, -1, -1]


def test_all_ordered_outcomes_by_their_probabilities(compiled: str) -> None:
    p, n = np.array([0.1, 0.2, 0.3, 0.4]), 60_000
    found, _ = race(np.broadcast_to(p, (n, 4)).copy(), 3)
    drawn = found @ [16, 4, 1]
    orders = list(permutations(range(4), 3))
    wanted = n * np.array([p[a] * p[b] / (1 - p[a]) * p[c] / (1 - p[a] - p[b]) for a, b, c in orders])
    counts = np.array([(drawn == a * 16 + b * 4 + c).sum() for a, b, c in orders])
    assert counts.sum() == n
    # Quantile 1 - 1e-6 of chi-square with 23 degrees of freedom.
    assert ((counts - wanted) ** 2 / wanted).sum() < 70.6


@pytest.mark.parametrize("columns", [7, 448, 449, 40_000, 300_000])
def test_sums_are_those_of_the_weights(backend: str, columns: int) -> None:
    if backend == "reference" and columns > 40_000:
        pytest.skip("the reference takes long")
    w = weights_of("float64", (3, columns), "even")
    for threads in (1, 3):
        index, sums = np.empty((3, 2), np.int64), np.full(3, np.nan)
        place = (KEY, 5, columns, None, None)
        assert active().race((w, None, 1.0), None, index, None, sums, threads, place) not in (LACKING, REFUSED)
        np.testing.assert_allclose(sums, w.sum(axis=-1), rtol=1e-12)
