"""`conditional_gumbel`: its formula to the last digits, its law, and what is largest."""

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from helpers import DTYPES, KEY, Array, assert_same_bytes, eps_of, normal, work_of
from helpers import exact as exact_gumbel
from scipy import stats

import gumbelfast as gf

INF = np.inf
LEVEL = 1e-6  # of every statistical test: seeds are fixed, so a failure is no bad luck
COLUMNS = [1, 2, 15, 16, 17, 33, 100, 3071, 3073, 9000]


def exact(p: Any, bound: Any) -> Any:
    """-log(exp(-bound) + exp(-p)) to 50 digits."""
    if bound == -INF:
        return -mp.inf
    if bound == INF:
        return mp.mpf(float(p))
    with mp.workdps(50):
        low, high = sorted((mp.mpf(float(p)), mp.mpf(float(bound))))
        return low - mp.log1p(mp.exp(low - high))


def off(z: Array, p: Array, bound: Array) -> list[Any]:
    """Errors of z, in units of the last place of max(1, |z|) and of z itself."""
    found: list[list[Any]] = [[], []]
    for one, *given in zip(z.ravel(), p.ravel(), bound.ravel(), strict=True):
        wanted = exact(*given)
        error = abs(mp.mpf(float(one)) - wanted) if np.isfinite(one) else 0 if one == wanted else mp.inf
        for errors, size in zip(found, (max(1, abs(one)), abs(one)), strict=True):
            errors.append(error / float(np.spacing(z.dtype.type(min(size, np.finfo(z.dtype).max / 2)))) if error else 0)
    return [max(errors) for errors in found]


def around(x: Array, bound: Any, **place: Any) -> tuple[Array, Array]:
    """Truncated perturbed logits, and the ones that they are made from."""
    work = work_of(str(x.dtype))
    noise = gf.gumbel(size=x.shape, dtype=work, **place)
    return gf.conditional_gumbel(x, upper=bound, **place), x.astype(work) + noise


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_formula_against_mpmath(compiled: str, dtype: str) -> None:
    largest = float(np.finfo(dtype).max)
    sizes = np.array([0, 1e-30, 1e-6, 0.1, 0.7, 1, 3, 20, 90, 104, 700, 746, 1e4, 1e30, largest])
    values = np.concatenate([sizes, -sizes[1:]]).astype(dtype)
    bounds = np.append(values, [INF, -INF]).astype(dtype)
    x = np.broadcast_to(values, (len(bounds), len(values)))
    z, p = around(x, bounds, rng=gf.Generator(KEY), offset=7)
    assert off(z, p, np.broadcast_to(bounds[:, None], z.shape))[0] <= 1.5
    # Near the bound the two are close: every distance from 2**-20 to 20 between them, and exact ties.
    gap = np.append(np.geomspace(2**-20, 20, 300), 0)
    noise = gf.gumbel(size=301, dtype=dtype, rng=gf.Generator(KEY), offset=0)
    for near in (-3.0, 0.5, 40.0):
        x = np.array(near - noise, dtype)
        for side in (-1, 1):
            bounds = (x + noise + side * gap).astype(dtype)
            z = gf.conditional_gumbel(x[:, None], upper=bounds, rng=gf.Generator(KEY), offset=0)[:, 0]
            assert off(z, x + noise, bounds)[0] <= 1.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distance_from_a_bound_of_zero_keeps_all_digits(compiled: str, dtype: str) -> None:
    x = np.linspace(-3, 60, 400).astype(dtype)
    z, p = around(x, 0.0, rng=gf.Generator(KEY), offset=7)
    assert np.all(z < 0)
    # Where p < 0 it is itself rounded, so only the others are made of nothing but the logarithm.
    assert off(z[p > 0], p[p > 0], np.zeros_like(z[p > 0]))[1] <= 2


