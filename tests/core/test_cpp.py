"""The core as a library for C++ and C: installed, found by CMake, and drawing Python's tokens."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import gumbelfast as gf

ROOT = Path(__file__).parents[2]

# Tokens of two requests, then what is said of each argument that is at fault, and the tokens that this leaves.
C = """
#include <gumbelfast/gumbelfast.h>
#include <math.h>
#include <stdio.h>

static float x[200];
static int64_t tokens[2];

static void draw(int64_t rows, int64_t cols, gumbelfast_request second, int threads) {
  const gumbelfast_request requests[] = {{1, 0, 1, 0, 1, 0}, second};
  char text[80] = "";
  const int failed = gumbelfast_sample_tokens(x, rows, cols, requests, threads, tokens, text, sizeof text);
  printf("%d %d %d %s\\n", failed, (int)tokens[0], (int)tokens[1], text);
}

int main(void) {
  const gumbelfast_request good = {2, 7, 1, 0, 1, 0.125};
  for (int i = 0; i < 200; ++i) x[i] = (float)(i % 13);
  draw(2, 100, good, 2);
  tokens[0] = tokens[1] = -7;
  draw(2, 100, (gumbelfast_request){2, (uint64_t)1 << 62, 1, 0, 1, 0}, 1);
  draw(2, 100, (gumbelfast_request){2, 0, -1, 0, 1, 0}, 1);
  draw(2, 100, (gumbelfast_request){2, 0, NAN, 0, 1, 0}, 1);
  draw(2, 100, (gumbelfast_request){2, 0, 1e-39, 0, 1, 0}, 1);
  draw(2, 100, (gumbelfast_request){2, 0, 1, -2, 1, 0}, 1);
  draw(2, 100, (gumbelfast_request){2, 0, 1, 0, 1.5, 0}, 1);
  draw(2, 100, (gumbelfast_request){2, 0, 1, 0, 1, -0.5}, 1);
  draw(2, 100, (gumbelfast_request){1, 0, 1, 0, 1, 0}, 1);
  draw(2, 100, good, 0);
  draw(-1, 100, good, 1);
  draw(2, 0, good, 1);
  x[103] = NAN;
  draw(2, 100, good, 1);
  for (int i = 100; i < 200; ++i) x[i] = -INFINITY;
  draw(2, 100, good, 1);
  draw(0, 100, good, 1);
  draw(2, 100, (gumbelfast_request){2, 0, 1, 0, 1, 0}, 1);
  printf("%d\\n", gumbelfast_sample_tokens(x, 2, 0, &good, 1, tokens, 0, 0));
  return 0;
}
"""
SAID = [
    "1 -7 -7 position must be below 2**62 / cols, got 4611686018427387904 in row 1",
    "1 -7 -7 temperature must be finite and >= 0, got -1 in row 1",
    "1 -7 -7 temperature must be finite and >= 0, got nan in row 1",
    "1 -7 -7 temperature must be 0 or have a finite reciprocal, got 1e-39 in row 1",
    "1 -7 -7 top_k must be >= 0, or -1 for no filter, got -2 in row 1",
    "1 -7 -7 top_p must lie in [0, 1], got 1.5 in row 1",
    "1 -7 -7 min_p must lie in [0, 1], got -0.5 in row 1",
    "1 -7 -7 rows must differ in seed or position, got 1 twice",
    "1 -7 -7 threads must be > 0, got 0",
    "1 -7 -7 rows must be >= 0, got -1",
    "1 -7 -7 cols must be > 0, got 0",
    "1 -7 -7 logits contain NaN at index (1, 3)",
    "1 -7 -7 row 1 has no finite logit",
    "0 -7 -7 ",
    "1 -7 -7 row 1 has no finite logit",
    "1",
]

# What gf.gumbel returns, by the headers behind the two of the package; then what is said of spans that do not fit.
CPP = """
#include <array>
#include <cstdio>
#include <gumbelfast/core/run.hpp>
#include <gumbelfast/gumbelfast.hpp>
#include <stdexcept>

