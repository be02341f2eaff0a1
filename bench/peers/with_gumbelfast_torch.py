"""`gumbelfast.torch` and torch on the same tensors: the same call, from another import."""

from __future__ import annotations

import importlib
from typing import Any

import pin
from peers import Call, contender

torch: Any = importlib.import_module("torch")
gt: Any = importlib.import_module("gumbelfast.torch")
torch.set_num_threads(pin.THREADS)
gf: Any = importlib.import_module("gumbelfast")
gf.set_num_threads(pin.THREADS)


def _training(gumbel_softmax: Any, logits: Any, grad: Any, tau: float, hard: bool) -> Call:
    x, g = torch.from_numpy(logits).requires_grad_(), torch.from_numpy(grad)
    torch.manual_seed(0)

    def call() -> Any:
        x.grad = None
        y = gumbel_softmax(x, tau, hard)
        y.backward(g)
        return y.detach(), x.grad

    return call


@contender("torch gumbel_softmax", "gumbelfast", role="ours")
def gumbel_softmax(logits: Any, grad: Any, tau: float, hard: bool) -> Call:
    return _training(gt.gumbel_softmax, logits, grad, tau, hard)


@contender("torch gumbel_softmax", "torch")
def their_gumbel_softmax(logits: Any, grad: Any, tau: float, hard: bool) -> Call:
    return _training(torch.nn.functional.gumbel_softmax, logits, grad, tau, hard)


@contender("torch categorical", "gumbelfast", role="ours")
def categorical(logits: Any) -> Call:
    x, rng = torch.from_numpy(logits), torch.Generator().manual_seed(0)
    return lambda: gt.categorical(x, generator=rng)


@contender("torch categorical", "torch")
def their_categorical(logits: Any) -> Call:
    x, rng = torch.from_numpy(logits), torch.Generator().manual_seed(0)
    work = torch.empty_like(x)
    return lambda: torch.sub(x, work.exponential_(generator=rng).log_(), out=work).argmax(-1)


@contender("torch multinomial", "gumbelfast", role="ours")
def multinomial(weights: Any) -> Call:
    w, rng = torch.from_numpy(weights), torch.Generator().manual_seed(0)
    return lambda: gt.multinomial(w, 1, generator=rng).squeeze(-1)


@contender("torch multinomial", "torch")
def their_multinomial(weights: Any) -> Call:
    w, rng = torch.from_numpy(weights), torch.Generator().manual_seed(0)
    return lambda: torch.multinomial(w, 1, generator=rng).squeeze(-1)
