"""Subsets of k items with gradients: relaxed ones, and exact ones with the gradient of their marginals."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import subsets
from .._engine.sources import reserved_from
from ..subsets import _checks as check
from ..subsets import exact
from ..subsets.relaxed import relax, relax_backward
from . import _checks, _key, _ops, _tensors
from ._tensors import Array

__all__ = ["relaxed_top_k", "sample_k_hot", "subset_log_partition", "subset_marginals"]


def relaxed_top_k(
    logits: Tensor, k: int, tau: float | Tensor = 1.0, hard: bool = False, dim: int = -1, *, generator: Any = None
) -> Tensor:
    r"""Relaxed k-hot samples with gradients, as `gumbelfast.subsets.relaxed_top_k`.

    Parameters
    ----------
    logits : Tensor of float16, bfloat16, float32 or float64
        Unnormalised log-weights, at least k of them finite in each row.
    k : int
        The size of the subsets.
    tau : float or Tensor, default 1.0
        Temperature, one number or one per row: a shape that broadcasts to `logits` and is 1 along `dim`. No gradient
        passes to it.
    hard : bool, default False
        Forward exact k-hot samples, those of `gumbel_top_k`, backward the gradient of the soft ones.
    dim : int, default -1
        The dimension of the items.
    generator : torch.Generator or gumbelfast.Generator, optional
        As in `gumbelfast.torch.gumbel_softmax`.

    Returns
    -------
    Tensor
        Shape and dtype of `logits`.

    Raises
    ------
    TypeError, ValueError, IndexError, NotImplementedError
        As in `gumbelfast.torch.gumbel_softmax` and `gumbelfast.subsets.relaxed_top_k`. Compiled and transformed code is
        refused.

    Notes
    -----
    Xie and Ermon, "Reparameterizable subset sampling via continuous relaxations" (2019).

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch.subsets import relaxed_top_k
    >>> logits = torch.zeros(2, 6, requires_grad=True)
    >>> relaxed_top_k(logits, 3, tau=0.5, hard=True).sum(-1)
    tensor([3., 3.], grad_fn=<SumBackward1>)
    """
    dim, k, rows = _checked(logits, k, dim, "relaxed_top_k")
    scale = _tensors.reciprocals(tau, logits, dim)
    noise = _ops.noise_for(logits.detach(), torch.ones(()), dim, generator).numpy()
    found: Tensor = _Relaxed.apply(_tensors.last(logits, dim), np.ascontiguousarray(rows + noise), k, scale, hard)
    return found if dim == -1 else found.movedim(-1, dim)


class _Relaxed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, z: Array, k: int, scale: float | Array, hard: bool) -> Tensor:
        ctx.given, ctx.dtype = (z, k, scale), x.dtype
        return torch.from_numpy(relax(z, k, scale, hard)).to(x.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        pulled = relax_backward(np.ascontiguousarray(_tensors.wide(grad, -1)), *ctx.given)
        return torch.from_numpy(pulled).to(ctx.dtype), None, None, None, None


def subset_log_partition(logits: Tensor, k: int, dim: int = -1) -> Tensor:
    r"""The logarithm of the sum over all subsets of k items, as `gumbelfast.subsets.subset_log_partition`.

    Parameters
    ----------
    logits, k, dim
        As in `relaxed_top_k`.

    Returns
    -------
    Tensor
        Shape of `logits` without `dim`, float32 or float64 as they are computed in. Its gradient is `subset_marginals`.

    Raises
    ------
    TypeError, ValueError, IndexError, NotImplementedError
        As in `relaxed_top_k`.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch.subsets import subset_log_partition
    >>> subset_log_partition(torch.tensor([1.0, 1.0, 2.0]).log(), 2).exp()  # 1 * 1 + 1 * 2 + 1 * 2
    tensor(5.)
    """
    dim, k, _ = _checked(logits, k, dim, "subset_log_partition")
    found: Tensor = _LogPartition.apply(_tensors.last(logits, dim), k)
    return found


def subset_marginals(logits: Tensor, k: int, dim: int = -1) -> Tensor:
    r"""The probability that each item is in the subset, as `gumbelfast.subsets.subset_marginals`, with its gradient.

    Parameters
    ----------
    logits, k, dim
        As in `relaxed_top_k`.

    Returns
    -------
    Tensor
        Shape of `logits`, float32 or float64 as they are computed in.

    Raises
    ------
    TypeError, ValueError, IndexError, NotImplementedError
        As in `relaxed_top_k`.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch.subsets import subset_marginals
    >>> subset_marginals(torch.tensor([1.0, 1.0, 2.0]).log(), 2)
    tensor([0.6000, 0.6000, 0.8000])
    """
    dim, k, _ = _checked(logits, k, dim, "subset_marginals")
    found: Tensor = _Marginals.apply(_tensors.last(logits, dim), k)
    return found if dim == -1 else found.movedim(-1, dim)


def sample_k_hot(logits: Tensor, k: int, dim: int = -1, *, generator: Any = None) -> Tensor:
    r"""Exact k-hot samples of the law of `gumbelfast.subsets.sample_subsets`, with the gradient of the marginals.

    Parameters
    ----------
    logits, k, dim, generator
        As in `relaxed_top_k`. The noise is that of `gumbelfast.subsets.sample_subsets`.

    Returns
    -------
    Tensor
        Shape of `logits`, float32 or float64 as they are computed in: k ones in each row.

    Raises
    ------
    TypeError, ValueError, IndexError, NotImplementedError
        As in `relaxed_top_k`.

    Notes
    -----
    SIMPLE: Ahmed, Zeng, Niepert and Van den Broeck, "SIMPLE: a gradient estimator for k-subset sampling" (2023).

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch.subsets import sample_k_hot
    >>> sample_k_hot(torch.zeros(2, 6), 3).sum(-1)
    tensor([3., 3.])
    """
    dim, k, rows = _checked(logits, k, dim, "sample_k_hot")
    wide = rows.astype(np.float64).reshape(-1, rows.shape[-1])
    with reserved_from(_key.source(generator), wide.size) as (key, first):
        drawn = exact.pick(wide, k, 1, key, first)[0]
    hot = np.zeros(wide.shape, rows.dtype)
    np.put_along_axis(hot, drawn, 1, -1)
    found = torch.from_numpy(hot.reshape(rows.shape))
    if logits.requires_grad and torch.is_grad_enabled():
        found = _Through.apply(_Marginals.apply(_tensors.last(logits, dim), k), found)
    return found if dim == -1 else found.movedim(-1, dim)


class _Through(torch.autograd.Function):
    """The second forward, the first backward: no sum of both that would round."""

    @staticmethod
    def forward(ctx: Any, soft: Tensor, hot: Tensor) -> Tensor:
        return hot.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return grad, None


class _LogPartition(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, k: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.k = k
        found = np.asarray(subsets.subset_log_partition(_tensors.wide(x.detach(), -1), k))
        return torch.from_numpy(found).to(_tensors.work_of(x))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        pulled = grad.unsqueeze(-1) * _Marginals.apply(x, ctx.k)
        return pulled.to(x.dtype), None


class _Marginals(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, k: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.k = k
        return torch.from_numpy(subsets.subset_marginals(_tensors.wide(x.detach(), -1), k)).to(_tensors.work_of(x))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        g, rows = (_tensors.wide(each.detach(), -1) for each in (grad, x))
        return torch.from_numpy(subsets.subset_marginals_backward(g, rows, ctx.k)).to(x.dtype), None


def _checked(logits: Tensor, k: Any, dim: Any, function: str) -> tuple[int, int, Array]:
    """The dimension, the count, and the rows as NumPy computes with them."""
    _checks.require_plain(logits, "logits", function)
    dim = _tensors.negative_dim(dim, logits.ndim)
    _tensors.require_columns(logits, dim)
    rows, _, count = check.logits(_tensors.wide(logits.detach(), dim), -1, k)
    return dim, count, rows
