"""`gumbelfast.torch` under whoever looks on: each function under each tracer, mode and subclass of tensors."""

from collections.abc import Callable
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


def without_last(x: Tensor) -> Tensor:
    """The last category is never drawn."""
    return x.masked_fill(torch.arange(40) == 39, -torch.inf)


# Each maps logits of shape (rows, 40) to one tensor, and uses no tensor from outside.
EXACT: dict[str, tuple[Function, Function]] = {
    "softmax": (lambda x: gt.softmax(x, 0), lambda x: torch.softmax(x, 0)),
    "logsumexp": (lambda x: gt.logsumexp(x, (0, 1), True), lambda x: torch.logsumexp(x, (0, 1), True)),
    "log_softmax": (lambda x: gt.log_softmax(x), lambda x: torch.log_softmax(x, -1)),
    "softmax_dtype": (
        lambda x: gt.softmax(x, dtype=torch.float64),
        lambda x: torch.softmax(x, -1, dtype=torch.float64),
    ),
}
DRAWS: dict[str, Function] = {
    "soft": lambda x: gt.gumbel_softmax(x, 0.7, dim=0),
    "hard": lambda x: gt.gumbel_softmax(without_last(x), 0.7, hard=True),
    "tau": lambda x: gt.gumbel_softmax(x, torch.full((), 0.3)),
    "taus": lambda x: gt.gumbel_softmax(x, torch.arange(1.0, 41)),
    "categorical": lambda x: gt.categorical(without_last(x)),
    "categorical_shape": lambda x: gt.categorical(x, (3, 2), dim=0),
    "categorical_many": lambda x: gt.categorical(x, 300),
    "top_k": lambda x: gt.gumbel_top_k(x, 3).values,
    "top_k_indices": lambda x: gt.gumbel_top_k(x, 3, dim=0).indices,
    "masked": lambda x: gt.categorical(x, mask=torch.arange(40) < 30),
    "masked_top_k": lambda x: gt.gumbel_top_k(x, 3, mask=x < 1).values,
    "multinomial": lambda x: gt.multinomial(x.exp(), 5),
    "multinomial_replacement": lambda x: gt.multinomial(x.exp(), 5, replacement=True),
    "gumbel": lambda x: gt.gumbel((4, 3)) + 0 * x.sum(),
    "exponential": lambda x: gt.exponential(x.shape, dtype=torch.float64) + 0 * x.sum(),
    "gumbel_like": lambda x: gt.gumbel_like(x),
    "exponential_like": lambda x: gt.exponential_like(x, dtype=torch.float32),
    "relaxed": lambda x: gt.RelaxedOneHotCategorical(torch.full((), 0.5), logits=x, validate_args=False).rsample(),
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
        torch._enable_functionalization(reapply_views=True)  # type: ignore[attr-defined]
        try:
            y = f(torch._to_functional_tensor(x))
        finally:
            torch._disable_functionalization()  # type: ignore[attr-defined]
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


# What torch itself does not trace: distributions ask what their parameters are, one_hot what its argument holds.
NOT_TRACED = {
    *((name, "symbolic_trace") for name in ("relaxed", "one_hot")),
    *(("one_hot", tracer) for tracer in TRACERS if tracer.startswith("make_fx")),
}
REFUSED = {("gumbel", "symbolic_trace"): "torch.fx.symbolic_trace would keep a draw from constants for good"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("name", DRAWS)
def test_draws_from_the_argument(name: str, tracer: str, dtype: torch.dtype) -> None:
    f, x = DRAWS[name], logits(2, dtype)
    if (name, tracer) in NOT_TRACED:
        pytest.skip("torch does not trace it")
    if (name, tracer) in REFUSED:
        with pytest.raises(NotImplementedError, match=REFUSED[name, tracer]):
            TRACERS[tracer](f, logits(1, dtype))
        return
    traced = TRACERS[tracer](f, logits(1, dtype))
    found, wanted = seeded(traced, x), seeded(f, x)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    torch.testing.assert_close(found.as_subclass(Tensor), wanted)
    assert not torch.equal(traced(x), found)


@pytest.mark.parametrize("tracer", ["jit", "make_fx_symbolic", "symbolic_trace", "compile"])
@pytest.mark.parametrize("name", [name for name in DRAWS if name not in ("gumbel", "relaxed", "one_hot")])
def test_other_shapes_than_the_examples(name: str, tracer: str) -> None:
    x = torch.randn(7, 40, generator=torch.Generator().manual_seed(5))
    traced = TRACERS[tracer](DRAWS[name], logits(1))
    traced(logits(1))
    torch.testing.assert_close(seeded(traced, x), seeded(DRAWS[name], x))


@pytest.mark.parametrize("name", CALLS)
def test_shapes_without_memory(name: str) -> None:
    f, x = CALLS[name], logits(2, torch.bfloat16)
    wanted, state = f(x), torch.get_rng_state()
    on_cpu = name in ("gumbel", "exponential")  # what has no argument to tell another device
    for mode in (FakeTensorMode(),) if on_cpu else (torch.device("meta"), FakeTensorMode()):
        with mode:
            found = f(torch.empty(4, 40, dtype=torch.bfloat16))
        assert (found.shape, found.dtype, found.stride()) == (wanted.shape, wanted.dtype, wanted.stride())
    assert torch.equal(torch.get_rng_state(), state)


def with_generator(call: Callable[..., Any]) -> Function:
    return lambda x: call(x, generator=torch.Generator())


@pytest.mark.parametrize("tracer", ["jit", "make_fx", "dispatch_mode", "wrapper", "vmap"])
def test_generators_are_refused_by_name(tracer: str) -> None:
    for call in (gt.gumbel_softmax, gt.categorical, gt.gumbel_like):
        with pytest.raises(NotImplementedError, match="generator= cannot be traced"):
            TRACERS[tracer](with_generator(call), logits(1))(logits(1))


@pytest.mark.parametrize(
    "tracer", ["jit", "make_fx", "make_fx_symbolic", "dispatch_mode", "subclass", "export", "compile"]
)
def test_bad_input_of_what_was_traced_is_named(tracer: str) -> None:
    state = torch.get_rng_state()
    bad = logits(2)
    bad[2] = -torch.inf
    for name in ("soft", "taus", "categorical"):
        along_rows = name == "soft"
        traced = TRACERS[tracer](DRAWS[name], logits(1))
        torch.set_rng_state(state)
        with pytest.raises(Exception, match=f"row {0 if along_rows else 2} has no finite logit"):
            traced(torch.full_like(bad, -torch.inf) if along_rows else bad)
        assert torch.equal(torch.get_rng_state(), state)


def test_two_calls_in_one_trace_are_two_draws() -> None:
    x = torch.zeros(4, 40)

    def twice(x: Tensor) -> Tensor:
        return torch.stack([gt.categorical(x), gt.categorical(x), gt.gumbel(4).argsort(), gt.gumbel(4).argsort()])

    for tracer in ("jit", "make_fx", "export", "compile"):
        traced = TRACERS[tracer](twice, x)
        for _ in range(3):  # TorchScript optimises at the second and third call
            found = seeded(traced, x)
            assert torch.equal(found, seeded(twice, x))
            assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "soft", "hard", "taus", "top_k", "relaxed", "one_hot"])
