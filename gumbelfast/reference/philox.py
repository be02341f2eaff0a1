"""Philox4x32-10 and the addresses of its words.

J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11. The
generator is a keyed bijection: 128 bits of counter go in, 128 random bits come out, and no state is kept. Randomness
is therefore addressed rather than consumed: noise element e of a key always has the same bits.

Words are held in uint64 arrays, so that a product of two words fits. All functions broadcast.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

U64: TypeAlias = NDArray[np.uint64]
Words: TypeAlias = tuple[U64, U64, U64, U64]

ROUNDS = 10
MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
# The golden ratio and sqrt(3) - 1: the Weyl sequence that turns one key into ten round keys.
WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
WORD = np.uint64(0xFFFFFFFF)

# Domains of the law: they occupy the top 4 bits of counter word 1 and so keep the uses of one key apart.
DOMAIN_WORD, DOMAIN_EXTENSION, DOMAIN_HEAD, DOMAIN_DRAW_HIGH, DOMAIN_DRAW_LOW = range(5)
TILE = 32


def philox4x32(counter: Words, key: int | U64) -> Words:
    """Encrypt counters.

    Parameters
    ----------
    counter : tuple of four uint64 arrays
        The counter words c0, c1, c2, c3, each below 2**32.
    key : int or uint64 array
        64 bits: the low word is k0, the high word k1.

    Returns
    -------
    tuple of four uint64 arrays
        The four output words, each below 2**32.
    """
    c0, c1, c2, c3 = counter
    key = np.asarray(key, dtype=np.uint64)
    k0, k1 = key & WORD, key >> np.uint64(32)
    for _ in range(ROUNDS):
        product0, product1 = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (product1 >> np.uint64(32)) ^ c1 ^ k0,
            product1 & WORD,
            (product0 >> np.uint64(32)) ^ c3 ^ k1,
            product0 & WORD,
        )
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return c0, c1, c2, c3


def row_key(seed: U64) -> U64:
    """Key of a row that brings its own seed: words 0 and 1 at counter (seed low, seed high, 0, 1), key 0."""
    seed = np.asarray(seed, dtype=np.uint64)
    zero = np.zeros_like(seed)
    low, high, _, _ = philox4x32((seed & WORD, seed >> np.uint64(32), zero, zero + np.uint64(1)), 0)
    key: U64 = low | high << np.uint64(32)
    return key


def block_words(key: int | U64, domain: int, block: U64) -> Words:
    """The four words of block ``block`` (60 bits) of a domain (4 bits)."""
    block = np.asarray(block, dtype=np.uint64)
    zero = np.zeros_like(block)
    return philox4x32((block & WORD, block >> np.uint64(32) | np.uint64(domain << 28), zero, zero), key)


def element_word(key: int | U64, domain: int, element: U64) -> U64:
    """The 32 bits that a domain holds for each element.

    A tile of 32 elements takes 8 blocks: words 0 and 1 of the blocks are its first 16 elements, words 2 and 3 the rest.
    """
    tile, place = element // TILE, element % TILE
    words = block_words(key, domain, 8 * tile + place % 16 // 2)
    result: U64 = np.choose((2 * (place // 16) + place % 2).astype(np.intp), words)
    return result


def head(key: int | U64, tile: U64) -> U64:
    """The 64 bits H of each tile.

    16 tiles take 8 blocks: words 0 and 1 of the blocks are the first 8 heads, words 2 and 3 the other 8.
    """
    group, place = tile // 16, tile % 16
    words = block_words(key, DOMAIN_HEAD, 8 * group + place % 8)
    second = place >= 8
    low: U64 = np.where(second, words[2], words[0])
    high: U64 = np.where(second, words[3], words[1])
    bits: U64 = low | high << np.uint64(32)
    return bits
