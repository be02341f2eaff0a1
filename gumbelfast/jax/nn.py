"""Relaxed draws with a JAX key, and the softmax functions, with derivatives of every order."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from .._engine import checks
from . import _calls, _derivative
from ._calls import Settings


def gumbel_softmax(
    key: ArrayLike, logits: ArrayLike, tau: ArrayLike = 1.0, hard: bool = False, axis: int = -1
) -> jax.Array:
    r"""Relaxed one-hot samples, ``softmax((logits + g) / tau)``, or straight-through hard ones.

    Parameters
    ----------
    key : JAX key
        Typed or raw.
    logits : array of float16, bfloat16, float32 or float64
        Unnormalised log-probabilities.
    tau : float or scalar array, default 1.0
        Temperature of the relaxation; may be traced.
    hard : bool, default False
        Return exact one-hot rows, 1 at the index that `categorical` draws; derivatives are those of the soft ones.
    axis : int, default -1
        The axis of the categories.

    Returns
    -------
    jax.Array
        Shape and dtype of `logits`.

    Raises
    ------
    TypeError, ValueError
        As in `categorical`, and for a `tau` that is not finite and > 0.
    jax.errors.JaxRuntimeError
        As in `categorical`, and for such a `tau` that is traced.

    Notes
    -----
    Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax" (2016); Maddison, Mnih and Teh, "The
    Concrete distribution" (2016). The tangent is :math:`y (t - \sum_j t_j y_j) / \tau` of a tangent t of the logits. A
    traced `tau` has one as well, from the logarithm of the rounded result.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, gumbelfast.jax
    >>> gumbelfast.jax.gumbel_softmax(jax.random.key(0), jnp.zeros((2, 4)), tau=0.5).shape
    (2, 4)
    """
    words, x = _calls.key_words("gumbel_softmax", key), _calls.float_array(logits)
    axis, work = _calls.checked_axis(x, axis), checks.work_dtype(x.dtype)
    if isinstance(tau, jax.core.Tracer):
        if tau.shape:
            raise ValueError(f"tau must be a scalar, got shape {tau.shape}")
        inv_tau = 1 / tau.astype(work)
    else:
        inv_tau = work.type(checks.positive_reciprocal(tau, "tau", x.dtype))
    found: jax.Array = _gumbel_softmax(words, x, inv_tau, axis, bool(hard), _calls.settings())
    return found


def softmax(x: ArrayLike, axis: int = -1) -> jax.Array:
    r"""Softmax, :math:`\exp(x_i) / \sum_j \exp(x_j)`, as `jax.nn.softmax`.

    Parameters
    ----------
    x : array of float16, bfloat16, float32 or float64
        Half types are computed in float32 and rounded once.
    axis : int, default -1
        Axis that the sum runs over.

    Returns
    -------
    jax.Array
        Shape and dtype of `x`. NaN and infinities pass through as in `gumbelfast.softmax`.

    Raises
    ------
    TypeError, ValueError
        For a dtype outside the four, a bad axis, or one of size 0.
    """
    array = _calls.float_array(x)
    found: jax.Array = _normalised(array, _calls.checked_axis(array, axis), False, _calls.settings())
    return found


def log_softmax(x: ArrayLike, axis: int = -1) -> jax.Array:
    r"""Logarithm of the softmax, :math:`x_i - \log \sum_j \exp(x_j)`, as `jax.nn.log_softmax`.

    Parameters, results and errors are those of `softmax`.
    """
    array = _calls.float_array(x)
    found: jax.Array = _normalised(array, _calls.checked_axis(array, axis), True, _calls.settings())
    return found


@partial(jax.jit, static_argnums=(3, 4, 5))
def _gumbel_softmax(words: Any, x: Any, inv_tau: Any, axis: int, hard: bool, how: Settings) -> Any:
    found = _relaxed("hard" if hard else "soft", -1 - axis, how, words, jnp.moveaxis(x, axis, -1), inv_tau)
    return jnp.moveaxis(found[0], -1, axis)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _relaxed(kind: str, axis: int, how: Settings, words: Any, x: Any, inv_tau: Any) -> tuple[Any, ...]:
    """The soft sample, or the hard one, or ("both") first the hard one and then the soft one."""
    result = jax.ShapeDtypeStruct(x.shape, x.dtype)
    results = (result, result) if kind == "both" else (result,)
    return _calls.call(how, "gumbel_softmax", results, words, x, inv_tau, axis=axis, hard=kind != "soft")


def _relaxed_jvp(kind: str, axis: int, how: Settings, primals: Any, tangents: Any) -> Any:
    _, x_dot, inv_dot = tangents
    found = _relaxed("soft" if kind == "soft" else "both", axis, how, *primals)
    soft, inv_tau = found[-1], primals[-1]
    t = jnp.zeros_like(soft) if isinstance(x_dot, SymbolicZero) else x_dot
    if not isinstance(inv_dot, SymbolicZero):
        # The perturbed logits are tau * log(y), but for a constant in each row.
        logarithm = jnp.log(jnp.where(soft > 0, soft, 1).astype(inv_tau.dtype))
        t += (logarithm * (inv_dot / inv_tau**2)).astype(t.dtype)
    primal = found[:1] if kind == "hard" else found
    return primal, (_derivative.along(t, soft, inv_tau, how),) * len(primal)


_relaxed.defjvp(_relaxed_jvp, symbolic_zeros=True)


@partial(jax.jit, static_argnums=(1, 2, 3))
def _normalised(x: Any, axis: int, log: bool, how: Settings) -> Any:
    return jnp.moveaxis(_rows(log, how, jnp.moveaxis(x, axis, -1)), -1, axis)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _rows(log: bool, how: Settings, x: Any) -> Any:
    """Softmax or log_softmax along the last axis."""
    return _calls.call(how, "softmax", (jax.ShapeDtypeStruct(x.shape, x.dtype),), x, log=log)[0]


def _rows_jvp(log: bool, how: Settings, primals: Any, tangents: Any) -> Any:
    found, work = _rows(log, how, *primals), checks.work_dtype(primals[0].dtype)
    if not log:
        return found, _derivative.along(tangents[0], found, jnp.ones((), work), how)
    t = tangents[0].astype(work)
    return found, (t - (jnp.exp(found.astype(work)) * t).sum(-1, keepdims=True)).astype(found.dtype)


_rows.defjvp(_rows_jvp)
