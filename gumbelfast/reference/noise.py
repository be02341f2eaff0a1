"""From random bits to standard Gumbel noise, the smallest exponential of a tile first.

-log(E) of a standard exponential E is a standard Gumbel. The 32 exponentials of a tile are drawn top down: their
minimum M is exponential with rate 32, its place I is uniform and independent of M, and by memorylessness the others are
M plus fresh exponentials X. The head of a tile (M and I) alone so bounds its noise by -log(M).

X = k log(2) + Y: X exceeds log(2) with probability 1/2 and has no memory, so k is geometric, the number of zeros that
fair bits begin with; Y = -log(1 - m / 2) is what is left, with m uniform on (0, 1), the bits behind the first one
(Ahrens and Dieter 1972 cut the exponential in the same way).

Arithmetic is numpy.longdouble. With the 64-bit significand of x86 all arguments of log and log1p below are exact;
where longdouble is double, noise is good to a few units in the last place of float64.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .philox import DOMAIN_EXTENSION, DOMAIN_WORD, TILE, U64, element_word, head

LOG2 = np.log(np.longdouble(2))
# float32 noise takes the 32 extension bits only where its word has few digits left: once in 32768 elements.
EXTENDED_BELOW = np.uint64(2**17)
# Elements worked on at once: keeps the temporaries in cache.
PIECE = 2**14


def tile_minimum(bits: U64, dtype: DTypeLike) -> tuple[NDArray[np.longdouble], U64]:
    """M and I of a tile from the 64 bits of its head.

    V = ((H >> 5) + 1/2) / 2**59, M = -log(1 - V) / 32, I = H & 31, where the smaller of V and 1 - V is rounded to
    float64, and for float32 noise from there to float32.
    """
    # 1 - V is again of the form (n + 1/2) / 2**59; as a signed number, n / 2**59 is it or -V.
    complement = (np.bitwise_not(bits).view(np.int64) >> np.int64(5)).astype(np.float64) + 0.5
    unit = (complement / 2.0**59).astype(dtype).astype(np.longdouble)
    lower = unit < 0
    minimum: NDArray[np.longdouble] = np.empty_like(unit)
    np.log1p(unit, out=minimum, where=lower)
    np.log(unit, out=minimum, where=~lower)
    return -minimum / TILE, bits & np.uint64(31)


def from_bits(n: U64, bits: int, digits: int) -> NDArray[np.longdouble]:
    """X of n, a number of ``bits`` bits, ``bits`` <= 64.

    k is the number of zeros in front, and m = (d + 1/2) / 2**``digits`` of the ``digits`` bits d that follow the first
    one, zeros behind the end.
    """
    zeros = np.zeros(n.shape, np.int64)
    rest = n << np.uint64(64 - bits)
    for step in (32, 16, 8, 4, 2, 1):
        short = (rest >> np.uint64(64 - step)) == 0
        rest = np.where(short, rest << np.uint64(step), rest)
        zeros = np.where(short, zeros + step, zeros)
    zeros = np.where(n == 0, bits, zeros)
    d = (rest << np.uint64(1)) >> np.uint64(64 - digits)
    m = (d.astype(np.longdouble) + 0.5) / np.longdouble(2.0**digits)
    result: NDArray[np.longdouble] = zeros * LOG2 - np.log1p(-m / 2)
    return result


def excess(key: U64, element: U64, dtype: DTypeLike) -> NDArray[np.longdouble]:
    """X of each element: how far its exponential lies above the minimum of the tile.

    It is of 32 bits and 23 digits in float32, of 64 (word and extension) and 52 in float64, and in float32 as well
    where the word is below 2**17.
    """
    word = element_word(key, DOMAIN_WORD, element)
    result = from_bits(word, 32, 23)
    extended = np.ones_like(word, dtype=bool) if np.dtype(dtype) == np.float64 else word < EXTENDED_BELOW
    extension = element_word(key[extended], DOMAIN_EXTENSION, element[extended])
    result[extended] = from_bits(word[extended] << np.uint64(32) | extension, 64, 52)
    return result


def exact_exponential(key: int | U64, elements: U64, dtype: DTypeLike) -> NDArray[np.longdouble]:
    """Standard exponentials E before they are rounded to their dtype.

    Parameters
    ----------
    key : int or uint64 array
        One key, or keys that broadcast against ``elements``.
    elements : uint64 array
        Addresses, in any order.
    dtype : float32 or float64
        Whose law to follow: float64 always takes 64 bits per element.

    Returns
    -------
    longdouble array
        One exponential per address.
    """
    keys, addresses = np.broadcast_arrays(np.asarray(key, dtype=np.uint64), np.asarray(elements, dtype=np.uint64))
    key, element = keys.ravel(), addresses.ravel()
    minimum, place = tile_minimum(head(key, element // TILE), dtype)
    exponential = np.where(element % TILE == place, minimum, minimum + excess(key, element, dtype))
    return exponential.reshape(addresses.shape)


def exact_gumbel(key: int | U64, elements: U64, dtype: DTypeLike) -> NDArray[np.longdouble]:
    """Standard Gumbel noise before it is rounded to its dtype: -log(E) of `exact_exponential`."""
    noise: NDArray[np.longdouble] = -np.log(exact_exponential(key, elements, dtype))
    return noise


def exponential_noise(key: int | U64, elements: U64, dtype: DTypeLike) -> NDArray[np.floating]:
    """`exact_exponential` rounded once to ``dtype`` (float32 or float64)."""
    return in_pieces(exact_exponential, key, elements, dtype)


def gumbel_noise(key: int | U64, elements: U64, dtype: DTypeLike) -> NDArray[np.floating]:
    """`exact_gumbel` rounded once to ``dtype`` (float32 or float64)."""
    return in_pieces(exact_gumbel, key, elements, dtype)


def in_pieces(
    exact: Callable[[U64, U64, DTypeLike], NDArray[np.longdouble]],
    key: int | U64,
    elements: U64,
    dtype: DTypeLike,
) -> NDArray[np.floating]:
    """Exact noise rounded once to ``dtype``, computed piece by piece."""
    keys, addresses = np.broadcast_arrays(np.asarray(key, dtype=np.uint64), np.asarray(elements, dtype=np.uint64))
    key, element = keys.ravel(), addresses.ravel()
    noise = np.empty(element.shape, dtype)
    for start in range(0, element.size, PIECE):
        piece = slice(start, start + PIECE)
        noise[piece] = exact(key[piece], element[piece], dtype)
    return noise.reshape(addresses.shape)
