"""Calls with an `out`: what is refused is found before anything is written."""

from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, Array, dtype_of, normal, work_of

import gumbelfast as gf
from gumbelfast._engine.backend import active

SHAPES = [(1, 1), (3, 10), (700, 16), (300, 17), (5, 4096), (3, 5000)]


def places(shape: tuple[int, int]) -> list[tuple[int, int]]:
    rows, columns = shape
    return [(0, 0), (rows - 1, columns - 1), (rows // 2, columns // 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_refused(backend: str, dtype: str, shape: tuple[int, int]) -> None:
    x = normal(dtype, shape)
    wide = np.full((shape[0], shape[1] + 3), np.nan, x.dtype)  # the last three columns belong to no row
    for laid in (x.copy(), wide[:, : shape[1]]):
        laid[:] = x
        assert not active().refuses((laid, None, 1.0), 2)
        for place in places(shape):
            for value in (np.nan, np.inf, -np.inf):
                laid[place] = value
                # -inf alone is refused where nothing is left of its row.
                assert active().refuses((laid, None, 1.0), 2) == (value != -np.inf or shape[1] == 1)
                laid[place] = x[place]
        laid[shape[0] - 1, :-1] = -np.inf
        assert not active().refuses((laid, None, 1.0), 2)
        laid[shape[0] - 1] = -np.inf
        assert active().refuses((laid, None, 1.0), 2)


CALLS: dict[str, dict[str, Any]] = {
    "soft": {},
    "hard": {"hard": True},
    "both": {"hard": True, "return_soft": True},
}


@pytest.mark.parametrize("given", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, None])
def test_nothing_is_written(backend: str, shape: tuple[int, int], given: dict[str, Any], bad: float | None) -> None:
    x = normal("float32", shape)
    if bad is None:
        x[-1] = -np.inf
    else:
        x[-1, -1] = bad
    rng = gf.default_rng(5)
    before = rng.bit_generator.state
    for out in (np.full(shape, 7, np.float32), x):
        held: Array = out.copy()
        with pytest.raises(ValueError, match=r"logits contain|no finite logit"):
            gf.gumbel_softmax(x, rng=rng, out=out, **given)
        assert out.tobytes() == held.tobytes()
    assert str(rng.bit_generator.state) == str(before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("known", [{"index": 0}, {"maximum": 1.0}, {"upper": 1.0}])
def test_nothing_is_written_by_conditional_gumbel(backend: str, dtype: str, known: dict[str, Any]) -> None:
    x = normal(dtype, (40, 30)).astype(dtype_of(dtype))
    x[-1, 3] = np.nan
    out = np.full(x.shape, 7, work_of(dtype))
    with pytest.raises(ValueError, match=r"logits contain NaN at index \(39, 3\)"):
        gf.conditional_gumbel(x, rng=1, out=out, **known)
    assert (out == 7).all()


def test_arrays_that_own_their_memory_lie_apart() -> None:
    x = normal("float32", (6, 10))
    with pytest.raises(ValueError, match="out overlaps an input without being the same array"):
        gf.softmax(x[:5], out=x[1:])
    assert gf.softmax(x, out=x) is x
