"""Errors that bring subnormal numbers into kernels, all planted in one copy: tests/core/flags.cpp must notice each."""

import shutil
from pathlib import Path

import pytest
from test_mutants import CXX, FLAGS, ROOT, SCALAR, run

pytestmark = [pytest.mark.battery, pytest.mark.skipif(not CXX, reason="needs a C++ compiler")]

SOFTMAX = "csrc/kernels/softmax.hpp"
BACKWARD = "csrc/kernels/softmax_backward.hpp"
PANELS = "csrc/kernels/softmax_panels.hpp"

# The file, what stands there once, what comes in its place, and the beginning of a case that shows it.
FAULTS = {
    "probabilities that underflow": (
        SOFTMAX,
        "!norm.plain) ? divide(Fixed<true>())",
        "!norm.plain) ? divide(Fixed<false>())",
        "scalar softmax/f32 1000 times 40: underflow",
    ),
    "the same of short rows": (
        PANELS,
        "if (small || simd::any(normal > least)) [[unlikely]] {",
        "if (false) {",
        "scalar softmax/f32 16 times 40: underflow",
    ),
    "tiny probabilities as they are": (
        BACKWARD,
        "return simd::any(is_low(row.y(at))) && (some_tiny = has_tiny(row.y(at)));",
        "return false;",
        "scalar softmax_backward/f32 1000 times 40: denormal",
    ),
    "squares of what is close to zero": (
        PANELS,
        "return simd::any(is_near_zero(load(most) * load(factor)));",
        "return false;",
        "scalar logsumexp/f32 16 times 1e-20: denormal underflow",
    ),
    "lanes that nobody has written": (
        "csrc/kernels/noise.hpp",
        "load_block(noise + j, n, loc) * scale",
        "load(noise + j) * scale",
        "scalar gumbel/f32 1 plain: denormal",
    ),
}


def test_faults_are_noticed(tmp_path: Path) -> None:
    for name in ("csrc", "tests/core"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "csrc/dispatch.cpp").write_text(
        '#include "dispatch.hpp"\nnamespace gumbelfast {\nextern const Backend scalar_backend;\n'
        "std::vector<const Backend*> usable_backends() { return {&scalar_backend}; }\n}\n"
    )
    for path, sound, wrong, _ in FAULTS.values():
        text = (tmp_path / path).read_text(encoding="utf-8")
        assert text.count(sound) == 1, (path, sound)
        (tmp_path / path).write_text(text.replace(sound, wrong), encoding="utf-8")
    sources = ["csrc/dispatch.cpp", "csrc/select.cpp", f"csrc/{SCALAR}.cpp", "tests/core/flags.cpp"]
    run(tmp_path, CXX, *FLAGS, *sources, "-o", "flags")
    run(tmp_path, "sh", "-c", "./flags > found")
    found = (tmp_path / "found").read_text().splitlines()
    for name, (_, _, _, case) in FAULTS.items():
        assert any(line.startswith(case) for line in found), name
