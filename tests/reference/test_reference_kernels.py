"""The reference's kernels against plain NumPy, SciPy and central differences."""

from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, KEY, relax, scalar_block, u64
from numpy.typing import NDArray

from gumbelfast.reference import kernels, philox
from gumbelfast.reference.noise import gumbel_noise
from gumbelfast.reference.softmax import log_softmax, softmax

INF = np.inf


def place(
    x: NDArray[Any], mask: Any = None, scale: Any = 1.0, offset: int = 0, row_stride: int = 0, **given: Any
) -> tuple[Any, Any]:
    """Logits and address as kernels take them, by default with row i from element i * K on."""
    return (x, mask, scale), (KEY, offset, row_stride or x.shape[-1], given.get("keys"), given.get("offsets"))


def draw(x: NDArray[Any], rows: int, **given: Any) -> tuple[NDArray[np.int64], NDArray[Any], int]:
    """`kernels.gumbel_max` with defaults: row i starts at element i * K."""
    logits, address = place(x, **given)
    index, best = np.full(rows, -7), np.zeros(rows)
    tiles = kernels.gumbel_max(logits, index, best, 1, address)
    return index, best, tiles


def draw_k(x: NDArray[Any], rows: int, k: int, **given: Any) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """`kernels.gumbel_top_k` likewise."""
    logits, address = place(x, **given)
    index, best = np.full((rows, k), -7), np.zeros((rows, k))
    kernels.gumbel_top_k(logits, index, best, 1, address)
    return index, best


