"""The reference against its sources: Random123's known answers, the stream law word by word, mpmath and SciPy."""

import ast
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gumbelfast.reference import kernels, philox
from gumbelfast.reference.noise import exact_gumbel, gumbel_noise, minus_log, tile_minimum
from gumbelfast.reference.softmax import log_softmax, softmax

KEY = 0x299F31D0A4093822
INF = np.inf


def scalar_philox(counter: tuple[int, int, int, int], key: int) -> tuple[int, ...]:
    """Philox4x32-10 on Python integers, written from the paper a second time."""
    x0, x1, x2, x3 = counter
    for r in range(10):
        k0 = ((key & 0xFFFFFFFF) + r * 0x9E3779B9) % 2**32
        k1 = ((key >> 32) + r * 0xBB67AE85) % 2**32
        hi0, lo0 = divmod(0xD2511F53 * x0, 2**32)
        hi1, lo1 = divmod(0xCD9E8D57 * x2, 2**32)
        x0, x1, x2, x3 = hi1 ^ x1 ^ k0, lo1, hi0 ^ x3 ^ k1, lo0
    return x0, x1, x2, x3


def scalar_block(domain: int, block: int) -> tuple[int, ...]:
    return scalar_philox((block % 2**32, block // 2**32 + domain * 2**28, 0, 0), KEY)


def u64(*values: int) -> NDArray[np.uint64]:
    return np.array(values, dtype=np.uint64)


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ((0, 0, 0, 0), 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((2**32 - 1,) * 4, 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), KEY, "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_known_answers(counter: tuple[int, int, int, int], key: int, answer: str) -> None:
    c0, c1, c2, c3 = (u64(c) for c in counter)
    words = philox.philox4x32((c0, c1, c2, c3), key)
    assert " ".join(f"{int(w[0]):08x}" for w in words) == answer
    assert " ".join(f"{w:08x}" for w in scalar_philox(counter, key)) == answer


ELEMENTS = u64(0, 1, 2, 15, 16, 17, 31, 32, 53, 2**61 + 7, 2**62 - 1)
ELEMENT_BLOCKS = [0, 0, 1, 7, 0, 0, 7, 8, 10, 2**59 + 3, 2**60 - 1]
ELEMENT_WORDS = [0, 1, 0, 1, 2, 3, 3, 0, 3, 1, 3]


@pytest.mark.parametrize("domain", [philox.DOMAIN_WORD, philox.DOMAIN_EXTENSION, 3, 15])
def test_element_addresses(domain: int) -> None:
    expected = [scalar_block(domain, b)[w] for b, w in zip(ELEMENT_BLOCKS, ELEMENT_WORDS, strict=True)]
    assert philox.element_word(KEY, domain, ELEMENTS).tolist() == expected


@pytest.mark.parametrize(
    ("tile", "block", "word"),
    [(0, 0, 0), (7, 7, 0), (8, 0, 2), (15, 7, 2), (16, 8, 0), (41, 17, 2), (2**57 - 1, 2**56 - 1, 2)],
)
def test_head_addresses(tile: int, block: int, word: int) -> None:
    words = scalar_block(philox.DOMAIN_HEAD, block)
    assert philox.head(KEY, u64(tile))[0] == words[word] + 2**32 * words[word + 1]


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**64 - 1])
def test_row_key(seed: int) -> None:
    low, high, _, _ = scalar_philox((seed % 2**32, seed // 2**32, 0, 1), 0)
    assert philox.row_key(u64(seed))[0] == low + 2**32 * high


def crafted(bits: int) -> list[int]:
    """0, all ones, and both neighbours of every power of two."""
    near = {2**b + d for b in range(bits) for d in (-1, 0, 1)} | {2**bits - 1 - 2**b for b in range(bits)}
    return sorted(n for n in near | {2**bits - 1} if 0 <= n < 2**bits)


# 2**-62 where longdouble has 64 bits; two roundings and the logarithm's own error otherwise.
TOLERANCE = 4 * float(np.finfo(np.longdouble).eps)


def relative_error(value: np.longdouble, exact: Any) -> float:
    mp = pytest.importorskip("mpmath").mp
    high = float(value)
    return float(abs((mp.mpf(high) + mp.mpf(float(value - np.longdouble(high)))) / exact - 1))


@pytest.mark.parametrize("bits", [32, 59, 64])
def test_minus_log_of_crafted_words(bits: int) -> None:
    mp = pytest.importorskip("mpmath").mp
    words = crafted(bits)
    with mp.workdps(60):
        for n, value in zip(words, minus_log(u64(*words), bits), strict=True):
            assert relative_error(value, -mp.log((n + mp.mpf(0.5)) / 2**bits)) < TOLERANCE, n


def test_tile_minimum_of_crafted_heads() -> None:
    mp = pytest.importorskip("mpmath").mp
    heads = crafted(64)
    minimum, place = tile_minimum(u64(*heads))
    assert place.tolist() == [h % 32 for h in heads]
    with mp.workdps(60):
        for h, value in zip(heads, minimum, strict=True):
            v = (h // 32 + mp.mpf(0.5)) / 2**59
            assert relative_error(value, -mp.log(1 - v) / 32) < TOLERANCE, h


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_follows_the_law(dtype: type) -> None:
    mp = pytest.importorskip("mpmath").mp
    # A few tiles, the far end of the address space, and all words short enough to be extended in float32.
    first = np.arange(2**18, dtype=np.uint64)
    short = first[philox.element_word(KEY, philox.DOMAIN_WORD, first) < 2**16]
    assert short.size > 0
    elements = np.concatenate([first[:96], u64(2**61 + 7, 2**62 - 1), short])
    noise = exact_gumbel(KEY, elements, dtype)
    with mp.workdps(60):
        for e, value in zip(elements.tolist(), noise, strict=True):
            tile, p = divmod(e, 32)
            block, word = 8 * tile + p % 16 // 2, 2 * (p // 16) + p % 2
            w, x = scalar_block(0, block)[word], scalar_block(1, block)[word]
            q = tile % 16
            words = scalar_block(2, 8 * (tile // 16) + q % 8)
            h = words[2 * (q // 8)] + 2**32 * words[2 * (q // 8) + 1]
            extended = dtype is np.float64 or w < 2**16
            u = (w * 2**32 + x + mp.mpf(0.5)) / 2**64 if extended else (w + mp.mpf(0.5)) / 2**32
            exponential = -mp.log(1 - (h // 32 + mp.mpf(0.5)) / 2**59) / 32
            if h % 32 != p:
                exponential -= mp.log(u)
            high = float(value)
            error = mp.mpf(high) + mp.mpf(float(value - np.longdouble(high))) + mp.log(exponential)
            assert abs(error) < TOLERANCE * max(1.0, abs(high)), e


def test_noise_bounds() -> None:
    largest = -np.log(tile_minimum(u64(0))[0][0])
    smallest = -np.log(tile_minimum(u64(2**64 - 1))[0][0] + minus_log(u64(0), 64)[0])
    assert float(largest) == pytest.approx(65 * np.log(2), rel=1e-15)
    assert 45.05 < largest < 45.06
    assert -3.84 < smallest < -3.83


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_place_of_the_head_holds_the_largest_noise(dtype: type) -> None:
    tiles = np.arange(10, 266, dtype=np.uint64)
    minimum, place = tile_minimum(philox.head(KEY, tiles))
    elements = np.arange(320, 320 + 256 * 32, dtype=np.uint64).reshape(256, 32)
    noise = exact_gumbel(KEY, elements, dtype)
    assert np.array_equal(noise.argmax(axis=1), place)
    assert np.array_equal(noise.max(axis=1), -np.log(minimum))


def test_laws_of_both_dtypes_agree() -> None:
    elements = np.arange(10**5, dtype=np.uint64)
    single, double = gumbel_noise(KEY, elements, np.float32), gumbel_noise(KEY, elements, np.float64)
    assert single.dtype == np.float32
    assert np.abs(single - double)[double < 4].max() < 2.0**-21
    assert double.mean() == pytest.approx(np.euler_gamma, abs=5 * np.sqrt(np.pi**2 / 6 / 10**5))


def test_noise_of_any_order_shape_and_keys() -> None:
    elements = np.arange(40000, dtype=np.uint64)
    noise = exact_gumbel(KEY, elements, np.float64).astype(np.float64)
    shuffled = np.random.default_rng(1).permutation(elements).reshape(200, 200)
    assert np.array_equal(gumbel_noise(KEY, shuffled, np.float64), noise[shuffled.astype(np.intp)])
    keys = u64(1, 2)[:, None]
    both = gumbel_noise(keys, elements[:70], np.float32)
    assert np.array_equal(both[1], gumbel_noise(2, elements[:70], np.float32))
    assert exact_gumbel(KEY, np.array(3, np.uint64), np.float64) == exact_gumbel(KEY, elements[:4], np.float64)[3]


def test_kernels_have_the_names_and_parameters_of_a_backend() -> None:
    tree = ast.parse((Path(__file__).parents[1] / "gumbelfast" / "_core.pyi").read_text(encoding="utf-8"))
    backend = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Backend")
    methods = [node for node in backend.body if isinstance(node, ast.FunctionDef)]
    assert len(methods) > 9
    for method in methods:
        parameters = [a.arg for a in method.args.args][1:]
        assert list(inspect.signature(getattr(kernels, method.name)).parameters) == parameters, method.name
    assert kernels.name == "reference"


def draw(x: NDArray[Any], rows: int, **given: Any) -> tuple[NDArray[np.int64], NDArray[Any], int]:
    """`kernels.gumbel_max` with defaults: row i starts at element i * K."""
    arguments = {"mask": None, "scale": 1.0, "offset": 0, "row_stride": x.shape[-1], "seeds": None, "offsets": None}
    index, best = np.full(rows, -7), np.zeros(rows, np.float64 if x.dtype == np.float64 else np.float32)
    tiles = kernels.gumbel_max(x, key=KEY, index=index, perturbed=best, threads=1, **(arguments | given))
    return index, best, tiles


def draw_k(x: NDArray[Any], rows: int, k: int, **given: Any) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """`kernels.gumbel_top_k` likewise."""
    arguments = {"mask": None, "scale": 1.0, "offset": 0, "row_stride": x.shape[-1], "seeds": None, "offsets": None}
    index, best = np.full((rows, k), -7), np.zeros((rows, k), np.float64 if x.dtype == np.float64 else np.float32)
    kernels.gumbel_top_k(x, key=KEY, index=index, perturbed=best, threads=1, **(arguments | given))
    return index, best


def logits_of(dtype: str) -> NDArray[Any]:
    x = np.random.default_rng(0).normal(size=(6, 45))
    return x.astype(pytest.importorskip("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype)


DTYPES = ["float16", "bfloat16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_sampling_kernels_agree_with_perturbed_noise(dtype: str) -> None:
    x = logits_of(dtype)
    work: Any = np.float64 if dtype == "float64" else np.float32
    noise = np.empty(x.shape, work)
    kernels.gumbel(noise, 0.0, 1.0, KEY, 100, 1)
    expected = x.astype(work) * work(1 / 0.7) + noise
    index, best, tiles = draw(x, 6, scale=1 / 0.7, offset=100)
    assert np.array_equal(index, expected.argmax(axis=1))
    assert np.array_equal(best, expected.max(axis=1))
    assert tiles >= 9
    top, values = draw_k(x, 6, 45, scale=1 / 0.7, offset=100)
    assert np.array_equal(np.take_along_axis(expected, top, 1), values)
    assert np.array_equal(values, -np.sort(-expected, axis=1))
    assert np.array_equal(draw_k(x, 6, 3, scale=1 / 0.7, offset=100)[0], top[:, :3])
    soft, hard = np.empty_like(x), np.empty_like(x)
    assert kernels.gumbel_softmax(x, 1 / 0.7, KEY, 100, 45, None, None, soft, hard, 1) > 0
    p = (x.astype(work) + noise).astype(np.longdouble)
    exact = np.exp((p - p.max(axis=1, keepdims=True)) * np.longdouble(work(1 / 0.7)))
    exact = (exact / exact.sum(axis=1, keepdims=True)).astype(work).astype(x.dtype)
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(dtype, float(np.finfo(work).eps))
    np.testing.assert_allclose(soft.astype(work), exact.astype(work), rtol=eps, atol=2.0**-24)
    assert np.array_equal(hard.astype(work), p.argmax(axis=1)[:, None] == np.arange(45))


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
    seeded = draw(x, 6, seeds=seeds, offsets=places)[1]
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
    results = [kernels.gumbel_softmax(x[i : i + 1], 1e30, KEY, 0, 40, None, None, soft, None, 1) for i in range(3)]
    assert [r < 0 for r in results] == [True, False, True]
    assert soft[0].tolist() == [0.0] * 39 + [1.0]


def test_ties_go_to_the_lowest_index() -> None:
    # Noise is far below half an ulp of these logits.
    x = np.full((1, 40), 1e38, np.float32)
    x[0, 0] = 1e37
    assert draw(x, 1)[0].tolist() == [1]
    assert draw_k(x, 1, 40)[0].tolist() == [[*range(1, 40), 0]]
    hard = np.empty((1, 40), np.float32)
    kernels.gumbel_softmax(x, 1.0, KEY, 0, 40, None, None, None, hard, 1)
    assert hard[0].tolist() == [0, 1] + [0] * 38


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
    kernels.gumbel(half, 2.0, 0.5, KEY, 7, 1)
    kernels.gumbel(single, 2.0, 0.5, KEY, 7, 1)
    noise = gumbel_noise(KEY, np.arange(7, 57, dtype=np.uint64), np.float32)
    assert np.array_equal(single.ravel(), 2 + np.float32(0.5) * noise)
    assert np.array_equal(half, single.ravel().astype(np.float16))
