"""Tokens drawn from tensors: those of the door to NumPy, from the tensor's own memory, by one operator."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers import normal

import gumbelfast as gf
from gumbelfast.torch import _draws, _tensors, categorical, sample_tokens

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
SETTINGS: dict[str, list[Any]] = {
    "temperature": [0.5, 1, 0, 2.0],
    "top_k": [5, 0, 3, 40],
    "top_p": [0.9, 0.5, 1, 0.8],
    "min_p": [0, 0.1, 0, 0.2],
}


def logits_of(dtype: torch.dtype, columns: int = 60, rows: int = 4) -> torch.Tensor:
    return torch.from_numpy(normal("float32", (rows, columns))).to(dtype)


def plain(x: torch.Tensor) -> Any:
    """What the door to NumPy draws from: half types as float32, which holds them."""
    return (x if x.dtype is torch.float64 else x.float()).numpy()


@pytest.mark.parametrize("dtype", DTYPES)
def test_tokens_are_those_of_the_door_to_numpy(backend: str, dtype: torch.dtype) -> None:
    x = logits_of(dtype)
    mask = torch.rand(4, 60, generator=torch.Generator().manual_seed(3)) < 0.7
    mask[:, 0] = True
    for given in ({}, SETTINGS, {"top_k": 4}, {"top_p": 0.3, "mask": mask}, {"mask": mask[1], "temperature": 0.0}):
        own = {name: v.numpy() if isinstance(v, torch.Tensor) else v for name, v in given.items()}
        for size in ((), 3, (2, 5)):
            shape = (*((size,) if isinstance(size, int) else size), 4)
            seeds = np.arange(int(np.prod(shape))).reshape(shape)
            found = sample_tokens(x, size=size, seeds=torch.from_numpy(seeds), positions=2, **given)
            wanted = gf.sample_tokens(plain(x), size=size, seeds=seeds, positions=2, **own)
            assert found.dtype is torch.int64
            assert (found.numpy() == wanted).all()
            found = sample_tokens(x, size=size, generator=gf.Generator(8), **given)
            assert (found.numpy() == gf.sample_tokens(plain(x), size=size, rng=gf.Generator(8), **own)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_filters_as_engines_have_them(backend: str, dtype: torch.dtype) -> None:
    x, seeds = logits_of(dtype), np.arange(12).reshape(3, 4)
    words = np.array([[-1, 3], [5, 0], [-2, -1], [1 << 30, 7]], np.int32)
    for given in (
        SETTINGS | {"temperature_last": True},
        {"top_p": 0.1, "min_tokens_to_keep": np.array([1, 4, 2, 50])},
        {"top_n_sigma": 1.0, "epsilon_cutoff": np.array([0.1, 0, 0.02, 0.01], np.float32), "eta_cutoff": 0.05},
        {"typical_p": np.array([0.2, 0.9, 0.5, 1.0], np.float16), "eta_cutoff": 0.001},
        {"mask": words, "min_p": 0.2, "temperature": 2.0, "temperature_last": True, "min_tokens_to_keep": 2},
    ):
        own = {name: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for name, v in given.items()}
        wanted = gf.sample_tokens(plain(x), size=3, seeds=seeds, **given)
        assert (sample_tokens(x, size=3, seeds=seeds, **own).numpy() == wanted).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_with_seeds_take_one_step(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    x = logits_of(dtype)
    cases: list[dict[str, Any]] = [
        {},
        {"temperature": 0.0},
        {"temperature": 0.7, "top_k": 9, "top_p": 0.8},
        {"min_p": 0.1, "typical_p": 0.9, "temperature": 0.5, "temperature_last": True},
    ]
    wanted = [sample_tokens(x, size=1, seeds=[[3, 4, 5, 6]], positions=9, **case)[0] for case in cases]
    bad = x.clone()
    bad[2, 3] = torch.nan
    with monkeypatch.context() as patch:
        patch.setattr(_draws, "tokens", None)
        for case, each in zip(cases, wanted, strict=True):
            assert torch.equal(sample_tokens(x, seeds=[3, 4, 5, 6], positions=9, **case), each)
    with pytest.raises(ValueError, match=r"NaN at index \(2, 3\)"):
        sample_tokens(bad, seeds=[3, 4, 5, 6])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_settings_are_tensors_of_any_dtype(dtype: torch.dtype) -> None:
    x = logits_of(torch.float32)
    # Halves are numbers of every dtype.
    given = {"temperature": [0.5, 1, 0, 2], "top_p": [0.5, 1, 0.5, 0.25], "min_p": [0.125, 0, 0, 0.25]}
    wanted = sample_tokens(x, seeds=[1, 2, 3, 4], top_k=[1, 2, 3, 60], **given)
    tensors = {name: torch.tensor(v, dtype=dtype) for name, v in given.items()}
    for integers in (torch.int32, torch.uint8, torch.int64):
        top_k = torch.tensor([1, 2, 3, 60], dtype=integers)
        seeds = torch.tensor([1, 2, 3, 4], dtype=integers)
        assert torch.equal(sample_tokens(x, seeds=seeds, top_k=top_k, **tensors), wanted)


def test_rows_with_a_stride_are_read_where_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    for dtype in DTYPES:
        wide = logits_of(dtype, 100)
        x = wide[:, :60]
        seen = []
        rows = _tensors.rows
        monkeypatch.setattr(
            _tensors, "rows", lambda x, dim, rows=rows, seen=seen: seen.append(rows(x, dim)) or seen[-1]
        )
        found = sample_tokens(x, top_p=0.8, seeds=[1, 2, 3, 4])
        monkeypatch.undo()
        assert seen[0].__array_interface__["data"][0] == wide.data_ptr()
        assert seen[0].strides[0] == 100 * wide.element_size()
        assert torch.equal(found, sample_tokens(x.contiguous(), top_p=0.8, seeds=[1, 2, 3, 4]))


def test_generators(backend: str) -> None:
    x = logits_of(torch.float32)
    torch.manual_seed(5)
    first, second = sample_tokens(x), sample_tokens(x)
    torch.manual_seed(5)
    assert torch.equal(first, categorical(x))
    assert torch.equal(second, sample_tokens(x))
    own = [sample_tokens(x, generator=torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(own[0], own[1])
    assert torch.equal(own[0], first)
    # Rows without a seed draw from the generator, and a call that fails leaves it alone.
    mixed = sample_tokens(x, seeds=[7, None, 8, None], generator=torch.Generator().manual_seed(5))
    assert mixed[0] == sample_tokens(x[0], seeds=7)
    assert torch.equal(mixed[[1, 3]], sample_tokens(x[[1, 3]], generator=torch.Generator().manual_seed(5)))
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="NaN"):
        sample_tokens(torch.full((2, 3), torch.nan))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_contexts(context: Callable[[], Any]) -> None:
    x = logits_of(torch.bfloat16).requires_grad_()
    with context():
        found = sample_tokens(x * 1, top_k=3, seeds=[1, 2, 3, 4])
    assert not found.requires_grad
    assert torch.equal(found, sample_tokens(x, top_k=3, seeds=[1, 2, 3, 4]))


def test_invalid_rows() -> None:
    for dtype in DTYPES:
        x = logits_of(dtype)
        wanted = sample_tokens(x, seeds=[1, 2, 3, 4], top_p=0.9)
        x[1, 3], x[2] = torch.nan, -torch.inf
        found = sample_tokens(x, seeds=[1, 2, 3, 4], top_p=0.9, invalid=-1)
        assert found.tolist() == [wanted[0], -1, -1, wanted[3]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_logprobs_are_those_of_the_door_to_numpy(backend: str, dtype: torch.dtype) -> None:
    x = logits_of(dtype)
    x[1, 3] = torch.nan
    given: dict[str, Any] = {"top_p": 0.8, "typical_p": 0.9, "temperature": 1.5, "size": 3, "invalid": -2}
    given |= {"seeds": np.arange(12).reshape(3, 4), "return_logprobs": True}
    for best in (0, 5):
        found = sample_tokens(x, top_logprobs=best, **given)
        wanted = gf.sample_tokens(plain(x), top_logprobs=best, **given)
        for mine, its in zip(found, wanted, strict=True):
            assert (mine is None) is (its is None)
            if its is not None:
                np.testing.assert_array_equal(mine.numpy(), its)
    one = sample_tokens(x[0], return_logprobs=True, seeds=3)
    assert [part.shape for part in one[:4]] == [()] * 4
    with pytest.raises(ValueError, match="top_logprobs needs return_logprobs=True"):
        sample_tokens(x, top_logprobs=1)
    with pytest.raises(NotImplementedError, match="return_logprobs cannot be traced: compiled programs return tokens"):
        sample_tokens(torch.empty(3, 5, device="meta"), return_logprobs=True)


def test_one_operator_of_a_compiled_program() -> None:
    x = logits_of(torch.float32)

    def step(x: torch.Tensor, t: torch.Tensor, p: float, seeds: torch.Tensor) -> torch.Tensor:
        return sample_tokens(x * 2, temperature=t, top_k=7, top_p=p, seeds=seeds, positions=3, size=2) + 1

    graphs: list[Any] = []

    def keep(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(step, backend=keep, fullgraph=True)
    seeds = torch.arange(8).reshape(2, 4)
    for value in (0.5, 2.0):
        t = torch.full((4,), value)
        assert torch.equal(compiled(x, t, 0.9, seeds), step(x, t, 0.9, seeds))
    names = [node.name for graph in graphs for node in graph.graph.nodes if "sample_tokens" in str(node.target)]
    assert len(graphs) == 1
    assert len(names) == 1
    torch.library.opcheck(
        torch.ops.gumbelfast.sample_tokens.default,
        (
            x,
            torch.tensor(0.5),
            *[None] * 3,
            True,
            *[None] * 5,
            seeds,
            None,
            None,
            [2],
            None,
            torch.empty(0),
        ),
        test_utils=("test_schema", "test_faketensor"),
    )
    torch.manual_seed(4)
    drawn = torch.compile(lambda x: sample_tokens(x), backend="eager", fullgraph=True)(x)
    torch.manual_seed(4)
    assert torch.equal(drawn, sample_tokens(x))
    assert sample_tokens(torch.empty(3, 5, device="meta")).shape == (3,)


def test_errors() -> None:
    x = torch.zeros(2, 3)
    for given, error, text in [
        ({"top_k": 1.5}, TypeError, "top_k must be integers, got 1.5"),
        ({"top_p": torch.tensor([0.5, 1.5])}, ValueError, "top_p must lie in \\[0, 1\\], got 1.5 in row 1"),
        ({"temperature": [1, -1]}, ValueError, "temperature must be finite and >= 0, got -1.0 in row 1"),
        ({"mask": torch.zeros(2, 3)}, TypeError, "mask must be a boolean tensor"),
        ({"mask": torch.ones(4, dtype=torch.bool)}, ValueError, "does not broadcast to logits of shape"),
        ({"seeds": 3}, ValueError, "give all 2 rows along an axis the same noise"),
        ({"generator": 3}, TypeError, "generator must be a torch.Generator"),
        ({"invalid": 0.5}, TypeError, "invalid must be an integer"),
        ({"temperature_last": 2}, TypeError, "temperature_last must be True or False, got 2"),
        (
            {"min_tokens_to_keep": torch.tensor([1, -4])},
            ValueError,
            "min_tokens_to_keep must be >= 0, .* got -4 in row 1",
        ),
        (
            {"mask": torch.ones(3, 1, dtype=torch.int32)},
            ValueError,
            r"packed mask of shape \(3, 1\) does not broadcast",
        ),
    ]:
        with pytest.raises(error, match=text):
            sample_tokens(x, **given)
    with pytest.raises(ValueError, match="must have a dimension of tokens"):
        sample_tokens(torch.tensor(1.0))
    with pytest.raises(TypeError, match=r"logits must be a torch\.Tensor, got ndarray"):
        sample_tokens(x.numpy())
    with pytest.raises(
        TypeError, match=r"NumPy does not read tensors of bfloat16; the functions of gumbelfast\.torch do"
    ):
        gf.sample_tokens(x.bfloat16())
