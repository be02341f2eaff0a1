"""M1: memory beyond input and output, each contender in a process of its own.

``python bench/memory.py C1 gumbelfast`` prints one JSON object. Two counters are read, and the larger counts:
tracemalloc sees what Python and NumPy ask for, touched or not; the process's peak of resident memory sees every
allocation that was touched, in any language. On Linux the latter is read as VmHWM, which can be reset; elsewhere as
ru_maxrss, which a child would on Linux inherit from a larger parent.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

from cases import cases
from peers import CONTENDERS, MISSING, load

ROWS = ("C1", "K1")
NAMES = ("gumbelfast", "numpy", "torch")
MEBIBYTE = 1 << 20


def _reset_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def measure(row: str, name: str, quick: bool) -> dict[str, Any]:
    """Run the case `row` once with the contender `name`, in this process.

    A small case goes first, so that lazily loaded code is not counted.
    """
    load((name.split()[0],))
    if MISSING:
        return {"name": name, "skipped": next(iter(MISSING.values()))}
    small, case = (next(case for case in cases(size) if case.id == row) for size in (True, quick))
    contender = next(c for c in CONTENDERS[case.operation] if c.name == name)
    contender.prepare(*small.inputs())()
    inputs = case.inputs()
    tracemalloc.start()
    _reset_peak()
    before = _peak()
    result = contender.prepare(*inputs)()
    extra = {"tracemalloc": tracemalloc.get_traced_memory()[1], "resident": _peak() - before}
    mebibytes = {key: max(0, value - result.nbytes) / MEBIBYTE for key, value in extra.items()}
    return {"name": name, **mebibytes, "input": inputs[0].nbytes / MEBIBYTE}


def table(quick: bool) -> list[dict[str, Any]]:
    """The rows of M1, in the form that `turns.Turns.result` gives."""
    rows = []
    for row in ROWS:
        entrants, skipped = [], {}
        for name in NAMES:
            command = [sys.executable, __file__, row, name, *(["--quick"] if quick else [])]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            if "skipped" in found:
                skipped[name] = found["skipped"]
                continue
            figure = max(found["tracemalloc"], found["resident"])
            role = "ours" if name == "gumbelfast" else "peer"
            tail = "; ".join(f"{key} {found[key]:.2f}" for key in ("input", "tracemalloc", "resident"))
            entrants.append(
                {"name": name, "role": role, "median": figure, "quartiles": [figure] * 2, "rounds": 1, "calls": 1}
                | {"cpus": None, "tail": tail}
            )
        work = f"memory beyond input and output, {row}"
        rows.append({"id": f"M1/{row}", "work": work, "unit": "MiB", "headline": True})
        rows[-1] |= {"entrants": entrants, "skipped": skipped}
    return rows


def main() -> None:
    """Measure one contender of one row and print what was found."""
    parser = argparse.ArgumentParser(description="Memory beyond input and output, of one contender of one row.")
    parser.add_argument("row", choices=ROWS)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--quick", action="store_true", help="a tiny size, to see that it runs")
    options = parser.parse_args()
    print(json.dumps(measure(options.row, options.name, options.quick)))


if __name__ == "__main__":
    main()
