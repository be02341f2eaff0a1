"""Rules that the sources keep: no symbol that a linker may share between instruction sets, short files, true stubs."""

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import gumbelfast as gf
from gumbelfast import _core

ROOT = Path(__file__).parents[2]
COMPILER = os.environ.get("CXX", "c++")
# A pointer to the unwinder's routine: data, the same whatever flags it was compiled with.
ALLOWED = {"DW.ref.__gxx_personality_v0"}


def flags_of(backend: str) -> list[str]:
    """What CMakeLists.txt compiles a backend with."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    common = re.search(r"target_compile_options\(gumbelfast_core PRIVATE ([^)]*)\)", text)
    own = re.search(rf"gumbelfast_backend\({backend} ([^)]*)\)", text)
    assert common
    assert own
    return [*common[1].split(), *own[1].split()]


@pytest.mark.skipif(not (shutil.which(COMPILER) and shutil.which("nm")), reason="needs a C++ compiler and nm")
@pytest.mark.parametrize("backend", [name for name in ("avx512", "avx2") if name in gf.backends()])
def test_backends_share_no_code(backend: str, tmp_path: Path) -> None:
    # Inline functions in common with other files would be merged, and an old CPU might get the AVX-512 copy.
    source, made = ROOT / "csrc" / "backends" / f"{backend}.cpp", tmp_path / "backend.o"
    command = [COMPILER, "-std=c++20", "-O0", "-fPIC", *flags_of(backend), "-c", str(source), "-o", str(made)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listing = subprocess.run(["nm", "-C", str(made)], capture_output=True, text=True, check=True).stdout
    symbols = [line.split(maxsplit=1) for line in (row[17:] for row in listing.splitlines())]
    assert any(kind == "t" for kind, _ in symbols)
    shared = {name for kind, name in symbols if kind in "WwVvu"}
    assert shared <= ALLOWED
    # The table alone is seen from outside.
    outside = [name for kind, name in symbols if kind.isupper() and kind not in "UV"]
    assert len(outside) == 1, outside


SOURCES = [
    path
    for folder in ("csrc", "src", "gumbelfast", "tests", "bench", "examples")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".pyi", ".pyx", ".cpp", ".hpp"}
]


def test_files_are_short() -> None:
    assert len(SOURCES) > 40
    lines = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in SOURCES}
    assert not {name: count for name, count in lines.items() if count > 300}


def test_stub_names_what_the_module_has() -> None:
    tree = ast.parse((ROOT / "gumbelfast" / "_core.pyi").read_text(encoding="utf-8"))
    backend = next(node for node in tree.body if isinstance(node, ast.ClassDef))
    members = {node.name for node in backend.body if isinstance(node, ast.FunctionDef)}
    members |= {node.target.id for node in backend.body if isinstance(node, ast.AnnAssign)}
    assert members == {name for name in vars(_core.Backend) if not name.startswith("_")}
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} | {backend.name}
    assert functions == {name for name in vars(_core) if not name.startswith("_")}


def test_every_public_name_is_there_and_explained() -> None:
    assert list(gf.__all__) == sorted(gf.__all__)
    for name in gf.__all__:
        assert getattr(gf, name).__doc__, name
