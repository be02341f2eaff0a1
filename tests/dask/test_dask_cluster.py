"""On a real cluster of processes: the same draws as at hand, whoever computes them, and if a worker dies."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
from dask_cases import chunks_of
from helpers import COMPILED, assert_same_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

import gumbelfast as gf
import gumbelfast.dask as gfd

distributed = pytest.importorskip("distributed")

X = np.random.default_rng(0).normal(size=(6, 500)).astype(np.float32)


BACKENDS = COMPILED[0], COMPILED[-1]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Two workers in processes of their own, one for each of two backends, gone at the end."""
    workers = {
        name: {"cls": distributed.Nanny, "options": {"nthreads": 1, "dashboard": False, "memory_limit": 0, "env": env}}
        for name, env in ((i, {"GUMBELFAST_BACKEND": backend}) for i, backend in enumerate(BACKENDS))
    }
    scheduler = {
        "cls": distributed.Scheduler,
        "options": {"dashboard": False, "dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"},
    }
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "60s"}),
        distributed.SpecCluster(workers=workers, scheduler=scheduler, silence_logs=50) as cluster,
        distributed.Client(cluster, set_as_default=False, timeout=60) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        yield client


def everything(x: da.Array) -> list[Any]:
    """Draws of every kind."""
    top, sample = gfd.gumbel_top_k(x, 5, rng=1), gfd.weighted_sample(da.exp(x), 5, rng=2, axis=0)
    return [
        gfd.categorical(x, seeds=np.arange(6), positions=3, temperature=0.7),
        *top,
        *sample,
        gfd.gumbel_softmax(x, hard=True, rng=4),
        gfd.gumbel(size=x.shape, chunks=x.chunks, rng=5),
    ]


def at_hand() -> list[Any]:
    return [
        gf.categorical(X, seeds=np.arange(6), positions=3, temperature=0.7),
        *gf.gumbel_top_k(X, 5, rng=1),
        *gf.weighted_sample(np.exp(X), 5, rng=2, axis=0),
        gf.gumbel_softmax(X, hard=True, rng=4),
        gf.gumbel(size=X.shape, rng=5),
    ]


def assert_all_same(found: Any, wanted: Any) -> None:
    for mine, theirs in zip(found, wanted, strict=True):
        assert_same_bytes(mine, theirs)


@settings(max_examples=8)
@given(data=st.data())
def test_chunks_change_nothing(client: Any, data: Any) -> None:
    x = da.from_array(X, chunks=data.draw(chunks_of(X.shape)))
    assert_all_same(client.gather(client.compute(everything(x))), at_hand())


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_schedulers_agree(scheduler: str) -> None:
    x = da.from_array(X, chunks=(4, 123))
    assert_all_same(dask.compute(*everything(x), scheduler=scheduler), at_hand())


def dying(block: Any, block_id: Any, flag: str) -> Any:
    """The block; but whoever gets one of the last ones first is killed on the spot."""
    if block_id == (1, 3) and not Path(flag).exists():
        Path(flag).touch()
        os._exit(1)
    return block


def test_a_worker_that_is_killed_changes_nothing(client: Any, tmp_path: Path) -> None:
    flag = tmp_path / "was killed"
    pids = set(client.run(os.getpid).values())
    x = da.from_array(X, chunks=(4, 123))
    fragile = x.map_blocks(dying, flag=str(flag), dtype=x.dtype, meta=x._meta)
    assert_all_same(client.gather(client.compute(everything(fragile))), at_hand())
    assert flag.exists()
    client.wait_for_workers(2, timeout=60)
    assert set(client.run(os.getpid).values()) != pids


def test_workers_with_different_backends_agree(client: Any) -> None:
    backends = client.run(gf.backend)
    assert sorted(backends.values()) == sorted(BACKENDS)
    x = da.from_array(X, chunks=(2, 61))
    for worker in backends:
        assert_all_same(client.gather(client.compute(everything(x), workers=[worker])), at_hand())
        client.restart_workers([worker], timeout=60)  # or it would know the results
    assert_all_same(client.gather(client.compute(everything(x))), at_hand())


def test_frames_on_a_cluster(client: Any) -> None:
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame({"w": np.exp(X[0]), "n": np.arange(500)})
    with client.as_current(), dask.config.set(scheduler=client):
        found = gfd.sample_rows(dd.from_pandas(frame, npartitions=7), 20, weights="w", rng=3).compute()
    assert found["n"].tolist() == gf.weighted_sample(frame["w"].to_numpy(np.float64), 20, rng=3).indices.tolist()


def test_a_file_is_opened_by_the_workers(client: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    x = gfd.from_memmap(np.load(tmp_path / "x.npy", mmap_mode="r"), chunks=(4, 100))
    assert_all_same(client.gather(client.compute(everything(x))), at_hand())
