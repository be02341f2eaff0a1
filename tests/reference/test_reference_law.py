"""The reference's Philox and noise against Random123's known answers, the stream law word by word, and mpmath."""

import ast
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import KEY, scalar_block, scalar_philox, u64

from gumbelfast.reference import kernels, philox
from gumbelfast.reference.noise import exact_gumbel, from_bits, gumbel_noise, tile_minimum


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


# The law once more, from docs/stream.md, in integers and mpmath.


def excess_of(mp: Any, n: int, bits: int, digits: int) -> Any:
    """X of the number n: zeros in front, and the digits behind the first one."""
    zeros = bits - n.bit_length()
    behind = f"{n:b}"[1:] if n else ""
    d = int(f"{behind:0<{digits}}"[:digits], 2)
    return zeros * mp.log(2) - mp.log(1 - (d + mp.mpf(0.5)) / 2**digits / 2)


def minimum_of(mp: Any, h: int, dtype: type) -> Any:
    """M of a head: Python converts integers to float64 by rounding to nearest even."""
    upper = h >= 2**63
    z = 2**59 - 1 - (h >> 5) if upper else (h >> 5) + 1
    c = float(dtype((float(z) + (0.5 if upper else -0.5)) / 2**59))
    return -mp.log(c if upper else 1 - mp.mpf(c)) / 32


def bits_of(e: int) -> tuple[int, int, int]:
    """w, v and H of an element under the key of the tests."""
    tile, p = divmod(e, 32)
    block, word = 8 * tile + p % 16 // 2, 2 * (p // 16) + p % 2
    q = tile % 16
    words = scalar_block(2, 8 * (tile // 16) + q % 8)
    h = words[2 * (q // 8)] + 2**32 * words[2 * (q // 8) + 1]
    return scalar_block(0, block)[word], scalar_block(1, block)[word], h


def exponential_of(mp: Any, e: int, dtype: type) -> Any:
    """E of an element under the key of the tests."""
    w, v, h = bits_of(e)
    minimum = minimum_of(mp, h, dtype)
    if h % 32 == e % 32:
        return minimum
    extended = dtype is np.float64 or w < 2**17
    return minimum + (excess_of(mp, w * 2**32 + v, 64, 52) if extended else excess_of(mp, w, 32, 23))


@pytest.mark.parametrize(("bits", "digits"), [(32, 23), (64, 52)])
def test_excess_of_crafted_words(bits: int, digits: int) -> None:
    mp = pytest.importorskip("mpmath").mp
    words = crafted(bits)
    with mp.workdps(60):
        for n, value in zip(words, from_bits(u64(*words), bits, digits), strict=True):
            assert relative_error(value, excess_of(mp, n, bits, digits)) < TOLERANCE, n


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tile_minimum_of_crafted_heads(dtype: type) -> None:
    mp = pytest.importorskip("mpmath").mp
    heads = crafted(64)
    minimum, place = tile_minimum(u64(*heads), dtype)
    assert place.tolist() == [h % 32 for h in heads]
    with mp.workdps(60):
        for h, value in zip(heads, minimum, strict=True):
            assert relative_error(value, minimum_of(mp, h, dtype)) < TOLERANCE, h
            v = (h // 32 + mp.mpf(0.5)) / 2**59
            assert abs(minimum_of(mp, h, dtype) / (-mp.log(1 - v) / 32) - 1) < np.finfo(dtype).eps, h


# An element by hand: w = 0x0C000000 begins with four zeros, and behind the first one come 1 and zeros.
def test_known_excess() -> None:
    found = from_bits(u64(0x0C000000, 0x80000000, 0xFFFFFFFF), 32, 23)
    wanted = [4 * np.log(2) - np.log1p(-0.25 - 2.0**-25), -np.log1p(-(2.0**-25)), -np.log(0.5 + 2.0**-25)]
    assert found.astype(float) == pytest.approx(wanted, rel=1e-15)
    assert wanted[0] == pytest.approx(3.0602708344, rel=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_follows_the_law(dtype: type) -> None:
    mp = pytest.importorskip("mpmath").mp
    # A few tiles, the far end of the address space, and all words short enough to be extended in float32.
    first = np.arange(2**18, dtype=np.uint64)
    short = first[philox.element_word(KEY, philox.DOMAIN_WORD, first) < 2**17]
    assert short.size > 0
    elements = np.concatenate([first[:96], u64(2**61 + 7, 2**62 - 1), short])
    noise = exact_gumbel(KEY, elements, dtype)
    with mp.workdps(60):
        for e, value in zip(elements.tolist(), noise, strict=True):
            exponential = exponential_of(mp, e, dtype)
            high = float(value)
            error = mp.mpf(high) + mp.mpf(float(value - np.longdouble(high))) + mp.log(exponential)
            assert abs(error) < TOLERANCE * max(1.0, abs(high)), e


def test_noise_bounds() -> None:
    largest = -np.log(tile_minimum(u64(0), np.float64)[0][0])
    smallest = -np.log(tile_minimum(u64(2**64 - 1), np.float64)[0][0] + from_bits(u64(0), 64, 52)[0])
    assert float(largest) == pytest.approx(65 * np.log(2), rel=1e-15)
    assert 45.05 < largest < 45.06
    assert -3.83 < smallest < -3.82


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_place_of_the_head_holds_the_largest_noise(dtype: type) -> None:
    tiles = np.arange(10, 266, dtype=np.uint64)
    minimum, place = tile_minimum(philox.head(KEY, tiles), dtype)
    elements = np.arange(320, 320 + 256 * 32, dtype=np.uint64).reshape(256, 32)
    noise = exact_gumbel(KEY, elements, dtype)
    assert np.array_equal(noise.argmax(axis=1), place)
    assert np.array_equal(noise.max(axis=1), -np.log(minimum))


def test_laws_of_both_dtypes_agree() -> None:
    elements = np.arange(10**5, dtype=np.uint64)
    single, double = gumbel_noise(KEY, elements, np.float32), gumbel_noise(KEY, elements, np.float64)
    assert single.dtype == np.float32
    # Digits beyond the 23rd move E by less than 2**-24, and M by its rounding.
    assert (np.abs(single - double) < 2.0**-21 + 2.0**-24 * np.exp(double))[double < 4].all()
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
    tree = ast.parse((Path(__file__).parents[2] / "gumbelfast" / "_core.pyi").read_text(encoding="utf-8"))
    backend = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Backend")
    methods = [node for node in backend.body if isinstance(node, ast.FunctionDef)]
    assert len(methods) > 9
    for method in methods:
        parameters = [a.arg for a in method.args.args][1:]
        assert list(inspect.signature(getattr(kernels, method.name)).parameters) == parameters, method.name
    assert kernels.name == "reference"
