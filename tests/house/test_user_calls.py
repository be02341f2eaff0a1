"""User code that is typed strictly stays so with this package."""

import subprocess
import sys
from pathlib import Path

import pytest

CALLS = Path(__file__).with_name("user_calls.py")
ROOT = CALLS.parents[2]


def run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def checked(path: Path, tmp_path: Path) -> str:
    """What ``mypy --strict`` says of a user's file, without the settings of this project."""
    # In the checkout the package counts as the user's own code: silent, as it is once installed.
    options = ["--strict", "--config-file=", "--follow-imports=silent", f"--cache-dir={tmp_path}"]
    found = run(sys.executable, "-m", "mypy", *options, str(path))
    return found.stdout + found.stderr


def test_typical_calls_are_typed(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    assert "Success: no issues found in 1 source file" in checked(CALLS, tmp_path)
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import gumbelfast as gf\ngf.gumbel_top_k([0.0, 1.0], k='two')\ngf.default_rng(0).no_method()\n")
    assert "Found 2 errors" in checked(wrong, tmp_path)


def test_typical_calls_run() -> None:
    found = run(sys.executable, "-W", "error", "-c", f"import runpy; runpy.run_path({str(CALLS)!r})")
    assert found.returncode == 0, found.stderr
