"""Distributions for NumPyro whose samples are drawn by gumbelfast.

    from gumbelfast.jax.numpyro import RelaxedOneHotCategorical

NumPyro keeps the values that a sample was computed from and scores the sample by them, so relaxed samples that round to
0 or 1 have the density of the exact draw.
"""

from __future__ import annotations

from typing import Any

try:
    from numpyro import distributions
    from numpyro.distributions import constraints, transforms
    from numpyro.distributions.util import validate_sample
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] != "numpyro":
        raise
    raise ImportError('gumbelfast.jax.numpyro needs NumPyro: pip install "gumbelfast[numpyro]"') from error

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from .._engine import checks
from .nn import log_softmax
from .random import categorical, exponential, gumbel, gumbel_top_k

__all__ = [
    "ExpRelaxedCategorical",
    "LogitRelaxedBernoulli",
    "OneHotCategoricalStraightThrough",
    "PlackettLuce",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
]


class ExpRelaxedCategorical(distributions.Distribution):
    r"""Logarithms of relaxed one-hot samples, :math:`\log\mathrm{softmax}((x + g) / \tau)`.

    Parameters
    ----------
    temperature : float or array
        :math:`\tau`; broadcasts against the batch.
    logits : array of floats
        :math:`x`, categories last; finite.
    validate_args : bool, optional
        As in NumPyro.

    Notes
    -----
    Maddison, Mnih and Teh, "The Concrete distribution" (2016), appendix C.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax.numpyro import ExpRelaxedCategorical
    >>> drawn = ExpRelaxedCategorical(0.5, jnp.zeros((2, 3))).sample(jax.random.key(0))
    >>> jnp.exp(drawn).sum(-1).round(4)
    Array([1., 1.], dtype=float32)
    """

    arg_constraints = {"temperature": constraints.positive, "logits": constraints.real_vector}  # noqa: RUF012
    support = constraints.real_vector
    reparametrized_params = ["temperature", "logits"]  # noqa: RUF012

    def __init__(self, temperature: ArrayLike, logits: ArrayLike, *, validate_args: bool | None = None) -> None:
        x = jnp.asarray(logits)
        batch = jax.lax.broadcast_shapes(x.shape[:-1], jnp.shape(temperature))
        self.temperature = jnp.broadcast_to(jnp.asarray(temperature, x.dtype), batch)
        self.logits = jnp.broadcast_to(x, (*batch, x.shape[-1]))
        super().__init__(batch, x.shape[-1:], validate_args=validate_args)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Samples of shape ``sample_shape + batch_shape + event_shape``, with gradients to parameters."""
        noise = gumbel(key, (*sample_shape, *self.logits.shape), self.logits.dtype)
        common = jax.lax.stop_gradient(self.logits.max(axis=-1, keepdims=True))
        perturbed = (self.logits - common) + noise  # as in gumbel_softmax: large logits round no noise away
        below = perturbed - jax.lax.stop_gradient(perturbed.max(-1, keepdims=True))
        return log_softmax(below / self.temperature[..., None])

    @validate_sample
    def log_prob(self, value: jax.Array) -> jax.Array:
        """The log-density at logarithms of points of the simplex."""
        tau, n = self.temperature, self.logits.shape[-1]
        density = log_softmax(self.logits - tau[..., None] * value).sum(-1)
        return density + jax.lax.lgamma(jnp.asarray(n, value.dtype)) + (n - 1) * jnp.log(tau)


class RelaxedOneHotCategorical(distributions.TransformedDistribution):
    r"""Relaxed one-hot samples, those of `gumbelfast.jax.gumbel_softmax` up to rounding.

    Parameters are those of `ExpRelaxedCategorical`.

    Notes
    -----
    Maddison, Mnih and Teh, "The Concrete distribution" (2016); Jang, Gu and Poole (2016).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax.numpyro import RelaxedOneHotCategorical
    >>> RelaxedOneHotCategorical(0.5, jnp.zeros((2, 3))).sample(jax.random.key(0), (4,)).shape
    (4, 2, 3)
    """

    arg_constraints = ExpRelaxedCategorical.arg_constraints
    reparametrized_params = ExpRelaxedCategorical.reparametrized_params

    def __init__(self, temperature: ArrayLike, logits: ArrayLike, *, validate_args: bool | None = None) -> None:
        base = ExpRelaxedCategorical(temperature, logits)
        self.temperature, self.logits = base.temperature, base.logits
        super().__init__(base, transforms.ExpTransform(), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self) -> Any:
        """The simplex."""
        return constraints.simplex


class LogitRelaxedBernoulli(distributions.Distribution):
    r"""Logits of relaxed Bernoulli samples, :math:`(x + l) / \tau` with logistic noise l.

    Parameters
    ----------
    temperature : float or array
        :math:`\tau`.
    logits : array of floats
        :math:`x`; both broadcast against each other.
    validate_args : bool, optional
        As in NumPyro.

    Notes
    -----
    Maddison, Mnih and Teh (2016), appendix B; the noise is that of `gumbelfast.distributions.BinaryConcrete`.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax.numpyro import LogitRelaxedBernoulli
    >>> drawn = LogitRelaxedBernoulli(0.5, jnp.zeros(3)).sample(jax.random.key(0), (20_000,))
    >>> (drawn > 0).mean(0).round(1)
    Array([0.5, 0.5, 0.5], dtype=float32)
    """

    arg_constraints = {"temperature": constraints.positive, "logits": constraints.real}  # noqa: RUF012
    support = constraints.real
    reparametrized_params = ["temperature", "logits"]  # noqa: RUF012

    def __init__(self, temperature: ArrayLike, logits: ArrayLike, *, validate_args: bool | None = None) -> None:
        x = jnp.asarray(logits)
        batch = jax.lax.broadcast_shapes(x.shape, jnp.shape(temperature))
        self.temperature = jnp.broadcast_to(jnp.asarray(temperature, x.dtype), batch)
        self.logits = jnp.broadcast_to(x, batch)
        super().__init__(batch, validate_args=validate_args)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Samples of shape ``sample_shape + batch_shape``, with gradients to parameters."""
        e = exponential(key, (*sample_shape, *self.logits.shape), self.logits.dtype)
        return (self.logits + jnp.log(jnp.expm1(e))) / self.temperature

    @validate_sample
    def log_prob(self, value: jax.Array) -> jax.Array:
        """The log-density at any real numbers."""
        d = self.temperature * value - self.logits
        return jax.nn.log_sigmoid(d) + jax.nn.log_sigmoid(-d) + jnp.log(self.temperature)


