"""The cases under pytest-benchmark: our time is the benchmark, the peers take their turns in between.

``pytest bench`` measures; ``pytest bench --benchmark-disable`` runs every case once at its tiny size.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import compare
import memory
from cases import cases
from peers import CONTENDERS, MISSING, load
from turns import Turns

load()
ROUNDS = 15


def names(turns: Turns) -> set[str]:
    """All contenders of a case that can run here."""
    case = turns.case
    registered = {each.name: each.role for each in CONTENDERS[case.operation] if each.role in turns.roles}
    asked = {name for name, role in registered.items() if role != "peer" or not case.peers or name in case.peers}
    return asked - turns.skipped.keys()


@pytest.mark.parametrize("name", [case.id for case in cases(quick=True)])
def test_case(name: str, benchmark: Any, roles: tuple[str, ...]) -> None:
    """Every contender did the same work; then all take turns."""
    assert "gumbelfast" not in MISSING, MISSING["gumbelfast"]
    quick = benchmark.disabled
    turns = Turns(next(case for case in cases(quick) if case.id == name), 0.0 if quick else 0.02, roles=roles)
    if "gumbelfast" in turns.skipped:
        pytest.skip(turns.skipped["gumbelfast"])
    rounds = 1 if quick else min(ROUNDS, turns.case.rounds)
    benchmark.group = name
    benchmark.pedantic(turns.ours, setup=turns.others, rounds=rounds, iterations=1)
    result = turns.result()
    benchmark.extra_info |= result
    # No contender was left out of a round, and the median is that of these rounds.
    assert {entrant["name"]: entrant["rounds"] for entrant in result["entrants"]} == dict.fromkeys(names(turns), rounds)
    for entrant, took in zip(result["entrants"], turns.entrants, strict=True):
        wanted = statistics.median(took.wall) * 1e9 / turns.case.units
        assert math.isclose(entrant["median"], wanted, rel_tol=1e-9)


def test_compare_reads_what_was_measured(tmp_path: Path) -> None:
    """The least time counts; a case that one of them lacks is named."""

    def run(tree: str, times: dict[str, float]) -> dict[str, Any]:
        marks = [
            {"extra_info": {"id": name, "entrants": [{"name": "gumbelfast", "least": least}]}}
            for name, least in times.items()
        ]
        return {"machine_info": {"gumbelfast": f"{tree}/gumbelfast/__init__.py"}, "benchmarks": marks}

    old = [run("/old", {"a": 4, "b": 2000, "gone": 1}), run("/old", {"a": 5, "b": 1000, "gone": 1})]
    new = [run("/new", {"a": 9, "b": 2000, "made": 1}), run("/new", {"a": 2, "b": 3000, "made": 1})]
    rows, alone = compare.compared(old, new)
    assert rows == [["a", "4", "2", "0.50"], ["b", "1000", "2000", "2.00"]]
    assert alone == ["gone", "made"]
    compare.require_from(Path("/old"), old[0])
    with pytest.raises(RuntimeError, match=r"/old/gumbelfast/__init__.py, not what was built in /new"):
        compare.require_from(Path("/new"), old[0])


def test_memory() -> None:
    """Each contender reports its memory beyond input and output."""
    for row in memory.table(quick=True):
        assert {entrant["name"] for entrant in row["entrants"]} | set(row["skipped"]) == set(memory.NAMES)


def test_estimators(tmp_path: Path) -> None:
    """The comparison of gradient estimators runs, and every estimator has figures for every problem."""
    for needed in ("sklearn", "matplotlib"):
        pytest.importorskip(needed)
    script = str(Path(__file__).with_name("estimators.py"))
    subprocess.run([sys.executable, script, "--quick", "--out", str(tmp_path)], check=True, capture_output=True)
    results = json.loads((tmp_path / "estimators.json").read_text(encoding="utf-8"))
    assert len(results) == 3
    for result in results:
        measured = [*result["plain"].values(), *(m for by_tau in result["tau"].values() for m in by_tau.values())]
        assert len(result["plain"]) == 10
        assert len(result["tau"]) == 5
        assert all(math.isfinite(value) for figures in measured for value in figures.values())


def test_trust_peers(tmp_path: Path) -> None:
    """Every question is asked of every sampler, and ours answers each."""
    script, table = str(Path(__file__).with_name("trust_peers.py")), tmp_path / "table.md"
    subprocess.run([sys.executable, script, "--quick", "--output", str(table)], check=True, capture_output=True)
    lines = [line.split(" | ") for line in table.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(lines) == 2 + 9
    assert len({len(line) for line in lines if not line[0].startswith("| ---")}) == 1
    ours = {line[0].removeprefix("| "): line[1] for line in lines[2:]}
    assert ours["category of probability zero drawn"].startswith("0 of ")
    assert ours["forked children"] == "two children draw different values"
    assert ours["one thread and two"] == "same bytes"
    assert ours["a row of -inf alone"] == ours["NaN among the logits"] == "Refused"


def test_small_calls(tmp_path: Path) -> None:
    """Every small call runs and gets a figure beside the maximum."""
    script, table = str(Path(__file__).with_name("small_calls.py")), tmp_path / "table.md"
    subprocess.run([sys.executable, script, "--quick", "--output", str(table)], check=True, capture_output=True)
    rows = [line.split(" | ") for line in table.read_text(encoding="utf-8").splitlines()[2:]]
    assert len(rows) >= 18
    assert all(float(us) > 0 and float(ratio.removesuffix(" |")) > 0 for _, us, ratio in rows)


def test_scale(tmp_path: Path) -> None:
    """Every call on a file runs and gets a figure beside Dask's maximum."""
    pytest.importorskip("dask")
    script, table = str(Path(__file__).with_name("scale.py")), tmp_path / "table.md"
    subprocess.run([sys.executable, script, "--quick", "--output", str(table)], check=True, capture_output=True)
    rows = [line.split(" | ") for line in table.read_text(encoding="utf-8").splitlines()[2:]]
    assert len(rows) == 5
    assert all(float(seconds) > 0 and float(ratio) > 0 for _, _, seconds, ratio, _ in rows)
