"""Elementary functions of float32 over all their inputs, on every compiled backend: worst errors and digests.

`-m battery` takes every input, the other runs one of 4097. docs/trust.md records the worst errors.
"""

import subprocess
from pathlib import Path

import pytest
from helpers import COMPILED

# Inputs, and a bound of the error in ulp: of the result, for minus-log of max(1, |result|). All inputs together come
# within 0.001 of each.
MAPS = {
    "minus-log": (0x7E7FFFFF - 0x00800000 + 1, 0.805),
    "exp": (0xFF800000 - 0x80000000 + 1, 1.009),
    "log1p": (0x3F800000 + 1, 1.062),
    "word": (2**32, 1.642),
    "word-fine": (2**32, 1.539),
}


@pytest.mark.parametrize("stride", [4097, pytest.param(1, marks=pytest.mark.battery)])
def test_worst_errors_and_equal_results(sweep_program: Path, stride: int) -> None:
    command = [str(sweep_program), str(stride), *COMPILED]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [line.split() for line in lines]
    assert [row[:2] for row in found] == [[name, backend] for name in MAPS for backend in COMPILED]
    digests: dict[str, set[str]] = {name: set() for name in MAPS}
    for name, backend, inputs, worst, argument, digest in found:
        every, bound = MAPS[name]
        assert int(inputs) == -(-every // stride)
        assert float(worst) <= bound, (name, backend, argument)
        digests[name].add(digest)
    assert all(len(seen) == 1 for seen in digests.values()), digests
