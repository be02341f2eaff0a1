"""The examples run, and what they claim holds."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Arguments for examples that take long without them.
ARGUMENTS = {"torch_categorical_vae": ["--steps", "40"]}


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(path), *ARGUMENTS.get(path.stem, [])]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert found.stdout
