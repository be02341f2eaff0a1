"""The examples run, and what they claim holds."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What an example needs beyond NumPy, and its quick form.
NEEDS = {"stochastic_beam_search": ("torch", "matplotlib")}
QUICK = {"stochastic_beam_search": ["--quick"]}


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples(path: Path, tmp_path: Path) -> None:
    for library in NEEDS.get(path.stem, ()):
        pytest.importorskip(library)
    found = subprocess.run(
        [sys.executable, "-W", "error", str(path), *QUICK.get(path.stem, [])],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout
