"""The bound from several samples, whose gradient is not a mean over them."""

from __future__ import annotations

from jax.typing import ArrayLike

from ...estimators import _checks, _surrogates
from ._draws import Draws, Estimate, Function


def vimco(
    key: ArrayLike, logits: ArrayLike, log_joint: Function, *, num_samples: int = 2, family: str = "categorical"
) -> Estimate:
    r"""VIMCO: the negative importance-weighted bound of K samples, with leave-one-out baselines. Unbiased.

    Parameters
    ----------
    key, logits, family
        As in `score_function`: those of the variational distribution q.
    log_joint : callable
        :math:`\log p(x, z)`, from samples of shape ``(num_samples, *logits.shape)`` to shape ``(num_samples, *lead)``.
    num_samples : int, default 2
        K, at least 2.

    Returns
    -------
    Estimate
        `loss` is :math:`-\hat L = -\log \frac{1}{K} \sum_k w_k`, `values` are :math:`\log w_k = \log p(x, z_k) - \log
        q(z_k)`.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `score_function`, and for fewer than two samples.

    Notes
    -----
    Mnih and Rezende, "Variational inference for Monte Carlo objectives" (2016). The gradient of :math:`\hat L` with
    respect to the logits:
    :math:`\sum_k (\hat L - \hat L_{-k} - w_k / \sum_j w_j) \, \partial \log q(z_k) / \partial x`; in
    :math:`\hat L_{-k}` the geometric mean of the other weights stands in place of :math:`w_k`.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> prior = jnp.log(jnp.array([0.2, 0.3, 0.5]))
    >>> found = estimators.vimco(jax.random.key(0), jnp.zeros(3), lambda z: z @ prior, num_samples=8)
    >>> found.loss.shape, found.values.shape
    ((), (8,))
    """
    _checks.check_several(num_samples)
    return Estimate(*_surrogates.vimco(Draws(key, logits, log_joint, num_samples, family)))
