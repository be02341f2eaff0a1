"""`python -m gumbelfast bench`: equal work on all sides, and what is printed of it."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gumbelfast as gf
from gumbelfast.__main__ import main
from gumbelfast._cli import turns
from gumbelfast._cli.bench import run
from gumbelfast._cli.bench.works import Work, works

WORKS = {work.what: work for work in works(quick=True)}


@pytest.fixture(scope="module")
def checks() -> Iterator[Any]:
    """What the bench holds against the truth before it times anything."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
    yield importlib.import_module("checks")
    sys.path.pop(0)


def wanted(checks: Any, work: Work, result: Any) -> None:
    kind = work.what.split(",")[0]
    match kind:
        case "Gumbel noise":
            checks.noise(result, *work.inputs, np.float32)
        case "categorical":
            checks.one_draw(result, *work.inputs)
        case "50 different ones":
            checks.ordered_draws(result, *work.inputs)
        case "tokens (top-k":
            checks.tokens(result, *work.inputs)
        case "softmax":
            checks.softmax(result, *work.inputs)
        case "Gumbel-softmax" if len(work.inputs) == 2:
            checks.relaxed(result, *work.inputs)
        case "Gumbel-softmax":
            checks.gumbel_softmax(result, *work.inputs, False)
        case _ if "by weight" in work.what:
            checks.weighted_draws(result, *work.inputs)
        case _:
            checks.many_draws(result, *work.inputs)


@pytest.mark.parametrize("library", ["gumbelfast", "NumPy", "torch"])
@pytest.mark.parametrize("what", WORKS)
def test_everyone_does_the_work(what: str, library: str, checks: Any) -> None:
    if library == "torch":
        pytest.importorskip("torch").manual_seed(0)
    ways = run.steps(WORKS[what], library)
    assert ways
    for way in ways:
        first, second = way(), way()
        wanted(checks, WORKS[what], first)
        # Nobody answers twice with what was drawn once.
        assert what.startswith("softmax") or not all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_medians_of_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only the steps move: three turns of each, one call a turn, are timed."""
    now, calls = 0.0, {"slow": 0, "quick": 0}

    def takes(name: str, seconds: list[float]) -> Any:
        def step() -> None:
            nonlocal now
            now += seconds[min(calls[name], len(seconds) - 1)]
            calls[name] += 1

        return step

    monkeypatch.setattr(turns.time, "perf_counter", lambda: now)
    # The first call, two that tell how many fill a turn, then the turns.
    contest = turns.Contest([takes("slow", [9, 9, 9, 5, 3, 4]), takes("quick", [1, 0.004])])
    for _ in range(3):
        contest.round()
    assert contest.medians() == pytest.approx([4, 0.004])
    assert calls == {"slow": 6, "quick": 3 + 3 * 5}


@pytest.mark.parametrize("rich", [True, False])
def test_table(rich: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    if not rich:
        monkeypatch.setitem(sys.modules, "rich", None)
    found = {"this": {"gumbelfast": 2e-3, "NumPy": 0.246, "torch": 1e-3}}
    monkeypatch.setattr(run, "measure", lambda quick: found)
    monkeypatch.setattr(run, "torch", True)
    assert main(["bench"]) == 0
    shown = capsys.readouterr().out
    assert [line.split() for line in shown.splitlines() if "this" in line] == [["this", "2.00", "ms", "123", "0.5"]]
    assert [line.split() for line in shown.splitlines() if "NumPy" in line] == [
        ["work", "gumbelfast", "NumPy", "torch"]
    ]


def test_without_torch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(run, "torch", None)
    monkeypatch.setattr(turns, "TURN", 1e-4)
    threads = gf.get_num_threads()
    assert main(["bench", "--quick"]) == 0
    shown = capsys.readouterr().out
    assert "torch is not installed" in shown
    assert all(what in shown for what in WORKS)
    assert gf.get_num_threads() == threads


def test_bench_needs_compiled_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    with gf.use_backend("reference"):
        assert main(["bench"]) == 2
    assert "compiled backend" in capsys.readouterr().err
