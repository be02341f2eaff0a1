"""The smallest and the largest temperatures, with logits of any size: the limits that mathematics gives."""

from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, dtype_of

import gumbelfast as gf

INF = np.inf
COLUMNS = [3, 10, 16, 40, 300, 1000, 5000]
EXTREMES: dict[str, tuple[float, float]] = {
    # The smallest temperature whose reciprocal is finite, and the largest logit.
    "float16": (3e-39, 65504.0),
    "bfloat16": (3e-39, 3.38e38),
    "float32": (3e-39, float(np.finfo(np.float32).max)),
    "float64": (5.6e-309, float(np.finfo(np.float64).max)),
}

FILTERS: list[dict[str, Any]] = [
    {}, {"top_k": 2}, {"top_p": 0.5}, {"min_p": 0.1}, {"top_k": 5, "top_p": 0.9, "min_p": 0.01},
]  # fmt: skip


def spread(dtype: str, columns: int, low: float, high: float) -> np.ndarray[Any, Any]:
    """Different logits in random places; how they are ordered is told by the float64 values before."""
    n = min(columns, 60)
    at = np.linspace(0, 1, n)
    values = low * (1 - at) + high * at
    x = np.full(columns, -INF)
    x[np.random.default_rng(columns).permutation(columns)[:n]] = np.random.default_rng(0).permutation(values)
    return x.astype(dtype_of(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", COLUMNS)
def test_cold_rows_give_the_argmax_on_every_route(backend: str, dtype: str, columns: int) -> None:
    smallest, largest = EXTREMES[dtype]
    for low, high in ((5, 10), (-10, -5), (-7, 7), (0.5 * largest, largest), (-largest, -0.5 * largest), (-largest, 1)):
        x = spread(dtype, columns, low, high)
        wide = x.astype(np.float64)
        best = int(wide.argmax())
        assert (wide == wide[best]).sum() == 1  # of equals noise decides
        for temperature in (smallest, 1e-30, np.array(smallest), np.array([smallest])):
            rows = x[None] if np.ndim(temperature) else x
            given = {"temperature": temperature, "rng": 3}
            where = f"{low} ... {high} at {temperature}"
            assert int(np.squeeze(gf.categorical(rows, **given))) == best, where
            assert int(np.squeeze(gf.categorical(rows, seeds=1, temperature=temperature))) == best, where
            assert int(np.squeeze(gf.categorical(rows, return_perturbed=True, **given).indices)) == best, where
            assert np.all(gf.categorical(rows, size=5, num_threads=3, **given) == best), where
            for filters in (
                {},
                {"top_k": 2},
                {"top_p": 0.5},
                {"min_p": 0.1},
                {"top_k": 5, "top_p": 0.9, "min_p": 0.01},
            ):
                assert int(np.squeeze(gf.sample_tokens(rows, **filters, **given))) == best, (where, filters)
        mask = wide != wide[best]
        if np.isfinite(wide[mask]).any():
            second = int(np.where(mask, wide, -INF).argmax())
            assert gf.categorical(x, mask=mask, temperature=smallest, rng=3) == second


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", COLUMNS)
def test_cold_top_k_is_a_sort(backend: str, dtype: str, columns: int) -> None:
    smallest, largest = EXTREMES[dtype]
    for low, high in ((5, 10), (-10, -5), (-7, 7), (0.5 * largest, largest), (-largest, largest)):
        x = spread(dtype, columns, low, high)
        order = np.argsort(-x.astype(np.longdouble), kind="stable")
        for k in (1, 2, int(np.isfinite(x).sum())):
            found = gf.gumbel_top_k(x, k, temperature=smallest, rng=3)
            assert found.indices.tolist() == order[:k].tolist()
            assert np.all(np.diff(np.isposinf(found.perturbed).astype(int)) <= 0)
        short = f"k={k + 1} exceeds the {'columns' if k == columns else f'{k} allowed entries'}"
        if k < columns:
            with pytest.raises(ValueError, match=f"^{short}"):
                gf.gumbel_top_k(x, k + 1, temperature=smallest, rng=3)


def test_only_what_overflows_is_without_noise(backend: str) -> None:
    lowest = float(np.finfo(np.float64).min)
    x = np.array([0, lowest, 0.25, lowest / 2, 0])  # at 1/8: -inf for two of them
    drawn = np.array([gf.gumbel_top_k(x, 5, temperature=0.125, rng=r).indices for r in range(200)])
    assert np.all(drawn[:, 3:] == [3, 1])
    logits = x[[0, 2, 4]] * 8
    counts = (drawn[:, :1] == [0, 2, 4]).mean(0)
    p = np.exp(logits) / np.exp(logits).sum()
    assert np.all(np.abs(counts - p) < 5 * np.sqrt(p * (1 - p) / 200))
    # A mask written as the lowest number is one at any temperature.
    masked = np.where(np.arange(1000) % 3 == 0, 1, lowest)
    assert np.all(gf.categorical(masked, size=100, temperature=0.5, rng=1) % 3 == 0)


@pytest.mark.parametrize("columns", [1 << 20])
def test_parts_of_a_row_agree_with_the_whole(compiled: str, columns: int) -> None:
    x = np.full(columns, 5.0)
    x[[columns // 7, columns - 5, 3]] = 10, 12, 11
    for sign, wanted in ((1, [columns - 5, 3, columns // 7, 0]), (-1, [0, 1, 2, 4])):
        for threads in (1, 4):
            given: dict[str, Any] = {"temperature": 1e-308, "rng": 0, "num_threads": threads}
            assert gf.categorical(sign * x, **given) == wanted[0]
            found = gf.gumbel_top_k(sign * x, 4, **given)
            assert found.indices.tolist() == wanted
            assert np.all(found.perturbed == sign * INF)


def test_shards_that_overflow_do_not_merge() -> None:
    x = np.array([[5.0, 10, 7, 1], [0, 0, 0, 0]])
    given: dict[str, Any] = {"temperature": 1e-308, "rng": 0, "row_stride": 4, "return_perturbed": True}
    shards = [gf.categorical(x[:, at : at + 2], offset=at, **given) for at in (0, 2)]
    with pytest.raises(
        ValueError, match=r"^perturbed logits of row 0 are inf in several states: they cannot be merged$"
    ):
        gf.shards.merge(shards, starts=[0, 2])
    # Where one shard alone overflows, the whole is known.
    x[0, 2:] = 1e-30, 0
    shards = [gf.categorical(x[:, at : at + 2], offset=at, **given) for at in (0, 2)]
    assert gf.shards.merge(shards, starts=[0, 2]).indices[0] == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_hot_rows_are_uniform(backend: str, dtype: str) -> None:
    x = np.array([-1, 0, 2, -INF], dtype_of(dtype))
    drawn = gf.categorical(x, size=3000, temperature=1e30, rng=2)
    counts = np.bincount(drawn, minlength=4)
    assert counts[3] == 0
    assert np.all(np.abs(counts[:3] - 1000) < 5 * np.sqrt(3000 * 2 / 9))
    assert np.array_equal(
        drawn, gf.categorical(np.where(x > -INF, dtype_of(dtype).type(0), x), size=3000, temperature=1e30, rng=2)
    )
    assert np.allclose(gf.softmax(x, temperature=1e30).astype(float), [1 / 3, 1 / 3, 1 / 3, 0], atol=2**-9)


@pytest.mark.parametrize("dtype", DTYPES)
def test_relaxed_samples_at_extremes(backend: str, dtype: str) -> None:
    smallest, largest = EXTREMES[dtype]
    for x in ([5, 10, 7], [-10, -5, -7], [-largest, largest, 0], [-largest, -INF, -largest / 2]):
        logits = np.array(x, dtype_of(dtype))
        hard = gf.gumbel_softmax(logits, hard=True, rng=4)
        for tau in (smallest, np.array([smallest])):
            soft = gf.gumbel_softmax(logits if np.ndim(tau) == 0 else logits[None], tau, rng=4)
            assert np.array_equal(np.squeeze(soft), hard)
