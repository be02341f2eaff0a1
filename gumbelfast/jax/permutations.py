"""Relaxed permutations with a JAX key."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from .._engine import checks
from ..permutations import _checks as check
from . import _checks
from .random import gumbel

__all__ = ["gumbel_sinkhorn"]


def gumbel_sinkhorn(
    key: ArrayLike, logits: ArrayLike, tau: ArrayLike = 1.0, iterations: int = 20, *, noise_scale: float = 1.0
) -> jax.Array:
    r"""Relaxed permutation matrices, as `gumbelfast.permutations.gumbel_sinkhorn`.

    Parameters
    ----------
    key : JAX key
        Typed or raw.
    logits : array of float16, bfloat16, float32 or float64, shape (..., n, n)
        Entry (i, j) is the score of item j at place i.
    tau : float or array of floats, default 1.0
        Temperature of the relaxation: one number, or one per matrix, which broadcasts to the batch shape. May be
        traced.
    iterations, noise_scale
        As in `gumbelfast.permutations.gumbel_sinkhorn`.

    Returns
    -------
    jax.Array
        Shape of `logits`; float32, or float64 for float64. It is differentiable in every mode and to every order.

    Raises
    ------
    TypeError, ValueError
        For logits that are not square matrices of floats, and a bad tau, number of iterations or noise scale.

    Notes
    -----
    Mena, Belanger, Linderman and Snoek, "Learning latent permutations with Gumbel-Sinkhorn networks" (2018). Hard
    permutations are `gumbelfast.permutations.match` of the scores, outside of compiled programs.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax.permutations import gumbel_sinkhorn
    >>> bool(jnp.allclose(gumbel_sinkhorn(jax.random.key(0), jnp.zeros((4, 4))).sum(-2), 1))
    True
    """
    given = _checks.float_array(logits)
    check.square_shape(given.shape, "logits")
    x = given.astype(checks.work_dtype(given.dtype))
    rounds, width = check.iterations(iterations), check.noise_scale(noise_scale)
    inverse = jnp.asarray(_checks.inverse_tau(tau, x.shape[:-2], given.dtype))
    z = x + width * gumbel(key, x.shape, x.dtype)
    return _normalised(z * jnp.broadcast_to(inverse, x.shape[:-2])[..., None, None], rounds)


@partial(jax.jit, static_argnums=1)
def _normalised(log_y: jax.Array, rounds: int) -> jax.Array:
    def step(log_y: jax.Array, _: Any) -> tuple[jax.Array, None]:
        log_y = log_y - jax.nn.logsumexp(log_y, -1, keepdims=True)
        return log_y - jax.nn.logsumexp(log_y, -2, keepdims=True), None

    return jnp.exp(jax.lax.scan(step, log_y, length=rounds)[0])
