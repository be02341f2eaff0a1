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

    Ulp are those of the result, for minus-log those of max(1, |result|).
    """

    inputs: int
    bound: float
    digests: dict[int, str]


SWEEPS = {
    "minus-log": Sweep(0x7E7FFFFF - 0x00800000 + 1, 0.805, {1: "f948aa46885524a5", 4097: "1d79878a2ed1f858"}),
    "exp": Sweep(0xFF800000 - 0x80000000 + 1, 1.009, {1: "adc78c40b6a7cb92", 4097: "54701fdbeeefa6f3"}),
    "log1p": Sweep(0x3F800000 + 1, 1.062, {1: "d585d78d1518fa9c", 4097: "5445d391c8c998a1"}),
    "word": Sweep(2**32, 1.642, {1: "e41fcc1d10e9fc0d", 4097: "7882176242cbfe4d"}),
    "word-fine": Sweep(2**32, 1.539, {1: "64d6d7bd43af5b49", 4097: "3b3d9f89720b54d8"}),
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
    "minus-log64": Drawn(1148707, 1.081, {10**6: "34faf33739800e15", 10**9: "4d00193f62ad935e"}),
    "exp64": Drawn(1173660, 1.049, {10**6: "3de9c7295f8e859f", 10**9: "5f2da3bfda0d58f1"}),
    "log1p64": Drawn(579892, 1.348, {10**6: "1031c8e0ac520237", 10**9: "5cab5105354050f1"}),
    "word64": Drawn(59878, 1.669, {10**6: "096fb90945d8da8e", 10**9: "4f2044f32973415b"}),
    "word64-fine": Drawn(59878, 1.698, {10**6: "6528ee0fa41dbc62", 10**9: "4b5fcc9e1f521406"}),
    "gumbel64": Drawn(59878, 1.943, {10**6: "50f14f0cd6595d74", 10**9: "75e823d60459691f"}),
    "exponential64": Drawn(59878, 1.983, {10**6: "b0a6d9344f020b4b", 10**9: "0293e9309cb9af0a"}),
}
# Where the error is largest, of gumbel64 and exponential64 found by a search near such places: bits and ulp.
WORST = {
    "minus-log64": (0x401324D416038C38, 1.0798),
    "exp64": (0xC011FC1A4B9F20EF, 1.0476),
    "log1p64": (0x3FAA4522AAEB0D3A, 1.3472),
    "word64": (0xF7E3870DABA21FC1, 1.6682),
    "word64-fine": (0xF7E81ECCC6AB25C0, 1.6969),
    "gumbel64": (0xEFFE80C2E580537F, 2.0021),
    "exponential64": (0xF7F942EF9D1D4142, 2.1533),
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
    x = -mp.log((pattern + mp.mpf(0.5)) / 2**64)
    if name.startswith("word"):
        return x
    head = (pattern << 32 | pattern >> 32) % 2**64
    x -= mp.log(1 - ((head >> 5) + mp.mpf(0.5)) / 2**59) / 32
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


# Coefficients of r**2 wrong by 2**-40 of themselves, and 2 ulp added to one result of 10**6.
EXP = "[](F64 x) { return exp_nonpositive(x); });"
WRONG = """
  const auto* pattern = static_cast<const uint64_t*>(in);
  for (int64_t i = 0; i < count; ++i)
    if (pattern[i] % 1000003 == 0) static_cast<uint64_t*>(out)[i] += 2;"""
FAULTS = [
    ("csrc/kernels/tables.hpp", "-0x1.fffffffffffb6p-2", "-0x1.fffffffffdfb6p-2"),
    ("csrc/kernels/tables.hpp", "-0x1.0000000000000p-1,", "-0x1.0000000001000p-1,"),
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
