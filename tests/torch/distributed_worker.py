"""One of the processes that share a vocabulary: what it draws in groups of every size, left in a file.

python distributed_worker.py RANK PROCESSES FOLDER
"""

import datetime
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

import gumbelfast as gf
from gumbelfast.torch import distributed as gtd

ROWS, COLUMNS = 6, 700
# Columns where shards begin and end, by the number of processes; a shard may be empty, or in any order of ranks.
EDGES = {1: [(0, 700)], 2: [(301, 700), (0, 301)], 3: [(0, 33), (33, 33), (33, 700)]}


def whole(name: str) -> Any:
    """Logits of all columns, the same in every process."""
    x = np.random.default_rng(5).normal(size=(ROWS, COLUMNS)) * 3
    if name == "ties":
        x = np.rint(x)
    if name == "nan":
        x[4, 600] = np.nan
        x[2, 650] = np.nan
        x[0, 10] = np.inf
    if name == "inf":
        x[3, 20] = np.inf
    if name == "empty":
        x[5] = -np.inf
    if name == "few":
        x[1, 3:] = -np.inf
    return x.astype(np.float64 if name == "float64" else np.float32)


def mask() -> Any:
    return np.random.default_rng(6).random((ROWS, COLUMNS)) < 0.3


PER_ROW = {"temperature": [0.5, 1, 0, 2, 1, 3], "top_k": [0, 5, 7, 40, 700, 1], "top_p": [0.9, 0.5, 0.3, 1, 0.99, 0.7]}
SEEDED = {"seeds": np.arange(ROWS) + 10, "positions": np.arange(ROWS) * 3}
SAMPLED: dict[str, dict[str, Any]] = {
    "plain": {},
    "top_k": {"top_k": 20},
    "top_p": {"top_p": 0.8},
    "min_p": {"min_p": 0.05},
    "all": PER_ROW | {"min_p": 0.01},
    "sharp": {"top_p": 0.5, "temperature": 0.1},
    "greedy": {"temperature": 0.0},
    "off": {"top_k": -1, "top_p": None, "min_p": 0.0},
    "least": {"top_p": 0.0, "top_k": 0},
}
INPUTS = ["float32", "float64", "ties", "bfloat16"]
BAD = ["nan", "inf", "empty", "few"]


def tensor(name: str, columns: slice) -> torch.Tensor:
    x = torch.from_numpy(whole(name)[:, columns].copy())
    return x.bfloat16() if name == "bfloat16" else x


def drawn(group: Any, start: int, end: int) -> dict[Any, Any]:
    """All that a process of a group draws from its columns."""
    found: dict[Any, Any] = {}
    allowed = torch.from_numpy(mask()[:, start:end].copy())
    for name in INPUTS:
        x = tensor(name, slice(start, end))
        found["categorical", name] = gtd.vocab_parallel_categorical(x, start, group, **SEEDED).numpy()
        found["masked", name] = gtd.vocab_parallel_categorical(
            x,
            start,
            group,
            mask=allowed,
            temperature=np.arange(ROWS) + 0.5,
            generator=gf.Generator(9),
            vocab_size=COLUMNS,
        ).numpy()
        top = gtd.vocab_parallel_top_k(x, start, 9, group, mask=allowed, **SEEDED)
        found["top_k", name] = top.values.numpy(), top.indices.numpy()
        for filters, given in SAMPLED.items():
            tokens = gtd.vocab_parallel_sample_tokens(x, start, group, **given, **SEEDED)
            masked = gtd.vocab_parallel_sample_tokens(x, start, group, mask=allowed, **given, **SEEDED)
            found["tokens", name, filters] = tokens.numpy(), masked.numpy()
    one = gtd.vocab_parallel_categorical(tensor("float32", slice(start, end))[0], start, group, seeds=7)
    found["one row"] = one.numpy()
    rng = gf.default_rng(3)
    found["twice"] = [
        gtd.vocab_parallel_categorical(tensor("float32", slice(start, end)), start, group, generator=rng).numpy()
        for _ in range(2)
    ]
    found["offset"] = rng.offset
    torch.manual_seed(100 + dist.get_rank())  # processes need not agree
    found["torch"] = [
        gtd.vocab_parallel_categorical(tensor("float32", slice(start, end)), start, group).numpy() for _ in range(2)
    ]
    for name in BAD:
        x, rng = tensor(name, slice(start, end)), gf.default_rng(3)
        torch.manual_seed(3)
        before = torch.get_rng_state()
        calls = {
            "categorical": lambda x=x, rng=rng: gtd.vocab_parallel_categorical(x, start, group, generator=rng),
            "top_k": lambda x=x: gtd.vocab_parallel_top_k(x, start, 9, group),
            "tokens": lambda x=x, rng=rng: gtd.vocab_parallel_sample_tokens(x, start, group, top_p=0.5, generator=rng),
        }
        for call, run in calls.items():
            rng.offset = 0
            try:
                found["error", name, call] = run()
            except ValueError as error:
                found["error", name, call] = str(error)
                assert rng.offset == 0
                assert torch.equal(torch.get_rng_state(), before)
            torch.set_rng_state(before)
    sampler = gtd.DistributedWeightedSampler
    if group is None:
        found["sampler"] = list(sampler(np.arange(50), 3000, seed=4))
    return found


def main(rank: int, processes: int, folder: Path) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=processes,
        timeout=datetime.timedelta(seconds=60),
    )
    groups = {n: dist.new_group(list(range(n))) for n in range(1, processes)} | {processes: None}
    found = {n: drawn(group, *EDGES[n][rank]) for n, group in groups.items() if rank < n}
    (folder / f"{rank}.pickle").write_bytes(pickle.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
