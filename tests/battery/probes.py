"""The program that opens the kernels' elementary functions to tests (tests/core/sweep.cpp)."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Array
from numpy.typing import DTypeLike

ROOT = Path(__file__).parents[2]

# (name of a map, its inputs, the dtype of its results) to those results.
Map = Callable[[str, Array, DTypeLike], Array]


def build(folder: Path, *options: str, source: Path = ROOT) -> Path:
    if not (shutil.which("cmake") and shutil.which("c++")):
        pytest.skip("needs cmake and a C++ compiler")
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    configure = ["cmake", "-S", str(source), "-B", str(folder), *generator, "-DGUMBELFAST_SWEEP=ON", *options]
    for command in (configure, ["cmake", "--build", str(folder), "--target", "gumbelfast_sweep"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "gumbelfast_sweep"
