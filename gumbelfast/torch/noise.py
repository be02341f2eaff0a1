"""Gumbel and exponential noise in tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from . import _draws, _ops, _tensors


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
        On the CPU. Both tails are full, unlike those of ``-empty.exponential_().log()`` in float32: see
        `gumbelfast.gumbel`.

    Raises
    ------
    TypeError
        For another dtype or generator.
    ValueError
        For a negative size.
    """
    return _noise("gumbel", size, dtype, generator)


def exponential(size: int | Sequence[int], *, dtype: torch.dtype | None = None, generator: Any = None) -> Tensor:
    """Standard exponential noise, of which `gumbel` is ``-log`` at the same place; never 0.

    Parameters, result and errors are those of `gumbel`.
    """
    return _noise("exponential", size, dtype, generator)


def gumbel_like(input: Tensor, *, dtype: torch.dtype | None = None, generator: Any = None) -> Tensor:
    """`gumbel` of the shape of `input`, and of its dtype unless another is given."""
    return _noise("gumbel", input.shape, dtype or input.dtype, generator)


def exponential_like(input: Tensor, *, dtype: torch.dtype | None = None, generator: Any = None) -> Tensor:
    """`exponential` of the shape of `input`, and of its dtype unless another is given."""
    return _noise("exponential", input.shape, dtype or input.dtype, generator)


def _noise(kind: str, size: Any, dtype: torch.dtype | None, generator: Any) -> Tensor:
    shape = _tensors.size_of(size)
    dtype = torch.get_default_dtype() if dtype is None else dtype
    if dtype not in _tensors.WORK:
        raise TypeError(f"expected float16, bfloat16, float32 or float64, got {str(dtype).removeprefix('torch.')}")
    if _tensors.is_watched():
        return _ops.noise(kind, shape, dtype, _ops.token(generator))
    return _draws.noise(kind, shape, dtype, generator)
