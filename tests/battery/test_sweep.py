"""Elementary functions on every compiled backend, float32 over all inputs and float64 over 10**9: errors and digests.

`-m battery` takes all of the former, `-m release` all of the latter, the other runs one of 4097 and 10**6.
"""

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers import COMPILED, Record
from probes import ROOT, Map, build

CROSS = "aarch64-linux-gnu"


class Sweep(NamedTuple):
    """Inputs; a bound of the error in ulp, of which all inputs come within 0.001; digests of all and of the sampled.

    Ulp are those of the result, for minus-log those of max(1, |result|). Words that are short are float64's.
    """

    inputs: int
    bound: float
    digests: dict[int, str]


SWEEPS = {
    "minus-log": Sweep(0x7E7FFFFF - 0x00800000 + 1, 0.821, {1: "8db7ca2500da9b46", 4097: "b29f7d914c443ea6"}),
    "exp": Sweep(0xFF800000 - 0x80000000 + 1, 1.009, {1: "6018659ad383df40", 4097: "5fbd9d3d42962220"}),
    "log1p": Sweep(0x3F800000 + 1, 1.463, {1: "a414af3228ea0d01", 4097: "78af9cb69cfb0e33"}),
    "word": Sweep(2**32 - 2**17, 1.137, {1: "9560e662959ef962", 4097: "ae649fed65d3e459"}),
}


class Drawn(NamedTuple):
    """Hard cases (tests/core/inputs64.hpp); a bound in ulp, of which 10**9 drawn inputs come within 0.002; digests of
    both together, by the number drawn.
    """

    hard: int
    bound: float
    digests: dict[int, str]


# Ulp are those of the result; for minus-log64 and gumbel64 those of max(1, |result|).
DRAWN = {
    "minus-log64": Drawn(1148707, 1.049, {10**6: "f5f24a914d49b701", 10**9: "742bcec652e6c998"}),
    "exp64": Drawn(1173660, 1.007, {10**6: "4a1c5f14bbacd876", 10**9: "ac7d6c1229c666e4"}),
    "log1p64": Drawn(579892, 1.324, {10**6: "6a44529fef842e20", 10**9: "5acad92e994e05a1"}),
    "word64": Drawn(59878, 1.159, {10**6: "bbace865518f1072", 10**9: "d0ad8f8ffea48366"}),
    "gumbel64": Drawn(59878, 1.712, {10**6: "b25bd7fc53c7ada4", 10**9: "f13d464db118d089"}),
    "exponential64": Drawn(59878, 1.684, {10**6: "6033dc50a0a72f15", 10**9: "a1ef3c46bba17573"}),
}
# Where the error is largest: bits and ulp.
WORST = {
    "minus-log64": (0x3FC7FC7046CE94E2, 1.0483),
    "exp64": (0xC073C6145875069C, 1.0059),
    "log1p64": (0x3FE239C20119F351, 1.3232),
    "word64": (0xE16D51B1D178A5B4, 1.1582),
    "gumbel64": (0x941F4A73DE088D1D, 1.7109),
    "exponential64": (0x93FFFFFFFFFFFFFC, 1.6831),
}
X87 = np.finfo(np.longdouble).nmant == 63  # without it the program measures no errors of float64