using namespace gumbelfast;

void draw(std::span<const float> logits, std::span<int64_t> tokens) {
  try {
    sample_tokens(logits, std::array{TokenRequest{1}, TokenRequest{2}}, tokens);
  } catch (const std::invalid_argument& failure) {
    std::puts(failure.what());
  }
}

int main() {
  std::array<double, 100> noise;
  const Backend& backend = *usable_backends().front();
  run(backend.gumbel, DType::f64, NoiseArgs{noise.data(), 0, 1, {0x89abcdef, 0x01234567}, 5}, 100, {2, {}});
  for (const double each : noise) std::printf("%a ", each);
  std::puts("");
  std::array<float, 7> logits{};
  std::array<int64_t, 2> tokens{};
  draw({logits.data(), 4}, {tokens.data(), 1});
  draw(logits, tokens);
  draw({}, tokens);
}
"""


def run(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def prefix(native: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the library is installed, away from where it was built."""
    folder = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", native.parent, "--prefix", folder)
    return folder


def built(source: Path, prefix: Path, folder: Path) -> Path:
    run("cmake", "-S", source, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", folder / "build")
    return folder / "build" / "sample_tokens"


def written(text: str, language: str, folder: Path) -> Path:
    """A folder like that of the example with another program."""
    shutil.copy(ROOT / "examples" / "cpp" / "CMakeLists.txt", folder)
    recipe = folder / "CMakeLists.txt"
    recipe.write_text(recipe.read_text().replace("LANGUAGES CXX", "LANGUAGES C CXX").replace(".cpp)", f".{language})"))
    (folder / f"sample_tokens.{language}").write_text(text)
    return folder


def test_the_example_draws_what_python_draws(prefix: Path, tmp_path: Path) -> None:
    lines = run(built(ROOT / "examples" / "cpp", prefix, tmp_path)).splitlines()
    logits = ((np.arange(64_000) * 7919 % 1009).astype(np.float32) / 64).reshape(2, 32_000)
    settings = {"temperature": [0.8, 1], "top_k": [500, 0], "top_p": [0.9, 1]}
    wanted = [gf.sample_tokens(logits, **settings, seeds=[11, 12], positions=[step, step]) for step in range(5)]
    assert [[int(word) for word in line.split()] for line in lines] == np.stack(wanted).tolist()
    assert len(np.unique(wanted)) > 5


def test_a_program_in_c(prefix: Path, tmp_path: Path) -> None:
    first, *said = run(built(written(C, "c", tmp_path), prefix, tmp_path)).split("\n")
    x = (np.arange(200) % 13).astype(np.float32).reshape(2, 100)
    wanted = gf.sample_tokens(x, min_p=[0, 0.125], seeds=[1, 2], positions=[0, 7])
    assert first == "0 {} {} ".format(*wanted)
    assert said == [*SAID, ""]


def test_other_kernels(prefix: Path, tmp_path: Path) -> None:
    noise, *said = run(built(written(CPP, "cpp", tmp_path), prefix, tmp_path)).splitlines()
    rng = gf.Generator(gf.Philox4x32(key=0x0123456789ABCDEF))
    assert [float.fromhex(word) for word in noise.split()] == gf.gumbel(
        size=100, dtype=np.float64, rng=rng, offset=5
    ).tolist()
    assert said == [
        "tokens must have one place a request, got 1",
        "logits must be as many for each request, and not none, got 7",
        "logits must be as many for each request, and not none, got 0",
    ]


def test_the_version_is_that_of_the_package(prefix: Path) -> None:
    text = next(prefix.rglob("gumbelfast-config-version.cmake")).read_text(encoding="utf-8")
    assert f'set(PACKAGE_VERSION "{gf.__version__}")' in text