def logits_of(dtype: str) -> NDArray[Any]:
    x = np.random.default_rng(0).normal(size=(6, 45))
    return x.astype(pytest.importorskip("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sampling_kernels_agree_with_perturbed_noise(dtype: str) -> None:
    x = logits_of(dtype)
    work: Any = np.float64 if dtype == "float64" else np.float32
    noise = np.empty(x.shape, work)
    kernels.gumbel(noise, 0.0, 1.0, 1, (KEY, 100, 0, None, None))
    expected = x.astype(np.float64) * (1 / 0.7) + noise
    index, best, tiles = draw(x, 6, scale=1 / 0.7, offset=100)
    assert np.array_equal(index, expected.argmax(axis=1))
    assert np.array_equal(best, expected.max(axis=1))
    assert tiles >= 9
    top, values = draw_k(x, 6, 45, scale=1 / 0.7, offset=100)
    assert np.array_equal(np.take_along_axis(expected, top, 1), values)
    assert np.array_equal(values, -np.sort(-expected, axis=1))
    assert np.array_equal(draw_k(x, 6, 3, scale=1 / 0.7, offset=100)[0], top[:, :3])
    soft, hard = np.empty_like(x), np.empty_like(x)
    assert kernels.gumbel_softmax((x, None, 1 / 0.7), soft, hard, 1, (KEY, 100, 45, None, None)) > 0
    p = relax(x, noise).astype(np.longdouble)
    exact = np.exp((p - p.max(axis=1, keepdims=True)) * np.longdouble(work(1 / 0.7)))
    exact = (exact / exact.sum(axis=1, keepdims=True)).astype(work).astype(x.dtype)
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(dtype, float(np.finfo(work).eps))
    np.testing.assert_allclose(soft.astype(work), exact.astype(work), rtol=eps, atol=2.0**-24)
    assert np.array_equal(hard.astype(work), (x.astype(np.float64) + noise).argmax(axis=1)[:, None] == np.arange(45))


def test_offset_stride_seeds_and_repeated_rows() -> None:
    x = logits_of("float64")
    index, best, _ = draw(x, 12)
    assert np.array_equal(draw(np.concatenate([x, x]), 12)[0], index)
    assert np.array_equal(draw(x, 12, offsets=np.arange(12, dtype=np.uint64) * np.uint64(45))[1], best)
    # Column shards: the better of the two bests is the best of the row.
    left = draw(np.ascontiguousarray(x[:, :20]), 6, row_stride=45)
    right = draw(np.ascontiguousarray(x[:, 20:]), 6, row_stride=45, offset=20)
    assert np.array_equal(np.maximum(left[1], right[1]), best[:6])
    assert np.array_equal(np.where(left[1] >= right[1], left[0], right[0] + 20), index[:6])
    seeds, places = u64(5, 2**64 - 1, 5, 0, 1, 2), u64(0, 64, 128, 0, 0, 0)
    seeded = draw(x, 6, keys=philox.row_key(seeds), offsets=places)[1]
    for i, (key, place) in enumerate(zip(philox.row_key(seeds), places, strict=True)):
        noise = gumbel_noise(int(key), place + np.arange(45, dtype=np.uint64), np.float64)
        assert seeded[i] == (x[i] + noise).max()


def test_masks_empty_rows_and_refusals() -> None:
    x = np.zeros((3, 40), np.float32)
    x[0], x[1, :39], x[2, 5] = -INF, -INF, np.nan
    mask = np.ones((3, 40), bool)
    mask[2, 5] = False
    assert draw(x, 3)[2] == -1
    index, best, _ = draw(x, 3, mask=mask)
    assert index[:2].tolist() == [-1, 39]
    assert best[0] == -INF
    top, values = draw_k(x, 3, 4, mask=mask)
    assert top[:2].tolist() == [[-1] * 4, [39, -1, -1, -1]]
    assert np.all(np.isneginf(values[top == -1]))
    assert draw(x[2:], 4, mask=mask[2])[0].min() >= 0
    assert draw(np.full((2, 40), np.float32(INF)), 2)[0].tolist() == [-7, -7]
    assert draw(x[:2], 2, scale=1e-300, mask=mask[:2])[0].tolist() == [-1, 39]
    assert draw(x[:0], 0)[2] == 0
    soft = np.empty((1, 40), np.float32)
    address = KEY, 0, 40, None, None
    results = [kernels.gumbel_softmax((x[i : i + 1], None, 1e30), soft, None, 1, address) for i in range(3)]
    assert [r < 0 for r in results] == [True, False, True]
    assert soft[0].tolist() == [0.0] * 39 + [1.0]


def test_noise_decides_between_equals_of_any_size() -> None:
    # Noise is far below half an ulp of these logits, in double too.
    x = np.full((1, 40), 1e38, np.float32)
    x[0, 0] = 1e37
    noise = np.empty(40, np.float32)
    kernels.gumbel(noise, 0.0, 1.0, 1, (KEY, 0, 0, None, None))
    order = [*1 + np.argsort(-noise[1:]), 0]
    assert draw(x, 1)[0].tolist() == order[:1]
    assert draw_k(x, 1, 40)[0].tolist() == [order]
    hard = np.empty((1, 40), np.float32)
    kernels.gumbel_softmax((x, None, 1.0), None, hard, 1, (KEY, 0, 40, None, None))
    assert np.array_equal(hard[0], np.arange(40) == order[0])


def test_draws_follow_softmax_and_plackett_luce() -> None:
    p, n = np.array([0.5, 0.3, 0.15, 0.05]), 40000
    x = np.log(p[None] * 7)
    top, _ = draw_k(x, n, 2)
    assert np.array_equal(top[:, 0], draw(x, n)[0])
    counts = np.zeros((4, 4))
    np.add.at(counts, (top[:, 0], top[:, 1]), 1)
    pairs = p[:, None] * p / (1 - p[:, None])
    assert np.trace(counts) == 0
    first, ordered = n * p, n * pairs[~np.eye(4, dtype=bool)]
    # Quantiles 1 - 1e-6 of chi-square with 3 and 11 degrees of freedom.
    assert (((counts.sum(axis=1) - first) ** 2) / first).sum() < 30.7
    assert (((counts[~np.eye(4, dtype=bool)] - ordered) ** 2) / ordered).sum() < 49.9


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_against_scipy(dtype: str) -> None:
    special = pytest.importorskip("scipy.special")
    x = np.concatenate([logits_of(dtype) * 10, np.zeros((5, 45))]).astype(logits_of(dtype).dtype)
    x[6, 3], x[7, [3, 4]], x[8], x[9, 0], x[10, 1:] = INF, INF, -INF, np.nan, -INF
    work: Any = np.float64 if dtype == "float64" else np.float32
    wide = x.astype(np.float64) * np.float64(work(0.3))
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(dtype, float(np.finfo(work).eps))
    for name in ("softmax", "log_softmax"):
        with np.errstate(all="ignore"):
            expected = getattr(special, name)(wide, axis=-1)
        out = x.copy()
        getattr(kernels, name)(out, 0.3, out, 1)
        np.testing.assert_allclose(out.astype(np.float64), expected, rtol=4 * eps, atol=2.0**-24)
    row = np.empty(len(x), x.dtype)
    kernels.logsumexp(x, 0.3, row, 1)
    np.testing.assert_allclose(row.astype(np.float64), special.logsumexp(wide, axis=-1), rtol=4 * eps)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_gradients_against_central_differences(name: str) -> None:
    x, grad = logits_of("float64")[:, :7].copy(), logits_of("float64")[:, 7:14].copy()
    forward = {"softmax": softmax, "log_softmax": log_softmax}[name]
    y, out, h = np.empty_like(x), np.empty_like(x), 1e-5
    getattr(kernels, name)(x, 2.5, y, 1)
    getattr(kernels, name + "_backward")(grad, y, 2.5, out, 1)
    for j in range(7):
        step = h * (np.arange(7) == j)
        numeric = ((forward(x + step, 2.5) - forward(x - step, 2.5)) * grad).sum(axis=1) / (2 * h)
        np.testing.assert_allclose(out[:, j], numeric.astype(float), rtol=1e-7, atol=1e-8)


def test_softmax_of_extreme_rows() -> None:
    out = np.empty((1, 2))
    kernels.log_softmax(np.array([[50.0, 0.0]]), 1.0, out, 1)
    assert out[0, 0] == pytest.approx(-np.exp(-50), rel=1e-15)
    single = np.array([[7, -INF, -7]], np.float32)
    kernels.softmax(single, 1e-300, single, 1)
    assert single.tolist() == [[0.5, 0, 0.5]]


def test_philox_and_gumbel_kernels() -> None:
    words = np.empty((3, 4), np.uint32)
    kernels.philox(KEY, 2, 2**59 - 1, words)
    assert words.tolist() == [list(scalar_block(2, 2**59 - 1 + i)) for i in range(3)]
    half, single = np.empty(50, np.float16), np.empty((5, 10), np.float32)
    kernels.gumbel(half, 2.0, 0.5, 1, (KEY, 7, 0, None, None))
    kernels.gumbel(single, 2.0, 0.5, 1, (KEY, 7, 0, None, None))
    noise = gumbel_noise(KEY, np.arange(7, 57, dtype=np.uint64), np.float32)
    assert np.array_equal(single.ravel(), 2 + np.float32(0.5) * noise)
    assert np.array_equal(half, single.ravel().astype(np.float16))
