"""The compiled elementary functions, built once per session."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers import COMPILED, Array
from numpy.typing import DTypeLike
from probes import Map, build


@pytest.fixture(scope="session")
def sweep_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("sweep"))


@pytest.fixture(params=COMPILED)
def apply(request: pytest.FixtureRequest, sweep_program: Path) -> Map:
    """What a function of a compiled backend makes of inputs."""

    def call(name: str, inputs: Array, dtype: DTypeLike) -> Array:
        command = [str(sweep_program), "map", request.param, name]
        done = subprocess.run(command, input=inputs.tobytes(), capture_output=True, check=True)
        return np.frombuffer(done.stdout, dtype)

    return call
