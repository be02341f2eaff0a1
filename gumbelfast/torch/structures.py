"""Exact sums over the labellings of chains and trees, with gradients of every order."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import structures
from .._engine import checks
from ..structures import _checks
from . import _tensors

__all__ = ["label_marginals", "log_partition"]


def log_partition(unary: Tensor, pairwise: Tensor, *, parents: Any = None) -> Tensor:
    r"""The logarithm of the sum over all labellings, as `gumbelfast.structures.log_partition`.

    Parameters
    ----------
    unary : Tensor of float16, bfloat16, float32 or float64, shape (..., T, S)
        Potentials of labels at nodes; -inf forbids a label.
    pairwise : Tensor of floats, shape (S, S) or (T - 1, S, S)
        Potentials of pairs, of parent and child.
    parents : sequence of int, optional
        Of each node; by default a chain.

    Returns
    -------
    Tensor of shape (...)
        float32, or float64 for float64 `unary`. Its gradient is `label_marginals`.

    Raises
    ------
    TypeError, NotImplementedError
        For anything but a dense tensor of these dtypes on the CPU.
    ValueError
        As in `gumbelfast.structures.log_partition`. Compiled and transformed programs check shapes alone.

    Notes
    -----
    The loss of a conditional random field (Lafferty, McCallum and Pereira 2001) is this less the score of the labels.
    Compiled and transformed programs get torch's own operators, one step a node.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch.structures import log_partition
    >>> unary = torch.zeros(3, 2, requires_grad=True)
    >>> log_partition(unary, torch.zeros(2, 2)).backward()  # marginals
    >>> unary.grad
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000],
            [0.5000, 0.5000]])
    """
    if _is_plain(unary, pairwise):
        found: Tensor = _LogPartition.apply(unary, pairwise, parents)
        return found
    return _sums(unary, pairwise, _order(unary, pairwise, parents))[1]


def label_marginals(unary: Tensor, pairwise: Tensor, *, parents: Any = None) -> structures.Marginals:
    r"""The exact marginals of chains and trees, as `gumbelfast.structures.label_marginals`.

    Parameters
    ----------
    unary, pairwise, parents
        As in `log_partition`.

    Returns
    -------
    Marginals
        ``nodes`` of shape (..., T, S) and ``edges`` of shape (..., T - 1, S, S), tensors with gradients.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `log_partition`.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch.structures import label_marginals
    >>> label_marginals(torch.tensor([[0.0, 0.0]]), torch.zeros(2, 2)).nodes
    tensor([[0.5000, 0.5000]])
    """
    if _is_plain(unary, pairwise):
        return structures.Marginals(*_Marginals.apply(unary, pairwise, parents))
    order = _order(unary, pairwise, parents)
    below, _ = _sums(unary, pairwise, order)
    nodes: list[Tensor] = []
    edges: list[Tensor] = []
    for t, parent in enumerate(order):
        if parent < 0:
            nodes.append(below[t].softmax(-1))
            pairs = below[t].new_zeros((*below[t].shape, below[t].shape[-1]))
        else:
            told = _edge(pairwise, t).to(below[t].dtype) + below[t].unsqueeze(-2)
            dead = (told == -torch.inf).all(-1, keepdim=True)
            given = told.masked_fill(dead, 0).softmax(-1).masked_fill(dead, 0)
            pairs = nodes[parent].unsqueeze(-1) * given
            nodes.append(pairs.sum(-2))
        edges.append(pairs)
    # The first edge is that of node 1.
    return structures.Marginals(torch.stack(nodes, -2), torch.stack(edges, -3)[..., 1:, :, :])


def _is_plain(unary: Tensor, pairwise: Tensor) -> bool:
    """Whether both are plain, once both are known to be tensors of floats."""
    each = [_tensors.check(x, name, "torch's operators") for x, name in ((unary, "unary"), (pairwise, "pairwise"))]
    return all(each)


def _numbers(x: Tensor) -> Any:
    return _tensors.wide(x.detach(), -1) if x.ndim and x.numel() else x.detach().to(_tensors.work_of(x)).numpy()


class _LogPartition(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, unary: Tensor, pairwise: Tensor, parents: Any) -> Tensor:
        ctx.save_for_backward(unary, pairwise)
        ctx.parents = parents
        found = structures.log_partition(_numbers(unary), _numbers(pairwise), parents=parents)
        return torch.from_numpy(np.asarray(found))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        unary, pairwise = ctx.saved_tensors
        nodes, edges = label_marginals(unary, pairwise, parents=ctx.parents)
        outer = grad[..., None, None]
        shared = (outer.unsqueeze(-1) * edges).sum(tuple(range(grad.ndim + (pairwise.ndim == 2))))
        return (outer * nodes).to(unary.dtype), shared.to(pairwise.dtype), None


class _Marginals(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, unary: Tensor, pairwise: Tensor, parents: Any) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(unary, pairwise)
        ctx.parents = parents
        found = structures.label_marginals(_numbers(unary), _numbers(pairwise), parents=parents)
        return torch.from_numpy(found.nodes), torch.from_numpy(found.edges)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_nodes: Tensor, grad_edges: Tensor) -> Any:
        unary, pairwise = ctx.saved_tensors
        towards = _numbers(grad_nodes), _numbers(grad_edges)
        found = structures.label_marginals_backward(*towards, _numbers(unary), _numbers(pairwise), parents=ctx.parents)
        each = (torch.from_numpy(x).to(given.dtype) for x, given in zip(found, (unary, pairwise), strict=True))
        return *each, None


def _order(unary: Tensor, pairwise: Tensor, parents: Any) -> list[int]:
    """The parents, once shapes are checked."""
    if unary.ndim < 2 or 0 in unary.shape[-2:]:
        _checks.unary(np.empty(tuple(unary.shape), np.float32), ("nodes", "labels"))
    nodes, labels = unary.shape[-2:]
    _checks.edge_shape(tuple(pairwise.shape), nodes, labels)
    if parents is None:
        return list(range(-1, nodes - 1))
    return [int(t) for t in _checks.tree(checks.as_integers(parents, "parents"), nodes)]


def _edge(pairwise: Tensor, t: int) -> Tensor:
    return pairwise if pairwise.ndim == 2 else pairwise[t - 1]


def _sums(unary: Tensor, pairwise: Tensor, order: list[int]) -> tuple[list[Tensor], Tensor]:
    """For each node the logarithm of the sum over what lies below it, and log Z."""
    below = list(unary.to(_tensors.work_of(unary)).unbind(-2))
    total = torch.zeros_like(below[0][..., 0])
    for t in reversed(range(len(below))):
        if order[t] < 0:
            total = total + below[t].logsumexp(-1)
        else:
            told = _edge(pairwise, t).to(below[t].dtype) + below[t].unsqueeze(-2)
            dead = (told == -torch.inf).all(-1)  # where the derivative of logsumexp would be NaN
            told = told.masked_fill(dead.unsqueeze(-1), 0).logsumexp(-1).masked_fill(dead, -torch.inf)
            below[order[t]] = below[order[t]] + told
    return below, total
