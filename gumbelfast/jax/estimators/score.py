"""Estimators that need only values of f, and MuProp, which adds its gradient at the mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ...estimators import _checks, _surrogates
from ._draws import Draws, Estimate, Function


@partial(jax.tree_util.register_dataclass, data_fields=("total", "weight"), meta_fields=("decay",))
@dataclass(frozen=True)
class RunningMean:
    """A baseline with memory: the exponentially weighted mean of the values of earlier calls.

    It is a pytree, part of the state of a training loop, and does not change: `updated` returns the next one.

    Parameters
    ----------
    decay : float, default 0.9
        Weight of the past, in [0, 1).

    Raises
    ------
    ValueError
        For a decay outside [0, 1).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> mean = estimators.RunningMean(0.5).updated(jnp.array([1.0, 3.0]))
    >>> float(mean.value)
    2.0
    """

    decay: float = 0.9
    total: Any = 0.0
    weight: Any = 0.0

    def __post_init__(self) -> None:
        _checks.check_decay(self.decay)

    @property
    def value(self) -> jax.Array:
        """The mean, 0 before the first call."""
        return jnp.asarray(self.total / jnp.where(self.weight > 0, self.weight, 1.0))

    def updated(self, values: ArrayLike) -> RunningMean:
        """The mean after an update with new values."""
        new = jax.lax.stop_gradient(jnp.asarray(values))
        if new.size == 0:
            return self
        total = self.decay * self.total + (1 - self.decay) * new.mean()
        return replace(self, total=total, weight=self.decay * self.weight + (1 - self.decay))


def score_function(
    key: ArrayLike,
    logits: ArrayLike,
    f: Function,
    *,
    num_samples: int = 1,
    baseline: str | RunningMean | ArrayLike | None = None,
    family: str = "categorical",
) -> Estimate:
    r"""REINFORCE: :math:`(f(z) - b) \, \partial \log p(z) / \partial x`. Unbiased, for any f.

    Parameters
    ----------
    key : JAX key
        Typed or raw.
    logits : array of float16, bfloat16, float32 or float64
        Shape ``(..., K)``, or any shape for ``family="bernoulli"``, where they are log-odds. Half types are computed in
        float32. A logit of -inf is never drawn and gets gradient 0.
    f : callable
        From samples of shape ``(num_samples, *logits.shape)`` to values of shape ``(num_samples, *lead)``. No gradient
        passes through these samples.
    num_samples : int, default 1
        Samples of each variable.
    baseline : {None, "leave_one_out", "optimal", "self_critical"}, RunningMean or array
        What is subtracted from the values. "leave_one_out" and "optimal", of two samples or more: see
        `gumbelfast.estimators.score_function`. "self_critical": f at the most probable sample. Numbers broadcast to the
        values and get no gradient: that of a network that predicts them is trained by a loss of its own.
    family : {"categorical", "bernoulli"}
        What the logits describe.

    Returns
    -------
    Estimate
        One-hot samples.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        For keys and logits as in `gumbelfast.jax.categorical`, for an unknown `baseline` or `family`, too few samples,
        or a result of `f` that is not of real numbers or whose shape does not fit.

    Notes
    -----
    Williams (1992); Greensmith, Bartlett and Baxter (2004); Kool, van Hoof and Welling (2019); the greedy baseline:
    Rennie, Marcheret, Mroueh, Ross and Goel, "Self-critical sequence training" (2017).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> def loss(logits, key):
    ...     return estimators.score_function(key, logits, lambda z: z[:, 0], num_samples=64).loss
    >>> jax.grad(loss)(jnp.zeros(3), jax.random.key(0)).shape
    (3,)
    """
    draws = Draws(key, logits, f, num_samples, family)
    _checks.check_baseline_name(baseline, draws.num_samples)
    if isinstance(baseline, RunningMean):
        baseline = baseline.value
    if baseline is not None and not isinstance(baseline, str):
        numbers = jnp.asarray(baseline)
        if jnp.iscomplexobj(numbers):
            _checks.refuse_complex(numbers.dtype)
        baseline = numbers
    return Estimate(*_surrogates.score_function(draws, baseline))


def muprop(
    key: ArrayLike, logits: ArrayLike, f: Function, *, num_samples: int = 1, family: str = "categorical"
) -> Estimate:
    r"""MuProp: REINFORCE on what is left of f after its first-order expansion around the mean. Unbiased.

    Parameters
    ----------
    key, logits, f, num_samples, family
        As in `score_function`; `f` is evaluated at the mean, a point of the simplex, as well, and differentiated there.

    Returns
    -------
    Estimate
        Its gradient: :math:`(f(z) - f(\mu) - f'(\mu)^T (z - \mu)) \, \partial \log p(z) / \partial x +
        f'(\mu)^T \partial \mu / \partial x`, :math:`\mu = \mathrm{softmax}(x)`.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `score_function`.

    Notes
    -----
    Gu, Levine, Sutskever and Mnih, "MuProp: unbiased backpropagation for stochastic neural networks" (2016).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> def loss(logits, key):
    ...     return estimators.muprop(key, logits, lambda z: z[:, 0], num_samples=20_000).loss
    >>> (9 * jax.grad(loss)(jnp.zeros(3), jax.random.key(0))).round()  # the truth: 2/9, -1/9, -1/9
    Array([ 2., -1., -1.], dtype=float32)
    """
    return Estimate(*_surrogates.muprop(Draws(key, logits, f, num_samples, family)))