@pytest.mark.parametrize(
    "tracer", ["jit", "export", "compile", "dispatch_mode", "subclass", "saved", "cpu", "checkpoint"]
)
def test_gradients_are_the_eager_ones(name: str, tracer: str) -> None:
    f, x = CALLS[name], logits(2).requires_grad_()
    hooks = {
        "saved": torch.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t.clone()),
        "cpu": torch.autograd.graph.save_on_cpu(),
    }
    if tracer in hooks:
        traced = under(hooks[tracer], f)
    elif tracer == "checkpoint":
        traced = lambda x: torch.utils.checkpoint.checkpoint(f, x, use_reentrant=False)  # noqa: E731
    else:
        traced = TRACERS[tracer](f, logits(1))
    found, wanted = [], []
    for call, gradients in ((traced, found), (f, wanted)):
        y = seeded(call, x)
        weights = torch.arange(y.numel()).reshape(y.shape).cos()
        gradients += torch.autograd.grad((y * weights).sum(), x)
    torch.testing.assert_close(found[0].as_subclass(Tensor), wanted[0])
    assert wanted[0].abs().max() > 0


def test_batched_gradients() -> None:
    x, weights = logits(2).requires_grad_(), torch.randn(3, 4, 40)
    for f in (gt.softmax, gt.log_softmax, lambda x: gt.gumbel_softmax(x, 0.7)):
        y = seeded(f, x)
        (found,) = torch.autograd.grad(y, x, weights, is_grads_batched=True, retain_graph=True)
        wanted = [torch.autograd.grad(y, x, w, retain_graph=True)[0] for w in weights]
        torch.testing.assert_close(found, torch.stack(wanted))
