"""The draws and derivatives of estimators, with a JAX key."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ..._engine import checks
from ...estimators import _surrogates
from ...estimators._problem import TILE
from .. import _checks
from ..nn import gumbel_softmax, log_softmax, softmax
from ..random import categorical, exponential, gumbel, gumbel_top_k

Function = Callable[[jax.Array], Any]


class Estimate(NamedTuple):
    """The result of an estimator.

    Attributes
    ----------
    loss : array of shape lead
        Its value is the estimate of E[f] from the samples. Its gradient with respect to the logits is the estimator's;
        with respect to everything else that `f` depends on, it is the ordinary gradient of that value.
    samples : array of shape (num_samples, *logits.shape)
        The samples at which `f` was evaluated, without gradient.
    values : array of shape (num_samples, *lead)
        The values of `f`, without gradient.
    """

    loss: jax.Array
    samples: jax.Array
    values: jax.Array


class ControlledEstimate(NamedTuple):
    """The result of `relax`: an `Estimate`, and the loss that trains its control variate.

    Attributes
    ----------
    loss, samples, values
        As of `Estimate`. The control variate gets no gradient from `loss`.
    variance_loss : array of shape lead
        The mean over the samples of the squared length of the gradient with respect to the logits: the variance of one
        sample, plus a term that does not depend on the control variate. Its gradient reaches only what `control`
        depends on.
    """

    loss: jax.Array
    samples: jax.Array
    values: jax.Array
    variance_loss: jax.Array


class Draws(_surrogates.Draws):
    """Of logits that are a JAX array, with a key."""

    def __init__(
        self, key: ArrayLike, logits: ArrayLike, f: Function, num_samples: Any, family: str = "categorical"
    ) -> None:
        super().__init__(jnp, f, num_samples, family)
        x = _checks.float_array(logits)
        x = x.astype(checks.work_dtype(x.dtype))
        self.key = key
        self.logits = jnp.stack((jnp.zeros_like(x), x), -1) if self.binary else x
        _checks.axis_from_back(self.logits, -1)
        self.mean = softmax(self.stop(self.logits))

    def stop(self, x: Any) -> Any:
        return jax.lax.stop_gradient(x)

    def softmax(self, x: Any) -> Any:
        return softmax(x)

    def log_softmax(self, x: Any) -> Any:
        return log_softmax(x)

    def one_hot(self, index: Any) -> Any:
        return jax.nn.one_hot(index, self.logits.shape[-1], dtype=self.logits.dtype)

    def cast(self, x: Any, like: Any) -> Any:
        return x.astype(jax.dtypes.canonicalize_dtype(np.float64) if like is None else like.dtype)

    def number(self, value: Any, name: str) -> Any:
        array = jnp.asarray(value)
        if jnp.iscomplexobj(array):
            raise TypeError(f"{name} returned {array.dtype}, expected real numbers")
        return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(self.logits.dtype)

    def slope(self, function: Function, at: Any, keep: bool = False) -> tuple[Any, Any]:
        found, pull = jax.vjp(function, at)
        (slope,) = pull(jnp.ones_like(found))
        return found, slope if keep else self.stop(slope)

    def choice(self) -> Any:
        shape = (self.num_samples, *self.logits.shape[:-1])
        return self.one_hot(categorical(self.key, self.stop(self.logits), shape=shape))

    def relaxed(self, logits: Any, tau: Any, hard: bool) -> Any:
        return gumbel_softmax(self.key, jnp.broadcast_to(logits, (self.num_samples, *logits.shape)), tau, hard)

    def noises(self, count: int) -> list[Any]:
        # One draw, cut where a generator would begin the next: the key is used once.
        shape = (self.num_samples, *self.logits.shape)
        size = math.prod(shape)
        apart = size + -size % TILE
        noise = gumbel(self.key, ((count - 1) * apart + size,), self.logits.dtype)
        return [noise[i * apart : i * apart + size].reshape(shape) for i in range(count)]

    def exponentials(self, count: int) -> Any:
        return exponential(self.key, (count, *self.logits.shape[:-1]), self.logits.dtype)

    def largest(self, log_p: Any, k: int) -> tuple[Any, Any]:
        found = gumbel_top_k(self.key, log_p, k)
        return found.indices, found.perturbed


def check_tau(tau: Any, draws: Draws, name: str = "tau") -> Any:
    """A temperature: one number, which is checked unless it is traced."""
    if np.ndim(tau):
        raise ValueError(f"{name} must be one number, got an array of shape {np.shape(tau)}")
    if not isinstance(tau, jax.core.Tracer):
        checks.positive_reciprocal(tau, name, draws.logits.dtype)
    return tau