def check(program: list[str], stride: int, backends: list[str], record: Record) -> None:
    done = subprocess.run([*program, str(stride), *backends], capture_output=True, text=True, check=True)
    found = [line.split() for line in done.stdout.splitlines()]
    assert [row[:2] for row in found] == [[name, backend] for name in SWEEPS for backend in backends]
    for name, backend, inputs, worst, argument, digest in found:
        record(f"{name} {backend}", f"{worst} ulp at {argument}, {inputs} inputs")
        sweep = SWEEPS[name]
        assert int(inputs) == -(-sweep.inputs // stride)
        assert float(worst) <= sweep.bound, (name, backend, argument)
        assert digest == sweep.digests[stride], (name, backend)


@pytest.mark.parametrize("stride", [4097, pytest.param(1, marks=pytest.mark.battery)])
def test_worst_errors_and_digests(sweep_program: Path, stride: int, record_property: Record) -> None:
    check([str(sweep_program)], stride, COMPILED, record_property)


def check_drawn(program: list[str], name: str, count: int, backends: list[str], record: Record | None) -> None:
    """Of a program that measures no errors there is nothing to record."""
    done = subprocess.run([*program, "drawn", name, str(count), *backends], capture_output=True, text=True, check=True)
    found = [line.split() for line in done.stdout.splitlines()]
    assert [row[:2] for row in found] == [[name, backend] for backend in backends]
    function = DRAWN[name]
    for _, backend, inputs, worst, argument, digest in found:
        assert int(inputs) == function.hard + count
        assert digest == function.digests[count], backend
        assert (float(worst) > 0) == (record is not None)
        if record:
            record(f"{name} {backend}", f"{worst} ulp at {argument}, {inputs} inputs")
        assert float(worst) <= function.bound, (backend, argument)


@pytest.mark.parametrize("count", [10**6, pytest.param(10**9, marks=pytest.mark.release)])
@pytest.mark.parametrize("name", DRAWN)
def test_float64(sweep_program: Path, name: str, count: int, record_property: Record) -> None:
    check_drawn([str(sweep_program)], name, count, COMPILED, record_property if X87 else None)


def exact(mp: Any, name: str, pattern: int) -> Any:
    """What the function of that name should make of a bit pattern, to 200 bits."""
    if name in ("minus-log64", "exp64", "log1p64"):
        x = mp.mpf(struct.unpack("<d", struct.pack("<Q", pattern))[0])
        return {"minus-log64": -mp.log(x), "exp64": mp.exp(x), "log1p64": mp.log1p(x)}[name]
    zeros = 64 - pattern.bit_length()
    digits = (pattern << zeros << 1) % 2**64 >> 12
    x = zeros * mp.log(2) - mp.log(1 - (digits + mp.mpf(0.5)) / 2**53)
    if name == "word64":
        return x
    head = (pattern << 32 | pattern >> 32) % 2**64
    # Of V and 1 - V the law takes the smaller, rounded to float64.
    if head >> 63:
        x -= mp.log(mp.mpf(float(2**59 - 1 - (head >> 5)) + 0.5) / 2**59) / 32
    else:
        x -= mp.log1p(-mp.mpf(float((head >> 5) + 1) - 0.5) / 2**59) / 32
    return -mp.log(x) if name == "gumbel64" else x


@pytest.mark.parametrize("name", WORST)
def test_worst_arguments(apply: Map, name: str) -> None:
    mp = pytest.importorskip("mpmath").mp
    pattern, recorded = WORST[name]
    found = float(apply(name, np.array([pattern], np.uint64), "float64")[0])
    with mp.workprec(200):
        wanted = exact(mp, name, pattern)
        least = mp.mpf(1) if name in ("minus-log64", "gumbel64") else mp.mpf(0)
        error = abs(found - wanted) / np.spacing(float(max(least, abs(wanted))))
    assert abs(error - recorded) < 0.001


# Coefficients of a cube wrong by 2**-40 of themselves, and 2 ulp added to one result of 10**6.
EXP = "[](F64 x) { return exp_nonpositive(x); });"
WRONG = """
  const auto* pattern = static_cast<const uint64_t*>(in);
  for (int64_t i = 0; i < count; ++i)
    if (pattern[i] % 1000003 == 0) static_cast<uint64_t*>(out)[i] += 2;"""
FAULTS = [
    ("csrc/kernels/coefficients.hpp", "0x1.5555555560ebep-2", "0x1.5555555561ebep-2"),
    ("csrc/kernels/coefficients.hpp", "0x1.5555555555695p-2", "0x1.5555555556695p-2"),
    ("tests/core/probe.cpp", EXP, EXP + WRONG),
]


@pytest.fixture(scope="module")
def faulty_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faulty")
    for name in ("csrc", "tests/core"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "CMakeLists.txt", folder)
    for name, sound, wrong in FAULTS:
        text = (folder / name).read_text(encoding="utf-8")
        assert text.count(sound) == 1, (name, sound)
        (folder / name).write_text(text.replace(sound, wrong), encoding="utf-8")
    return build(folder / "build", source=folder)


@pytest.mark.parametrize("name", DRAWN)
def test_faults_are_seen(faulty_program: Path, name: str) -> None:
    command = [str(faulty_program), "drawn", name, str(10**6), "scalar"]
    row = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert row[5] != DRAWN[name].digests[10**6]
    assert float(row[3]) > DRAWN[name].bound or not X87


@pytest.mark.skipif(
    not (shutil.which("cmake") and shutil.which(f"{CROSS}-g++") and shutil.which("qemu-aarch64")),
    reason=f"needs cmake, {CROSS}-g++ and qemu-aarch64",
)
def test_neon(tmp_path: Path, record_property: Record) -> None:
    options = ["SYSTEM_NAME=Linux", "SYSTEM_PROCESSOR=aarch64", f"CXX_COMPILER={CROSS}-g++"]
    program = build(tmp_path, *(f"-DCMAKE_{option}" for option in options))
    command = ["qemu-aarch64", "-L", f"/usr/{CROSS}", str(program)]
    check(command, 4097, ["neon", "scalar"], record_property)
    for name in DRAWN:
        check_drawn(command, name, 10**6, ["neon"], None)
