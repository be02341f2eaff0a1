"""Checks of arguments beyond their types: sizes, counts, masks, and rows that can be drawn from."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor

from ._tensors import check, count_of, last, negative_dim, refuse, require_columns, size_of

# What a number is in a traced program too.
_SYMBOLS = (int, torch.SymInt)


def require_plain(x: Any, name: str, function: str) -> None:
    """For functions without operators of their own: a plain tensor, observed by reverse mode at most."""
    if not check(x, name, "torch's own operators"):
        raise NotImplementedError(
            f"{function} works in plain eager code: {name} is compiled, traced, transformed or a subclass here"
        )


def negative_dims(dim: Any, ndim: int) -> tuple[int, ...]:
    """Different dimensions, one or several, counted from the end."""
    given = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    dims = tuple(negative_dim(d, ndim) for d in given)
    if not dims or len(set(dims)) < len(dims):
        raise ValueError(f"dim must name dimensions, each once, got {given}")
    return dims


def kept_size(size: Any) -> tuple[int, ...]:
    """`size_of`, except that the numbers of a traced program stay its symbols."""
    shape = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    if all(type(n) in _SYMBOLS and n >= 0 for n in shape):
        return shape
    _refuse_traced(shape, "sizes")
    return size_of(tuple(n if type(n) in _SYMBOLS else operator.index(n) for n in shape))


def kept_count(number: Any, name: str, error: type[Exception]) -> int:
    """`count_of`, except that a number of a traced program stays its symbol; operators compare it with categories."""
    if type(number) in _SYMBOLS and number >= 0:
        return number  # type: ignore[no-any-return]
    _refuse_traced((number,), name)
    return count_of(number, name, None, error)


def _refuse_traced(numbers: tuple[Any, ...], name: str) -> None:
    if torch.jit.is_tracing() and any(isinstance(n, torch.Tensor) for n in numbers):
        raise NotImplementedError(
            f"{name} must be numbers under torch.jit.trace, which would keep those of the example for good; "
            "torch.export keeps them as symbols"
        )


def masked(logits: Tensor, mask: Any) -> Tensor:
    """Logits that are -inf where `mask` is False, whatever they were."""
    if mask is None:
        return logits
    return logits.masked_fill(~require_mask(mask, logits), -torch.inf)


def require_mask(mask: Any, logits: Tensor) -> Tensor:
    """The mask in the shape of `logits`, a view."""
    if not isinstance(mask, torch.Tensor) or mask.dtype is not torch.bool:
        what = mask.dtype if isinstance(mask, torch.Tensor) else type(mask).__name__
        raise TypeError(f"mask must be a boolean tensor (True: allowed), got {what}")
    try:
        return mask.expand_as(logits)
    except RuntimeError:
        shapes = f"{tuple(mask.shape)} does not broadcast to logits of shape {tuple(logits.shape)}"
        raise ValueError(f"mask of shape {shapes}") from None


def require_rows(logits: Tensor, tau: Tensor, dim: int) -> None:
    """The checks of kernels, for logits and a tensor of temperatures."""
    require_columns(logits, dim)
    if not torch.isfinite(last(logits.detach(), dim).amax(-1)).all():
        refuse(logits, dim)
    if not ((tau > 0) & torch.isfinite(tau)).all():
        value = tau.item() if tau.ndim == 0 else tau.detach()
        raise ValueError(f"tau must be finite and > 0, got {value}")


def draws_of(number: Any, columns: int, replacement: bool) -> int:
    """`num_samples` of `multinomial`."""
    if columns == 0:
        raise RuntimeError("input has no categories")
    draws = count_of(number, "num_samples", None if replacement else columns, RuntimeError)
    if draws == 0:
        raise RuntimeError("num_samples must be at least 1, got 0")
    return draws
