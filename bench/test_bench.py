"""The cases under pytest-benchmark: our time is the benchmark, the peers take their turns in between.

``pytest bench`` measures; ``pytest bench --benchmark-disable`` runs every case once at its tiny size.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

import memory
from cases import cases
from peers import MISSING, load
from turns import Turns

load()
ROUNDS = 15


@pytest.mark.parametrize("name", [case.id for case in cases(quick=True)])
def test_case(name: str, benchmark: Any) -> None:
    """Every contender did the same work; then all take turns."""
    assert "gumbelfast" not in MISSING, MISSING["gumbelfast"]
    quick = benchmark.disabled
    turns = Turns(next(case for case in cases(quick) if case.id == name), 0.0 if quick else 0.02)
    if "gumbelfast" in turns.skipped:
        pytest.skip(turns.skipped["gumbelfast"])
    benchmark.group = name
    benchmark.pedantic(turns.ours, setup=turns.others, rounds=1 if quick else ROUNDS, iterations=1)
    benchmark.extra_info |= turns.result()
    assert all(math.isfinite(entrant["median"]) for entrant in turns.result()["entrants"])


def test_memory() -> None:
    """Each contender reports what it took beyond input and output."""
    for row in memory.table(quick=True):
        assert {entrant["name"] for entrant in row["entrants"]} | set(row["skipped"]) == set(memory.NAMES)
