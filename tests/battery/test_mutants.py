"""Errors put into a copy of the sources, one at a time: the tests named beside each must notice it.

A mutant replaces one passage of one file. Its copy is compiled with the scalar backend alone and the named tests run
there, as they stand; the copy without a mutant passes them all.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
CXX = os.environ.get("CXX") or shutil.which("c++")
FLAGS = ["-std=c++20", "-O1", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-Wno-psabi"]
SCALAR = "backends/scalar"

pytestmark = [pytest.mark.battery, pytest.mark.skipif(not CXX, reason="needs a C++ compiler")]


@dataclass(frozen=True)
class Mutant:
    """`old` stands once in `path` and becomes `new`."""

    path: str
    old: str
    new: str
    noticed_by: tuple[str, ...]


ULPS = "tests/sampling/test_noise.py::test_noise_within_two_ulps"
RARE = "tests/sampling/test_noise.py::test_rare_words_and_heads"
ZEROS = "tests/sampling/test_noise.py::test_words_of_zeros_and_of_ones"
WORDS = "tests/sampling/test_noise.py::test_words_against_reference"
CRAFTED = "tests/reference/test_reference_law.py::test_excess_of_crafted_words"
LAW = "tests/reference/test_reference_law.py::test_noise_follows_the_law"
MAXIMA = "tests/battery/test_without_reference.py::test_maxima_of_tiles"
HIDDEN = "tests/battery/test_without_reference.py::test_nothing_is_hidden_from_the_draw"
SHARES = "tests/battery/test_without_reference.py::test_frequencies_to_a_thousandth["
EQUALS = "tests/sampling/test_categorical.py::test_noise_decides_between_equals_of_any_size"
BOUNDS = "tests/sampling/test_tables.py::test_bounds_follow_the_law"
TILES, SCAN = "csrc/kernels/tiles.hpp", "csrc/kernels/scan.hpp"
REFERENCE = "gumbelfast/reference/noise.py"

MUTANTS = {
    "digits without half": Mutant(TILES, "set(0.5f - 0x1p-25f)", "set(0.5f)", (ULPS,)),
    "a zero too few": Mutant(
        TILES, "__builtin_clzll(unit) : 64", "__builtin_clzll(unit | 0xFFFF00000000) : 64", (RARE, ZEROS)
    ),
    "digits without half in the reference": Mutant(
        REFERENCE, "(d.astype(np.longdouble) + 0.5)", "d.astype(np.longdouble)", (CRAFTED, LAW)
    ),
    "swapped lanes": Mutant(
        TILES,
        "tile_size, words[i].low);\n      store(word + (from + i) * tile_size + 16, words[i].high);",
        "tile_size, words[i].high);\n      store(word + (from + i) * tile_size + 16, words[i].low);",
        (ULPS,),
    ),
    "counter off by one": Mutant(TILES, "{domain, 8 * tile[from + i]}", "{domain, 8 * (tile[from + i] + 1)}", (ULPS,)),
    "high half of the counter lost": Mutant(
        "csrc/kernels/philox.hpp", "static_cast<uint32_t>(block >> 32) | domain << 28", "domain << 28", (WORDS, ULPS)
    ),
    "filter bound 1 % too tight": Mutant(
        SCAN,
        "scale, top + set(top_slack<V>)));",
        "scale, top + set(top_slack<V>)) * set(typename V::Scalar(0.99)));",
        (HIDDEN,),
    ),
    "a perturbed value in single precision": Mutant(
        "csrc/kernels/perturbed.hpp",
        "sum = product + noise;\n  return {sum, error_of_sum(product, noise, sum)};",
        "sum = static_cast<float>(product + noise);\n  return {sum, 0};",
        (EQUALS,),
    ),
    "minimum with rate 31": Mutant(
        TILES,
        "zeros), y) * set(T(0x1p-5))",
        "zeros), y) * set(T(1.0 / 31))",
        (ULPS, MAXIMA),
    ),
    "place never 31": Mutant(
        TILES,
        "simd::narrow(low & place, high & place)",
        "simd::narrow(low & place & set(uint64_t{30}), high & place)",
        (ULPS, MAXIMA),
    ),
    "a share too small by 1e-3": Mutant(
        "csrc/kernels/draw.hpp",
        "uniform[i] - (uniform[i] == ~uint64_t{0});",
        "uniform[i] + (uniform[i] >> 10);",
        (SHARES + "inverse]",),
    ),
    "extension left out, float32": Mutant(
        TILES, "if (bits(simd::shr<short_bits>(least) == set(uint32_t{0})))", "if (false)", (RARE,)
    ),
    "extension left out, float64": Mutant(
        TILES,
        "extensions[i] = load(extension + at + i * U32::lanes);",
        "extensions[i] = set(uint32_t{0});",
        (RARE,),
    ),
}


def prepare(folder: Path) -> Path:
    """The sources and tests as they are, without compiled kernels, and a core that knows the scalar backend alone.

    Its kernels are compiled for float32 and float64 alone: half of the time.
    """
    for name in ("csrc", "src", "gumbelfast", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "_core.*.so"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "csrc/dispatch.cpp").write_text(
        '#include "dispatch.hpp"\nnamespace gumbelfast {\nextern const Backend scalar_backend;\n'
        "std::vector<const Backend*> usable_backends() { return {&scalar_backend}; }\n}\n"
    )
    table = folder / "csrc/backends/table.hpp"
    sound = table.read_text(encoding="utf-8")
    few = sound.replace(
        "{kernel<float>, kernel<double>, kernel<Half>, kernel<BFloat>}", "{kernel<float>, kernel<double>}"
    )
    assert few != sound
    table.write_text(few, encoding="utf-8")
    for name in (*sorted(path.stem for path in (folder / "csrc").glob("*.cpp")), SCALAR):
        compile_core(folder, name)
    include = subprocess.run(
        [sys.executable, "-m", "pybind11", "--includes"], check=True, capture_output=True, text=True
    )
    for name in ("core", "direct", "direct_steps", "tensors"):
        run(
            folder,
            CXX,
            *FLAGS,
            *include.stdout.split(),
            f"-I{np.get_include()}",
            "-c",
            f"src/{name}.cpp",
            "-o",
            f"{name}.o",
        )
    return folder


def run(folder: Path, *command: str | None) -> None:
    done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def compile_core(folder: Path, name: str) -> None:
    run(folder, CXX, *FLAGS, "-c", f"csrc/{name}.cpp", "-o", f"{Path(name).name}.o")


def link(folder: Path) -> None:
    module = f"gumbelfast/_core{sysconfig.get_config_var('EXT_SUFFIX')}"
    (folder / module).unlink(missing_ok=True)
    run(folder, CXX, "-shared", "-pthread", *(path.name for path in folder.glob("*.o")), "-o", module)


def failures(folder: Path, tests: tuple[str, ...]) -> list[str]:
    """The tests that fail there, by what pytest says of them; each was collected and none broke down."""
    pytest_command = [sys.executable, "-m", "pytest", "-m", "", "-p", "no:cacheprovider", "--tb=no", "-rfE", *tests]
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("GUMBELFAST_", "PYTEST_"))}
    done = subprocess.run(pytest_command, cwd=folder, capture_output=True, text=True, env=variables, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert "\nERROR " not in done.stdout, done.stdout
    return [line.removeprefix("FAILED ") for line in done.stdout.splitlines() if line.startswith("FAILED ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pybind11")
    return prepare(tmp_path_factory.mktemp("sources"))


def test_without_a_mutant(folder: Path) -> None:
    link(folder)
    where = "import gumbelfast as gf; print(gf._core.__file__, *gf.backends())"
    shown = subprocess.run([sys.executable, "-c", where], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert shown.startswith(str(folder))
    assert shown.split()[1:] == ["scalar", "reference"]
    every = {name for mutant in MUTANTS.values() for name in mutant.noticed_by}
    assert failures(folder, tuple(sorted(every))) == []


@pytest.fixture
def planted(folder: Path, request: pytest.FixtureRequest) -> Iterator[Mutant]:
    """The mutant, in force during the test."""
    mutant = MUTANTS[request.param]
    path = folder / mutant.path
    sound = path.read_text(encoding="utf-8")
    assert sound.count(mutant.old) == 1, f"{mutant.old!r} stands {sound.count(mutant.old)} times in {mutant.path}"
    path.write_text(sound.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        compile_core(folder, SCALAR)
        link(folder)
        yield mutant
    finally:
        path.write_text(sound, encoding="utf-8")


@pytest.mark.parametrize("planted", MUTANTS, indirect=True)
def test_mutants_are_noticed(folder: Path, planted: Mutant) -> None:
    failed = failures(folder, planted.noticed_by)
    for name in planted.noticed_by:
        assert any(test.startswith(name) for test in failed), (name, failed)
