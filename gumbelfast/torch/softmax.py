"""Softmax, its logarithm and that of its denominator, with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from .._engine import thread_count
from .._engine.backend import active
from . import _checks, _formulas, _tensors
from ._tensors import Array


def softmax(input: Tensor, dim: int = -1, dtype: torch.dtype | None = None) -> Tensor:
    r"""Softmax, :math:`\exp(x_i) / \sum_j \exp(x_j)`, as `torch.softmax`.

    Parameters
    ----------
    input : Tensor of float16, bfloat16, float32 or float64
        Any shape and strides, on the CPU.
    dim : int, default -1
        Dimension that the sum runs over.
    dtype : torch.dtype, optional
        `input` is cast to it first.

    Returns
    -------
    Tensor
        Shape and dtype of `input`. Half types are computed in float32 and rounded once; NaN and infinities propagate.

    Raises
    ------
    TypeError, IndexError, NotImplementedError
        For another dtype or layout, a `dim` out of range, and tensors on other devices.

    Notes
    -----
    Compiled, traced and transformed programs get torch's own operator, which compilers fuse.

    Examples
    --------
    >>> import torch, gumbelfast.torch
    >>> x = torch.tensor([0.0, 1.0, 2.0])
    >>> torch.allclose(gumbelfast.torch.softmax(x, dim=0), torch.softmax(x, dim=0))
    True
    """
    if has_torch_function_unary(input):
        return handle_torch_function(softmax, (input,), input, dim=dim, dtype=dtype)
    return _forward("softmax", torch.softmax, input, dim, dtype)


def log_softmax(input: Tensor, dim: int = -1, dtype: torch.dtype | None = None) -> Tensor:
    r"""Logarithm of the softmax, :math:`x_i - \log \sum_j \exp(x_j)`, as `torch.log_softmax`.

    Parameters, result and errors are those of `softmax`.

    Examples
    --------
    >>> import torch, gumbelfast.torch
    >>> x = torch.tensor([0.0, 1.0, 2.0])
    >>> torch.allclose(gumbelfast.torch.log_softmax(x, dim=0), torch.log_softmax(x, dim=0))
    True
    """
    if has_torch_function_unary(input):
        return handle_torch_function(log_softmax, (input,), input, dim=dim, dtype=dtype)
    return _forward("log_softmax", torch.log_softmax, input, dim, dtype)


def logsumexp(input: Tensor, dim: int | Sequence[int], keepdim: bool = False) -> Tensor:
    r"""Logarithm of a sum of exponentials, :math:`\log \sum_j \exp(x_j)`, as `torch.logsumexp`.

    Parameters
    ----------
    input : Tensor of float16, bfloat16, float32 or float64
        Any shape and strides, on the CPU.
    dim : int or sequence of int
        Dimensions that the sum runs over.
    keepdim : bool, default False
        Keep them with size 1.

    Returns
    -------
    Tensor
        Dtype of `input`. Half types are computed in float32 and rounded once; -inf where there is nothing but -inf. The
        gradient is that of the result times `softmax`.

    Raises
    ------
    TypeError, IndexError, NotImplementedError
        As in `softmax`.
    ValueError
        For no dimension, or one that is named twice.

    Notes
    -----
    Compiled, traced and transformed programs get torch's own operator.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import logsumexp
    >>> logsumexp(torch.zeros(2, 4), dim=-1).exp()
    tensor([4., 4.])
    """
    if has_torch_function_unary(input):
        return handle_torch_function(logsumexp, (input,), input, dim, keepdim=keepdim)
    plain = _tensors.check(input, "input", "torch.logsumexp")
    dims = _checks.negative_dims(dim, input.ndim or 1)
    if not plain or input.ndim == 0 or input.numel() == 0:
        return torch.logsumexp(input, dims, keepdim)
    # Several dimensions are one behind the others.
    x = input if len(dims) == 1 else input.movedim(dims, tuple(range(-len(dims), 0))).flatten(-len(dims))
    last = dims[0] if len(dims) == 1 else -1
    if x.requires_grad and torch.is_grad_enabled():
        result: Tensor = _LogSumExp.apply(x, last)
    else:
        result = _log_sum_exp(x, last)
    if keepdim:
        for place in sorted(d % input.ndim for d in dims):
            result = result.unsqueeze(place)
    return result


def _log_sum_exp(x: Tensor, dim: int) -> Tensor:
    rows = _tensors.rows(x, dim)
    result = np.empty(rows.shape[:-1], rows.dtype)
    active().logsumexp(rows, 1.0, result, thread_count.resolve(None))
    return _tensors.tensor(result, x.dtype, -1)


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.dim = dim
        return _log_sum_exp(x, dim)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return grad.unsqueeze(ctx.dim) * softmax(x, ctx.dim), None


def _forward(kernel: str, theirs: Any, x: Tensor, dim: int, dtype: torch.dtype | None) -> Tensor:
    if dtype is not None and isinstance(x, torch.Tensor):
        x = x.to(dtype)
    plain = _tensors.check(x, "input", f"torch.{kernel}")
    dim = _tensors.negative_dim(dim, x.ndim or 1)
    if not plain or x.ndim == 0 or x.numel() == 0:
        return theirs(x, dim)
    if x.requires_grad and torch.is_grad_enabled():
        return _Rows.apply(x, kernel, dim)
    return _run(kernel, x, dim)


def _run(kernel: str, x: Tensor, dim: int) -> Tensor:
    rows = _tensors.rows(x, dim)
    result, written = _tensors.result_like(x, rows, dim)
    getattr(active(), kernel)(rows, 1.0, written, thread_count.resolve(None))
    return _tensors.settle(result, written, dim)


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: str, dim: int) -> Tensor:
        y = _run(kernel, x, dim)
        ctx.save_for_backward(y)
        ctx.kernel, ctx.dim = kernel, dim
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (y,) = ctx.saved_tensors
        return backward(ctx.kernel, grad, y, 1.0, ctx.dim), None, None


def backward(kernel: str, grad: Tensor, y: Tensor, scale: float | Array, dim: int) -> Tensor:
    """The gradient through `softmax(x * scale)` or `log_softmax` that returned `y`, differentiable if it must be."""
    # Batched as by `torch.autograd.grad(is_grads_batched=True)`, a vmap of its own.
    batched = torch._C._functorch.is_legacy_batchedtensor(grad)
    if batched or torch.is_grad_enabled() or not _tensors.is_plain(grad):
        return _formulas.pull(kernel, grad, y, _tensors.spread(scale, y, dim), dim)
    y_rows = _tensors.rows(y, dim)
    pulled = np.empty(y_rows.shape, y_rows.dtype)
    run = active().softmax_backward if kernel == "softmax" else active().log_softmax_backward
    if pulled.size:
        run(_tensors.rows(grad, dim), y_rows, scale, pulled, thread_count.resolve(None))
    return _tensors.tensor(pulled, y.dtype, dim)
