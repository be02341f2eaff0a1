"""Log-densities of relaxed draws, in torch's operators."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from .. import _tensors


def widened(x: Tensor) -> Tensor:
    """Half types as float32."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _log(tau: float | Tensor) -> float | Tensor:
    return widened(tau).log() if isinstance(tau, Tensor) else math.log(tau)


def concrete(logits: Tensor, tau: float | Tensor, log_y: Tensor, on_simplex: bool) -> Tensor:
    r"""The log-density at :math:`y`, or of its logarithm, with one tau per row in a last dimension of size 1.

    :math:`\log\Gamma(n) + (n-1) \log\tau + \sum_k \log\mathrm{softmax}(x - \tau \log y)_k`, less
    :math:`\sum_k \log y_k` on the simplex. Categories with logit -inf are none: the density is that on the face of the
    n others, and 0 outside it. Entries of y that are 0 stand for the limit in which they vanish together.
    """
    logits, log_y = widened(logits), widened(log_y)
    row_tau = tau.squeeze(-1) if isinstance(tau, Tensor) and tau.ndim else tau
    impossible, zero = logits == -torch.inf, log_y == -torch.inf
    if not _tensors.is_traced(log_y) and not (impossible.any() or zero.any()):
        n = logits.shape[-1]
        density = (logits - tau * log_y).log_softmax(-1).sum(-1) + (math.lgamma(n) + (n - 1) * _log(row_tau))
        return density - log_y.sum(-1) if on_simplex else density
    vanishing = zero & ~impossible
    zeros = vanishing.sum(-1)
    v = log_y.masked_fill(zero | impossible, 0)
    score = logits.masked_fill(impossible, 0) - tau * v
    # Entries that vanish have the largest scores: they alone make the sum.
    leading = ~impossible & (vanishing | (zeros == 0).unsqueeze(-1))
    terms = score - score.masked_fill(~leading, -torch.inf).logsumexp(-1, keepdim=True)
    if on_simplex:
        terms = terms - v
    count = (~impossible).sum(-1).to(score.dtype)
    density = terms.masked_fill(impossible, 0).sum(-1) + (count.lgamma() + (count - 1) * _log(row_tau))
    # What multiplies log(1/epsilon) if `zeros` entries are epsilon.
    growth = (zeros * (row_tau + on_simplex) - count * row_tau).detach()
    density = torch.where((zeros == 0) | (growth == 0), density, growth.sign() * torch.inf)
    return density.masked_fill((impossible & ~zero).any(-1), -torch.inf)


def logistic(logits: Tensor, tau: float | Tensor, t: Tensor) -> Tensor:
    r"""The log-density at a logit t: :math:`\log\tau + \log\sigma(d) + \log\sigma(-d)` with :math:`d = \tau t - x`."""
    d = tau * widened(t) - widened(logits)
    return logsigmoid(d) + logsigmoid(-d) + _log(tau)
