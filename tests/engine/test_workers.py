"""Worker processes of multiprocessing and of torch, after the parent has drawn and started threads."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import run_python

import gumbelfast as gf

WORKERS = """
import multiprocessing, sys, warnings
import numpy as np, gumbelfast as gf
warnings.simplefilter("ignore", DeprecationWarning)

def draw(_):
    return gf.gumbel(size=4).tobytes(), gf.gumbel(size=300_000, rng=1, num_threads=4).tobytes()

if __name__ == "__main__":
    own, wanted = draw(0)  # the parent's stream and its threads are at work before the children come
    with multiprocessing.get_context(sys.argv[1]).Pool(3) as pool:
        found = pool.map(draw, range(9), chunksize=1)
    after, _ = draw(0)
    streams = [own, after, *(stream for stream, _ in found)]
    assert len(set(streams)) == 11, streams
    assert {fixed for _, fixed in found} == {wanted}
    print("done")
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_worker_processes(method: str, tmp_path: Path) -> None:
    """Workers neither repeat the parent's stream nor each other's; a seed gives all of them the same."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    script = tmp_path / "workers.py"
    script.write_text(WORKERS, encoding="utf-8")
    root = str(Path(gf.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, str(script), method], capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | {"PYTHONPATH": root},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


LOADER = """
import warnings
import torch, gumbelfast as gf
from gumbelfast import torch as gt
warnings.simplefilter("ignore", DeprecationWarning)

logits = torch.zeros(4, 10**6)

def draws():
    return torch.stack([torch.from_numpy(gf.gumbel(size=4)), gt.gumbel((4,)), gt.categorical(logits) + 0.0])

class Draws(torch.utils.data.Dataset):
    def __len__(self):
        return 8
    def __getitem__(self, i):
        return draws()

def epoch():
    given = {"batch_size": None, "num_workers": 2, "multiprocessing_context": "fork"}
    return torch.stack(list(torch.utils.data.DataLoader(Draws(), **given)))

def everything():
    return torch.cat([draws()[None], epoch(), epoch(), draws()[None]])

torch.manual_seed(5)
found = everything()
for door in range(3):
    assert len({tuple(row) for row in found[:, door].tolist()}) == 18, found[:, door]
torch.manual_seed(5)
assert torch.equal(everything()[:, 1:], found[:, 1:])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_workers_of_a_data_loader() -> None:
    """torch seeds its workers by `manual_seed`: draws through its door differ between them and come again."""
    pytest.importorskip("torch")
    done = run_python(LOADER, timeout=120)
    assert done.returncode == 0, done.stderr
