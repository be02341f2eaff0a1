"""Draws with a JAX key."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from .._engine import checks
from ..shards import TopK
from . import _calls
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
        For a dtype outside the four, a bad shape, or what is no single key.

    Notes
    -----
    :math:`g = -\log E` with a standard exponential :math:`E`: Gumbel, *Statistical Theory of Extreme Values* (1954).
    Both tails are full: g spans -3.84 to 45.05. `gumbelfast.gumbel` returns the same values.

    Examples
    --------
    >>> import jax, gumbelfast.jax
    >>> gumbelfast.jax.gumbel(jax.random.key(0), (2, 3)).shape
    (2, 3)
    """
    return _noise("gumbel", key, shape, dtype)


def exponential(key: ArrayLike, shape: int | tuple[int, ...] = (), dtype: Any = float) -> jax.Array:
    r"""Standard exponential noise, :math:`P(E \le x) = 1 - e^{-x}`: what the Gumbel noise of the key is made of.

    Parameters, results and errors are those of `gumbel`.
    """
    return _noise("exponential", key, shape, dtype)


def categorical(
    key: ArrayLike,
    logits: ArrayLike,
    axis: int = -1,
    shape: int | tuple[int, ...] | None = None,
    replace: bool = True,
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
        Of the result: the batch shape, to which that of `logits` broadcasts, behind any number of axes of draws.
    replace : bool, default True
        False: the draws of a row differ from each other; they come in order of successive sampling.

    Returns
    -------
    jax.Array of int32, or int64 where x64 is enabled
        Of shape `shape`, by default that of `logits` without `axis`.

    Raises
    ------
    TypeError
        For logits that are not floats, and for what is no key.
    ValueError
        For a bad axis, a shape that does not fit, or more draws without replacement than categories.
    jax.errors.JaxRuntimeError
        When the program runs: for NaN or +inf in the logits, and for a row that has too few finite ones.

    Notes
    -----
    :math:`\arg\max_j (x_j + g_j)` with standard Gumbels g has distribution :math:`\mathrm{softmax}(x)` (Gumbel 1954;
    Maddison, Tarlow and Minka 2014); the k largest are a draw without replacement (Kool, van Hoof and Welling 2019).
    With the categories last, g is ``gumbel(key, (*shape, K))``, in float32 for half types, and almost none of it is
    ever computed. No gradient passes.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, gumbelfast.jax
    >>> gumbelfast.jax.categorical(jax.random.key(0), jnp.zeros((4, 10))).shape
    (4,)
    """
    words, x = _calls.key_words("categorical", key), _calls.float_array(logits)
    axis = _calls.checked_axis(x, axis)
    batch = x.shape[: axis % x.ndim] + x.shape[axis % x.ndim + 1 :]
    wanted = batch if shape is None else checks.size_tuple(shape, "shape")
    draws, rows = wanted[: len(wanted) - len(batch)], wanted[max(len(wanted) - len(batch), 0) :]
    if len(rows) < len(batch) or any(n not in (1, r) for n, r in zip(batch, rows, strict=True)):
        raise ValueError(f"shape {wanted} does not end with what logits of batch shape {batch} broadcast to")
    count = math.prod(draws)
    if not replace and count > x.shape[axis]:
        raise ValueError(f"{count} draws without replacement exceed the {x.shape[axis]} categories")
    found: jax.Array = _categorical(words, x, axis, draws, rows, bool(replace), _calls.settings())
    return found


def gumbel_top_k(key: ArrayLike, logits: ArrayLike, k: int, axis: int = -1) -> TopK:
    """Draw k categories per row without replacement, in order, by the k largest perturbed logits.

    Parameters
    ----------
    key, logits, axis
        As in `categorical`.
    k : int
        How many, ``0 <= k <= columns``.

    Returns
    -------
    TopK
        ``indices`` (int32, or int64 where x64 is enabled) and ``perturbed`` (float32, or float64 for float64 logits),
        with k entries along `axis`, the largest first. In this order, and not that of `jax.lax.top_k`, which has the
        values first. Gradients pass through ``perturbed``.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `categorical`.

    Notes
    -----
    Vieira (2014); Kool, van Hoof and Welling, "Stochastic beams and where to find them" (2019).
    """
    words, x = _calls.key_words("gumbel_top_k", key), _calls.float_array(logits)
    axis = _calls.checked_axis(x, axis)
    found: TopK = _top_k(words, x, checks.count(k, x.shape[axis]), axis, _calls.settings())
    return found


def _noise(kind: str, key: ArrayLike, shape: Any, dtype: Any) -> jax.Array:
    words = _calls.key_words(kind, key)
    wanted = checks.float_dtype(jax.dtypes.canonicalize_dtype(dtype))
    found: jax.Array = _filled(words, kind, checks.size_tuple(shape, "shape"), wanted, _calls.settings())
    return found


def _index_dtype(columns: int) -> Any:
    """The dtype of indices, as jnp.argmax has it."""
    dtype = jax.dtypes.canonicalize_dtype(int)
    if columns - 1 > np.iinfo(dtype).max:
        raise ValueError(f"indices below {columns} need 64 bits: enable x64")
    return dtype


@partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _filled(words: Any, kind: str, shape: tuple[int, ...], dtype: np.dtype[Any], how: Settings) -> Any:
    result = jax.ShapeDtypeStruct(shape, dtype)
    return _calls.call(how, "noise", (result,), words, exponential=kind == "exponential")[0]


@partial(jax.jit, static_argnums=(2, 3, 4, 5, 6))
def _categorical(
    words: Any, x: Any, axis: int, draws: tuple[int, ...], rows: tuple[int, ...], replace: bool, how: Settings
) -> Any:
    moved = jnp.moveaxis(x, axis, -1)
    moved = jnp.broadcast_to(moved, (*rows, x.shape[axis]))
    if not replace:
        k = math.prod(draws)
        indices = jnp.moveaxis(_top_k(words, moved, k, -1, how).indices, -1, 0)
        return indices.reshape((*draws, *rows))
    result = jax.ShapeDtypeStruct((*draws, *rows), _index_dtype(x.shape[axis]))
    return _calls.call(how, "categorical", (result,), words, jax.lax.stop_gradient(moved), axis=-1 - axis)[0]


@partial(jax.jit, static_argnums=(2, 3, 4))
def _top_k(words: Any, x: Any, k: int, axis: int, how: Settings) -> TopK:
    moved = jnp.moveaxis(x, axis, -1)
    shape = (*moved.shape[:-1], k)
    index = jax.ShapeDtypeStruct(shape, _index_dtype(x.shape[axis]))
    value = jax.ShapeDtypeStruct(shape, checks.work_dtype(x.dtype))
    if not index.size:
        found = TopK(jnp.empty(shape, index.dtype), jnp.empty(shape, value.dtype))
    else:
        still = jax.lax.stop_gradient(moved)
        found = TopK(*_calls.call(how, "gumbel_top_k", (index, value), words, still, axis=-1 - axis))
        # The value itself is the kernel's; a tangent enters through a difference that is zero.
        taken = jnp.take_along_axis(moved, found.indices, -1).astype(value.dtype)
        found = found._replace(perturbed=found.perturbed + (taken - jax.lax.stop_gradient(taken)))
    return TopK(*(jnp.moveaxis(part, -1, axis) for part in found))
