"""Sizes beyond what 32 bits count and what float32 counts exactly, and processors without AVX."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from digests import build, check
from helpers import KEY, assert_same_bytes

import gumbelfast as gf

pytestmark = pytest.mark.battery
BEYOND = 2**31 + 1


def test_more_elements_than_31_bits_count(tmp_path: Path) -> None:
    """4 GiB of float16 noise in a mapped file: its end, and both sides of element 2**31, are what `offset` names."""
    if shutil.disk_usage(tmp_path).free < 2**33:
        pytest.skip("needs 8 GiB of disk")
    path = tmp_path / "noise"
    noise = np.asarray(np.memmap(path, np.float16, "w+", shape=BEYOND))
    try:
        rng = gf.Generator(KEY)
        assert gf.gumbel(out=noise, rng=rng) is noise
        assert rng.offset == BEYOND
        for start in (0, 2**30 - 500, 2**31 - 1000):
            wanted = gf.gumbel(size=1001, dtype=np.float16, rng=gf.Generator(KEY), offset=start)
            assert_same_bytes(noise[start : start + 1001], wanted)
        # Twice the same value at places 2**31 apart would mean an index that wrapped.
        assert not np.array_equal(noise[:1000], noise[2**31 - 999 :][:1000])
    finally:
        del noise
        path.unlink()


def test_a_row_of_more_elements_than_31_bits_count(tmp_path: Path) -> None:
    """One row of 2**31 + 1 logits of which the last alone can be drawn: its index needs 32 bits."""
    if shutil.disk_usage(tmp_path).free < 2**33:
        pytest.skip("needs 8 GiB of disk")
    path = tmp_path / "logits"
    logits = np.memmap(path, np.float16, "w+", shape=BEYOND)
    try:
        logits[-1] = 60000
        assert gf.categorical(logits, rng=1) == BEYOND - 1
        assert gf.gumbel_top_k(logits, 2, rng=1).indices[0] == BEYOND - 1
    finally:
        del logits
        path.unlink()


def test_more_draws_than_31_bits_count_are_addressed() -> None:
    """Rows behind element 2**31 of a call's noise, without the 2**31 before them."""
    x = np.random.default_rng(0).normal(size=(3, 1000)).astype(np.float32)
    whole = gf.gumbel(size=x.shape, rng=gf.Generator(KEY), offset=BEYOND)
    found = gf.categorical(x, rng=gf.Generator(KEY), offset=BEYOND)
    assert np.array_equal(found, (x + whole).argmax(axis=1))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_more_categories_than_float32_counts(dtype: str) -> None:
    """Columns beside 2**24, which float32 cannot tell apart, are drawn as often as their weights say."""
    columns, likely = 2**24 + 3, np.array([0, 2**24 - 1, 2**24, 2**24 + 1, 2**24 + 2])
    x = np.full(columns, -30, dtype)
    x[likely] = 20
    drawn = np.array([gf.categorical(x, rng=seed) for seed in range(200)])
    counts = np.array([(drawn == column).sum() for column in likely])
    # The other categories weigh 2**24 * exp(-50) / 5 < 1e-15 together. A cell of 200 draws and p = 1/5 is empty with
    # probability 0.8**200 < 1e-19, and above 80 with less than 1e-9 (binomial).
    assert counts.sum() == 200
    assert counts.min() > 0
    assert counts.max() <= 80
    noise = gf.gumbel(size=columns, dtype=np.float64 if dtype == "float64" else np.float32, rng=3)
    noise += x
    assert gf.categorical(x, rng=3) == noise.argmax()


EMULATOR = shutil.which("qemu-x86_64")
SMOKE = """
import hashlib, sys
import numpy as np, gumbelfast as gf
x = (np.arange(3000) % 97 - 40.0).astype(np.float32).reshape(3, 1000) / 8
parts = [gf.gumbel(size=1000, rng=1), gf.gumbel(size=1000, rng=1, dtype=np.float64), gf.categorical(x, rng=2),
         gf.gumbel_top_k(x, 5, rng=3).indices, gf.softmax(x), gf.gumbel_softmax(x, rng=4)]
print(gf.backends()[0], hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
"""


emulated = pytest.mark.skipif(not EMULATOR or os.uname().machine != "x86_64", reason="needs x86-64 and qemu-x86_64")


@emulated
@pytest.mark.parametrize(("cpu", "backend"), [("Nehalem", "scalar"), ("Haswell", "avx2")])
def test_older_processors(cpu: str, backend: str) -> None:
    """Python and the library on an emulated processor: the best backend it can run, and the same bytes."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GUMBELFAST_")}
    # What NumPy's OpenBLAS finds out about an emulated processor makes it run instructions that are not there.
    variables |= {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "1"}
    here = subprocess.run([sys.executable, "-c", SMOKE], capture_output=True, text=True, check=True, env=variables)
    there = subprocess.run(
        [str(EMULATOR), "-cpu", cpu, sys.executable, "-c", SMOKE],
        capture_output=True, text=True, timeout=600, check=False, env=variables,
    )  # fmt: skip
    assert there.returncode == 0, there.stderr
    found = [line for line in there.stdout.splitlines() if line.startswith(backend)]
    assert found == [f"{backend} {here.stdout.split()[1]}"], there.stdout + there.stderr


@emulated
@pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("c++")), reason="needs cmake and a C++ compiler")
def test_digests_on_a_processor_that_numpy_has_given_up(tmp_path: Path) -> None:
    """Plain x86-64 of 2006, without Python: every kernel gives the committed bytes, and no other backend is offered."""
    program = [str(EMULATOR), "-cpu", "core2duo", str(build(tmp_path))]
    assert subprocess.run(program, check=True, capture_output=True, text=True).stdout == "scalar\n"
    check(program, {"scalar"})
