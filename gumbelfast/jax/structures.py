"""Exact sums over the labellings of chains and trees, for JAX programs."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from .._engine import checks
from ..structures import Marginals
from ..structures import _checks as check
from . import _checks

__all__ = ["label_marginals", "log_partition"]


def log_partition(unary: ArrayLike, pairwise: ArrayLike, *, parents: Any = None) -> jax.Array:
    r"""The logarithm of the sum over all labellings, as `gumbelfast.structures.log_partition`.

    Parameters
    ----------
    unary : array of float16, bfloat16, float32 or float64, shape (..., T, S)
        Potentials of labels at nodes; -inf forbids a label.
    pairwise : array of floats, shape (S, S) or (T - 1, S, S)
        Potentials of pairs, of parent and child.
    parents : sequence of int, optional
        Of each node, not traced; by default a chain, which is one `jax.lax.scan`.

    Returns
    -------
    jax.Array of shape (...)
        float32, or float64 for float64 `unary`. NaN and +inf are not refused. It is differentiable in every mode
        and to every order; its gradient is `label_marginals`.

    Raises
    ------
    TypeError, ValueError
        For dtypes, shapes and parents as in `gumbelfast.structures.log_partition`.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax.structures import log_partition
    >>> jax.grad(log_partition)(jnp.zeros((2, 2)), jnp.zeros((2, 2))).tolist()  # marginals
    [[0.5, 0.5], [0.5, 0.5]]
    """
    x, w, order = _checked(unary, pairwise, parents)
    zero = jnp.zeros((*x.shape[:-2], x.shape[-2] - 1, x.shape[-1], x.shape[-1]), x.dtype)
    return _log_z(x, w, zero, order)


def label_marginals(unary: ArrayLike, pairwise: ArrayLike, *, parents: Any = None) -> Marginals:
    r"""The exact marginals of chains and trees, as `gumbelfast.structures.label_marginals`.

    Parameters
    ----------
    unary, pairwise, parents
        As in `log_partition`.

    Returns
    -------
    Marginals
        ``nodes`` of shape (..., T, S) and ``edges`` of shape (..., T - 1, S, S), differentiable as `log_partition`,
        whose derivatives they are.

    Raises
    ------
    TypeError, ValueError
        As in `log_partition`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from gumbelfast.jax.structures import label_marginals
    >>> label_marginals(jnp.zeros((1, 2)), jnp.zeros((2, 2))).nodes.tolist()
    [[0.5, 0.5]]
    """
    x, w, order = _checked(unary, pairwise, parents)
    zero = jnp.zeros((*x.shape[:-2], x.shape[-2] - 1, x.shape[-1], x.shape[-1]), x.dtype)
    # Problems are independent of each other, so the gradient of the sum holds the gradient of each.
    return Marginals(*jax.grad(lambda x, own: _log_z(x, w, own, order).sum(), (0, 1))(x, zero))


def _checked(unary: ArrayLike, pairwise: ArrayLike, parents: Any) -> tuple[jax.Array, jax.Array, list[int] | None]:
    given, w = _checks.float_array(unary), _checks.float_array(pairwise)
    x = given.astype(checks.work_dtype(given.dtype))
    if x.ndim < 2 or 0 in x.shape[-2:]:
        check.unary(np.empty(x.shape, np.float32), ("nodes", "labels"))
    check.edge_shape(w.shape, *x.shape[-2:])
    order = None if parents is None else [int(t) for t in check.tree(parents, x.shape[-2])]
    return x, w.astype(x.dtype), order


def _logsumexp(x: jax.Array) -> jax.Array:
    """Of the last axis, with the derivative 0 where there is nothing but -inf."""
    dead = jnp.isneginf(x).all(-1)
    return jnp.where(dead, -jnp.inf, jax.nn.logsumexp(jnp.where(dead[..., None], 0, x), -1))


def _log_z(x: jax.Array, w: jax.Array, own: jax.Array, order: list[int] | None) -> jax.Array:
    """The logarithm of Z; `own` is added to the pairwise potentials, for each edge of each problem."""
    nodes = jnp.moveaxis(x, -2, 0)
    edges = jnp.moveaxis(own + w, -3, 0)
    if order is None:

        def step(below: jax.Array, each: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            node, edge = each
            return node + _logsumexp(edge + below[..., None, :]), None

        first, _ = jax.lax.scan(step, nodes[-1], (nodes[:-1], edges), reverse=True)
        return _logsumexp(first)
    below, total = list(nodes), jnp.zeros(x.shape[:-2], x.dtype)
    for t in reversed(range(len(below))):
        if order[t] < 0:
            total += _logsumexp(below[t])
        else:
            below[order[t]] += _logsumexp(edges[t - 1] + below[t][..., None, :])
    return total
