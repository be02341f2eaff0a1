"""Measure gumbelfast beside its peers and print how they compare.

``python bench/report.py --quick`` shows in well under a minute that everything runs; its figures mean nothing.
Set ``GUMBELFAST_BACKEND`` to force one backend, or name several with ``--backends``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import data
import environment
import memory
import pin
import render
from cases import Case, cases
from peers import MISSING, load
from turns import Turns

AVX2 = ("N1", "N2", "S1", "S2", "G1")
THREADED = ("N1", "C1", "K1", "S1", "S2", "G1", "serve1", "serve16", "serve64", "serve256")
SUMMARY = ["row", "work", "unit", "gumbelfast [quartiles]", "best peer [quartiles]", "ratio", "goal", "met"]
COMPARED = ["operation", "contender", "plain, ns", *(f"{kind} ÷ plain" for kind in data.KINDS[1:]), "slowest ÷ plain"]
DETAILS = ["row", "contender", "median [quartiles]", "÷ ours", "processors", "note"]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes and few rounds, to see that everything runs")
    parser.add_argument("--rows", default="", help="only these rows or cases, such as N1,C1,curve or topk/k=5")
    parser.add_argument(
        "--out", type=Path, default=Path("bench-report"), help="directory for report.json and report.png"
    )
    parser.add_argument("--rounds", type=int, help="turns of each contender (default 15 or fewer, 2 with --quick)")
    parser.add_argument("--backends", default="", help="backends of gumbelfast to compare, such as avx512,avx2")
    parser.add_argument(
        "--one-table", action="store_true", help="leave out the tables with two threads, and with AVX2 for everybody"
    )
    options = parser.parse_args(arguments)
    if options.rounds is None and options.quick:
        options.rounds = 2
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be at least 1")
    return options


def chosen(case_id: str, rows: str) -> bool:
    """Whether the comma-separated names in `rows` select `case_id`."""
    names = [name.strip() for name in rows.split(",") if name.strip()]
    return not names or case_id in names or case_id.split("/")[0] in names


def run(case: Case, options: argparse.Namespace) -> dict[str, Any]:
    """Check and measure one case."""
    backends = tuple(name.strip() for name in options.backends.split(",") if name.strip())
    turns = Turns(case, 0.0 if options.quick else 0.02, backends)
    for _ in range(options.rounds or case.rounds):
        turns.others()
        turns.ours()
    return turns.result()


def elsewhere(options: argparse.Namespace, rows: Sequence[str], backends: str, **more: str) -> list[dict[str, Any]]:
    """Measure some rows in a new process, with more in its environment: most libraries read that only once."""
    asked = [row for row in rows if chosen(row, options.rows)][: 1 if options.quick else None]
    if not asked:
        return []
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, __file__, "--one-table", "--rows", ",".join(asked), "--out", directory]
        command += ["--backends", backends]
        command += ["--rounds", str(options.rounds)] if options.rounds else []
        command += ["--quick"] if options.quick else []
        subprocess.run(command, check=True, env={**os.environ, **more}, stdout=subprocess.DEVNULL)
        results: list[dict[str, Any]] = json.loads((Path(directory) / "report.json").read_text())["results"]
    return results


def main(arguments: list[str] | None = None) -> int:
    """Run the report; 1 when gumbelfast is not installed or no row matches."""
    options = parse(arguments)
    load()
    if "gumbelfast" in MISSING:
        print(f"gumbelfast cannot be imported: {MISSING['gumbelfast']}", file=sys.stderr)
        return 1
    results = []
    for case in cases(options.quick):
        if chosen(case.id, options.rows):
            print(f"{case.id}: {case.work}", file=sys.stderr, flush=True)
            results.append(run(case, options))
    if chosen("M1", options.rows):
        print("M1: memory", file=sys.stderr, flush=True)
        results += memory.table(options.quick)
    if not results:
        print(f"no case is named {options.rows}", file=sys.stderr)
        return 1
    about = environment.describe()
    several, narrow = [], []
    if not options.one_table and (os.cpu_count() or 1) > 1:
        several = elsewhere(options, THREADED, options.backends, GUMBELFAST_BENCH_THREADS="2")
    if not options.one_table and about["backend"] == "avx512":
        narrow = elsewhere(options, AVX2, "", GUMBELFAST_BENCH_AVX2="1")

    caption = f"{about['processor']}, backend {options.backends or about['backend']}, compiler {about['compiler']}"
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    for name, reason in MISSING.items():
        print(f"no {name}: {reason}")
    options.out.mkdir(parents=True, exist_ok=True)
    whole = {"environment": about, "quick": options.quick, "results": results, "two_threads": several, "avx2": narrow}
    (options.out / "report.json").write_text(json.dumps(whole, indent=1) + "\n")
    drawn = render.plot(results, options.out / "report.png", caption)

    title = f"{caption}; threads: {pin.THREADS}" + ("; QUICK: the figures mean nothing" if options.quick else "")
    render.show(title, SUMMARY, render.summary(results, options.quick))
    render.show("Every contender", DETAILS, render.details(results, pin.THREADS, options.quick))
    if kinds := data.compare_kinds(results):
        render.show("What the slowest kind of data costs beside plain data", COMPARED, kinds)
    if several:
        render.show("Two threads for everybody", DETAILS, render.details(several, 2, options.quick))
    if narrow:
        render.show("AVX2 for everybody", DETAILS, render.details(narrow, pin.THREADS, options.quick))
    print(f"{versions}\nratio: the best peer's median ÷ ours. Wrote {options.out / 'report.json'}", end="")
    print(" and report.png" if drawn else "; install matplotlib for a picture")
    return 0


if __name__ == "__main__":
    sys.exit(main())
