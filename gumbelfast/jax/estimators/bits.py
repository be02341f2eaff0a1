"""Estimators for bits from pairs of antithetic samples."""

from __future__ import annotations

from typing import Any

from jax.typing import ArrayLike

from ...estimators import _checks, _surrogates
from ._draws import Draws, Estimate, Function


def arm(key: ArrayLike, logits: ArrayLike, f: Function, *, num_samples: int = 2) -> Estimate:
    r"""ARM: the gradient with respect to log-odds of bits, from values at antithetic samples. Unbiased, for any f.

    Parameters
    ----------
    logits : array of float16, bfloat16, float32 or float64
        Log-odds of bits, of any shape.
    key, f
        As in `score_function` with ``family="bernoulli"``.
    num_samples : int, default 2
        Samples of each bit: an even number, pairs of sample i and ``i + num_samples / 2``.

    Returns
    -------
    Estimate
        Its gradient is the mean over the pairs of :math:`(f(b) - f(\tilde b)) (u - 1/2)`, where :math:`b = [u >
        \sigma(-x)]` and :math:`\tilde b = [u < \sigma(x)]` with a uniform u of each bit.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `score_function`, and for an odd `num_samples`.

    Notes
    -----
    Yin and Zhou, "ARM: augment-REINFORCE-merge gradient for stochastic binary networks" (2019).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> c = jnp.array([4.0, 8.0, 12.0])
    >>> def loss(logits, key):
    ...     return estimators.arm(key, logits, lambda z: z @ c, num_samples=20_000).loss
    >>> jax.grad(loss)(jnp.zeros(3), jax.random.key(0)).round()  # the truth: c / 4
    Array([1., 2., 3.], dtype=float32)
    """
    return _antithetic("arm", key, logits, f, num_samples)


def disarm(key: ArrayLike, logits: ArrayLike, f: Function, *, num_samples: int = 2) -> Estimate:
    r"""DisARM: `arm` averaged over the noise, given the pair of samples. Unbiased, and of lower variance.

    Parameters
    ----------
    key, logits, f, num_samples
        As in `arm`.

    Returns
    -------
    Estimate
        Its gradient is the mean over the pairs of :math:`\frac{1}{2} (f(b) - f(\tilde b)) (b - \tilde b)
        \sigma(|x|)`.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `arm`.

    Notes
    -----
    Dong, Mnih and Tucker, "DisARM: an antithetic gradient estimator for binary latent variables" (2020).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> c = jnp.array([4.0, 8.0, 12.0])
    >>> def loss(logits, key):
    ...     return estimators.disarm(key, logits, lambda z: z @ c, num_samples=20_000).loss
    >>> jax.grad(loss)(jnp.zeros(3), jax.random.key(0)).round()  # the truth: c / 4
    Array([1., 2., 3.], dtype=float32)
    """
    return _antithetic("disarm", key, logits, f, num_samples)


def _antithetic(kind: str, key: ArrayLike, logits: ArrayLike, f: Function, num_samples: Any) -> Estimate:
    _checks.check_pairs(num_samples)
    return Estimate(*_surrogates.antithetic(Draws(key, logits, f, num_samples, "bernoulli"), kind))
