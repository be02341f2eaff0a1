"""Vocabularies that processes share: the tokens of one process with all the logits, for 1, 2 and 3 processes."""

import doctest
import importlib
import pickle
import re
import subprocess
import sys
from typing import Any

import distributed_worker as worker
import numpy as np
import pytest
import torch

import gumbelfast as gf
import gumbelfast.torch as gt
from gumbelfast.torch.distributed import DistributedWeightedSampler

if not torch.distributed.is_available():
    pytest.skip("this torch has no processes", allow_module_level=True)

PROCESSES = 3


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What each process drew in each group, by the number of processes; none of them outlives this."""
    folder = tmp_path_factory.mktemp("processes")
    command = [sys.executable, worker.__file__]
    running = [subprocess.Popen([*command, str(rank), str(PROCESSES), str(folder)]) for rank in range(PROCESSES)]
    try:
        assert [process.wait(timeout=240) for process in running] == [0] * PROCESSES
    finally:
        for process in running:
            process.kill()
            process.wait()
    drawn = [pickle.loads((folder / f"{rank}.pickle").read_bytes()) for rank in range(PROCESSES)]
    return {n: [drawn[rank][n] for rank in range(n)] for n in range(1, PROCESSES + 1)}


every_size = pytest.mark.parametrize("n", range(1, PROCESSES + 1))


def logits(name: str) -> Any:
    x = worker.whole(name)
    return torch.from_numpy(x).bfloat16().float().numpy() if name == "bfloat16" else x


@every_size
@pytest.mark.parametrize("name", worker.INPUTS)
def test_draws(found: Any, n: int, name: str) -> None:
    x = logits(name)
    top = gf.gumbel_top_k(x, 9, mask=worker.mask(), **worker.SEEDED)
    for drawn in found[n]:
        assert np.array_equal(drawn["categorical", name], gf.categorical(x, **worker.SEEDED))
        wanted = gf.categorical(x, mask=worker.mask(), temperature=np.arange(worker.ROWS) + 0.5, rng=gf.Generator(9))
        assert np.array_equal(drawn["masked", name], wanted)
        values, indices = drawn["top_k", name]
        assert np.array_equal(indices, top.indices)
        assert np.array_equal(values, top.perturbed.astype(values.dtype))


@every_size
@pytest.mark.parametrize("name", worker.INPUTS)
@pytest.mark.parametrize("filters", worker.SAMPLED)
def test_tokens(found: Any, n: int, name: str, filters: str) -> None:
    x, given = logits(name), worker.SAMPLED[filters] | worker.SEEDED
    for drawn in found[n]:
        tokens, masked = drawn["tokens", name, filters]
        assert np.array_equal(tokens, gf.reference.sample_tokens(x, **given))
        assert np.array_equal(masked, gf.reference.sample_tokens(x, mask=worker.mask(), **given))
        # No cumulative probability of these is within rounding of top_p.
        assert np.array_equal(tokens, gf.sample_tokens(x, **given))


@every_size
def test_generators(found: Any, n: int) -> None:
    rng, x = gf.default_rng(3), logits("float32")
    wanted = [gf.categorical(x, rng=rng) for _ in range(2)]
    torch.manual_seed(100)
    of_torch = [gt.categorical(torch.from_numpy(x)).numpy() for _ in range(2)]
    for drawn in found[n]:
        assert np.array_equal(drawn["twice"], wanted)
        assert drawn["offset"] == rng.offset
        assert np.array_equal(drawn["torch"], of_torch)
        assert drawn["one row"] == gf.categorical(x[0], seeds=7)


@every_size
@pytest.mark.parametrize("name", worker.BAD)
@pytest.mark.parametrize("call", ["categorical", "top_k", "tokens"])
def test_all_processes_hear_of_a_fault(found: Any, n: int, name: str, call: str) -> None:
    x = logits(name)
    calls = {
        "categorical": lambda: gf.categorical(x, rng=1),
        "top_k": lambda: gf.gumbel_top_k(x, 9, rng=1),
        "tokens": lambda: gf.sample_tokens(x, rng=1),
    }
    try:
        calls[call]()
    except ValueError as error:
        wanted = str(error)
    else:
        assert (name, call) in [("few", "categorical"), ("few", "tokens")]
        return
    assert {drawn["error", name, call] for drawn in found[n]} == {wanted}


def test_a_sampler_among_processes(found: Any) -> None:
    shares = [drawn["sampler"] for drawn in found[PROCESSES]]
    whole = list(DistributedWeightedSampler(np.arange(50), 3000, seed=4, num_replicas=1, rank=0))
    assert [shares[i % PROCESSES][i // PROCESSES] for i in range(3000)] == whole


def shares_of(replicas: int, *args: Any, epoch: int = 0, **given: Any) -> list[list[int]]:
    found = []
    for rank in range(replicas):
        sampler = DistributedWeightedSampler(*args, num_replicas=replicas, rank=rank, **given)
        sampler.set_epoch(epoch)
        found.append(list(sampler))
        assert len(found[-1]) == len(sampler)
    return found


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("replicas", [1, 2, 3, 7])
@pytest.mark.parametrize("draws", [1, 5, 420])
def test_shares_are_one_epoch(replacement: bool, replicas: int, draws: int) -> None:
    weights = np.random.default_rng(0).exponential(size=500).astype(np.float32)
    if replacement:
        wanted = gf.Categorical(probs=weights).sample(draws, rng=[7, 2]).tolist()
    else:
        wanted = gf.weighted_sample(weights, draws, rng=[7, 2]).indices.tolist()
    shares = shares_of(replicas, weights, draws, replacement, seed=7, epoch=2)
    each = -(-draws // replicas)
    assert [len(share) for share in shares] == [each] * replicas
    interleaved = [share[i] for i in range(each) for share in shares]
    assert interleaved[:draws] == wanted
    # As torch's DistributedSampler does, the last ones get the first draws once more.
    assert interleaved[draws:] == [wanted[i % draws] for i in range(draws, each * replicas)]
    dropped = shares_of(replicas, weights, draws, replacement, seed=7, epoch=2, drop_last=True)
    assert [share[i] for i in range(draws // replicas) for share in dropped] == wanted[: draws // replicas * replicas]


def test_long_epochs_are_drawn_a_piece_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = shares_of(3, np.arange(20), 1000)
    monkeypatch.setattr("gumbelfast.torch.distributed._DRAWS", 16)
    assert shares_of(3, np.arange(20), 1000) == wanted


def test_epochs_differ_and_an_iterator_keeps_its_own() -> None:
    sampler = DistributedWeightedSampler(np.ones(100), 50, num_replicas=1, rank=0)
    first, begun = list(sampler), iter(sampler)
    sampler.set_epoch(1)
    assert list(begun) == first
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_more_weights_than_torch_takes() -> None:
    weights = torch.zeros(2**24 + 3)
    weights[-1] = 1
    with pytest.raises(RuntimeError):
        list(torch.utils.data.WeightedRandomSampler(weights, 1))
    assert list(DistributedWeightedSampler(weights, 2, num_replicas=1, rank=0)) == [2**24 + 2] * 2


def test_a_data_loader_takes_it() -> None:
    sampler = DistributedWeightedSampler([0.0, 1.0, 0.0], 8, num_replicas=2, rank=1)
    loader = torch.utils.data.DataLoader([10, 11, 12], batch_size=2, sampler=sampler)
    assert [batch.tolist() for batch in loader] == [[11, 11], [11, 11]]


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"weights": [[1.0]]}, ValueError, "weights must have one axis, got shape (1, 1)"),
        ({"weights": [1.0, -1.0]}, ValueError, "probs must be finite and >= 0, got -1.0 at index (1,)"),
        ({"weights": [0.0, 0.0]}, ValueError, "probs of row 0 sum to 0.0"),
        ({"num_samples": 0}, ValueError, "num_samples must be >= 1, got 0"),
        ({"num_samples": 2.0}, TypeError, "num_samples must be an integer, got 2.0"),
        (
            {"num_samples": 3, "replacement": False, "weights": [1.0, 0, 2]},
            ValueError,
            "num_samples=3 exceeds the 2 positive weights: there is no replacement",
        ),
        ({"seed": -1}, ValueError, "seed must be >= 0, got -1"),
        ({"rank": 2}, ValueError, "rank must be < num_replicas=2, got 2"),
        ({"rank": -1}, ValueError, "rank must be >= 0, got -1"),
        ({"num_replicas": 0}, ValueError, "num_replicas must be >= 1, got 0"),
    ],
)
def test_bad_samplers(given: dict[str, Any], error: type[Exception], text: str) -> None:
    good: dict[str, Any] = {"weights": [1.0, 2.0], "num_samples": 2, "num_replicas": 2, "rank": 0}
    with pytest.raises(error, match=re.escape(text)):
        DistributedWeightedSampler(**(good | given))
    with pytest.raises(ValueError, match="epoch must be >= 0, got -3"):
        DistributedWeightedSampler(**good).set_epoch(-3)


def test_the_examples_are_true() -> None:
    found = doctest.testmod(importlib.import_module("gumbelfast.torch.distributed"))
    assert found.attempted
    assert not found.failed
