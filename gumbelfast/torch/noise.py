"""Gumbel and exponential noise in tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function, has_torch_function_unary

from . import _checks, _draws, _ops, _tensors


def gumbel(size: int | Sequence[int], *, dtype: torch.dtype | None = None, generator: Any = None) -> Tensor:
    r"""Standard Gumbel noise, :math:`-\log E` with a standard exponential E.

    Parameters
    ----------
    size : int or sequence of int
        Shape of the result.
    dtype : torch.dtype, optional
        float16, bfloat16, float32 or float64; by default ``torch.get_default_dtype()``.
    generator : torch.Generator or gumbelfast.Generator, optional
        As in `gumbel_softmax`.

    Returns
    -------
    Tensor
        On the CPU. Both tails have full range, unlike those of ``-empty.exponential_().log()`` in float32: see
        `gumbelfast.gumbel`.

    Raises
    ------
    TypeError
        For another dtype or generator.
    ValueError
        For a negative size.

    Examples
    --------
    >>> import torch, gumbelfast.torch
    >>> torch_rng = torch.Generator().manual_seed(0)
    >>> gumbelfast.torch.gumbel((2, 3), generator=torch_rng).shape
    torch.Size([2, 3])
    """
    return _sized(gumbel, "gumbel", size, dtype, generator)


def exponential(size: int | Sequence[int], *, dtype: torch.dtype | None = None, generator: Any = None) -> Tensor:
    """Standard exponential noise, of which `gumbel` is ``-log`` at the same place; never 0.

    Parameters, result and errors are those of `gumbel`.

    Examples
    --------
    >>> import torch, gumbelfast.torch
    >>> torch_rng = torch.Generator().manual_seed(0)
    >>> gumbelfast.torch.exponential((2, 3), generator=torch_rng).shape
    torch.Size([2, 3])
    """
    return _sized(exponential, "exponential", size, dtype, generator)


def gumbel_like(input: Tensor, *, dtype: torch.dtype | None = None, generator: Any = None) -> Tensor:
    """`gumbel` of the shape of `input`, and of its dtype unless another is given.

    Examples
    --------
    >>> import torch, gumbelfast.torch
    >>> gumbelfast.torch.gumbel_like(torch.zeros(2, 3, dtype=torch.float64)).dtype
    torch.float64
    """
    return _like(gumbel_like, "gumbel", input, dtype, generator)


def exponential_like(input: Tensor, *, dtype: torch.dtype | None = None, generator: Any = None) -> Tensor:
    """`exponential` of the shape of `input`, and of its dtype unless another is given.

    Examples
    --------
    >>> import torch, gumbelfast.torch
    >>> gumbelfast.torch.exponential_like(torch.zeros(2, 3, dtype=torch.float64)).dtype
    torch.float64
    """
    return _like(exponential_like, "exponential", input, dtype, generator)


def _sized(public: Any, kind: str, size: Any, dtype: torch.dtype | None, generator: Any) -> Tensor:
    sizes = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    if not torch.compiler.is_compiling() and has_torch_function(sizes):
        return handle_torch_function(public, sizes, size, dtype=dtype, generator=generator)
    dtype = _float(torch.get_default_dtype() if dtype is None else dtype)
    if torch.jit.is_tracing():
        # Sizes may be tensors there, which torch's own operators take.
        return _ops.noise_like(kind, torch.empty(sizes, device="cpu"), dtype, _ops.token(generator))
    if _tensors.is_watched():
        return _ops.noise(kind, _checks.kept_size(size), dtype, _ops.token(generator))
    return _draws.noise(kind, _tensors.size_of(size), dtype, generator)


def _like(public: Any, kind: str, x: Tensor, dtype: torch.dtype | None, generator: Any) -> Tensor:
    if has_torch_function_unary(x):
        return handle_torch_function(public, (x,), x, dtype=dtype, generator=generator)
    _tensors.refuse_nested(x, "input", f"gumbelfast.torch.{kind} of a size")
    dtype = _float(dtype or x.dtype)
    if _tensors.is_transformed():
        return _ops.noise(kind, x.shape, dtype, _ops.token(generator))
    if _tensors.is_traced(x):
        return _ops.noise_like(kind, x.detach(), dtype, _ops.token(generator))
    return _draws.noise(kind, tuple(x.shape), dtype, generator)


def _float(dtype: torch.dtype) -> torch.dtype:
    if dtype not in _tensors.WORK:
        raise TypeError(f"expected float16, bfloat16, float32 or float64, got {str(dtype).removeprefix('torch.')}")
    return dtype
