"""Relaxed draws with a JAX key, and the softmax functions, with derivatives of every order."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

from .._engine import checks
from .._sampling.merged_axes import Axes
from . import _calls, _checks, _derivative, _keys
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
    tau : float or array of floats, default 1.0
        Temperature of the relaxation: one number, or one per row, which broadcasts to the shape without `axis`. May be
        traced.
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
        As in `categorical`, and for a `tau` that is not finite and > 0, with its row, or does not fit the rows.
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
    key, x = _keys.single_key("gumbel_softmax", key), _checks.float_array(logits)
    axis = _checks.axis_from_back(x, axis)
    batch = x.shape[: axis % x.ndim] + x.shape[axis % x.ndim + 1 :]
    inv_tau = _checks.inverse_tau(tau, batch, x.dtype)
    found: jax.Array = _gumbel_softmax(key, x, inv_tau, axis, bool(hard), _calls.settings())
    return found


def softmax(x: ArrayLike, axis: Axes = -1) -> jax.Array:
    r"""Softmax, :math:`\exp(x_i) / \sum_j \exp(x_j)`, as `jax.nn.softmax`.

    Parameters
    ----------
    x : array of float16, bfloat16, float32 or float64
        Half types are computed in float32 and rounded once.
    axis : int, tuple of ints or None, default -1
        Axis or axes that the sum runs over; None: all of them.

    Returns
    -------
    jax.Array
        Shape and dtype of `x`. NaN and infinities pass through as in `gumbelfast.softmax`.

    Raises
    ------
    TypeError, ValueError
        For a dtype outside the four, a bad axis, an axis given twice, or one of size 0.

    Examples
    --------
    >>> import jax.numpy as jnp, gumbelfast.jax
    >>> gumbelfast.jax.softmax(jnp.zeros((2, 2)), axis=None).tolist()
    [[0.25, 0.25], [0.25, 0.25]]
    """
    return _softmax("softmax", x, axis)


def log_softmax(x: ArrayLike, axis: Axes = -1) -> jax.Array:
    r"""Logarithm of the softmax, :math:`x_i - \log \sum_j \exp(x_j)`, as `jax.nn.log_softmax`.

    Parameters, results and errors are those of `softmax`.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, gumbelfast.jax
    >>> x = jnp.array([0.0, 1.0, 2.0])
    >>> bool(jnp.allclose(gumbelfast.jax.log_softmax(x), jax.nn.log_softmax(x), atol=1e-6))
    True
    """
    return _softmax("log_softmax", x, axis)


def logsumexp(a: ArrayLike, axis: Axes = None, *, keepdims: bool = False, where: ArrayLike | None = None) -> jax.Array:
    r"""Logarithm of a sum of exponentials, :math:`\log \sum_j \exp(a_j)`, as `jax.nn.logsumexp`.

    Parameters
    ----------
    a : array of float16, bfloat16, float32 or float64
        Half types are computed in float32 and rounded once.
    axis : int, tuple of ints or None, default None
        Axis or axes that the sum runs over; None: all of them.
    keepdims : bool, default False
        Keep these axes, with size 1.
    where : array of bool, optional
        Which entries are summed; broadcasts to `a`.

    Returns
    -------
    jax.Array
        Dtype of `a`. NaN and infinities pass through as in `gumbelfast.logsumexp`; a sum of nothing is -inf.

    Raises
    ------
    TypeError, ValueError
        As in `softmax`, and for a `where` that is not boolean or does not broadcast to `a`.

    Notes
    -----
    The largest entry is subtracted first, so nothing overflows: Blanchard, Higham and Higham, "Accurately computing the
    log-sum-exp and softmax functions" (2021). The derivative is the softmax, and 0 where the sum is 0.

    Examples
    --------
    >>> import jax.numpy as jnp, gumbelfast.jax
    >>> float(gumbelfast.jax.logsumexp(jnp.full((2, 4), 1000.0)))  # 1000 + log(8)
    1002.0794677734375
    """
    array = _checks.float_array(a)
    axes, kept = _checks.several_axes(array, axis), _checks.summed(where, array.shape)
    found: jax.Array = _logsumexp(array, kept, axes, bool(keepdims), _calls.settings())
    return found


def _softmax(kernel: str, x: ArrayLike, axis: Axes) -> jax.Array:
    array = _checks.float_array(x)
    found: jax.Array = _normalised(array, _checks.several_axes(array, axis), kernel, _calls.settings())
    return found


@partial(jax.jit, static_argnums=(3, 4, 5))
def _gumbel_softmax(key: Any, x: Any, inv_tau: Any, axis: int, hard: bool, how: Settings) -> Any:
    moved = jnp.moveaxis(x, axis, -1)
    if jnp.ndim(inv_tau):
        inv_tau = jnp.broadcast_to(inv_tau, moved.shape[:-1])
    found = _relaxed("hard" if hard else "soft", -1 - axis, how, _keys.words(key), moved, inv_tau)
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
        t += (logarithm * (inv_dot / inv_tau**2)[..., None]).astype(t.dtype)
    primal = found[:1] if kind == "hard" else found
    return primal, (_derivative.along(t, soft, inv_tau, how),) * len(primal)


_relaxed.defjvp(_relaxed_jvp, symbolic_zeros=True)


@partial(jax.jit, static_argnums=(1, 2, 3))
def _normalised(x: Any, axes: tuple[int, ...], kernel: str, how: Settings) -> Any:
    moved = _moved_last(x, axes)
    rows = _rows(kernel, how, _merged(moved, len(axes)))
    return jnp.moveaxis(rows.reshape(moved.shape), range(-len(axes), 0), axes)


@partial(jax.jit, static_argnums=(2, 3, 4))
def _logsumexp(x: Any, kept: Any, axes: tuple[int, ...], keepdims: bool, how: Settings) -> Any:
    given = x if kept is None else jnp.where(kept, x, -jnp.inf)
    found = _summed(how, _merged(_moved_last(given, axes), len(axes)))
    return jnp.expand_dims(found, axes) if keepdims else found


def _moved_last(x: Any, axes: tuple[int, ...]) -> Any:
    return jnp.moveaxis(x, axes, range(-len(axes), 0))


def _merged(x: Any, count: int) -> Any:
    """The last axes as one."""
    kept = x.shape[: x.ndim - count]
    return x.reshape(*kept, math.prod(x.shape[len(kept) :]))


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _rows(kernel: str, how: Settings, x: Any) -> Any:
    """Softmax or log_softmax along the last axis."""
    return _calls.call(how, "softmax", (jax.ShapeDtypeStruct(x.shape, x.dtype),), x, kernel=kernel)[0]


def _rows_jvp(kernel: str, how: Settings, primals: Any, tangents: Any) -> Any:
    found, work = _rows(kernel, how, *primals), checks.work_dtype(primals[0].dtype)
    if kernel == "softmax":
        return found, _derivative.along(tangents[0], found, jnp.ones((), work), how)
    t = tangents[0].astype(work)
    return found, (t - (jnp.exp(found.astype(work)) * t).sum(-1, keepdims=True)).astype(found.dtype)


_rows.defjvp(_rows_jvp)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _summed(how: Settings, x: Any) -> Any:
    """The logsumexp along the last axis."""
    result = jax.ShapeDtypeStruct(x.shape[:-1], x.dtype)
    return _calls.call(how, "softmax", (result,), x, kernel="logsumexp")[0]


def _summed_jvp(how: Settings, primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    found, work = _summed(how, x), checks.work_dtype(x.dtype)
    # The softmax does not depend on what is subtracted, so the rounding of the result does no harm.
    shift = jax.lax.stop_gradient(jnp.where(jnp.isneginf(found), 0, found)).astype(work)
    terms = jnp.exp(x.astype(work) - shift[..., None])
    total = terms.sum(-1)
    slope = (terms * t.astype(work)).sum(-1) / jnp.where(total == 0, 1, total)
    return found, slope.astype(found.dtype)


_summed.defjvp(_summed_jvp)
