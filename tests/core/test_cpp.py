"""The core as a library for C++ and C: installed, found by CMake, and drawing Python's tokens."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import Array

import gumbelfast as gf

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("c++")), reason="needs cmake and a compiler")

# A program in C that prints the tokens of rows with seeds 1 and 2, and what is said of bad input.
C = """
#include <gumbelfast/gumbelfast.h>
#include <math.h>
#include <stdio.h>

int main(void) {
  float x[2 * 100];
  uint64_t seeds[] = {1, 2};
  int64_t tokens[2] = {-7, -7};
  char text[80];
  for (int i = 0; i < 200; ++i) x[i] = (float)(i % 13);
  if (gumbelfast_sample_tokens(x, 2, 100, seeds, 0, 1, 0, 1, 0.125, 2, tokens, text, sizeof text)) return 1;
  printf("%d %d\\n", (int)tokens[0], (int)tokens[1]);
  for (int i = 0; i < 7; ++i) {
    const uint64_t positions[] = {0, i == 5 ? (uint64_t)1 << 56 : 0};
    x[103] = i == 4 ? NAN : 1;
    int failed = gumbelfast_sample_tokens(x, 2, i == 6 ? 0 : 100, seeds, positions, i == 0 ? -1.0 : 1.0, i == 1 ? -2 : 0,
                                          i == 2 ? 0.0 : 1.0, i == 3 ? 1.5 : 0.0, 1, tokens, text, sizeof text);
    printf("%d %s\\n", failed, text);
  }
  return 0;
}
"""


def run(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def prefix() -> Iterator[Path]:
    """Where the library is installed, away from where it was built."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # What is asked here is how it installs: the kernels' speed is not.
        options = ("-DGUMBELFAST_CPP=ON", "-DCMAKE_CXX_FLAGS_RELEASE=-O1", f"-DCMAKE_INSTALL_PREFIX={folder / 'prefix'}")
        run("cmake", "-S", ROOT, "-B", folder / "build", *options)
        run("cmake", "--build", folder / "build", "--parallel", "2", "--target", "install")
        shutil.rmtree(folder / "build")
        yield folder / "prefix"


def built(source: Path, prefix: Path, folder: Path) -> Path:
    run("cmake", "-S", source, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", folder / "build")
    return folder / "build" / "sample_tokens"


def test_the_example_draws_what_python_draws(prefix: Path, tmp_path: Path) -> None:
    lines = run(built(ROOT / "examples" / "cpp", prefix, tmp_path)).splitlines()
    drawn = np.array([line.split() for line in lines], np.int64)
    logits = ((np.arange(64_000) * 7919 % 1009).astype(np.float32) / 64).reshape(2, 32_000)
    wanted: list[Array] = [
        gf.sample_tokens(logits, temperature=0.8, top_k=500, top_p=0.9, seeds=[11, 12], positions=[step, step])
        for step in range(5)
    ]
    assert drawn.tolist() == np.stack(wanted).tolist()
    assert len(np.unique(drawn)) > 2


def test_from_c(prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "sample_tokens.c").write_text(C, encoding="utf-8")
    recipe = (ROOT / "examples" / "cpp" / "CMakeLists.txt").read_text(encoding="utf-8")
    recipe = recipe.replace("LANGUAGES CXX", "LANGUAGES C CXX").replace(".cpp)", ".c)")
    (tmp_path / "CMakeLists.txt").write_text(recipe, encoding="utf-8")
    first, *said = run(built(tmp_path, prefix, tmp_path)).splitlines()
    x = (np.arange(200) % 13).astype(np.float32).reshape(2, 100)
    assert [int(word) for word in first.split()] == gf.sample_tokens(x, min_p=0.125, seeds=[1, 2]).tolist()
    assert said == [
        "1 temperature must be finite and >= 0, got -1",
        "1 top_k must be >= 0, got -2",
        "1 top_p must lie in (0, 1], got 0",
        "1 min_p must lie in [0, 1], got 1.5",
        "1 logits contain NaN at index (1, 3)",
        "1 positions must leave rows below element 2**62, got 72057594037927936",
        "1 cols must be > 0, got 0",
    ]


def test_the_version_is_that_of_the_package(prefix: Path) -> None:
    text = next(prefix.rglob("gumbelfast-config-version.cmake")).read_text(encoding="utf-8")
    assert f"set(PACKAGE_VERSION {json.dumps(gf.__version__)})" in text
