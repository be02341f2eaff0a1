"""Relaxed subsets of k items with a JAX key."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from .._engine import checks
from . import _checks
from .random import gumbel

__all__ = ["relaxed_top_k"]


def relaxed_top_k(
    key: ArrayLike, logits: ArrayLike, k: int, tau: ArrayLike = 1.0, hard: bool = False, axis: int = -1
) -> jax.Array:
    r"""Relaxed k-hot samples, as `gumbelfast.subsets.relaxed_top_k`.

    Parameters
    ----------
    key : JAX key
        Typed or raw.
    logits : array of float16, bfloat16, float32 or float64
        Unnormalised log-weights. Rows with fewer than k finite ones are not refused.
    k : int
        The size of the subsets.
    tau : float or array of floats, default 1.0
        Temperature of the relaxation: one number, or one per row, which broadcasts to the shape without `axis`. May be
        traced.
    hard : bool, default False
        Return exact k-hot rows, those of `gumbel_top_k`; derivatives are those of the soft ones.
    axis : int, default -1
        The axis of the items.

    Returns
    -------
    jax.Array
        Shape of `logits`; float32, or float64 for float64. It is differentiable in every mode and to every order.

    Raises
    ------
    TypeError, ValueError
        As in `gumbel_top_k`, and for a bad tau that is not traced.

    Notes
    -----
    Xie and Ermon, "Reparameterizable subset sampling via continuous relaxations" (2019).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax.subsets import relaxed_top_k
    >>> relaxed_top_k(jax.random.key(0), jnp.zeros((2, 6)), 3, hard=True).sum(-1).tolist()
    [3.0, 3.0]
    """
    given = _checks.float_array(logits)
    axis = _checks.axis_from_back(given, axis)
    x = jnp.moveaxis(given.astype(checks.work_dtype(given.dtype)), axis, -1)
    k = _checks.count(k, x.shape[-1])
    inverse = jnp.asarray(_checks.inverse_tau(tau, x.shape[:-1], given.dtype))
    z = x + gumbel(key, x.shape, x.dtype)
    soft = _relaxed(z, jnp.broadcast_to(inverse, x.shape[:-1])[..., None], k)
    if hard:
        chosen = jax.lax.top_k(jax.lax.stop_gradient(z), k)[1]
        hot = jax.nn.one_hot(chosen, x.shape[-1], dtype=x.dtype).sum(-2)
        soft = hot + (soft - jax.lax.stop_gradient(soft))
    return jnp.moveaxis(soft, -1, axis)


@partial(jax.jit, static_argnums=2)
def _relaxed(z: jax.Array, inverse: jax.Array, k: int) -> jax.Array:
    def step(alpha: jax.Array, _: Any) -> tuple[jax.Array, jax.Array]:
        top = jax.nn.one_hot(alpha.argmax(-1), alpha.shape[-1], dtype=bool)
        a = (alpha - jax.lax.stop_gradient(alpha.max(-1, keepdims=True))) * inverse
        p = jax.nn.softmax(a)
        # 1 - p of the largest entry is the sum of the others: nothing cancels, and no derivative is infinite.
        rest = jax.nn.logsumexp(jnp.where(top, -jnp.inf, a), -1, keepdims=True)
        rest = jnp.where(jnp.isneginf(rest), jnp.finfo(a.dtype).min, rest)
        loss = jnp.where(top, rest - jax.nn.logsumexp(a, -1, keepdims=True), jnp.log1p(-jnp.where(top, 0, p)))
        return alpha + loss, p

    return jax.lax.scan(step, z, length=k)[1].sum(0)
