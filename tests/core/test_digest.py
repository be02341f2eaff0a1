"""Every backend returns the same bytes, on this machine and on emulated AArch64, and meets no subnormal numbers."""

import json
import platform
import shutil
import subprocess
from pathlib import Path

import pytest
from digests import TABLE, build, check, run

CROSS = "aarch64-linux-gnu"
WINDOWS = "x86_64-w64-mingw32-g++-posix"  # the one whose C++ has threads


def test_native_backends_match_the_table(native: Path) -> None:
    check([str(native)], {"scalar"})


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="MXCSR belongs to x86")
def test_no_kernel_meets_subnormal_numbers(native: Path) -> None:
    """Every kernel, type, backend and kind of data leaves the flags of MXCSR alone (tests/core/flags.cpp)."""
    done = subprocess.run([native.parent / "gumbelfast_flags"], check=True, capture_output=True, text=True)
    *found, cases = done.stdout.splitlines()
    assert found == []
    assert int(cases.removeprefix("0 of ").removesuffix(" cases")) >= 25_000


# Emulated it is slow anyway, and -O1 halves the compiler's time; the battery has what users get.
@pytest.mark.parametrize("level", ["-O1", pytest.param("-O3", marks=pytest.mark.battery)])
@pytest.mark.timeout(1500)  # the cross-compiler alone takes minutes
@pytest.mark.skipif(
    not (shutil.which("cmake") and shutil.which(f"{CROSS}-g++") and shutil.which("qemu-aarch64")),
    reason=f"needs cmake, {CROSS}-g++ and qemu-aarch64",
)
def test_neon_matches_the_table(tmp_path: Path, level: str) -> None:
    program = build(
        tmp_path,
        "-DCMAKE_SYSTEM_NAME=Linux",
        "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
        f"-DCMAKE_CXX_COMPILER={CROSS}-g++",
        f"-DCMAKE_CXX_FLAGS_RELEASE={level} -DNDEBUG",
    )
    check(["qemu-aarch64", "-L", f"/usr/{CROSS}", str(program)], {"neon", "scalar"})


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    if not (shutil.which("cmake") and shutil.which(WINDOWS) and shutil.which("wine")):
        pytest.skip(f"needs cmake, {WINDOWS} and wine")
    program = build(
        tmp_path_factory.mktemp("windows"),
        "-DCMAKE_SYSTEM_NAME=Windows",
        "-DCMAKE_SYSTEM_PROCESSOR=x86_64",
        f"-DCMAKE_CXX_COMPILER={WINDOWS}",
        "-DCMAKE_EXE_LINKER_FLAGS=-static",
    )
    return ["wine", f"{program}.exe"]


FMA = pytest.mark.xfail(strict=True, reason="fma of MinGW-w64's C library rounds twice")


@pytest.mark.battery
@pytest.mark.parametrize("backend", ["avx512", "avx2", pytest.param("scalar", marks=FMA)])
def test_windows_matches_the_table(windows: list[str], backend: str) -> None:
    """By MinGW-w64, under wine."""
    names = subprocess.run(windows, check=True, capture_output=True, text=True).stdout.split()
    if backend not in names:
        pytest.skip(f"this machine has no {backend}")
    assert run(windows, backend, 4) == json.loads(TABLE.read_text())
