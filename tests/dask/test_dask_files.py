"""What does not fit in memory: files that are mapped, and stores of chunks."""

import sys
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from dask.diagnostics import ProgressBar
from helpers import assert_same_bytes, run_python

import gumbelfast as gf
import gumbelfast.dask as gfd

X = np.random.default_rng(0).normal(size=(5, 700)).astype(np.float32)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_file_of_numbers(tmp_path: Path, order: Any) -> None:
    path = tmp_path / "x.bin"
    mapped = np.memmap(path, ">f4", "w+", offset=12, shape=X.shape, order=order)
    mapped[...] = X
    mapped.flush()
    lazy = gfd.from_memmap(mapped, chunks=(2, 300))
    assert (lazy.shape, lazy.dtype, lazy.chunks) == (X.shape, np.dtype(">f4"), ((2, 2, 1), (300, 300, 100)))
    assert np.array_equal(lazy.compute(), X)
    for x in (lazy, mapped):
        assert np.array_equal(gfd.categorical(x, rng=1).compute(), gf.categorical(X, rng=1))
    name = lazy.name
    mapped[0, 0] = 7
    mapped.flush()
    assert gfd.from_memmap(mapped, chunks=(2, 300)).name != name or sys.platform == "win32"


def test_one_file_in_chunks_of_two_kinds(tmp_path: Path) -> None:
    """Both may be in one graph."""
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    wide, long = gfd.from_memmap(mapped, chunks=(1, 700)), gfd.from_memmap(mapped, chunks=(5, 100))
    assert np.array_equal((wide + long).compute(), X + X)
    assert gfd.from_memmap(mapped, chunks=(1, 700)).name == wide.name


def test_no_number_is_in_the_graph(tmp_path: Path) -> None:
    pickle = pytest.importorskip("cloudpickle")
    np.save(tmp_path / "x.npy", np.zeros((1000, 1000), np.float32))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert len(pickle.dumps(gfd.categorical(gfd.from_memmap(x, chunks=(500, 500)), rng=1))) < 100_000


def test_parts_of_maps_are_no_files(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    with pytest.raises(TypeError, match="got a part of one: slice the dask array instead"):
        gfd.from_memmap(mapped[1:])
    with pytest.raises(TypeError, match=r"expected a numpy\.memmap, got ndarray"):
        gfd.from_memmap(X)
    # As an array at hand such a part is as good as any.
    assert np.array_equal(gfd.categorical(mapped[1:], rng=1).compute(), gf.categorical(X[1:], rng=1))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are Linux's")
def test_a_file_larger_than_the_memory_allowed(tmp_path: Path) -> None:
    """With 96 MB more than it has at the start, a process draws from 256 MB."""
    code = f"""
import resource, threading, numpy as np, dask, dask.array, gumbelfast as gf, gumbelfast.dask as gfd
shape = 4, 1 << 24
x = np.memmap({str(tmp_path / "x")!r}, np.float32, "w+", shape=shape)
x[2, 12345678] = 100
x[:, 777] = 50
x.flush()
del x
x = np.memmap({str(tmp_path / "x")!r}, np.float32, "r", shape=shape)
draw = lambda: gfd.categorical(gfd.from_memmap(x, chunks=(2, 1 << 20)), rng=3).compute(scheduler="sync")
gfd.categorical(dask.array.zeros(100, chunks=9), rng=3).compute(scheduler="sync")
data = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, ((data + 96 * 1024) * 1024,) * 2)
print(draw().tolist())
try:
    np.array(x)
except MemoryError:
    print("too large")
"""
    done = run_python(code, OPENBLAS_NUM_THREADS="1", GUMBELFAST_NUM_THREADS="1")
    assert done.stdout.split("\n")[:2] == ["[777, 777, 12345678, 777]", "too large"], done.stderr


def test_zarr(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    store = zarr.create_array(str(tmp_path / "x.zarr"), shape=X.shape, chunks=(3, 256), dtype="f4")
    store[...] = X
    x = da.from_zarr(store)
    assert x.chunks == ((3, 2), (256, 256, 188))
    assert_same_bytes(gfd.categorical(x, rng=1).compute(scheduler="threads"), gf.categorical(X, rng=1))
    assert_same_bytes(gfd.gumbel_top_k(x, 3, rng=1).indices.compute(), gf.gumbel_top_k(X, 3, rng=1).indices)


def test_progress_is_shown_where_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar(dt=0.01):
        gfd.categorical(da.from_array(X, chunks=(2, 100)), rng=1).compute()
    assert "100% Completed" in capsys.readouterr().out
    gfd.categorical(da.from_array(X, chunks=(2, 100)), rng=1).compute()
    assert capsys.readouterr().out == ""
