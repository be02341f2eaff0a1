"""REINFORCE with a control variate that is differentiated through conditional noise: REBAR and RELAX."""

from __future__ import annotations

from jax.typing import ArrayLike

from ..._engine import checks
from ...estimators import _surrogates
from ._draws import ControlledEstimate, Draws, Estimate, Function, check_tau


def relax(
    key: ArrayLike,
    logits: ArrayLike,
    f: Function,
    control: Function,
    *,
    num_samples: int = 1,
    family: str = "categorical",
) -> ControlledEstimate:
    r"""RELAX: REINFORCE with a learnt control variate c of the perturbed logits. Unbiased, whatever c is.

    Parameters
    ----------
    key, logits, f, num_samples, family
        As in `score_function`.
    control : callable
        c, from perturbed logits of shape ``(num_samples, *logits.shape)``, perturbed log-odds for
        bits, to values of the shape that `f` returns.

    Returns
    -------
    ControlledEstimate
        The gradient of `loss`: :math:`(f(b) - c(\tilde z)) \, \partial \log p(b) / \partial x + \partial c(z) /
        \partial x - \partial c(\tilde z) / \partial x`, where :math:`z = x + g`, :math:`b` the one-hot of its maximum
        and :math:`\tilde z` drawn given b. `variance_loss` trains c.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `score_function`, and for values of `control` of another shape than those of `f`.

    Notes
    -----
    Grathwohl, Choi, Wu, Roeder and Duvenaud, "Backpropagation through the void" (2018).

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> def loss(logits, c, key):
    ...     found = estimators.relax(key, logits, lambda z: z[:, 0], lambda z: z @ c, num_samples=8)
    ...     return found.loss + found.variance_loss
    >>> grads = jax.grad(loss, argnums=(0, 1))(jnp.zeros(3), jnp.zeros(3), jax.random.key(0))
    >>> [g.shape for g in grads]
    [(3,), (3,)]
    """
    draws = Draws(key, logits, f, num_samples, family)
    return ControlledEstimate(*_surrogates.relax(draws, _surrogates.learnt_control(draws, control)))


def rebar(
    key: ArrayLike,
    logits: ArrayLike,
    f: Function,
    *,
    tau: ArrayLike = 1.0,
    eta: float = 1.0,
    num_samples: int = 1,
    family: str = "categorical",
) -> Estimate:
    r"""REBAR: `relax` with the relaxed function itself, :math:`\eta f(\mathrm{softmax}(z / \tau))`. Unbiased.

    Parameters
    ----------
    key, logits, f, num_samples, family
        As in `score_function`; `f` is differentiated at points of the simplex.
    tau : float, default 1.0
        Temperature of the relaxation: one number, which gets no gradient.
    eta : float, default 1.0
        Weight of the control variate; 0 leaves REINFORCE.

    Returns
    -------
    Estimate
        Its gradient is that of `relax`.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `score_function`, for `tau` as in `gumbelfast.jax.gumbel_softmax`, and for an `eta` that is not finite.

    Notes
    -----
    Tucker, Mnih, Maddison, Lawson and Sohl-Dickstein, "REBAR: low-variance, unbiased gradient estimates for discrete
    latent variable models" (2017). To train `tau` and `eta` as they do, write the control variate for `relax`.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> def loss(logits, key):
    ...     return estimators.rebar(key, logits, lambda z: z[:, 0], num_samples=20_000).loss
    >>> (9 * jax.grad(loss)(jnp.zeros(3), jax.random.key(0))).round()  # the truth: 2/9, -1/9, -1/9
    Array([ 2., -1., -1.], dtype=float32)
    """
    draws = Draws(key, logits, f, num_samples, family)
    tau, eta = check_tau(tau, draws), checks.finite_number(eta, "eta")
    found = _surrogates.relax(draws, _surrogates.relaxed_control(draws, tau, eta))
    return Estimate(found.loss, found.samples, found.values)
