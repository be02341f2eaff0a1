"""Measure two commits with the cases of this checkout, and print how many times as long the second takes.

``nox -s compare -- OLD NEW`` builds both in folders of their own; what is not committed is in neither.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import render

ROOT = Path(__file__).resolve().parents[1]
Run = dict[str, Any]


def build(commit: str, tree: Path) -> None:
    """The package of a commit, compiled where it lies."""
    archive = tree.with_suffix(".tar")
    subprocess.run(["git", "archive", f"--output={archive}", commit], cwd=ROOT, check=True)
    with tarfile.open(archive) as files:
        files.extractall(tree, filter="data")
    pybind11 = subprocess.run(
        [sys.executable, "-m", "pybind11", "--cmakedir"], check=True, capture_output=True, text=True
    )
    options = [f"-Dpybind11_DIR={pybind11.stdout.strip()}", f"-DPython_EXECUTABLE={sys.executable}"]
    configure = ["cmake", "-S", str(tree), "-B", str(tree / "build"), *options, f"-DCMAKE_INSTALL_PREFIX={tree}"]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    install = ["cmake", "--build", str(tree / "build"), "--parallel", "2", "--target", "install"]
    subprocess.run(install, check=True, stdout=subprocess.DEVNULL)


def require_from(tree: Path, run: Run) -> None:
    """Raises an error unless the package of this tree was measured."""
    found = run["machine_info"]["gumbelfast"]
    if tree not in Path(found).parents:
        raise RuntimeError(f"measured {found}, not what was built in {tree}")


def measure(tree: Path, only: str) -> Run:
    """The results of pytest-benchmark. gumbelfast is imported from the folder that it runs in."""
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch) / "results.json"
        command = [sys.executable, "-m", "pytest", str(ROOT / "bench" / "test_bench.py"), "--rootdir", str(ROOT)]
        command += ["-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider", "-k", f"test_case and ({only})"]
        command += ["--alone", f"--benchmark-json={results}"]
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
        # 1: some case failed, for example because a commit does not have its function.
        if done.returncode > 1 or not results.exists():
            raise RuntimeError(f"nothing was measured in {tree}:\n{done.stdout}{done.stderr}")
        run: Run = json.loads(results.read_text(encoding="utf-8"))
    require_from(tree, run)
    return run


def compared(old: list[Run], new: list[Run]) -> tuple[list[list[str]], list[str]]:
    """A line for each case that both have, the best ratio first; and the names of the others.

    Times are for one call; each case stores them beside pytest-benchmark's own, which are for a turn of many calls.
    """

    def least(runs: list[Run]) -> dict[str, float]:
        found: dict[str, float] = {}
        for case in (mark["extra_info"] for run in runs for mark in run["benchmarks"]):
            for entrant in case["entrants"]:
                name = f"{case['id']}, {entrant['name']}".removesuffix(", gumbelfast")
                found[name] = min(found.get(name, math.inf), entrant["least"])
        return found

    before, after = least(old), least(new)
    both = sorted(before.keys() & after.keys(), key=lambda name: after[name] / before[name])
    rows = [
        [name, *(f"{found[name]:.4g}" for found in (before, after)), f"{after[name] / before[name]:.2f}"]
        for name in both
    ]
    return rows, sorted(before.keys() ^ after.keys())


def main() -> None:
    """Build, measure in turns, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument(
        "--only", default="test", metavar="EXPRESSION", help='cases as by pytest -k, such as "C1 or S1"'
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        runs: dict[Path, list[Run]] = {Path(scratch) / "old": [], Path(scratch) / "new": []}
        for tree, commit in zip(runs, (options.old, options.new), strict=True):
            print(f"building {commit}", file=sys.stderr, flush=True)
            build(commit, tree)
        for turn in range(options.rounds):
            print(f"round {turn + 1} of {options.rounds}", file=sys.stderr, flush=True)
            for tree, found in runs.items():
                found.append(measure(tree, options.only))
    rows, alone = compared(*runs.values())
    header = ["case", f"{options.old}, ns", f"{options.new}, ns", "ratio"]
    render.show("Least time of an element (item, draw, call) as in bench/cases.py", header, rows)
    if alone:
        print(f"measured of one alone: {', '.join(alone)}")


if __name__ == "__main__":
    main()
