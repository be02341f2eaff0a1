"""The same in torch's own operators: for forward mode, second derivatives, gradients of tau, and transforms."""

from __future__ import annotations

import torch
from torch import Tensor


def relax(logits: Tensor, noise: Tensor, tau: Tensor, hard: bool, dim: int) -> Tensor:
    """``softmax((logits + noise) / tau)``, the noise given with `dim` last."""
    wide = logits.to(noise.dtype)
    common = wide.detach().amax(dim, keepdim=True)  # as the kernel, so that large logits round no noise away
    perturbed = (wide - common) + (noise if dim == -1 else noise.movedim(-1, dim))
    below = perturbed - perturbed.detach().amax(dim, keepdim=True)
    # exp(-800) is 0 in float64 too; a finite bound keeps 0 * inf out of the gradient by tau.
    soft = torch.softmax(below.clamp_min(-800 * tau.detach()) / tau, dim)
    soft = soft.to(logits.dtype)
    if not hard:
        return soft
    chosen = perturbed.detach().argmax(dim, keepdim=True)
    return torch.zeros_like(soft).scatter(dim, chosen, 1.0) + (soft - soft.detach())


def pull(kernel: str, grad: Tensor, y: Tensor, scale: float | Tensor, dim: int) -> Tensor:
    """The gradient through `softmax(x * scale)` or `log_softmax(x * scale)` that gave `y`; half types as float32."""
    g, z = (grad.float(), y.float()) if grad.dtype in (torch.float16, torch.bfloat16) else (grad, y)
    softmax = kernel == "softmax"
    pulled = z * (g - (g * z).sum(dim, keepdim=True)) if softmax else g - z.exp() * g.sum(dim, keepdim=True)
    return (pulled * scale).to(grad.dtype)
