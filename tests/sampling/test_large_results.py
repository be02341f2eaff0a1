"""Results so large that they are written past the cache: the bytes of smaller calls on some of the rows."""

from collections.abc import Callable

import numpy as np
import pytest
from helpers import DTYPES, Array, assert_same_bytes, dtype_of

import gumbelfast as gf

SIZE, COLUMNS = 2**24, 4099  # bytes from which on it is so (csrc/memory.cpp); rows begin at all places of a line
SEEDS = np.arange(10_000, dtype=np.uint64)


# What each needs made of logits, and the call on some of the rows.
FUNCTIONS: dict[str, tuple[Callable[[Array], Array], Callable[..., Array]]] = {
    "softmax": (np.copy, lambda x, rows, **out: gf.softmax(x, temperature=0.7, **out)),
    "log_softmax": (np.copy, lambda x, rows, **out: gf.log_softmax(x, temperature=0.7, **out)),
    "softmax_backward": (gf.softmax, lambda y, rows, **out: gf.softmax_backward(np.roll(y, 1, 1), y, **out)),
    "log_softmax_backward": (
        gf.log_softmax,
        lambda y, rows, **out: gf.log_softmax_backward(np.exp(np.roll(y, 1, 1)), y, **out),
    ),
    "gumbel_softmax": (np.copy, lambda x, rows, **out: gf.gumbel_softmax(x, 0.3, seeds=SEEDS[rows], **out)),
    "hard gumbel_softmax": (np.copy, lambda x, rows, **out: gf.gumbel_softmax(x, 0.3, True, seeds=SEEDS[rows], **out)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_past_the_cache(compiled: str, name: str, dtype: str) -> None:
    prepare, function = FUNCTIONS[name]
    kind = dtype_of(dtype)
    rows = SIZE // (COLUMNS * kind.itemsize) + 3
    x = np.random.default_rng(3).standard_normal((rows, COLUMNS), np.float32)
    x[1::3] *= 40  # results that are subnormal, or nothing
    x[2::3, ::2] = -np.inf
    given = prepare(x.astype(kind))
    memory = np.full(rows * COLUMNS + 1, 9, kind)
    out = memory[1:].reshape(rows, COLUMNS)
    assert function(given, slice(rows), out=out) is out
    assert memory[0] == 9
    for begin in range(0, rows, rows // 3 + 1):
        some = slice(begin, min(begin + rows // 3 + 1, rows))
        assert_same_bytes(out[some], function(given[some], some))
