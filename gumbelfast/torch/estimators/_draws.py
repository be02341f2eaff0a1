"""What estimators draw and differentiate, in tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..._engine import checks
from ...estimators import _surrogates
from .. import _tensors
from ..noise import exponential, gumbel
from ..relaxed import gumbel_softmax
from ..sampling import categorical, gumbel_top_k
from ..softmax import softmax

Function = Callable[[Tensor], Tensor]


class Estimate(NamedTuple):
    """The result of an estimator.

    Attributes
    ----------
    loss : Tensor of shape lead
        Its value is the estimate of E[f] from the samples. Its gradient with respect to the logits is the estimator's;
        with respect to everything else that `f` depends on, it is the ordinary gradient of that value.
    samples : Tensor of shape (num_samples, *logits.shape)
        The samples at which `f` was evaluated, without gradient.
    values : Tensor of shape (num_samples, *lead)
        The values of `f`, without gradient.
    """

    loss: Tensor
    samples: Tensor
    values: Tensor


class ControlledEstimate(NamedTuple):
    """The result of `relax`: an `Estimate`, and the loss that trains its control variate.

    Attributes
    ----------
    loss, samples, values
        As of `Estimate`. The control variate gets no gradient from `loss`.
    variance_loss : Tensor of shape lead
        The mean over the samples of the squared length of the gradient with respect to the logits: the variance of one
        sample, plus a term that does not depend on the control variate. Its gradient reaches only what `control`
        depends on.
    """

    loss: Tensor
    samples: Tensor
    values: Tensor
    variance_loss: Tensor


class Draws(_surrogates.Draws):
    """Of logits that are a tensor, with a generator."""

    logits: Tensor
    mean: Tensor

    def __init__(
        self, logits: Tensor, f: Function, num_samples: Any, family: str = "categorical", generator: Any = None
    ) -> None:
        super().__init__(torch, f, num_samples, family)
        plain = _tensors.check(logits, "logits", "torch.distributions")
        x = logits.to(_tensors.work_of(logits))
        self.generator = generator
        self.logits = torch.stack((torch.zeros_like(x), x), -1) if self.binary else x
        _tensors.require_columns(self.logits, checks.axis_index(-1, self.logits.ndim))
        self.mean = softmax(self.logits.detach())
        if plain and torch.isnan(self.mean).any():
            _tensors.refuse(logits if logits.ndim else logits.reshape(1), -1)

    def stop(self, x: Tensor) -> Tensor:
        return x.detach()

    def softmax(self, x: Tensor) -> Tensor:
        return softmax(x)

    def log_softmax(self, x: Tensor) -> Tensor:
        return torch.log_softmax(x, -1)

    def one_hot(self, index: Tensor) -> Tensor:
        hot = torch.zeros((*index.shape, self.logits.shape[-1]), dtype=self.logits.dtype, device=self.logits.device)
        return hot.scatter(-1, index.unsqueeze(-1), 1.0)

    def cast(self, x: Tensor, like: Tensor | None) -> Tensor:
        return x.double() if like is None else x.to(like.dtype)

    def number(self, value: Any, name: str) -> Tensor:
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"{name} returned {type(value).__name__}, expected a tensor")
        if value.is_complex():
            raise TypeError(f"{name} returned {str(value.dtype).removeprefix('torch.')}, expected real numbers")
        return value if value.is_floating_point() else value.to(self.logits.dtype)

    def slope(self, function: Function, at: Tensor, keep: bool = False) -> tuple[Tensor, Tensor]:
        if torch.compiler.is_compiling() or _tensors.is_transformed():
            found, pull = torch.func.vjp(function, at)
            (slope,) = pull(torch.ones_like(found))
            return (found, slope) if keep else (found, slope.detach())
        with torch.enable_grad():  # the slope is wanted where nobody asks for gradients, too
            at = at.detach().requires_grad_()
            found = function(at)
            if not found.requires_grad:
                return found, torch.zeros_like(at)
            (slope,) = torch.autograd.grad(
                found.sum(), at, create_graph=keep, allow_unused=True, materialize_grads=True
            )
        return found, slope

    def choice(self) -> Tensor:
        return self.one_hot(categorical(self.logits.detach(), (self.num_samples,), generator=self.generator))

    def relaxed(self, logits: Tensor, tau: Any, hard: bool) -> Tensor:
        return gumbel_softmax(logits.expand(self.num_samples, *logits.shape), tau, hard, generator=self.generator)

    def noises(self, count: int) -> list[Tensor]:
        shape = (self.num_samples, *self.logits.shape)
        return [gumbel(shape, dtype=self.logits.dtype, generator=self.generator) for _ in range(count)]

    def exponentials(self, count: int) -> Tensor:
        shape = (count, *self.logits.shape[:-1])
        return exponential(shape, dtype=self.logits.dtype, generator=self.generator)

    def largest(self, log_p: Tensor, k: int) -> tuple[Tensor, Tensor]:
        if _tensors.is_plain(self.logits):
            short = torch.isfinite(self.logits.detach()).sum(-1) < self.num_samples
            if short.any():
                row = tuple(short.nonzero()[0].tolist())
                finite = int(torch.isfinite(self.logits.detach()).sum(-1)[row])
                raise ValueError(f"k={self.num_samples} exceeds the {finite} finite logits of row {_row(row)}")
        found = gumbel_top_k(log_p, k, generator=self.generator)
        return found.indices, found.values


def _row(place: tuple[int, ...]) -> str:
    return str(place[0] if len(place) == 1 else place)


def check_tau(tau: Any, logits: Tensor, name: str = "tau") -> Any:
    """A temperature: a number, or a tensor with one, which compiled code takes without a new graph."""
    if torch.compiler.is_compiling():
        return tau
    number = tau
    if isinstance(tau, torch.Tensor):
        if tau.numel() != 1 or tau.ndim:
            raise ValueError(f"{name} must be one number, got a tensor of shape {tuple(tau.shape)}")
        if _tensors.is_traced(tau):
            return tau
        number = tau.item()
    checks.positive_reciprocal(number, name, _tensors.WORK[logits.dtype])
    return tau
