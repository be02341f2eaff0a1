"""Eight threads and calls of random shape: every result right, memory bounded."""

import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, Array, Record, dtype_of, perturb, relax, work_of

import gumbelfast as gf

THREADS = 8
LARGEST = 200_000  # elements of a call
GROWTH = 2**26  # bytes; a result that every tenth call kept would be more within ten seconds


def check(pick: random.Random, pool: Array) -> str:
    """One call of random shape against what its own noise, or NumPy, says; returns the name of the function."""
    dtype, seed, threads = pick.choice(DTYPES), pick.randrange(2**32), pick.choice([1, 1, 2, 3, 7])
    columns = pick.choice([pick.randint(1, 40), pick.randint(1, 3000), pick.randint(1, LARGEST)])
    rows = pick.randint(1, max(1, min(200, LARGEST // columns)))
    start = pick.randrange(pool.size - rows * columns)
    x = pool[start : start + rows * columns].reshape(rows, columns).astype(dtype_of(dtype))
    given: dict[str, Any] = {"rng": seed, "num_threads": threads}
    noise = gf.gumbel(size=x.shape, dtype=work_of(dtype), rng=seed, num_threads=1)
    perturbed = perturb(x, noise)
    name = pick.choice(["categorical", "gumbel_top_k", "gumbel", "softmax", "gumbel_softmax", "Categorical"])
    if name == "categorical":
        assert np.array_equal(gf.categorical(x, **given), perturbed.argmax(axis=1))
    elif name == "gumbel_top_k":
        k = min(pick.randint(1, 20), columns)
        wanted = np.argsort(-perturbed, axis=1, kind="stable")[:, :k]
        assert np.array_equal(gf.gumbel_top_k(x, k, **given).indices, wanted)
    elif name == "gumbel":
        assert gf.gumbel(size=x.shape, dtype=work_of(dtype), **given).tobytes() == noise.tobytes()
    elif name == "softmax":
        e = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True).astype(np.float64))
        close(gf.softmax(x, num_threads=threads), e / e.sum(axis=1, keepdims=True))
    elif name == "gumbel_softmax":
        wide = relax(x, noise).astype(np.float64)
        e = np.exp(wide - wide.max(axis=1, keepdims=True))
        close(gf.gumbel_softmax(x, **given), e / e.sum(axis=1, keepdims=True))
    else:
        table = gf.Categorical(x[0])
        drawn = table.sample(100, rng=seed, method="alias")
        assert np.array_equal(drawn, gf.Categorical(x[0]).sample(200, rng=seed, method="alias")[:100])
    return name


def close(found: Array, wanted: Array) -> None:
    """Within 64 units of the dtype, or of its smallest normal number."""
    info = np.finfo(np.float32) if found.dtype.itemsize == 4 else np.finfo(np.float64)
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(found.dtype.name, float(info.eps))
    floor = 2.0**-24 if found.dtype.name == "float16" else float(np.finfo(np.float32).tiny)
    assert np.all(np.abs(found.astype(np.float64) - wanted) <= 64 * eps * wanted + 4 * floor)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    "seconds", [15, pytest.param(60, marks=pytest.mark.battery), pytest.param(3600, marks=pytest.mark.release)]
)
def test_load(seconds: float, record_property: Record) -> None:
    pool = np.random.default_rng(0).normal(size=LARGEST + 10**6) * 2
    begin = time.monotonic()
    done: list[str] = []
    raised: list[BaseException] = []

    def work(seed: int) -> None:
        pick = random.Random(seed)
        try:
            while time.monotonic() < begin + seconds and not raised:
                done.append(check(pick, pool))
        except BaseException as error:
            raised.append(error)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(THREADS)]
    for worker in workers:
        worker.start()
    # What the allocator holds for eight threads is there after a third of the time; from then on nothing may pile up.
    time.sleep(seconds / 3)
    early = resident()
    for worker in workers:
        worker.join()
    grown = resident() - early
    record_property("calls", len(done))
    record_property("MiB more after a third of the time", f"{grown / 2**20:+.1f}")
    if raised:
        raise raised[0]
    assert len(set(done)) == 6
    assert grown < GROWTH
