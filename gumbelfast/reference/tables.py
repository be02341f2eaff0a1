"""Draws from tables: inversion with a guide table, and the alias method, on one uniform of 64 bits per draw.

Inversion takes the first category whose cumulative probability exceeds the uniform; a guide table says where to start
looking (Chen and Asau 1974; Devroye, *Non-Uniform Random Variate Generation*, 1986, III.2.4). The alias method (Walker
1977) cuts the uniforms into equal columns, each shared by at most two categories; the table is built in one pass as by
Vose (1991). Both give every category the same number of the 2**64 uniforms, and nothing is rounded after the bounds.
"""

from fractions import Fraction
from itertools import accumulate
from math import ceil

import numpy as np
from numpy.typing import NDArray

from .philox import DOMAIN_DRAW_HIGH, DOMAIN_DRAW_LOW, U64, element_word

END = 2**64 - 1  # stands for 2**64; all bounds of other categories are 2**64 - 2**11 or less


def uniforms(key: int, draws: U64) -> U64:
    """The 64 bits of each draw: domain 3 holds the upper half, domain 4 the lower."""
    high, low = (element_word(key, domain, draws) for domain in (DOMAIN_DRAW_HIGH, DOMAIN_DRAW_LOW))
    result: U64 = high << np.uint64(32) | low
    return result


def bounds_of(weights: NDArray[np.float64]) -> U64:
    """The bounds of a row: running sums in order over the total, times 2**64 and rounded up in exact integers."""
    sums = list(accumulate(weights.tolist()))
    shares = [Fraction(s / sums[-1]) for s in sums]
    return np.array([END if f >= 1 else ceil(f * 2**64) for f in shares], np.uint64)


def invert(bounds: U64, uniform: U64) -> NDArray[np.int64]:
    """The number of bounds that are at most each uniform."""
    return np.searchsorted(bounds, np.minimum(uniform, np.uint64(END - 1)), side="right").astype(np.int64)


def weights_of(bounds: U64, columns: int) -> list[int]:
    """How many of the 2**64 uniforms belong to each category, zero for what is beyond them."""
    ends = [2**64 if b == END else b for b in bounds.tolist()]
    return [b - a for a, b in zip([0, *ends], ends, strict=False)] + [0] * (columns - len(ends))


def alias_table(bounds: U64, columns: int) -> U64:
    """One word per column, where the alias begins in the column times `columns`, plus the alias.

    `columns` is a power of two. Columns with too few uniforms are filled in order from the first category with too
    many; once that has less than a column's worth left, its own column is filled at once from the next.
    """
    width = 2**64 // columns
    weight = weights_of(bounds, columns)
    givers = (j for j, w in enumerate(list(weight)) if w > width)
    table, giver = list(range(columns)), next(givers, 0)
    for j in [j for j, w in enumerate(weight) if w < width]:
        light = j
        while True:
            table[light] = weight[light] * columns + giver
            weight[giver] -= width - weight[light]
            if weight[giver] >= width:
                break
            light, giver = giver, next(givers)
    return np.array(table, dtype=np.uint64)


def pick_alias(table: U64, uniform: U64) -> NDArray[np.int64]:
    """The upper bits of a uniform name a column, the others the place in it: before its alias begins, or after."""
    bits = np.uint64(len(table).bit_length() - 1)
    column, place = uniform >> (np.uint64(64) - bits), uniform << bits
    mask = np.uint64(len(table) - 1)
    entry = table[column.astype(np.intp)]
    return np.where(place < (entry & ~mask), column, entry & mask).astype(np.int64)
