"""Draws with a JAX key."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from .._engine import checks, table_checks
from ..shards import TopK
from . import _calls, _checks, _keys
from ._calls import Settings


def gumbel(key: ArrayLike, shape: int | tuple[int, ...] = (), dtype: Any = float) -> jax.Array:
    r"""Standard Gumbel noise.

    Parameters
    ----------
    key : JAX key
        Typed (`jax.random.key`) or raw (`jax.random.PRNGKey`).
    shape : int or tuple of ints, default ()
        Of the result.
    dtype : float dtype, default float
        float16, bfloat16, float32 or, where x64 is enabled, float64. float is the widest that is enabled.

    Returns
    -------
    jax.Array
        The first elements of the key's noise, in C order.

    Raises
    ------
    TypeError, ValueError
        For a dtype outside the four, a bad shape, or a `key` that is not a single one.

    Notes
    -----
    :math:`g = -\log E` with a standard exponential :math:`E`: Gumbel, *Statistical Theory of Extreme Values* (1954).
    Both tails have full range: g lies between -3.84 and 45.05. `gumbelfast.gumbel` returns the same values.

    Examples
    --------
    >>> import jax, gumbelfast.jax
    >>> gumbelfast.jax.gumbel(jax.random.key(0), (2, 3)).shape
    (2, 3)
    """
    return _noise("gumbel", key, shape, dtype)


def exponential(key: ArrayLike, shape: int | tuple[int, ...] = (), dtype: Any = float) -> jax.Array:
    r"""Standard exponential noise, :math:`P(E \le x) = 1 - e^{-x}`, from which the Gumbel noise of the key is computed.

    Parameters, results and errors are those of `gumbel`.

    Examples
    --------
    >>> import jax, gumbelfast.jax
    >>> bool((gumbelfast.jax.exponential(jax.random.key(0), (2, 3)) > 0).all())
    True
    """
    return _noise("exponential", key, shape, dtype)


def categorical(
    key: ArrayLike,
    logits: ArrayLike,
    axis: int = -1,
    shape: int | tuple[int, ...] | None = None,
    replace: bool = True,
    *,
    mask: ArrayLike | None = None,
    method: str = "gumbel",
) -> jax.Array:
    r"""Draw from the categorical distribution of each row of logits, as `jax.random.categorical`.

    Parameters
    ----------
    key : JAX key
        Typed or raw.
    logits : array of float16, bfloat16, float32 or float64
        Unnormalised log-probabilities; -inf is never drawn.
    axis : int, default -1
        The axis of the categories.
    shape : tuple of ints, optional
        Shape of the result: any number of axes of draws, then the batch shape, to which that of `logits` broadcasts.
    replace : bool, default True
        False: the draws of a row differ from each other; they are in the order of successive sampling.
    mask : array of bool, optional
        True where a category is allowed; broadcasts to `logits`. Masked logits are not read.
    method : {"gumbel", "alias"}, default "gumbel"
        "gumbel" looks at all categories for each draw. "alias" makes a table of each row once, from which a draw costs
        the same whatever the number of categories: use it for hundreds of draws per row. Both are exact, but they draw
        different values; tables draw with replacement only.

    Returns
    -------
    jax.Array of int32, or int64 where x64 is enabled
        Of shape `shape`, by default that of `logits` without `axis`.

    Raises
    ------
    TypeError
        For logits that are not floats, a mask that is not boolean, and for a `key` that is not one.
    ValueError
        For a bad axis or method, a shape that does not fit, or more draws without replacement than categories.
    jax.errors.JaxRuntimeError
        When the program runs: for NaN or +inf in the logits, and for a row that has too few finite ones.

    Notes
    -----
    :math:`\arg\max_j (x_j + g_j)` with standard Gumbels g has distribution :math:`\mathrm{softmax}(x)` (Gumbel 1954;
    Maddison, Tarlow and Minka 2014); the k largest are a draw without replacement (Kool, van Hoof and Welling 2019).
    With the categories last, g is ``gumbel(key, (*shape, K))``, in float32 for half types, and almost none of it is
    ever computed. No gradient passes. `gumbelfast.categorical` draws the same by either method.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, gumbelfast.jax
    >>> gumbelfast.jax.categorical(jax.random.key(0), jnp.zeros((4, 10))).shape
    (4,)
    """
    key, x = _keys.single_key("categorical", key), _checks.float_array(logits)
    axis, allowed = _checks.axis_from_back(x, axis), _checks.allowed(mask, x.shape)
    table_checks.one_of(method, "method", ("gumbel", "alias"))
    if method != "gumbel":
        table_checks.for_tables(replace=None if replace else replace)
    batch = x.shape[: axis % x.ndim] + x.shape[axis % x.ndim + 1 :]
    wanted = batch if shape is None else _checks.sizes(shape)
    draws, rows = wanted[: len(wanted) - len(batch)], wanted[max(len(wanted) - len(batch), 0) :]
    if len(rows) < len(batch) or any(n not in (1, r) for n, r in zip(batch, rows, strict=True)):
        raise ValueError(f"shape {wanted} does not end with what logits of batch shape {batch} broadcast to")
    if not replace:
        _checks.draws_without_replacement(math.prod(draws), x.shape[axis])
    way = method if replace else "distinct"
    found: jax.Array = _categorical(key, x, allowed, axis, draws, rows, way, _calls.settings())
    return found


def gumbel_top_k(key: ArrayLike, logits: ArrayLike, k: int, axis: int = -1, *, mask: ArrayLike | None = None) -> TopK:
    """Draw k categories per row without replacement, in order, by the k largest perturbed logits.

    Parameters
    ----------
    key, logits, axis, mask
        As in `categorical`.
    k : int
        How many, ``0 <= k <= columns``.

    Returns
    -------
    TopK
        ``indices`` (int32, or int64 where x64 is enabled) and ``perturbed`` (float32, or float64 for float64 logits),
        with k entries along `axis`, the largest first. Note the order: `jax.lax.top_k` returns the values first.
        Gradients pass through ``perturbed``.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `categorical`.

    Notes
    -----
    Vieira (2014); Kool, van Hoof and Welling, "Stochastic beams and where to find them" (2019).

    Examples
    --------
    >>> import jax, jax.numpy as jnp, gumbelfast.jax
    >>> found = gumbelfast.jax.gumbel_top_k(jax.random.key(0), jnp.zeros((4, 10)), 3)
    >>> found.indices.shape, bool((jnp.diff(found.perturbed) <= 0).all())
    ((4, 3), True)
    """
    key, x = _keys.single_key("gumbel_top_k", key), _checks.float_array(logits)
    axis, allowed = _checks.axis_from_back(x, axis), _checks.allowed(mask, x.shape)
    found: TopK = _top_k(key, x, allowed, _checks.count(k, x.shape[axis]), axis, _calls.settings())
    return found


def _noise(kind: str, key: ArrayLike, shape: Any, dtype: Any) -> jax.Array:
    key = _keys.single_key(kind, key)
    wanted = checks.float_dtype(jax.dtypes.canonicalize_dtype(dtype))
    found: jax.Array = _filled(key, kind, _checks.sizes(shape), wanted, _calls.settings())
    return found


@partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _filled(key: Any, kind: str, shape: tuple[int, ...], dtype: np.dtype[Any], how: Settings) -> Any:
    result = jax.ShapeDtypeStruct(shape, dtype)
    return _calls.call(how, "noise", (result,), _keys.words(key), exponential=kind == "exponential")[0]


def _rows_last(x: Any, allowed: Any, axis: int) -> Any:
    """The logits with their axis last, -inf where a mask does not allow them."""
    return jnp.moveaxis(x if allowed is None else jnp.where(allowed, x, -jnp.inf), axis, -1)


@partial(jax.jit, static_argnums=(3, 4, 5, 6, 7))
def _categorical(
    key: Any,
    x: Any,
    allowed: Any,
    axis: int,
    draws: tuple[int, ...],
    rows: tuple[int, ...],
    way: str,
    how: Settings,
) -> Any:
    moved = _rows_last(x, allowed, axis)
    batch = moved.shape[:-1]
    same = next((i for i, n in enumerate(batch) if n != 1), len(batch))
    if batch[same:] != rows[same:] or way == "distinct":  # otherwise draws of a row are enough
        moved = jnp.broadcast_to(moved, (*rows, moved.shape[-1]))
    if way == "distinct":
        indices = jnp.moveaxis(_top_k(key, moved, None, math.prod(draws), -1, how).indices, -1, 0)
        return indices.reshape((*draws, *rows))
    result = jax.ShapeDtypeStruct((*draws, *rows), _checks.index_dtype(moved.shape[-1]))
    if 0 in result.shape:
        return jnp.empty(result.shape, result.dtype)
    operands, place = (_keys.words(key), jax.lax.stop_gradient(moved)), -1 - axis
    if way == "alias":
        return _calls.call(how, "alias", (result,), *operands, axis=place, weights=False)[0]
    return _calls.call(how, "categorical", (result,), *operands, axis=place)[0]


@partial(jax.jit, static_argnums=(3, 4, 5))
def _top_k(key: Any, x: Any, allowed: Any, k: int, axis: int, how: Settings) -> TopK:
    moved = _rows_last(x, allowed, axis)
    shape = (*moved.shape[:-1], k)
    index = jax.ShapeDtypeStruct(shape, _checks.index_dtype(x.shape[axis]))
    value = jax.ShapeDtypeStruct(shape, checks.work_dtype(x.dtype))
    if 0 in shape:
        found = TopK(jnp.empty(shape, index.dtype), jnp.empty(shape, value.dtype))
    else:
        still = jax.lax.stop_gradient(moved)
        found = TopK(*_calls.call(how, "gumbel_top_k", (index, value), _keys.words(key), still, axis=-1 - axis))
        # The value itself is the kernel's; a tangent enters through a difference that is zero.
        taken = jnp.take_along_axis(moved, found.indices, -1).astype(value.dtype)
        found = found._replace(perturbed=found.perturbed + (taken - jax.lax.stop_gradient(taken)))
    return TopK(*(jnp.moveaxis(part, -1, axis) for part in found))
