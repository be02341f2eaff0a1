"""From random bits to standard Gumbel noise, the smallest exponential of a tile first.

-log(E) of a standard exponential E is a standard Gumbel. The 32 exponentials of a tile are drawn top down: their
minimum M is exponential with rate 32, its place I is uniform and independent of M, and by memorylessness the others are
M plus fresh exponentials. The head of a tile (M and I) alone so bounds its noise by -log(M).

Arithmetic is numpy.longdouble. With the 64-bit significand of x86 all arguments of log and log1p below are exact;
where longdouble is double, noise is good to a few units in the last place of float64.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .philox import DOMAIN_EXTENSION, DOMAIN_WORD, TILE, U64, element_word, head

# float32 noise takes the 32 extension bits only where 32 bits resolve U too coarsely: once in 65536 elements.
EXTENDED_BELOW = np.uint64(2**16)
# Elements worked on at once: keeps the temporaries in cache.
PIECE = 2**14


def minus_log(n: U64, bits: int) -> NDArray[np.longdouble]:
    """-log(U) of U = (n + 1/2) / 2**bits, for ``bits`` <= 64; U is never 0 or 1.

    Above 1/2 the integer complement of n gives 1 - U without rounding, and log1p keeps its relative accuracy.
    """
    complement = np.uint64(2**bits - 1) - n
    lower = n < complement
    # Both integers are below 2**63 where they are used, so that adding 1/2 fits 64 bits.
    part = (np.minimum(n, complement).astype(np.longdouble) + 0.5) / np.longdouble(2.0**bits)
    result: NDArray[np.longdouble] = np.empty_like(part)
    np.log(part, out=result, where=lower)
    np.log1p(-part, out=result, where=~lower)
    return np.negative(result)


def tile_minimum(bits: U64) -> tuple[NDArray[np.longdouble], U64]:
    """M and I of a tile from the 64 bits of its head.

    V = ((H >> 5) + 1/2) / 2**59, M = -log(1 - V) / 32, I = H & 31.
    """
    # 1 - V is again of the form (n + 1/2) / 2**59.
    complement = np.uint64(2**59 - 1) - (bits >> np.uint64(5))
    return minus_log(complement, 59) / TILE, bits & np.uint64(31)


def excess(key: U64, element: U64, dtype: DTypeLike) -> NDArray[np.longdouble]:
    """-log(U) of each element: how far its exponential lies above the minimum of the tile.

    U has 32 bits, or 64 (word and extension) in float64 always and in float32 where the word is below 2**16.
    """
    word = element_word(key, DOMAIN_WORD, element)
    result = minus_log(word, 32)
    extended = np.ones_like(word, dtype=bool) if np.dtype(dtype) == np.float64 else word < EXTENDED_BELOW
    extension = element_word(key[extended], DOMAIN_EXTENSION, element[extended])
    result[extended] = minus_log(word[extended] << np.uint64(32) | extension, 64)
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
    minimum, place = tile_minimum(head(key, element // TILE))
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
