"""Estimators that differentiate f at its samples, and the samples as if they were soft."""

from __future__ import annotations

from jax.typing import ArrayLike

from ..._engine import checks
from ...estimators import _checks, _surrogates
from ._draws import Draws, Estimate, Function, check_tau


def reparameterized(
    key: ArrayLike,
    logits: ArrayLike,
    f: Function,
    *,
    tau: ArrayLike = 1.0,
    num_samples: int = 1,
    family: str = "categorical",
) -> Estimate:
    r"""Gumbel-softmax, reparameterised: :math:`f'(y)^T \partial y / \partial x`, :math:`y` a Concrete sample.

    Parameters
    ----------
    key, logits, num_samples, family
        As in `score_function`.
    f : callable
        As there; it is evaluated and differentiated at points of the simplex.
    tau : float, default 1.0
        Temperature of the relaxation: one number.

    Returns
    -------
    Estimate
        The samples are relaxed ones. `loss` estimates the relaxed :math:`E[f(y)]`, and its gradient is unbiased;
        for :math:`E[f(z)]` it is unbiased only in the limit of small `tau`.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `score_function`, and for `tau` as in `gumbelfast.jax.gumbel_softmax`.

    Notes
    -----
    Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax" (2016); Maddison, Mnih and Teh, "The
    Concrete distribution" (2016).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> def loss(logits, key):
    ...     return estimators.reparameterized(key, logits, lambda z: z[:, 0], num_samples=20_000).loss
    >>> (100 * jax.grad(loss)(jnp.zeros(3), jax.random.key(0))).round()
    Array([15., -8., -8.], dtype=float32)
    """
    draws = Draws(key, logits, f, num_samples, family)
    tau = check_tau(tau, draws)
    return Estimate(*draws.pathwise(draws.relaxed(draws.logits, tau, False)))


def straight_through(
    key: ArrayLike,
    logits: ArrayLike,
    f: Function,
    *,
    surrogate: str | None = None,
    num_samples: int = 1,
    family: str = "categorical",
) -> Estimate:
    r"""Straight-through: hard samples forward, the gradient of a surrogate backward. Biased.

    Parameters
    ----------
    key, logits, f, num_samples, family
        As in `score_function`; `f` is differentiated at hard samples.
    surrogate : {None, "softmax", "sigmoid", "identity"}
        What takes the place of the sample in the backward pass: its mean, "softmax" ("sigmoid" for bits, None for
        either), or the logits themselves.

    Returns
    -------
    Estimate
        Its gradient: :math:`f'(z)^T \partial \mathrm{softmax}(x) / \partial x`, or :math:`f'(z)` for "identity".

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `score_function`, and for an unknown surrogate.

    Notes
    -----
    Hinton, "Neural networks for machine learning", lecture 9 (2012); Bengio, Leonard and Courville, "Estimating or
    propagating gradients through stochastic neurons for conditional computation" (2013).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> def loss(logits):
    ...     return estimators.straight_through(jax.random.key(0), logits, lambda z: z[:, 0]).loss
    >>> (9 * jax.grad(loss)(jnp.zeros(3))).round(4)  # f is linear: whatever was drawn
    Array([ 2., -1., -1.], dtype=float32)
    """
    return Estimate(*_surrogates.straight_through(Draws(key, logits, f, num_samples, family), surrogate))


def straight_through_gumbel_softmax(
    key: ArrayLike,
    logits: ArrayLike,
    f: Function,
    *,
    tau: ArrayLike = 1.0,
    num_samples: int = 1,
    family: str = "categorical",
) -> Estimate:
    r"""Straight-through Gumbel-softmax: the hard sample forward, the soft one of the same noise backward. Biased.

    Parameters
    ----------
    key, logits, f, num_samples, family
        As in `straight_through`.
    tau : float, default 1.0
        Temperature of the soft sample: one number.

    Returns
    -------
    Estimate
        Its gradient: :math:`f'(z)^T \partial y / \partial x`.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `reparameterized`.

    Notes
    -----
    Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax" (2016), section 2.2.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> def loss(logits, key):
    ...     return estimators.straight_through_gumbel_softmax(key, logits, lambda z: z[:, 0], num_samples=20_000).loss
    >>> (100 * jax.grad(loss)(jnp.zeros(3), jax.random.key(0))).round()
    Array([15., -8., -8.], dtype=float32)
    """
    draws = Draws(key, logits, f, num_samples, family)
    tau = check_tau(tau, draws)
    return Estimate(*draws.pathwise(draws.relaxed(draws.logits, tau, True)))


def decoupled_straight_through_gumbel_softmax(
    key: ArrayLike,
    logits: ArrayLike,
    f: Function,
    *,
    tau_forward: ArrayLike = 1.0,
    tau_backward: ArrayLike = 1.0,
    num_samples: int = 1,
    family: str = "categorical",
) -> Estimate:
    r"""Straight-through Gumbel-softmax with one temperature for the draw and another for its gradient. Biased.

    Parameters
    ----------
    key, logits, f, num_samples, family
        As in `straight_through`.
    tau_forward : float, default 1.0
        The samples are draws from :math:`\mathrm{softmax}(x / \tau_f)`.
    tau_backward : float, default 1.0
        Temperature of the soft samples, :math:`y = \mathrm{softmax}((x / \tau_f + g) / \tau_b)`.

    Returns
    -------
    Estimate
        Its gradient: :math:`f'(z)^T \partial y / \partial x`. `loss` estimates E[f] under the samples' distribution.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `reparameterized`, for either temperature.

    Notes
    -----
    Shah, Yan, Mozer and Liu, "Improving discrete optimisation via decoupled straight-through Gumbel-softmax" (2024).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> def loss(logits, key):
    ...     estimate = estimators.decoupled_straight_through_gumbel_softmax
    ...     return estimate(key, logits, lambda z: z[:, 0], num_samples=20_000).loss
    >>> (100 * jax.grad(loss)(jnp.zeros(3), jax.random.key(0))).round()
    Array([15., -8., -8.], dtype=float32)
    """
    draws = Draws(key, logits, f, num_samples, family)
    forward, backward = check_tau(tau_forward, draws, "tau_forward"), check_tau(tau_backward, draws, "tau_backward")
    return Estimate(*draws.pathwise(draws.relaxed(draws.logits / forward, backward, True)))


