"""One build of the core for all tests here that run programs on it."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest
from digests import build


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of digests, in a build that can be installed as well. It is made once for all processes of a run."""
    if not (shutil.which("cmake") and shutil.which("c++")):
        pytest.skip("needs cmake and a C++ compiler")
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with (folder / "native.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return build(folder / "native", "-DGUMBELFAST_CPP=ON")
