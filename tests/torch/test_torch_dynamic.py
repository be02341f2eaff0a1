"""Temperatures and counts that change from call to call in compiled code: right values, and few graphs."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses import FakeTensorMode

import gumbelfast.torch as gt

X = torch.randn(4, 10, generator=torch.Generator().manual_seed(0))
TAUS = [1.5, 0.9, 0.7, 0.3, 2.5, 1.0, 3.0, 1e-30]


@pytest.fixture(autouse=True)
def _no_graphs() -> None:
    torch._dynamo.reset()


def seeded(f: Callable[..., Any], *args: Any) -> Any:
    torch.manual_seed(3)
    return f(*args)


CASES: dict[str, tuple[Callable[[Tensor, Any], Tensor], Sequence[Any], int]] = {
    "scaled": (lambda x, t: gt.gumbel_softmax(x * t, tau=t), TAUS, 2),
    "soft": (lambda x, t: gt.gumbel_softmax(x, t, dim=0), TAUS, 2),
    "hard": (lambda x, t: gt.gumbel_softmax(x, t, hard=True), TAUS, 2),
    "annealed": (lambda x, t: gt.gumbel_softmax(x, max(t * 0.5, 0.2)), TAUS, 3),
    "whole": (lambda x, t: gt.gumbel_softmax(x, t), [1, 2, 3, 4, 5], 2),
    "numpy": (lambda x, t: gt.gumbel_softmax(x, t), [np.float64(t) for t in TAUS], 2),
    "numpy32": (lambda x, t: gt.gumbel_softmax(x, t), [np.float32(t) for t in TAUS], 2),
    "tensor": (lambda x, t: gt.gumbel_softmax(x, t), [torch.tensor(t) for t in TAUS], 1),
    "tensors": (lambda x, t: gt.gumbel_softmax(x, t), [torch.full((4, 1), t) for t in TAUS], 1),
    "relaxed": (
        lambda x, t: gt.RelaxedOneHotCategorical(t, logits=x, validate_args=False).rsample(),
        [torch.tensor(t) for t in TAUS],
        1,
    ),
    "top_k": (lambda x, k: gt.gumbel_top_k(x, k, dim=0).values, range(1, 5), 2),
    "multinomial": (lambda x, k: gt.multinomial(x.exp(), k), range(1, 11), 2),
    "replacement": (lambda x, k: gt.multinomial(x.exp(), k, True), range(1, 12), 2),
    "tables": (lambda x, k: gt.categorical(x, k), [3, 100, 255, 256, 300], 2),
    "sample_shape": (lambda x, k: gt.categorical(x, (k, 2)), range(8), 3),
    "noise": (lambda x, k: gt.gumbel((k, 3)), range(8), 3),
    # Numbers of NumPy are tensors to compilers; what shapes depend on is compiled once for each.
    "numpy_k": (lambda x, k: gt.gumbel_top_k(x, k).values, [np.int64(2), np.int64(3)], 2),
    "numpy_shape": (lambda x, k: gt.categorical(x, k), [np.int64(2), np.int64(3)], 2),
    "numpy_size": (lambda x, k: gt.gumbel((k, 3)), [np.int64(2), np.int64(3)], 2),
}


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_values_that_change_are_used(name: str, grad: bool) -> None:
    f, values, graphs = CASES[name]
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(f, fullgraph=True, backend=counter)
    for value in values:
        found, wanted = [], []
        for call, results in ((compiled, found), (f, wanted)):
            x = X.clone().requires_grad_(grad)
            y = seeded(call, x, value)
            results.append(y)
            if y.requires_grad:
                results += torch.autograd.grad((y * torch.arange(y.numel()).reshape(y.shape).cos()).sum(), x)
        torch.testing.assert_close(found, wanted)
    assert counter.frame_count <= graphs


def test_inductor_uses_the_temperature_of_the_call() -> None:
    f = CASES["scaled"][0]
    counter = CompileCounterWithBackend("inductor")
    compiled = torch.compile(f, fullgraph=True, backend=counter)
    for tau in TAUS[:5]:
        torch.testing.assert_close(seeded(compiled, X, tau), seeded(f, X, tau))
    assert counter.frame_count == 2


def test_temperatures_that_are_learned_have_a_gradient() -> None:
    f = lambda x, t: (gt.gumbel_softmax(x, t) * torch.arange(10).cos()).sum()  # noqa: E731
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(f, fullgraph=True, backend=counter)
    for tau in (0.5, 0.8, 2.0):
        t, x = torch.tensor(tau, requires_grad=True), X.clone().requires_grad_()
        found, wanted = (torch.autograd.grad(seeded(call, x, t), (x, t)) for call in (compiled, f))
        torch.testing.assert_close(found, wanted)
        assert wanted[1].abs() > 1e-4
    assert counter.frame_count == 1


@pytest.mark.parametrize("make", [float, torch.tensor, lambda t: torch.tensor(t, requires_grad=True)])
def test_bad_temperatures_are_named_before_the_generator_moves(make: Any) -> None:
    compiled = torch.compile(lambda x, t: gt.gumbel_softmax(x, t), fullgraph=True, backend="aot_eager")
    for tau in (1.5, 0.9, 0.7):
        compiled(X, make(tau))
    state = torch.get_rng_state()
    for tau, text in ((0.0, "0.0"), (-1.5, "-1.5"), (math.inf, "inf"), (math.nan, "nan")):
        with pytest.raises(ValueError, match=rf"tau must be finite and > 0, got {text}"):
            compiled(X, make(tau))
    assert torch.equal(torch.get_rng_state(), state)


def test_bad_counts_are_named() -> None:
    calls: list[tuple[Any, Any, type[Exception], str]] = [
        (lambda x, k: gt.gumbel_top_k(x, k).values, 11, ValueError, "k=11 exceeds the 10 categories"),
        (lambda x, k: gt.multinomial(x.exp(), k), 11, RuntimeError, "num_samples=11 exceeds the 10 categories"),
        (lambda x, k: gt.multinomial(x.exp(), k, True), 0, RuntimeError, "num_samples must be at least 1, got 0"),
    ]
    for f, bad, error, text in calls:
        compiled = torch.compile(f, fullgraph=True, backend="aot_eager")
        for k in (2, 3, 4):
            compiled(X, k)
        state = torch.get_rng_state()
        with pytest.raises(error, match=text):
            compiled(X, bad)
        assert torch.equal(torch.get_rng_state(), state)


def test_sizes_that_torch_jit_traces() -> None:
    def f(x: Tensor) -> tuple[Tensor, Tensor]:
        return gt.gumbel((x.shape[0], 3)), gt.exponential(x.shape[1:])

    traced = torch.jit.trace(f, (X,), check_trace=False)
    other = torch.zeros(5, 2)
    torch.testing.assert_close(seeded(traced, other), seeded(f, other))
    for bad, name in (
        (lambda x: gt.categorical(x, x.shape[:1]), "sizes"),
        (lambda x: gt.gumbel_top_k(x, x.shape[0]), "k"),
    ):
        with pytest.raises(NotImplementedError, match=f"^{name} must be numbers under torch.jit.trace"):
            torch.jit.trace(bad, (X,), check_trace=False)


class Draws(torch.nn.Module):
    def forward(self, x: Tensor, k: int) -> Any:
        return gt.categorical(x, k), gt.gumbel_top_k(x, k).values, gt.gumbel_like(x), gt.multinomial(x[0].exp(), k)


def test_exported_programs_take_other_sizes_and_are_mapped() -> None:
    dynamic = torch.export.Dim.DYNAMIC
    shapes = {"x": {0: dynamic, 1: dynamic}, "k": dynamic}
    exported = torch.export.export(Draws(), (X, 2), dynamic_shapes=shapes).module()
    x = torch.randn(3, 7)
    torch.testing.assert_close(seeded(exported, x, 5), seeded(Draws(), x, 5))
    batch = x.expand(6, 3, 7)
    for randomness in ("same", "different"):
        drawn = torch.vmap(lambda x: exported(x, 5)[1], randomness=randomness)(batch)
        assert torch.equal(drawn[0], drawn[1]) == (randomness == "same")
    with pytest.raises(RuntimeError, match="randomness error mode"):
        torch.vmap(lambda x: exported(x, 5)[1])(batch)


def test_transforms_name_bad_input() -> None:
    x = X.clone()
    x[1, 2] = math.nan
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match=r"logits contain NaN at index \(1, 2\)"):
        torch.func.grad(lambda x: gt.gumbel_softmax(x).sum())(x)
    with pytest.raises(ValueError, match="row 1 has no finite logit"):
        torch.vmap(gt.gumbel_softmax, randomness="same")(X.index_fill(0, torch.tensor(1), -math.inf))
    with pytest.raises(ValueError, match=r"tau must be finite and > 0, got -2\.0"):
        torch.func.grad(lambda t: gt.gumbel_softmax(X, t).sum())(torch.tensor(-2.0))
    with pytest.raises(ValueError, match=r"tau must be finite and > 0, got tensor\(\[ 1\., -1\.\]\)"):
        torch.vmap(lambda t: gt.gumbel_softmax(X, t), randomness="different")(torch.tensor([1.0, -1.0]))
    assert torch.equal(torch.get_rng_state(), state)


def test_mapped_draws_of_the_same_noise_name_bad_rows() -> None:
    bad = X.clone()
    bad[2, 1:] = -math.inf
    weights = bad.exp()
    cases: list[tuple[Any, Tensor, type[Exception], str]] = [
        (gt.categorical, bad - math.inf, ValueError, "row 0 has no finite logit"),
        (gt.categorical, bad * math.nan, ValueError, r"logits contain NaN at index \(0, 0\)"),
        (lambda x: gt.gumbel_top_k(x, 2).values, bad, ValueError, "k=2 exceeds the 1 finite logits of row 2"),
        (lambda x: gt.gumbel_top_k(x, 11).values, X, ValueError, "k=11 exceeds the 10 categories"),
        (
            lambda x: gt.multinomial(x, 2),
            weights,
            RuntimeError,
            "num_samples=2 exceeds the 1 positive weights of row 2",
        ),
        (lambda x: gt.multinomial(x, 2), -weights, RuntimeError, "weights must be finite and >= 0, got -"),
        (lambda x: gt.multinomial(x, 2, True), 0 * weights, RuntimeError, "weights of row 0 sum to 0.0"),
        (lambda x: gt.multinomial(x, 0, True), weights, RuntimeError, "num_samples must be at least 1, got 0"),
    ]
    state = torch.get_rng_state()
    for f, x, error, text in cases:
        for randomness in ("same", "different"):
            with pytest.raises(error, match=text):
                torch.vmap(f, randomness=randomness)(x)
            assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("device", ["meta", "fake"])
def test_counts_are_compared_with_shapes_alone(device: str) -> None:
    with FakeTensorMode() if device == "fake" else torch.device("meta"):
        x = torch.empty(4, 10)
        for call, error, text in (
            (lambda: gt.gumbel_top_k(x, 11), ValueError, "k=11 exceeds the 10 categories"),
            (lambda: gt.multinomial(x, 11), RuntimeError, "num_samples=11 exceeds the 10 categories"),
            (lambda: gt.multinomial(x, 0, True), RuntimeError, "num_samples must be at least 1, got 0"),
        ):
            with pytest.raises(error, match=text):
                call()
