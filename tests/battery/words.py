"""Raw words on standard output, 32 bits each, for batteries of tests: until the reader has enough.

    python tests/battery/words.py sequential | dieharder -g 200 -a

`sequential` is the stream of the bit generator. `elements` are the words of noise, one per element, from element 0 of a
key on. `keys` gives element 0 of 4096 keys, then element 1 of each, and so on: what the rows of a batch see whose seeds
are 0, 1, 2, ...
"""

import sys
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gumbelfast._engine.backend import active
from gumbelfast.reference.philox import DOMAIN_WORD, row_key

KEY = 0x299F31D0A4093822
DOMAIN_SEQUENTIAL = 15
PIECE = 2**16
KEYS = 2**12

Words = NDArray[np.uint32]


def blocks(key: int, domain: int, first: int, count: int) -> Words:
    """The words of `count` blocks, four each."""
    out = np.empty((count, 4), np.uint32)
    active().philox(key, domain, first, out)
    return out


def sequential() -> Iterator[Words]:
    block = 0
    while True:
        yield blocks(KEY, DOMAIN_SEQUENTIAL, block, PIECE)
        block += PIECE


def by_element(words: Words) -> Words:
    """Words of whole tiles in the order of their elements: words 0 and 1 of eight blocks, then words 2 and 3."""
    return words.reshape(-1, 8, 2, 2).swapaxes(1, 2).reshape(-1)


def elements() -> Iterator[Words]:
    block = 0
    while True:
        yield by_element(blocks(KEY, DOMAIN_WORD, block, PIECE))
        block += PIECE


def keys() -> Iterator[Words]:
    rows = row_key(np.arange(KEYS, dtype=np.uint64)).tolist()
    block, tiles = 0, 4
    while True:
        row_words = [by_element(blocks(key, DOMAIN_WORD, block, 8 * tiles)) for key in rows]
        yield np.ascontiguousarray(np.stack(row_words, axis=1))
        block += 8 * tiles


STREAMS: dict[str, Callable[[], Iterator[Words]]] = {"sequential": sequential, "elements": elements, "keys": keys}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in STREAMS:
        print(f"usage: words.py {{{','.join(STREAMS)}}}", file=sys.stderr)
        return 2
    try:
        for piece in STREAMS[arguments[0]]():
            sys.stdout.buffer.write(piece.data)
    except BrokenPipeError:
        # Nothing is left to flush to.
        sys.stdout = None  # type: ignore[assignment]
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
