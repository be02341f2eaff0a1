"""Rules that the sources keep: no symbol shared between instruction sets, true stubs, one home for each name."""

import ast
import inspect
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


def test_no_merge_is_left_half_done() -> None:
    """Of Markdown no tool would complain."""
    marks = re.compile(r"^(<{7} |>{7} )", re.MULTILINE)
    texts = {".c", ".cpp", ".def", ".hpp", ".md", ".py", ".pyi", ".pyx", ".rst", ".toml"}
    folders = ("bench", "csrc", "docs", "examples", "gumbelfast", "src", "tests", "tools")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*")] + list(ROOT.glob("*"))
    found = [path for path in paths if path.suffix in texts and path.is_file()]
    assert len(found) > 300
    assert [path for path in found if marks.search(path.read_text(encoding="utf-8"))] == []


def test_stub_names_what_the_module_has() -> None:
    tree = ast.parse((ROOT / "gumbelfast" / "_core.pyi").read_text(encoding="utf-8"))
    backend = next(node for node in tree.body if isinstance(node, ast.ClassDef))
    members = {node.name for node in backend.body if isinstance(node, ast.FunctionDef)}
    members |= {node.target.id for node in backend.body if isinstance(node, ast.AnnAssign)}
    assert members == {name for name in vars(_core.Backend) if not name.startswith("_")}
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} | {backend.name}
    assert functions == {name for name in vars(_core) if not name.startswith("_")}


def test_public_names_have_one_home() -> None:
    assert {name for name in dir(gf) if not name.startswith("__")} == set(gf.__all__)
    modules = {path.stem for path in (ROOT / "gumbelfast").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert not [name for name in modules & set(gf.__all__) if not inspect.ismodule(getattr(gf, name))]
    homes = [gf.distributions, gf.estimators, gf.sequences, gf.serving, gf.shards, gf.streams, gf.structures]
    for home in homes:
        assert not set(home.__all__) & set(gf.__all__)


def test_methods_say_what_they_take() -> None:
    for name in ("categorical", "gumbel_top_k", "sample_tokens", "conditional_gumbel", "gumbel_softmax"):
        own, function = inspect.signature(getattr(gf.Generator, name)), inspect.signature(getattr(gf, name))
        assert list(own.parameters)[1:] == [parameter for parameter in function.parameters if parameter != "rng"]


def test_every_public_name_is_there_and_explained() -> None:
    assert list(gf.__all__) == sorted(gf.__all__)
    for name in gf.__all__:
        assert getattr(gf, name).__doc__, name