class RelaxedBernoulli(distributions.TransformedDistribution):
    r"""Relaxed Bernoulli samples, :math:`\mathrm{sigmoid}((x + l) / \tau)`.

    Parameters are those of `LogitRelaxedBernoulli`.

    Notes
    -----
    Maddison, Mnih and Teh (2016), appendix B.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax.numpyro import RelaxedBernoulli
    >>> RelaxedBernoulli(0.5, jnp.zeros(3)).sample(jax.random.key(0), (4,)).shape
    (4, 3)
    """

    arg_constraints = LogitRelaxedBernoulli.arg_constraints
    reparametrized_params = LogitRelaxedBernoulli.reparametrized_params
    support = constraints.unit_interval

    def __init__(self, temperature: ArrayLike, logits: ArrayLike, *, validate_args: bool | None = None) -> None:
        base = LogitRelaxedBernoulli(temperature, logits)
        self.temperature, self.logits = base.temperature, base.logits
        super().__init__(base, transforms.SigmoidTransform(), validate_args=validate_args)


class OneHotCategoricalStraightThrough(distributions.Distribution):
    """One-hot samples of `categorical` with the gradient of the probabilities.

    Parameters
    ----------
    logits : array of floats
        Categories last; finite.
    validate_args : bool, optional
        As in NumPyro.

    Notes
    -----
    Bengio, Leonard and Courville, "Estimating or propagating gradients through stochastic neurons" (2013).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax.numpyro import OneHotCategoricalStraightThrough
    >>> OneHotCategoricalStraightThrough(jnp.zeros(3)).sample(jax.random.key(0)).sum().tolist()
    1.0
    """

    arg_constraints = {"logits": constraints.real_vector}  # noqa: RUF012
    support = constraints.simplex
    reparametrized_params = ["logits"]  # noqa: RUF012

    def __init__(self, logits: ArrayLike, *, validate_args: bool | None = None) -> None:
        self.logits = jnp.asarray(logits)
        super().__init__(self.logits.shape[:-1], self.logits.shape[-1:], validate_args=validate_args)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Samples of shape ``sample_shape + batch_shape + event_shape``, in the dtype of the logits."""
        index = categorical(key, self.logits, shape=(*sample_shape, *self.batch_shape))
        probs = jax.nn.softmax(self.logits)
        hot = jax.nn.one_hot(index, self.logits.shape[-1], dtype=self.logits.dtype)
        return hot + (probs - jax.lax.stop_gradient(probs))

    @validate_sample
    def log_prob(self, value: jax.Array) -> jax.Array:
        """The log-probabilities of one-hot vectors."""
        return (value * log_softmax(self.logits)).sum(-1)


class PlackettLuce(distributions.Distribution):
    r"""The law of the first k draws of successive sampling, in order.

    Parameters
    ----------
    logits : array of floats
        Log-weights, items last; finite.
    k : int, optional
        How many are drawn; by default all, so that samples are permutations.
    validate_args : bool, optional
        As in NumPyro.

    Notes
    -----
    Plackett (1975); Luce (1959). Samples are those of `gumbelfast.jax.gumbel_top_k`.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax.numpyro import PlackettLuce
    >>> law = PlackettLuce(jnp.log(jnp.array([0.2, 0.3, 0.5])), 2)
    >>> round(float(jnp.exp(law.log_prob(jnp.array([2, 0])))), 3)
    0.2
    """

    arg_constraints = {"logits": constraints.real_vector}  # noqa: RUF012
    pytree_aux_fields = ("k",)

    def __init__(self, logits: ArrayLike, k: int | None = None, *, validate_args: bool | None = None) -> None:
        self.logits = jnp.asarray(logits)
        items = self.logits.shape[-1]
        self.k = items if k is None else checks.count(k, items)
        super().__init__(self.logits.shape[:-1], (self.k,), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        """Columns of the logits."""
        return constraints.independent(constraints.integer_interval(0, self.logits.shape[-1] - 1), 1)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> jax.Array:
        """Orders of shape ``sample_shape + batch_shape + (k,)``, integers."""
        return gumbel_top_k(key, jnp.broadcast_to(self.logits, (*sample_shape, *self.logits.shape)), self.k).indices

    @validate_sample
    def log_prob(self, value: jax.Array) -> jax.Array:
        """The log-probabilities of orders without repetition."""
        batch = jax.lax.broadcast_shapes(value.shape[:-1], self.batch_shape)
        order = jnp.broadcast_to(value, (*batch, self.k)).astype(int)
        x = jnp.broadcast_to(self.logits, (*batch, self.logits.shape[-1]))
        picked = jnp.take_along_axis(x, order, -1)
        others = jnp.put_along_axis(x, order, -jnp.inf, -1, inplace=False)
        some = self.k < x.shape[-1]
        rest = jax.nn.logsumexp(others, -1, keepdims=True) if some else picked[..., :0]
        # Summed from the end, so that no remainder is computed as a difference.
        ends = jnp.concatenate([rest, picked[..., ::-1]], -1)
        left = jax.lax.cumlogsumexp(ends, axis=ends.ndim - 1)[..., some:][..., ::-1]
        return (picked - left).sum(-1)