def gumbel_rao(
    key: ArrayLike,
    logits: ArrayLike,
    f: Function,
    *,
    tau: ArrayLike = 1.0,
    num_conditional: int = 10,
    num_samples: int = 1,
    family: str = "categorical",
) -> Estimate:
    r"""Straight-through Gumbel-softmax, Rao-Blackwellised: the same expectation, less variance, no more calls of f.

    Parameters
    ----------
    key, logits, f, tau, num_samples, family
        As in `straight_through_gumbel_softmax`.
    num_conditional : int, default 10
        Soft samples given each hard one, whose Jacobians are averaged.

    Returns
    -------
    Estimate
        Its gradient: :math:`f'(z)^T \frac{1}{m} \sum_i \partial y_i / \partial x`, the :math:`y_i` drawn given z.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `reparameterized`, and for `num_conditional` below 1.

    Notes
    -----
    Paulus, Maddison and Krause, "Rao-Blackwellizing the straight-through Gumbel-softmax gradient estimator" (2020).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> def loss(logits, key):
    ...     return estimators.gumbel_rao(key, logits, lambda z: z[:, 0], num_samples=20_000).loss
    >>> (100 * jax.grad(loss)(jnp.zeros(3), jax.random.key(0))).round()
    Array([15., -8., -8.], dtype=float32)
    """
    draws = Draws(key, logits, f, num_samples, family)
    tau = check_tau(tau, draws)
    number = checks.positive_count(num_conditional, "num_conditional")
    return Estimate(*_surrogates.gumbel_rao(draws, tau, number))


def reinmax(
    key: ArrayLike,
    logits: ArrayLike,
    f: Function,
    *,
    tau: ArrayLike = 1.0,
    num_samples: int = 1,
    family: str = "categorical",
) -> Estimate:
    r"""ReinMax: straight-through of second order, by Heun's method. Biased, unless f is quadratic in each variable.

    Parameters
    ----------
    key, logits, f, num_samples, family
        As in `straight_through`.
    tau : float, default 1.0
        Temperature of the softmax that is averaged with the sample; at 1 the order is the second.

    Returns
    -------
    Estimate
        Its gradient: :math:`f'(z)^T (2 J(\bar p) - \frac{1}{2} J(p))`, :math:`\bar p = (z + \mathrm{softmax}(x /
        \tau)) / 2`, :math:`p = \mathrm{softmax}(x)`, :math:`J(p) = \mathrm{diag}(p) - p p^T`.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `reparameterized`.

    Notes
    -----
    Liu, Dong, Liu, Yu and Gao, "Bridging discrete and backpropagation: straight-through and beyond" (2023),
    algorithm 2.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> def loss(logits, key):
    ...     return estimators.reinmax(key, logits, lambda z: z[:, 0], num_samples=20_000).loss
    >>> (9 * jax.grad(loss)(jnp.zeros(3), jax.random.key(0))).round()  # the truth: 2/9, -1/9, -1/9
    Array([ 2., -1., -1.], dtype=float32)
    """
    draws = Draws(key, logits, f, num_samples, family)
    tau = check_tau(tau, draws)
    return Estimate(*_surrogates.reinmax(draws, tau))


def gapped_straight_through(
    key: ArrayLike,
    logits: ArrayLike,
    f: Function,
    *,
    tau: ArrayLike = 1.0,
    gap: float = 1.0,
    num_samples: int = 1,
    family: str = "categorical",
) -> Estimate:
    r"""Gapped straight-through: in place of noise, logits are moved so that the sample wins by a gap. Biased.

    Parameters
    ----------
    key, logits, f, num_samples, family
        As in `straight_through`.
    tau : float, default 1.0
        Temperature of the soft sample: one number.
    gap : float, default 1.0
        The least distance of all others below the sample's logit: finite and >= 0.

    Returns
    -------
    Estimate
        Its gradient: :math:`f'(z)^T \partial y / \partial x`, :math:`y = \mathrm{softmax}((x + m(z)) / \tau)`, where m
        raises the logit of the sample to the largest, and lowers the others to the gap below it where they are above.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `reparameterized`, and for a bad `gap`.

    Notes
    -----
    Fan, Chi, Rudnicky and Ramadge, "Training discrete deep generative models via gapped straight-through estimator"
    (2022).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> def loss(logits, key):
    ...     return estimators.gapped_straight_through(key, logits, lambda z: z[:, 0], num_samples=20_000).loss
    >>> (9 * jax.grad(loss)(jnp.zeros(3), jax.random.key(0))).round()
    Array([ 2., -1., -1.], dtype=float32)
    """
    draws = Draws(key, logits, f, num_samples, family)
    tau = check_tau(tau, draws)
    return Estimate(*_surrogates.gapped_straight_through(draws, tau, _checks.as_gap(gap)))
