"""The tables of known values in docs/stream.md, against the law in mpmath and against every backend."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, KEY, assert_same_bytes, dtype_of
from test_reference_law import bits_of, exponential_of

import gumbelfast as gf

PAGE = (Path(__file__).parents[2] / "docs" / "stream.md").read_text(encoding="utf-8")


def tables() -> list[dict[int, list[str]]]:
    """The cells of each table, by element."""
    section = PAGE.split("### Known values")[1].split("\n## ")[0]
    found = [
        [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in block.splitlines()]
        for block in section.split("\n\n")
        if block.startswith("|")
    ]
    assert [table[0][0] for table in found] == ["element"] * 3
    return [{2**62 - 1 if row[0] == "2**62-1" else int(row[0]): row[1:] for row in table[2:]} for table in found]


BITS, EXPONENTIALS, GUMBELS = tables()
FUNCTIONS = {"exponential": (gf.exponential, EXPONENTIALS), "gumbel": (gf.gumbel, GUMBELS)}


@pytest.mark.parametrize("element", BITS)
def test_bits_and_exact_exponentials(element: int) -> None:
    mp = pytest.importorskip("mpmath").mp
    w, v, h, place, single, double = BITS[element]
    assert (int(w, 16), int(v, 16), int(h, 16)) == bits_of(element)
    assert int(place) == int(h, 16) % 32
    with mp.workdps(60):
        for dtype, written in ((np.float32, single), (np.float64, double)):
            assert abs(mp.mpf(written) / exponential_of(mp, element, dtype) - 1) < 1e-19


def test_what_the_tables_hold() -> None:
    """An element that is the smallest of its tile, a short word, both ends of the addresses."""
    assert set(BITS) == set(EXPONENTIALS) == set(GUMBELS)
    assert {0, 2**62 - 1} <= set(BITS)
    assert any(e % 32 == int(row[3]) for e, row in BITS.items())
    assert any(int(row[0], 16) < 2**17 for row in BITS.values())


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_backends_return_them(backend: str, dtype: str, name: str) -> None:
    mp = pytest.importorskip("mpmath").mp
    function, table = FUNCTIONS[name]
    for element, row in table.items():
        kind: Any = dtype_of(dtype)
        written = np.array([int(row[DTYPES.index(dtype)], 16)], f"u{kind.itemsize}").view(kind)
        with mp.workdps(60):
            exact = exponential_of(mp, element, np.float64 if dtype == "float64" else np.float32)
            exact = -mp.log(exact) if name == "gumbel" else exact
        size = float(abs(exact)) if name == "exponential" else max(1.0, float(abs(exact)))
        unit = float(np.spacing(np.array(size).astype(kind)))
        assert abs(float(written[0]) - exact) <= 2 * unit
        found = function(size=1, dtype=kind, rng=gf.Generator(KEY), offset=element)
        if backend == "reference":
            assert abs(float(found[0]) - exact) <= 0.501 * unit  # float16 and bfloat16 are rounded twice
        else:
            assert_same_bytes(found, written)
