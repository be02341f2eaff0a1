"""Elementary functions of float32 over all their inputs, on every compiled backend: worst errors and digests.

`-m battery` takes every input, the other runs one of 4097. docs/trust.md records the worst errors.
"""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers import COMPILED
from probes import build

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


def check(program: list[str], stride: int, backends: list[str]) -> None:
    done = subprocess.run([*program, str(stride), *backends], capture_output=True, text=True, check=True)
    found = [line.split() for line in done.stdout.splitlines()]
    assert [row[:2] for row in found] == [[name, backend] for name in SWEEPS for backend in backends]
    for name, backend, inputs, worst, argument, digest in found:
        sweep = SWEEPS[name]
        assert int(inputs) == -(-sweep.inputs // stride)
        assert float(worst) <= sweep.bound, (name, backend, argument)
        assert digest == sweep.digests[stride], (name, backend)


@pytest.mark.parametrize("stride", [4097, pytest.param(1, marks=pytest.mark.battery)])
def test_worst_errors_and_digests(sweep_program: Path, stride: int) -> None:
    check([str(sweep_program)], stride, COMPILED)


@pytest.mark.skipif(
    not (shutil.which("cmake") and shutil.which(f"{CROSS}-g++") and shutil.which("qemu-aarch64")),
    reason=f"needs cmake, {CROSS}-g++ and qemu-aarch64",
)
def test_neon(tmp_path: Path) -> None:
    options = ["SYSTEM_NAME=Linux", "SYSTEM_PROCESSOR=aarch64", f"CXX_COMPILER={CROSS}-g++"]
    program = build(tmp_path, *(f"-DCMAKE_{option}" for option in options))
    check(["qemu-aarch64", "-L", f"/usr/{CROSS}", str(program)], 4097, ["neon", "scalar"])
