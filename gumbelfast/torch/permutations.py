"""Relaxed permutations with gradients: Gumbel-Sinkhorn, SoftSort and NeuralSort."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import permutations
from ..permutations import _checks as check
from ..permutations.sinkhorn import relax, relax_backward, scales
from . import _checks, _draws, _tensors
from ._tensors import Array

__all__ = ["gumbel_sinkhorn", "neural_sort", "soft_sort"]


def gumbel_sinkhorn(
    logits: Tensor,
    tau: float | Tensor = 1.0,
    iterations: int = 20,
    hard: bool = False,
    *,
    noise_scale: float = 1.0,
    generator: Any = None,
) -> Tensor:
    r"""Relaxed permutation matrices with gradients, as `gumbelfast.permutations.gumbel_sinkhorn`.

    Parameters
    ----------
    logits : Tensor of float16, bfloat16, float32 or float64, shape (..., n, n)
        Entry (i, j) is the score of item j at place i; finite.
    tau : float or Tensor, default 1.0
        Temperature, one number or one per matrix, which broadcasts to the batch shape. No gradient passes to it.
    iterations, noise_scale
        As in `gumbelfast.permutations.gumbel_sinkhorn`.
    hard : bool, default False
        Exact permutation matrices in the forward pass, the gradient of the soft ones in the backward pass.
    generator : torch.Generator or gumbelfast.Generator, optional
        As in `gumbelfast.torch.gumbel_softmax`.

    Returns
    -------
    Tensor
        Shape and dtype of `logits`.

    Raises
    ------
    TypeError, ValueError, ImportError, NotImplementedError
        As in `gumbelfast.permutations.gumbel_sinkhorn`; NotImplementedError in compiled and transformed code.

    Notes
    -----
    Mena, Belanger, Linderman and Snoek, "Learning latent permutations with Gumbel-Sinkhorn networks" (2018).

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch.permutations import gumbel_sinkhorn
    >>> gumbel_sinkhorn(torch.zeros(4, 4), tau=0.5, hard=True).sum(-1)
    tensor([1., 1., 1., 1.])
    """
    _checks.require_plain(logits, "logits", "gumbel_sinkhorn")
    x = check.square(_numbers(logits))
    rounds, scale = check.iterations(iterations), scales(_number(tau), x)
    width = check.noise_scale(noise_scale)
    z = x
    if width:
        noise = _draws.noise("gumbel", tuple(logits.shape), _tensors.work_of(logits), generator)
        z = x + noise.numpy() * x.dtype.type(width)
    found: Tensor = _Sinkhorn.apply(logits, z, scale, rounds, hard)
    return found


class _Sinkhorn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, z: Array, scale: float | Array, rounds: int, hard: bool) -> Tensor:
        ctx.given, ctx.dtype = (z, scale, rounds), logits.dtype
        return torch.from_numpy(relax(z, scale, rounds, hard)).to(logits.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        pulled = relax_backward(np.ascontiguousarray(_numbers(grad)), *ctx.given)
        return torch.from_numpy(pulled).to(ctx.dtype), None, None, None, None


def soft_sort(scores: Tensor, tau: float | Tensor = 1.0) -> Tensor:
    r"""A relaxed permutation matrix that sorts in descending order, as `gumbelfast.permutations.soft_sort`.

    Parameters
    ----------
    scores : Tensor of float16, bfloat16, float32 or float64, shape (..., n)
        Finite.
    tau : float or Tensor, default 1.0
        Temperature, one number or one per row, which broadcasts to the batch shape. No gradient passes to it.

    Returns
    -------
    Tensor of shape (..., n, n)
        Dtype of `scores`.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `gumbelfast.permutations.soft_sort`; NotImplementedError in compiled and transformed code.

    Notes
    -----
    Prillo and Eisenschlos, "SoftSort: a continuous relaxation for the argsort operator" (2020).

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch.permutations import soft_sort
    >>> soft_sort(torch.tensor([2.0, 5.0, 4.0]), 0.01) @ torch.tensor([2.0, 5.0, 4.0])
    tensor([5., 4., 2.])
    """
    return _sorted(scores, tau, permutations.soft_sort, permutations.soft_sort_backward)


def neural_sort(scores: Tensor, tau: float | Tensor = 1.0) -> Tensor:
    r"""A relaxed permutation matrix that sorts in descending order, as `gumbelfast.permutations.neural_sort`.

    Parameters, result and errors are those of `soft_sort`.

    Notes
    -----
    Grover, Wang, Zweig and Ermon, "Stochastic optimization of sorting networks via continuous relaxations" (2019).

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch.permutations import neural_sort
    >>> neural_sort(torch.tensor([2.0, 5.0, 4.0]), 0.01) @ torch.tensor([2.0, 5.0, 4.0])
    tensor([5., 4., 2.])
    """
    return _sorted(scores, tau, permutations.neural_sort, permutations.neural_sort_backward)


def _sorted(scores: Tensor, tau: Any, forward: Callable[..., Array], backward: Callable[..., Array]) -> Tensor:
    _checks.require_plain(scores, "scores", forward.__name__)
    found: Tensor = _Sorted.apply(scores, _number(tau), forward, backward)
    return found


class _Sorted(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, tau: Any, forward: Callable[..., Array], back: Callable[..., Array]
    ) -> Tensor:
        ctx.given, ctx.back, ctx.dtype = (_numbers(scores), tau), back, scores.dtype
        return torch.from_numpy(forward(*ctx.given)).to(scores.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        return torch.from_numpy(ctx.back(_numbers(grad), *ctx.given)).to(ctx.dtype), None, None, None


def _numbers(x: Tensor) -> Array:
    """A copy of a tensor in the dtype of the computation: later changes of the tensor do not reach it."""
    return np.array(x.detach().to(_tensors.work_of(x)).numpy())


def _number(tau: Any) -> Any:
    return tau.detach().double().numpy() if isinstance(tau, torch.Tensor) else tau
