"""Samples remember their logarithm, or logit, which their rounded values no longer hold.

What is kept is how to compute it: a function, and parameters that nobody else changes. It lies on the storage of a
sample, so that views and detached tensors find it, copies do not, and it lives as long as the values. Parameters with
their graph lie on the sample's node of that graph, and live as long as it. Where a compiler or transform looks on, the
logarithm itself is an attribute of the tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from .. import _tensors
from ._densities import widened

_NAME = "_gumbelfast_unrounded"


def _detached(parameter: Any) -> Any:
    return parameter.detach() if isinstance(parameter, Tensor) else parameter


@dataclass
class _Record:
    draw: Callable[..., Tensor]
    parameters: tuple[Any, ...]
    dtype: torch.dtype

    @cached_property
    def unrounded(self) -> Tensor:
        with torch.inference_mode(False):
            return self.draw(*self.parameters)


def remember(y: Tensor, draw: Callable[..., Tensor], *parameters: Any) -> Tensor:
    """`y`, a new contiguous tensor, of whose entries ``draw(*parameters)`` gives the logarithms or logits."""
    setattr(y.untyped_storage(), _NAME, _Record(draw, tuple(map(_detached, parameters)), y.dtype))
    if y.grad_fn is not None:
        y.grad_fn.metadata[_NAME] = parameters
    return y


def remember_now(y: Tensor, unrounded: Tensor) -> Tensor:
    """`y`, which a compiler or transform sees, with its logarithm or logit."""
    setattr(y, _NAME, unrounded)
    return y


def _recall(y: Tensor) -> Tensor | None:
    found: Tensor | None = getattr(y, _NAME, None)
    if found is not None or _tensors.is_traced(y) or y.layout is not torch.strided:
        return found
    record: _Record | None = getattr(y.untyped_storage(), _NAME, None)
    if record is None or record.dtype is not y.dtype:
        return None
    node = (y if y._base is None else y._base).grad_fn if y.requires_grad else None
    if node is None:
        found = record.unrounded
    elif _NAME in node.metadata:
        found = record.draw(*node.metadata[_NAME])
    else:
        return None  # what was written over has another graph
    if (found.shape, found.stride()) != (y.shape, y.stride()):
        found = found.contiguous().as_strided(y.shape, y.stride(), y.storage_offset())
    return found


def unrounded(y: Tensor, own: Tensor, back: Callable[[Tensor], Tensor], top: float, event_dims: int) -> Tensor:
    """The logarithm or logit of `y` that it remembers, or else its `own`; `back` leads from there to values.

    What is remembered counts for events whose values are still those that were drawn. It has the derivatives of `own`
    where those are numbers, and below that and from `top` on those of the parameters: along both ways together they
    are exact, though the values have lost them.
    """
    found = _recall(y)
    if found is None:
        return own
    seen, tiny = widened(y), torch.finfo(y.dtype).tiny
    again = back(found.detach())
    # exp(v) multiplies an error of v, one of its own last place, by |v|: at most 745 where the result is not 0.
    rounding = 2 * torch.finfo(y.dtype).eps + 4096 * torch.finfo(seen.dtype).eps
    same = (again - seen.detach()).abs() <= rounding * again + tiny
    for _ in range(event_dims):
        same = same.all(-1, keepdim=True)
    if y.requires_grad:
        # The square of 1/y is still a number.
        inside = (seen > tiny**0.5) & (seen < top)
        found = torch.where(inside, found.detach() + (own - own.detach()), found)
    return torch.where(same, found, own)