def test_rounding_of_the_noise_is_not_magnified(compiled: str) -> None:
    rows, top = 20_000, 10.0
    unrounded = exact_gumbel(0, 2 * rows, "float32").astype(float).reshape(rows, 2)
    rounded = gf.gumbel(size=(rows, 2), rng=gf.Generator(KEY), offset=0)

    def ulps(found: Array, wanted: Array) -> float:
        return float((np.abs(found - wanted) / np.spacing(np.maximum(1, np.abs(wanted)).astype(np.float32))).max())

    def shifted(p: Array) -> Array:
        """The smaller of two, moved as Kool, van Hoof and Welling (2019) do: the larger one comes to the top."""
        p = np.sort(p.astype(float), axis=-1)
        v = top - p[:, 0] + np.log1p(-np.exp(p[:, 0] - p[:, 1]))
        return top - np.maximum(v, 0) - np.log1p(np.exp(-np.abs(v)))

    z = gf.conditional_gumbel(np.zeros((rows, 2), np.float32), upper=top, rng=gf.Generator(KEY), offset=0)
    assert ulps(z, -np.logaddexp(-top, -unrounded)) <= 3.5
    assert ulps(shifted(rounded), shifted(unrounded)) > 100


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", COLUMNS)
def test_every_way_agrees_with_the_reference(compiled: str, dtype: str, columns: int) -> None:
    x = normal(dtype, (3, columns), columns)
    last = columns - 1
    ways: list[dict[str, Any]] = [
        {"index": [0, last, last // 2]},
        {"index": last, "maximum": [-2.0, 0.0, 3.5]},
        {"maximum": [9.0, 1.0, -7.0]},
        {"upper": [1.0, INF, -4.0]},
    ]
    for given in ways:
        found = gf.conditional_gumbel(x, **given, rng=columns)
        wanted = gf.reference.conditional_gumbel(x, **given, rng=columns)
        assert found.dtype == wanted.dtype == work_of(dtype)
        # Two ulp of the noise, two of the result; logsumexp adds as many, and log n for a long sum.
        np.testing.assert_allclose(found, wanted, rtol=0, atol=(16 + np.log(columns)) * 16 * eps_of(str(found.dtype)))
        if "upper" not in given:
            assert np.array_equal(found.argmax(axis=-1), wanted.argmax(axis=-1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_winner_is_the_only_largest(compiled: str, dtype: str) -> None:
    # Logits far above the maximum put all others within rounding of it.
    x = normal(dtype, (50, 333)) + np.array(40, dtype=normal(dtype, 1).dtype)
    index = np.arange(50) * 5
    for top in (-3.0, 0.0, 2.5, 3e-39, 1e6):
        z = gf.conditional_gumbel(x, index, maximum=top, rng=1)
        assert np.array_equal(z.max(axis=-1), np.full(50, top, z.dtype))
        assert np.array_equal((z == z.max(axis=-1, keepdims=True)), np.arange(333) == index[:, None])
        second = np.sort(z, axis=-1)[:, -2]
        # Many round to the maximum itself, but for one of 0, which has room below it.
        assert top not in (-3.0, 2.5) or np.array_equal(second, np.nextafter(z.max(axis=-1), z.dtype.type(-INF)))
        alone = gf.conditional_gumbel(x, maximum=top, rng=1)
        assert np.array_equal((alone == z.dtype.type(top)).sum(axis=-1), np.ones(50))
        assert gf.conditional_gumbel(x, upper=top, rng=1).max() <= z.dtype.type(top)
    drawn = gf.conditional_gumbel(x, index, rng=1)
    assert np.array_equal(drawn.argmax(axis=-1), index)


@pytest.mark.parametrize("dtype", DTYPES)
def test_drawn_maximum_is_logsumexp_and_the_winners_noise(compiled: str, dtype: str) -> None:
    x = normal(dtype, (60, 70))
    index = np.arange(60)
    z = gf.conditional_gumbel(x, index, rng=3)
    noise = gf.gumbel(size=x.shape, dtype=z.dtype, rng=3)[index, index]
    wide = x.astype(z.dtype)
    assert_same_bytes(z.max(axis=-1), gf.logsumexp(wide) + noise)
    assert_same_bytes(z, gf.conditional_gumbel(x, index, maximum=z.max(axis=-1), rng=3))


def test_addresses(compiled: str) -> None:
    x, top = normal("float64", (3, 70)), np.array([0.5, 1.5, -2.0])
    whole = gf.conditional_gumbel(x, upper=top, rng=gf.Generator(KEY), offset=45, row_stride=110)
    for i in range(3):
        place = {"rng": gf.Generator(KEY), "offset": 45 + 110 * i}
        assert_same_bytes(gf.conditional_gumbel(x[i], upper=top[i], **place), whole[i])
    seeds, positions = [5, 2**64 - 1, 5], [0, 3, 9]
    for given in ({"maximum": top}, {"index": [3, 0, 69]}, {"upper": top}):
        whole = gf.conditional_gumbel(x, **given, seeds=seeds, positions=positions)
        for i in range(3):
            own = {name: value[i] for name, value in given.items()}
            assert_same_bytes(gf.conditional_gumbel(x[i], **own, seeds=seeds[i], positions=positions[i]), whole[i])


def test_a_maximum_alone_takes_rows_twice_as_wide(compiled: str) -> None:
    x, top = normal("float32", (4, 70)), np.array([0.5, 1.5, -2.0, 7.0])
    rng = gf.Generator(KEY)
    z = gf.conditional_gumbel(x, maximum=top, rng=rng)
    assert rng.offset == 4 * 140
    index = gf.categorical(x, rng=rng, offset=0, row_stride=140)
    assert np.array_equal(z.argmax(axis=-1), index)
    assert_same_bytes(z, gf.conditional_gumbel(x, index, maximum=top, rng=rng, offset=70, row_stride=140))
    offsets = [0, 140, 280, 420]
    assert_same_bytes(z, gf.conditional_gumbel(x, maximum=top, rng=rng, offset=offsets))


@pytest.mark.parametrize("axis", [0, 1, 2, -2])
def test_axes_and_out(compiled: str, axis: int) -> None:
    x = normal("float32", (4, 5, 6))
    rows = np.moveaxis(x, axis, -1)
    index = np.zeros(rows.shape[:-1], np.int32)
    for given in ({"index": index}, {"maximum": 0.5}, {"upper": np.ones(rows.shape[:-1])}):
        wanted = np.moveaxis(gf.conditional_gumbel(rows, **given, rng=8), -1, axis)
        assert_same_bytes(gf.conditional_gumbel(x, **given, axis=axis, rng=8), wanted)
        for out in (np.empty_like(x), np.empty((6, 5, 4), np.float32).T, x.copy()):
            assert gf.conditional_gumbel(x, **given, axis=axis, rng=8, out=out) is out
            assert np.array_equal(out, wanted)
        same = x.copy()
        assert gf.conditional_gumbel(same, **given, axis=axis, rng=8, out=same) is same
        assert np.array_equal(same, wanted)


def test_minus_infinity_and_empty_batches(compiled: str) -> None:
    x = np.array([[0.0, -INF, 1.0], [-INF, 2.0, -INF]], np.float32)
    for given in ({"index": [0, 1]}, {"maximum": 3.0}, {"upper": INF}):
        z = gf.conditional_gumbel(x, **given, rng=0)
        assert np.array_equal(np.isneginf(z), np.isneginf(x))
    assert np.all(gf.conditional_gumbel(x, upper=-INF, rng=0) == -INF)
    assert gf.conditional_gumbel(np.zeros((0, 3)), [], rng=0).shape == (0, 3)
    assert gf.default_rng(5).conditional_gumbel([0.0, 1.0], 1).argmax() == 1


LOGITS = np.array([0.5, -1.0, 0.2])
DRAWS = 60_000


def uniform(values: Array) -> None:
    assert stats.kstest(values, "uniform").pvalue > LEVEL


def below(x: Array, z: Array, top: Any) -> Array:
    """P(Z <= z | Z <= top) for Z ~ Gumbel(x): uniform if z has this law."""
    return np.exp(np.exp(x - top) - np.exp(x - z))


@pytest.mark.parametrize("winner", [0, 1, 2])
def test_law_is_that_of_rejection(compiled: str, winner: int) -> None:
    free = LOGITS + gf.gumbel(size=(8 * DRAWS, 3), dtype=float, rng=10)
    kept = free[free.argmax(axis=-1) == winner][:DRAWS]
    z = gf.conditional_gumbel(np.broadcast_to(LOGITS, (DRAWS, 3)), winner, rng=11)
    # Each entry, and differences, which see how entries depend on each other.
    for view in (*np.eye(3), [1, -1, 0], [0, 1, -1], [1, 0, -1], [1, 1, 1]):
        assert stats.ks_2samp(z @ np.array(view), kept @ np.array(view)).pvalue > LEVEL


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_law_given_the_index(compiled: str, dtype: str) -> None:
    x = np.broadcast_to(LOGITS.astype(dtype), (DRAWS, 3))
    z = gf.conditional_gumbel(x, 1, rng=12).astype(float)
    top = np.exp(-np.exp(gf.logsumexp(LOGITS) - z[:, 1]))
    first, last = below(LOGITS[0], z[:, 0], z[:, 1]), below(LOGITS[2], z[:, 2], z[:, 1])
    # Sums modulo 1 are uniform if what is summed is uniform and independent.
    for values in (top, first, last, top + first, top + last, first + last, top + first + last):
        uniform(values % 1)


def test_law_given_the_maximum(compiled: str) -> None:
    for top in (-1.0, 0.7, 4.0):
        z = gf.conditional_gumbel(np.broadcast_to(LOGITS, (DRAWS, 3)), maximum=top, rng=13)
        index = z.argmax(axis=-1)
        counts = np.bincount(index, minlength=3)
        assert stats.power_divergence(counts, DRAWS * gf.softmax(LOGITS), lambda_="log-likelihood").pvalue > LEVEL
        # Whichever wins, the others do not know more than that they are below.
        for winner in range(3):
            u = below(LOGITS, z[index == winner], top)
            others = np.delete(u, winner, axis=-1)
            for values in (others[:, 0], others[:, 1], others.sum(axis=-1)):
                uniform(values % 1)


def test_law_below_a_bound(compiled: str) -> None:
    for top in (-1.0, 0.7, 4.0):
        u = below(LOGITS, gf.conditional_gumbel(np.broadcast_to(LOGITS, (DRAWS, 3)), upper=top, rng=14), top)
        for values in (*u.T, u[:, 0] + u[:, 1], u[:, 1] + u[:, 2], u.sum(axis=-1)):
            uniform(values % 1)
