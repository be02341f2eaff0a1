"""The program that opens the kernels' elementary functions to tests, compiled once per session."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import COMPILED, Array
from numpy.typing import DTypeLike

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def sweep_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (shutil.which("cmake") and shutil.which("c++")):
        pytest.skip("needs cmake and a C++ compiler")
    folder = tmp_path_factory.mktemp("sweep")
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    configure = ["cmake", "-S", str(ROOT), "-B", str(folder), *generator, "-DGUMBELFAST_SWEEP=ON"]
    for command in (configure, ["cmake", "--build", str(folder), "--target", "gumbelfast_sweep"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "gumbelfast_sweep"


Map = Callable[[str, Array, DTypeLike], Array]


@pytest.fixture(params=COMPILED)
def apply(request: pytest.FixtureRequest, sweep_program: Path) -> Map:
    """``apply(map, words, dtype)``: what a function of a compiled backend makes of these inputs."""

    def call(name: str, words: Array, dtype: DTypeLike) -> Array:
        command = [str(sweep_program), "map", request.param, name]
        done = subprocess.run(command, input=words.tobytes(), capture_output=True, check=True)
        return np.frombuffer(done.stdout, dtype)

    return call
