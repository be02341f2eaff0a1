"""Elementary functions over all float32 inputs, and many of float64: worst errors and digests of all backends.

`-m battery` takes every float32 input and 10**9 of float64, the other run one of 4097 and 10**5. docs/trust.md records
the worst errors.
"""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import mpmath as mp
import numpy as np
import pytest
from helpers import COMPILED
from probes import Map, build

CROSS = "aarch64-linux-gnu"


class Sweep(NamedTuple):
    """Inputs; a bound of the error in ulp, of which the worst comes within 0.001; digests of each size of a run.

    Ulp are those of the result, for minus-log those of max(1, |result|).
    """

    inputs: int
    bound: float
    digests: dict[int, str]


SWEEPS = {
    "float32": {
        "minus-log": Sweep(0x7E7FFFFF - 0x00800000 + 1, 0.805, {1: "f948aa46885524a5", 4097: "1d79878a2ed1f858"}),
        "exp": Sweep(0xFF800000 - 0x80000000 + 1, 1.009, {1: "adc78c40b6a7cb92", 4097: "54701fdbeeefa6f3"}),
        "log1p": Sweep(0x3F800000 + 1, 1.062, {1: "d585d78d1518fa9c", 4097: "5445d391c8c998a1"}),
        "word": Sweep(2**32, 1.642, {1: "e41fcc1d10e9fc0d", 4097: "7882176242cbfe4d"}),
        "word-fine": Sweep(2**32, 1.539, {1: "64d6d7bd43af5b49", 4097: "3b3d9f89720b54d8"}),
    },
    "float64": {
        "minus-log64": Sweep(2**64, 9.999, {10**9: "TBD1", 10**5: "449085aaaab87a56"}),
        "exp64": Sweep(2**64, 9.999, {10**9: "TBD2", 10**5: "872c62d00c0ce4be"}),
        "log1p64": Sweep(2**64, 9.999, {10**9: "TBD3", 10**5: "ed7d850cb84d971d"}),
        "word64": Sweep(2**64, 9.999, {10**9: "TBD4", 10**5: "77852cdb12c71dee"}),
        "word64-fine": Sweep(2**64, 9.999, {10**9: "TBD5", 10**5: "c1120aea6ca7d055"}),
    },
}
FEW = [("float32", 4097), ("float64", 10**5)]


def check(program: list[str], dtype: str, number: int, backends: list[str]) -> None:
    """`number`: of float32 inputs one in so many, of float64 how many."""
    done = subprocess.run([*program, dtype, str(number), *backends], capture_output=True, text=True, check=True)
    found = [line.split() for line in done.stdout.splitlines()]
    assert [row[:2] for row in found] == [[name, backend] for name in SWEEPS[dtype] for backend in backends]
    for name, backend, inputs, worst, argument, digest in found:
        sweep = SWEEPS[dtype][name]
        assert int(inputs) == (-(-sweep.inputs // number) if dtype == "float32" else number)
        assert float(worst) <= sweep.bound, (name, backend, argument)
        assert digest == sweep.digests[number], (name, backend)


MANY = [
    pytest.param(dtype, number, marks=pytest.mark.battery) for dtype, number in (("float32", 1), ("float64", 10**9))
]


@pytest.mark.parametrize(("dtype", "number"), [*FEW, *MANY])
def test_worst_errors_and_digests(sweep_program: Path, dtype: str, number: int) -> None:
    check([str(sweep_program)], dtype, number, COMPILED)


# What a map's exact value is of an input; the inputs where something changes: powers of two, borders of the table's
# cells, halves between multiples of log 2.
POWERS = np.ldexp(1.0, np.arange(-1022, 1022))
CELLS = (np.ldexp(1 + np.arange(16) / 16, e) for e in (-1022, -500, -54, -53, -5, -4, -2, -1, 0, 1, 53, 1021))
STEPS = np.arange(-1076, 1) / 2 * np.log(2)
HARD = {
    "minus-log64": (np.concatenate([POWERS, *CELLS]), (2.0**-1022, np.nextafter(2.0**1022, 0)), lambda x: -mp.log(x)),
    "exp64": (np.concatenate([-POWERS, STEPS, 2 * STEPS]), (-746.0, -0.0), mp.exp),
    "log1p64": (np.concatenate([POWERS, np.arange(33) / 32]), (0.0, 1.0), mp.log1p),
}


@pytest.mark.parametrize("name", HARD)
def test_hard_float64_inputs(apply: Map, name: str) -> None:
    """Each with the 16 numbers around it, against mpmath."""
    centers, (low, high), exact = HARD[name]
    bits = centers.view(np.int64)[:, None] + np.arange(-8, 9)
    x = bits.ravel().view(np.float64)
    x = np.unique(np.concatenate([x[(x >= low) & (x <= high)], [low, high]]))
    found = apply(name, np.resize(x, -(-x.size // 16) * 16), np.float64)[: x.size]
    least = 0 if name == "minus-log64" else -1022
    with mp.workprec(120):
        worst = max(_ulps(f, exact(mp.mpf(v)), least) for v, f in zip(x.tolist(), found.tolist(), strict=True))
    assert worst <= SWEEPS["float64"][name].bound


def _ulps(found: float, wanted: mp.mpf, least: int) -> float:
    exponent = max(int(mp.frexp(wanted)[1]) - 1, least) if wanted else least
    return float(mp.ldexp(abs(found - wanted), 52 - exponent))


@pytest.mark.skipif(
    not (shutil.which("cmake") and shutil.which(f"{CROSS}-g++") and shutil.which("qemu-aarch64")),
    reason=f"needs cmake, {CROSS}-g++ and qemu-aarch64",
)
def test_neon(tmp_path: Path) -> None:
    options = ["SYSTEM_NAME=Linux", "SYSTEM_PROCESSOR=aarch64", f"CXX_COMPILER={CROSS}-g++"]
    program = build(tmp_path, *(f"-DCMAKE_{option}" for option in options))
    for dtype, number in FEW:
        check(["qemu-aarch64", "-L", f"/usr/{CROSS}", str(program)], dtype, number, ["neon", "scalar"])
