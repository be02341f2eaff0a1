"""Every backend returns the same bytes, on this machine and on emulated AArch64: SHA-256 per kernel, committed.

`python tests/test_digest.py` prints the table anew; a change to it is a new version of the stream law.
"""

import hashlib
import json
import platform
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).parent / "digests.json"
CROSS = "aarch64-linux-gnu"


def build(folder: Path, *options: str) -> Path:
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    configure = ["cmake", "-S", str(ROOT), "-B", str(folder), *generator, "-DGUMBELFAST_DIGEST=ON", *options]
    for command in (configure, ["cmake", "--build", str(folder), "--parallel", "2"]):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "gumbelfast_digest"


def digests(output: bytes) -> dict[str, str]:
    found = {}
    while output:
        head, _, output = output.partition(b"\n")
        name, size = head.split()
        found[name.decode()] = hashlib.sha256(output[: int(size)]).hexdigest()
        output = output[int(size) :]
    return found


def run(program: list[str], backend: str, threads: int) -> dict[str, str]:
    return digests(subprocess.run([*program, backend, str(threads)], check=True, stdout=subprocess.PIPE).stdout)


def check(program: list[str], expected_backends: set[str]) -> None:
    wanted = json.loads(TABLE.read_text())
    names = subprocess.run(program, check=True, capture_output=True, text=True).stdout.split()
    assert expected_backends <= set(names)
    for backend, threads in product(names, (1, 4)):
        found = run(program, backend, threads)
        assert found.keys() == wanted.keys()
        different = [name for name in wanted if found[name] != wanted[name]]
        assert not different, f"{backend} on {threads} threads differs in {different}"


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    if not (shutil.which("cmake") and shutil.which("c++")):
        pytest.skip("needs cmake and a C++ compiler")
    return build(tmp_path_factory.mktemp("native"))


def test_native_backends_match_the_table(native):
    check([str(native)], {"scalar"})


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="MXCSR belongs to x86")
def test_no_kernel_meets_subnormal_numbers(native):
    """Every kernel, type, backend and kind of data leaves the flags of MXCSR alone (tests/core/flags.cpp)."""
    done = subprocess.run([native.parent / "gumbelfast_flags"], check=True, capture_output=True, text=True)
    *found, cases = done.stdout.splitlines()
    assert found == []
    assert int(cases.removeprefix("0 of ").removesuffix(" cases")) >= 25_000


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


if __name__ == "__main__":
    print(json.dumps(run([str(build(Path(sys.argv[1])))], "scalar", 1), indent=1, sort_keys=True))
