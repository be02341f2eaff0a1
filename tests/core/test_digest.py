"""Every backend returns the same bytes, on this machine and on emulated AArch64, and meets no subnormal numbers."""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest
from digests import build, check

CROSS = "aarch64-linux-gnu"


def test_native_backends_match_the_table(native: Path) -> None:
    check([str(native)], {"scalar"})


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="MXCSR belongs to x86")
def test_no_kernel_meets_subnormal_numbers(native: Path) -> None:
    """Every kernel, type, backend and kind of data leaves the flags of MXCSR alone (tests/core/flags.cpp)."""
    done = subprocess.run([native.parent / "gumbelfast_flags"], check=True, capture_output=True, text=True)
    *found, cases = done.stdout.splitlines()
    assert found == []
    assert int(cases.removeprefix("0 of ").removesuffix(" cases")) >= 25_000


@pytest.mark.skipif(
    not (shutil.which("cmake") and shutil.which(f"{CROSS}-g++") and shutil.which("qemu-aarch64")),
    reason=f"needs cmake, {CROSS}-g++ and qemu-aarch64",
)
def test_neon_matches_the_table(tmp_path: Path) -> None:
    program = build(
        tmp_path,
        "-DCMAKE_SYSTEM_NAME=Linux",
        "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
        f"-DCMAKE_CXX_COMPILER={CROSS}-g++",
    )
    check(["qemu-aarch64", "-L", f"/usr/{CROSS}", str(program)], {"neon", "scalar"})
