"""Every backend returns the same bytes, on this machine and on emulated AArch64."""

import shutil

import pytest
from digests import build, check

CROSS = "aarch64-linux-gnu"


@pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("c++")), reason="needs cmake and a C++ compiler")
def test_native_backends_match_the_table(tmp_path):
    check([str(build(tmp_path))], {"scalar"})


@pytest.mark.skipif(
    not (shutil.which("cmake") and shutil.which(f"{CROSS}-g++") and shutil.which("qemu-aarch64")),
    reason=f"needs cmake, {CROSS}-g++ and qemu-aarch64",
)
def test_neon_matches_the_table(tmp_path):
    program = build(
        tmp_path,
        "-DCMAKE_SYSTEM_NAME=Linux",
        "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
        f"-DCMAKE_CXX_COMPILER={CROSS}-g++",
    )
    check(["qemu-aarch64", "-L", f"/usr/{CROSS}", str(program)], {"neon", "scalar"})
