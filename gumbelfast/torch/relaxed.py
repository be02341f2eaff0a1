"""Relaxed and straight-through one-hot samples, with gradients."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_variadic

from .._engine import checks
from . import _draws, _formulas, _ops, _tensors
from ._tensors import Array
from .softmax import backward


def gumbel_softmax(
    logits: Tensor,
    tau: float | Tensor = 1.0,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
    *,
    generator: Any = None,
) -> Tensor:
    r"""Relaxed one-hot samples, ``softmax((logits + g) / tau)``, or straight-through hard ones.

    `torch.nn.functional.gumbel_softmax` with the same arguments and gradients.

    Parameters
    ----------
    logits : Tensor of float16, bfloat16, float32 or float64
        Unnormalised log-probabilities, of any shape and strides, on the CPU. -inf is never drawn and gets gradient 0.
    tau : float or Tensor, default 1.0
        Temperature. A tensor broadcasts to `logits` (one per row: its shape ends in 1) and may require a gradient. If
        it does, or differs along `dim`, torch's operators compute the formula, on the same noise. In compiled code it
        may change from call to call without a new graph.
    hard : bool, default False
        Exact one-hot samples in the forward pass, the gradient of the soft ones in the backward pass.
    eps : float
        No effect; deprecated, as in torch.
    dim : int, default -1
        The dimension of the categories.
    generator : torch.Generator or gumbelfast.Generator, optional
        A torch generator, by default the one of `torch.manual_seed`, gives one 64-bit key per call. With one of our
        generators the call takes the same elements as `gumbelfast.gumbel_softmax`. For plain tensors in eager code.

    Returns
    -------
    Tensor
        Shape, strides and dtype of `logits`. Half types are computed in float32 and rounded once.

    Raises
    ------
    TypeError
        For anything but a dense tensor of these dtypes, and for other generators.
    ValueError
        For NaN or +inf among the logits, a row without a finite one, or a bad tau; no generator has moved then.
    IndexError, NotImplementedError
        For a `dim` out of range; for tensors on other devices, and where a generator is given in compiled, traced or
        transformed code.

    Notes
    -----
    Jang, Gu and Poole (2016); Maddison, Mnih and Teh (2016); straight-through: Bengio, Leonard and Courville (2013).
    The gradient is :math:`y_i (\mathrm{grad}_i - \sum_j \mathrm{grad}_j y_j) / \tau`.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import gumbel_softmax
    >>> logits = torch.zeros(2, 4, requires_grad=True)
    >>> gumbel_softmax(logits, tau=0.5, hard=True).sum(-1)
    tensor([1., 1.], grad_fn=<SumBackward1>)
    """
    if has_torch_function_variadic(logits, tau):
        return handle_torch_function(
            gumbel_softmax, (logits, tau), logits, tau=tau, hard=hard, eps=eps, dim=dim, generator=generator
        )
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    plain = _tensors.check(logits, "logits", "torch.nn.functional.gumbel_softmax")
    if logits.ndim == 0:
        _tensors.negative_dim(dim, 1)
        return gumbel_softmax(logits.reshape(1), tau, hard, generator=generator).reshape(())
    dim = _tensors.negative_dim(dim, logits.ndim)
    if not plain:
        return _traced(logits, tau, hard, dim, generator)
    if isinstance(tau, torch.Tensor) and (
        tau.requires_grad or not _tensors.is_plain(tau) or not _tensors.is_one_a_row(tau, logits, dim)
    ):
        return _by_operators(logits, tau, hard, dim, generator)
    scale = _tensors.reciprocals(tau, logits, dim)
    if logits.requires_grad and torch.is_grad_enabled():
        if _is_wrapped(logits):  # and has outlived its transform
            return _Hard.apply(logits, scale, dim, generator)[0] if hard else _Soft.apply(logits, scale, dim, generator)
        return _apply_hard(logits, scale, dim, generator)[0] if hard else _apply_soft(logits, scale, dim, generator)
    return _draws.relaxed(logits, scale, not hard, hard, dim, generator)[hard]


class _Soft(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, scale: float | Array, dim: int, generator: Any) -> Tensor:
        y: Tensor = _draws.relaxed(logits, scale, True, False, dim, generator)[0]
        ctx.save_for_backward(y)
        ctx.place = scale, dim
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return backward("softmax", grad, *ctx.saved_tensors, *ctx.place), None, None, None


class _Hard(torch.autograd.Function):
    """Returns the soft sample as well, so that second derivatives find it in the graph."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, scale: float | Array, dim: int, generator: Any) -> tuple[Tensor, Tensor]:
        soft, hard = _draws.relaxed(logits, scale, True, True, dim, generator)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(soft)
        ctx.place = scale, dim
        return hard, soft

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, grad_soft: Tensor | None) -> Any:
        grad = grad_soft if grad is None else grad if grad_soft is None else grad + grad_soft
        pulled = None if grad is None else backward("softmax", grad, *ctx.saved_tensors, *ctx.place)
        return pulled, None, None, None


# Function.apply itself asks in Python for transforms, which plain tensors are not under; that takes a microsecond.
_apply_soft, _apply_hard = (super(torch.autograd.Function, each).apply for each in (_Soft, _Hard))
_is_wrapped = torch._C._functorch.is_functorch_wrapped_tensor


def _traced(logits: Tensor, tau: float | Tensor, hard: bool, dim: int, generator: Any) -> Tensor:
    """For calls that are observed: one operator where its gradient is enough."""
    if not isinstance(tau, torch.Tensor):
        if not torch.compiler.is_compiling():
            checks.positive_reciprocal(tau, "tau", _tensors.WORK[logits.dtype])
        tau = _ops.tensor_of(tau)
    # Tensors under torch.jit.trace have sizes that are tensors.
    rows = tau.ndim == 0 or (not torch.jit.is_tracing() and _tensors.is_one_a_row(tau, logits, dim))
    if not rows or tau.requires_grad or _tensors.is_transformed() or _tensors.is_forward_mode():
        return _by_operators(logits, tau, hard, dim, generator)
    if hard:
        return _ops.gumbel_softmax_hard(logits, tau.double(), dim, _ops.token(generator))[0]
    return _ops.gumbel_softmax(logits, tau.double(), dim, _ops.token(generator))


def _by_operators(logits: Tensor, tau: Tensor, hard: bool, dim: int, generator: Any) -> Tensor:
    """The same on the same noise, in operators that torch can differentiate by anything and in any mode."""
    return _formulas.relax(logits, _ops.noise_for(logits, tau, dim, generator), tau, hard, dim)
