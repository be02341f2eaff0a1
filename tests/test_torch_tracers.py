"""`gumbelfast.torch` under whoever looks on: each function under each tracer, mode and subclass of tensors."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import gumbelfast.torch as gt

Function = Callable[[Tensor], Any]

TAUS = torch.tensor([0.5, 1.0, 2.0, 4.0]).reshape(4, 1)
MASKED = torch.tensor([1.0] * 39 + [0.0]).log()

# Each maps logits of shape (4, 40) to one tensor; the last category of `MASKED` is never drawn.
EXACT: dict[str, tuple[Function, Function]] = {
    "softmax": (lambda x: gt.softmax(x, 0), lambda x: torch.softmax(x, 0)),
    "log_softmax": (gt.log_softmax, lambda x: torch.log_softmax(x, -1)),
    "softmax_dtype": (
        lambda x: gt.softmax(x, dtype=torch.float64),
        lambda x: torch.softmax(x, -1, dtype=torch.float64),
    ),
}
DRAWS: dict[str, Function] = {
    "soft": lambda x: gt.gumbel_softmax(x, 0.7, dim=0),
    "hard": lambda x: gt.gumbel_softmax(x + MASKED.to(x), 0.7, hard=True),
    "tau": lambda x: gt.gumbel_softmax(x, torch.tensor(0.3)),
    "taus": lambda x: gt.gumbel_softmax(x, TAUS.to(x)),
    "categorical": lambda x: gt.categorical(x + MASKED.to(x)),
    "categorical_shape": lambda x: gt.categorical(x, (3, 2), dim=0),
    "categorical_tables": lambda x: gt.categorical(x, 300),
    "top_k": lambda x: gt.gumbel_top_k(x, 3).values,
    "top_k_indices": lambda x: gt.gumbel_top_k(x, 3, dim=0).indices,
    "multinomial": lambda x: gt.multinomial(x.exp(), 5),
    "multinomial_replacement": lambda x: gt.multinomial(x.exp(), 5, replacement=True),
    "gumbel": lambda x: gt.gumbel((4, 3)) + 0 * x.sum(),
    "exponential": lambda x: gt.exponential(x.shape, dtype=torch.float64) + 0 * x.sum(),
    "gumbel_like": gt.gumbel_like,
    "exponential_like": lambda x: gt.exponential_like(x, dtype=torch.float32),
    "relaxed": lambda x: gt.RelaxedOneHotCategorical(torch.tensor(0.5), logits=x, validate_args=False).rsample(),
    "one_hot": lambda x: gt.OneHotCategoricalStraightThrough(logits=x, validate_args=False).rsample(),
}
CALLS: dict[str, Function] = {name: pair[0] for name, pair in EXACT.items()} | DRAWS


def logits(seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(4, 40, generator=torch.Generator().manual_seed(seed)).to(dtype)


class Module(torch.nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


class Log(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


class Names(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


class Sub(torch.Tensor):
    """What users derive for the sake of methods."""


class Wrapper(torch.Tensor):
    """Holds another tensor, as DTensor does."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Wrapper":
        made = torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)  # type: ignore[attr-defined]
        made.inner = inner
        return made  # type: ignore[no-any-return]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def bare(x: Any) -> Any:
            return x.inner if isinstance(x, Wrapper) else x

        found = func(*torch.utils._pytree.tree_map(bare, args), **(kwargs or {}))
        return torch.utils._pytree.tree_map(lambda x: cls(x) if isinstance(x, Tensor) else x, found)


def under(mode: Any, f: Function) -> Function:
    def run(x: Tensor) -> Any:
        with mode:
            return f(x)

    return run


def wrapped(f: Function) -> Function:
    def run(x: Tensor) -> Any:
        y = f(Wrapper(x))
        return y.inner if isinstance(y, Wrapper) else y

    return run


def functional(f: Function) -> Function:
    def run(x: Tensor) -> Any:
        y = f(torch._to_functional_tensor(x))
        return torch._from_functional_tensor(y) if torch._is_functional_tensor(y) else y

    return run


EXAMPLE = logits(1)
TRACERS: dict[str, Callable[[Function, Tensor], Function]] = {
    "jit": lambda f, x: torch.jit.trace(f, (x,), check_trace=False),
    "make_fx": lambda f, x: make_fx(f)(x),
    "make_fx_fake": lambda f, x: make_fx(f, tracing_mode="fake")(x),
    "make_fx_symbolic": lambda f, x: make_fx(f, tracing_mode="symbolic")(x),
    "make_fx_pre_dispatch": lambda f, x: make_fx(f, pre_dispatch=True)(x),
    "symbolic_trace": lambda f, x: torch.fx.symbolic_trace(f),
    "export": lambda f, x: torch.export.export(Module(f), (x,)).module(),
    "compile": lambda f, x: torch.compile(f, fullgraph=True, backend="aot_eager"),
    "dispatch_mode": lambda f, x: under(Log(), f),
    "function_mode": lambda f, x: under(Names(), f),
    "device_mode": lambda f, x: under(torch.device("cpu"), f),
    "subclass": lambda f, x: lambda x: f(x.as_subclass(Sub)),
    "wrapper": lambda f, x: wrapped(f),
    "functional": lambda f, x: functional(f),
    "functional_call": lambda f, x: lambda x: torch.func.functional_call(Module(f), {}, (x,)),
    "functionalize": lambda f, x: torch.func.functionalize(f),
    "vmap": lambda f, x: lambda x: torch.vmap(f, randomness="same")(x[None])[0],
    "parameter": lambda f, x: lambda x: f(torch.nn.Parameter(x)).detach(),
    "buffer": lambda f, x: lambda x: f(torch.nn.Buffer(x)),
}


def seeded(f: Function, x: Tensor, seed: int = 3) -> Any:
    torch.manual_seed(seed)
    return f(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("name", EXACT)
def test_softmax_of_the_argument(name: str, tracer: str, dtype: torch.dtype) -> None:
    ours, theirs = EXACT[name]
    traced = TRACERS[tracer](ours, logits(1, dtype))
    for seed in (2, 3):
        x = logits(seed, dtype)
        torch.testing.assert_close(torch.Tensor(traced(x)), torch.Tensor(theirs(x)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("name", DRAWS)
def test_draws_from_the_argument(name: str, tracer: str, dtype: torch.dtype) -> None:
    f, x = DRAWS[name], logits(2, dtype)
    traced = TRACERS[tracer](f, logits(1, dtype))
    found, wanted = seeded(traced, x), seeded(f, x)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    torch.testing.assert_close(found.as_subclass(Tensor), wanted)
    assert not torch.equal(traced(x), found)
