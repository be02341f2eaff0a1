"""Estimators from k distinct categories of every row."""

from __future__ import annotations

from jax.typing import ArrayLike

from ...estimators import _checks, _surrogates
from ._draws import Draws, Estimate, Function


def unordered_set(
    key: ArrayLike, logits: ArrayLike, f: Function, k: int, *, baseline: str | None = "leave_one_out"
) -> Estimate:
    r"""The unordered set estimator: REINFORCE from k distinct samples, averaged over all orders. Unbiased.

    Parameters
    ----------
    key : JAX key
        As in `score_function`.
    logits : array, shape (..., K)
        Each row is an independent variable.
    f : callable
        From one-hot samples of shape ``(k, *logits.shape)`` to values of shape ``(k, *logits.shape[:-1])``.
    k : int
        Distinct samples per row, at most its finite logits.
    baseline : {"leave_one_out", None}
        As in `gumbelfast.estimators.unordered_set`.

    Returns
    -------
    Estimate
        `loss` is :math:`\sum_{s \in S} p(s) R(S, s) f(s)`, its gradient with respect to the logits
        :math:`\sum_{s \in S} \nabla p(s) \, R(S, s) \, (f(s) - b(s))`.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `score_function`, for a k above the columns, or for an f that does not return one value per row. What is
        drawn beyond the finite logits of a row has no weight.

    Notes
    -----
    Kool, van Hoof and Welling, "Estimating gradients for discrete random variables by sampling without replacement"
    (2020). The weights are computed in float64 where x64 is enabled.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> def loss(logits):
    ...     return estimators.unordered_set(jax.random.key(0), logits, lambda z: z[:, 0], 3).loss
    >>> (9 * jax.grad(loss)(jnp.zeros(3))).round(4)  # all three are drawn: the truth
    Array([ 2., -1., -1.], dtype=float32)
    """
    number = _checks.as_set_size(k, "unordered_set", baseline)
    draws = Draws(key, logits, f, number)
    return Estimate(*_surrogates.distinct(draws, number, "unordered_set", baseline))


def importance_weighted(
    key: ArrayLike, logits: ArrayLike, f: Function, k: int, *, baseline: str | None = "leave_one_out"
) -> Estimate:
    r"""REINFORCE from k distinct samples, weighted by the inverse of their probability to be drawn.

    Parameters
    ----------
    key, logits, f, k
        As in `unordered_set`.
    baseline : {"leave_one_out", "normalized", None}
        As in `gumbelfast.estimators.importance_weighted`; "normalized" is biased.

    Returns
    -------
    Estimate
        `loss` is :math:`\sum_{i \in S} w_i f_i`, its gradient with respect to the logits
        :math:`\sum_{i \in S} w_i (f_i - b_i) \, \partial \log p_i / \partial x`.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `unordered_set`.

    Notes
    -----
    Kool, van Hoof and Welling, "Buy 4 REINFORCE samples, get a baseline for free!" (2019).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> def loss(logits):
    ...     return estimators.importance_weighted(jax.random.key(0), logits, lambda z: z[:, 0], 3).loss
    >>> (9 * jax.grad(loss)(jnp.zeros(3))).round(4)  # all three are drawn: the truth
    Array([ 2., -1., -1.], dtype=float32)
    """
    number = _checks.as_set_size(k, "importance", baseline)
    draws = Draws(key, logits, f, number)
    return Estimate(*_surrogates.distinct(draws, number, "importance", baseline))
