"""The examples run, and what they claim holds."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# PyMaxflow turns the GIL on again, with a warning, where there was none.
STRICT = [sys.executable, "-W", "error", "-W", "ignore:The global interpreter lock:RuntimeWarning"]
OPTIONAL = {"dask", "jax", "matplotlib", "scipy", "sklearn", "tokenizers", "torch", "transformers"}


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples(path: Path, tmp_path: Path) -> None:
    """Those that draw a picture take ``--quick`` and ``--output``, and say so where there is no matplotlib."""
    picture = tmp_path / "picture.png"
    drawn = "--output" in path.read_text(encoding="utf-8")
    given = ["--quick", "--output", str(picture)] if drawn else []
    command = [*STRICT, str(path), *given]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    missing = re.search(r"ModuleNotFoundError: No module named '(\w+)", found.stderr)
    if missing and missing[1] in OPTIONAL:
        pytest.skip(f"needs {missing[1]}")
    assert found.returncode == 0, found.stderr
    assert found.stdout
    if drawn and importlib.util.find_spec("matplotlib"):
        assert picture.read_bytes().startswith(b"\x89PNG")
    elif drawn:
        assert "gumbelfast[plot]" in found.stdout


def test_the_code_of_the_guide_to_estimators() -> None:
    """It trains what it says: the category that f asks for."""
    code = (ROOT / "docs" / "estimators.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    found = subprocess.run(
        [*STRICT, "-c", code + "assert gf.softmax(logits)[2] > 0.9"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
