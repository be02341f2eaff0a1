"""Relaxed draws before they are rounded: logarithms and logits, in the dtype that they are computed in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributions

from ...distributions import binary_concrete
from .. import _ops, _tensors
from ..noise import exponential_like


class Sampled(distributions.Distribution):
    """What the distributions of relaxed draws have in common."""

    def sample(self, sample_shape: Sequence[int] = (), *, generator: Any = None) -> Tensor:
        """`rsample` without gradients."""
        with torch.no_grad():
            return self.rsample(sample_shape, generator=generator)


def is_plain(logits: Tensor, tau: float | Tensor) -> bool:
    """Whether no compiler, transform or forward derivative looks on."""
    return _tensors.is_plain(logits) and (not isinstance(tau, Tensor) or _tensors.is_plain(tau))


def logarithms(logits: Tensor, tau: float | Tensor, generator: Any) -> Tensor:
    """``log_softmax((logits + g) / tau)``, of what `gumbel_softmax` draws at the same place."""
    if not _tensors.is_traced(logits):
        _tensors.check_temperature(tau, logits)
    work = _tensors.work_of(logits)
    perturbed = logits.to(work) + _ops.noise_for(logits, _ops.tensor_of(tau), -1, generator)
    below = perturbed - perturbed.detach().amax(-1, keepdim=True)
    impossible = below == -torch.inf
    # Divided where it is finite: a derivative by tau is none of infinity.
    scaled = (below.masked_fill(impossible, 0) / tau).masked_fill(impossible, -torch.inf)
    return scaled.log_softmax(-1).to(work)


def logits(logits: Tensor, tau: float | Tensor, generator: Any) -> Tensor:
    """``(logits + l) / tau`` with logistic noise l, as `gumbelfast.distributions.BinaryConcrete` draws it."""
    work = _tensors.work_of(logits)
    if _tensors.is_traced(logits):
        noise = exponential_like(logits, dtype=work, generator=generator).expm1().log()
    else:
        _tensors.check_temperature(tau, logits)
        _tensors.check_finite(logits)
        e = exponential_like(logits, dtype=work, generator=generator)
        noise = torch.from_numpy(np.asarray(binary_concrete.logistic_noise(e.numpy())))
    return ((logits.to(work) + noise) * (1 / tau)).to(work)


def sigmoid(t: Tensor) -> Tensor:
    """The sigmoid, in plain code with the bytes of `gumbelfast.distributions.BinaryConcrete`."""
    if not is_plain(t, 1.0):
        return torch.sigmoid(t)
    return _Sigmoid.apply(t) if t.requires_grad and torch.is_grad_enabled() else _sigmoid(t)


def _sigmoid(t: Tensor) -> Tensor:
    return torch.from_numpy(np.asarray(binary_concrete.sigmoid(t.detach().contiguous().numpy())))


class _Sigmoid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, t: Tensor) -> Tensor:
        y = _sigmoid(t)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return grad * y * (1 - y)
