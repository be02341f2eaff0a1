"""Noise on every backend: the words of Philox, the values of the law, and what `gumbel` makes of them."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, KEY, assert_same_bytes, assert_within_ulps, dtype_of, exact, scalar_philox, work_of

import gumbelfast as gf
from gumbelfast._engine.backend import active
from gumbelfast.reference import kernels, philox

LAST = 2**62
SEARCHED = 2**20


def fill(offset: int, count: int, dtype: Any = np.float32, **given: Any) -> Any:
    return gf.gumbel(size=count, dtype=dtype_of(dtype), rng=gf.Generator(KEY), offset=offset, **given)


def words(key: int, domain: int, block: int, count: int) -> list[list[int]]:
    out = np.empty((count, 4), np.uint32)
    active().philox(key, domain, block, out)
    return out.tolist()


# Random123's answers for other counters than (block, domain, 0, 0) are checked on the reference.
def test_known_answers_of_philox(compiled: str) -> None:
    assert words(0, 0, 0, 1) == [[0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]]
    for key, block in [(2**64 - 1, 2**60 - 1), (KEY, 0x85A308D_243F6A88), (2**32, 2**32)]:
        counter = (block % 2**32, block // 2**32 + (15 << 28), 0, 0)
        assert words(key, 15, block, 1) == [list(scalar_philox(counter, key))]


@pytest.mark.parametrize("domain", range(16))
@pytest.mark.parametrize("block", [0, 5, 2**32 - 3, 2**59 - 7, 2**60 - 37])
def test_words_against_reference(compiled: str, domain: int, block: int) -> None:
    wanted = np.empty((37, 4), np.uint32)
    kernels.philox(KEY, domain, block, wanted)
    for count in (0, 1, 7, 8, 9, 16, 37):
        assert words(KEY, domain, block, count) == wanted[:count].tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("offset", [0, 1, 31, 32 * 15 + 7, 2**37 - 1000, 2**61 + 13, LAST - 20000])
def test_noise_within_two_ulps(compiled: str, dtype: str, offset: int) -> None:
    assert_within_ulps(fill(offset, 20000, dtype), exact(offset, 20000, dtype))


@cache
def rare_elements() -> tuple[int, ...]:
    """Addresses with the shortest and the longest words, and tiles with the smallest and the largest heads."""
    e = np.arange(SEARCHED, dtype=np.uint64)
    word = philox.element_word(KEY, philox.DOMAIN_WORD, e)
    short = e[word < 2**17]
    assert short.size > 8
    ordered = np.argsort(philox.head(KEY, e))
    tiles = 32 * e[np.concatenate([ordered[:4], ordered[-4:]])]
    return (*short.tolist(), int(word.argmin()), int(word.argmax()), *tiles.tolist())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rare_words_and_heads(compiled: str, dtype: str) -> None:
    for e in rare_elements():
        tile = e - e % 32
        whole, wanted = fill(tile, 32, dtype), exact(tile, 32, dtype)
        assert_within_ulps(whole, wanted)
        assert_same_bytes(fill(e, 1, dtype), whole[e % 32 : e % 32 + 1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("element", "word"), [(507281317, 0), (2680423946, 2**32 - 1)])
def test_words_of_zeros_and_of_ones(compiled: str, dtype: str, element: int, word: int) -> None:
    """The uniforms nearest to 0 and to 1 that 32 bits can give, at the first places where this key has them."""
    assert philox.element_word(KEY, philox.DOMAIN_WORD, np.array([element], np.uint64)) == word
    assert_within_ulps(fill(element, 1, dtype), exact(element, 1, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_partial_tiles(compiled: str, dtype: str) -> None:
    whole = fill(480, 1200, dtype)
    for first in (0, 1, 15, 16, 17, 30, 31, 32, 33, 63, 500, 511, 512, 513):
        for count in (1, 2, 15, 16, 17, 31, 32, 33, 64, 65, 511, 513):
            assert_same_bytes(fill(480 + first, count, dtype), whole[first : first + count])


def test_last_element(compiled: str) -> None:
    assert_within_ulps(fill(LAST - 1, 1), exact(LAST - 1, 1, "float32"))
    rng = gf.Generator(KEY, LAST - 64)
    assert_same_bytes(rng.gumbel(size=64, dtype=np.float32), fill(LAST - 64, 64))
    assert rng.offset == LAST
    with pytest.raises(ValueError, match=r"^the noise of this key ends at element 2\*\*62; offset \d+ \+ 1 is beyond$"):
        rng.gumbel(size=1)
    assert rng.offset == LAST


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("loc", "scale"), [(0.0, 1.0), (-3.25, 0.7), (np.array([5.5]), 1e-3), (0.1, np.array([41.0]))])
def test_half_types_round_the_float32_result_once(compiled: str, dtype: str, loc: Any, scale: Any) -> None:
    half = gf.gumbel(loc, scale, 10**5, dtype=dtype_of(dtype), rng=3)
    assert_same_bytes(half, gf.gumbel(loc, scale, 10**5, rng=3).astype(dtype_of(dtype)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_loc_and_scale(compiled: str, dtype: str) -> None:
    work = work_of(dtype).type
    noise = gf.gumbel(size=(4, 33), dtype=work, rng=1)
    given = {"size": (4, 33), "dtype": dtype_of(dtype), "rng": 1}
    wanted = (noise * work(0.3) + work(-7.1)).astype(dtype_of(dtype))
    assert_same_bytes(gf.gumbel(-7.1, 0.3, **given), wanted)
    assert_same_bytes(gf.gumbel(np.full((4, 1), -7.1), np.full(33, 0.3), **given), wanted)
    loc, scale = np.linspace(-1, 1, 4)[:, None], np.linspace(0, 2, 33)
    wanted = (noise * scale.astype(work) + loc.astype(work)).astype(dtype_of(dtype))
    assert_same_bytes(gf.gumbel(loc, scale, dtype=dtype_of(dtype), rng=1), wanted)
    assert np.all(gf.gumbel(2.5, 0, **given) == 2.5)


def test_shapes_and_out(compiled: str) -> None:
    scalar = gf.gumbel(rng=0)
    assert type(scalar) is np.float32
    assert type(gf.gumbel(rng=0, dtype=float)) is np.float64
    assert gf.gumbel(size=(), rng=0) == scalar
    assert gf.gumbel(size=3, rng=0)[0] == scalar
    assert gf.gumbel(size=(2, 0, 3), rng=0).shape == (2, 0, 3)
    assert gf.gumbel([0.0, 1.0], rng=0).shape == (2,)
    assert gf.gumbel([[0.0], [1.0]], [1.0, 2.0, 3.0], rng=0).shape == (2, 3)
    wanted = gf.gumbel(size=(3, 50), dtype=np.float64, rng=0)
    for out in (np.zeros((3, 50)), np.zeros((50, 3)).T, np.zeros((6, 100))[::-2, ::2]):
        assert gf.gumbel(size=(3, 50), out=out, rng=0) is out
        assert np.array_equal(out, wanted)
    out = np.ones((3, 50))
    assert np.array_equal(gf.gumbel(out=out, rng=0), wanted)
    loc = np.linspace(0, 1, 50)
    assert np.array_equal(gf.gumbel(loc, out=out, rng=0), wanted + loc)


def test_out_may_be_loc_or_scale(compiled: str) -> None:
    wanted = gf.gumbel(np.full(70, 2.0), np.full(70, 3.0), dtype=float, rng=0)
    loc, scale = np.full(70, 2.0), np.full(70, 3.0)
    assert np.array_equal(gf.gumbel(loc, 3.0, out=loc, rng=0), wanted)
    assert np.array_equal(gf.gumbel(2.0, scale, out=scale, rng=0), wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_noise_is_gumbel(compiled: str, dtype: str) -> None:
    stats = pytest.importorskip("scipy.stats")
    noise = gf.gumbel(size=10**6, dtype=dtype_of(dtype), rng=11)
    # A uniform of 1,000 cells: quantile 1 - 1e-9 of chi-square.
    cells = np.bincount((np.exp(-np.exp(-noise.astype(np.float64))) * 1000).astype(int), minlength=1000)
    assert ((cells - 1000.0) ** 2 / 1000).sum() < stats.chi2.isf(1e-9, 999)
    tails = [(noise > 12).sum(), (noise < -2.3).sum()]
    expected = 10**6 * np.array([-np.expm1(-np.exp(-12.0)), np.exp(-np.exp(2.3))])
    assert np.all(np.abs(tails - expected) < 7 * np.sqrt(expected))


def test_both_dtypes_agree_in_the_bulk(compiled: str) -> None:
    single, double = fill(0, 10**5), fill(0, 10**5, "float64")
    # A float32 word has 23 digits: what follows them moves E by less than 2**-24.
    assert (np.abs(single - double) < 2.0**-21 + 2.0**-24 * np.exp(double))[double < 4].all()


def test_reference_backend_gives_the_same_noise() -> None:
    for dtype in ("float32", "float64"):
        with gf.use_backend("reference"):
            slow = fill(12345, 3000, dtype)
        assert_within_ulps(fill(12345, 3000, dtype), slow.astype(np.longdouble), 3)
