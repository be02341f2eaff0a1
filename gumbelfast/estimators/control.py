"""REINFORCE with a control variate that is differentiated through conditional noise: REBAR and RELAX."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._engine import checks
from .._engine.checks import returned
from .._engine.types import SeedLike
from .._sampling.conditional import conditional_gumbel
from .._sampling.noise import gumbel
from .._sampling.softmax import softmax, softmax_backward
from ..random.generator import Generator
from ._formulas import across, through_the_winner
from ._problem import Array, Estimate, Function, Problem


def relax(
    logits: ArrayLike,
    f: Function,
    control: Function,
    grad_control: Function,
    *,
    num_samples: int = 1,
    family: str = "categorical",
    rng: SeedLike = None,
) -> Estimate:
    r"""RELAX: REINFORCE with any differentiable control variate c of the perturbed logits. Unbiased.

    Parameters
    ----------
    logits, f, num_samples, family, rng
        As in `score_function`.
    control, grad_control : callable
        c and its gradient. They take perturbed logits, of shape ``(num_samples, *logits.shape)``; for Bernoulli
        variables, perturbed log-odds. c returns values of the shape that `f` returns, for instance from a network
        trained to reduce the variance of the estimate.

    Returns
    -------
    Estimate
        :math:`(f(b) - c(\tilde z)) \, \partial \log p(b) / \partial x + \partial c(z) / \partial x -
        \partial c(\tilde z) / \partial x`, where :math:`z = x + g`, :math:`b` the one-hot of its maximum and
        :math:`\tilde z` drawn given b.

    Raises
    ------
    TypeError, ValueError
        As in `score_function`.

    Notes
    -----
    Grathwohl, Choi, Wu, Roeder and Duvenaud, "Backpropagation through the void" (2018).

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> logits, score = np.zeros(3), np.arange(3.0)
    >>> found = estimators.relax(
    ...     logits, lambda z: z @ score, lambda v: 0.1 * (v @ score), lambda v: np.broadcast_to(0.1 * score, v.shape),
    ...     num_samples=20_000, rng=0,
    ... )
    >>> bool(np.allclose(found.grad, [-1 / 3, 0, 1 / 3], atol=0.02))
    True
    """
    problem = Problem(logits, num_samples, family, f)

    def lowered(z: Array) -> Array:
        return z[..., 1] - z[..., 0] if problem.binary else z

    def values(z: Array) -> Array:
        return returned(control(lowered(z)), "control")

    def slopes(z: Array) -> Array:
        slope = problem.by_category(grad_control(lowered(z)), "grad_control", z)
        return slope - slope[..., ::-1] if problem.binary else slope

    return problem.drawn(rng, 2, problem.size, lambda noise: _relax(problem, values, slopes, noise))


def rebar(
    logits: ArrayLike,
    f: Function,
    grad_f: Function,
    *,
    tau: float = 1.0,
    eta: float = 1.0,
    num_samples: int = 1,
    family: str = "categorical",
    rng: SeedLike = None,
) -> Estimate:
    r"""REBAR: `relax` with the relaxed function itself, :math:`\eta f(\mathrm{softmax}(z / \tau))`. Unbiased.

    Parameters
    ----------
    logits, num_samples, family, rng
        As in `score_function`.
    f, grad_f : callable
        The function and its gradient, at one-hot samples and at points of the simplex.
    tau : float, default 1.0
        Temperature of the relaxation.
    eta : float, default 1.0
        Weight of the control variate; 0 leaves REINFORCE.

    Returns
    -------
    Estimate
        As of `relax`.

    Raises
    ------
    TypeError, ValueError
        As in `reparameterized`, and for an `eta` that is not a finite number.

    Notes
    -----
    Tucker, Mnih, Maddison, Lawson and Sohl-Dickstein, "REBAR: low-variance, unbiased gradient estimates for discrete
    latent variable models" (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> logits, score = np.zeros(3), np.arange(3.0)
    >>> f, slope = lambda z: (z @ score) ** 2, lambda z: 2 * (z @ score)[..., None] * score
    >>> found = estimators.rebar(logits, f, slope, tau=0.5, num_samples=20_000, rng=0)
    >>> bool(np.allclose(found.grad, estimators.exact(logits, f).grad, atol=0.02))
    True
    """
    problem = Problem(logits, num_samples, family, f, grad_f)
    checks.positive_reciprocal(tau, "tau", problem.logits.dtype)
    eta = checks.finite_number(eta, "eta")

    def values(z: Array) -> Array:
        return eta * problem.values(softmax(z, temperature=tau))

    def slopes(z: Array) -> Array:
        y = softmax(z, temperature=tau)
        return eta * softmax_backward(problem.slopes(y), y, temperature=tau)

    return problem.drawn(rng, 2, problem.size, lambda noise: _relax(problem, values, slopes, noise))


def _relax(problem: Problem, control: Function, slopes: Function, rng: Generator) -> Estimate:
    x, p = problem.repeated(), problem.mean
    perturbed = x + gumbel(size=x.shape, dtype=x.dtype, rng=rng)
    index = perturbed.argmax(axis=-1)
    z = (np.arange(x.shape[-1]) == index[..., None]).astype(x.dtype)
    given = conditional_gumbel(x, index, rng=rng)
    values, correction = problem.values(z), control(given)
    if np.shape(correction) != values.shape:
        raise ValueError(f"control returned shape {np.shape(correction)}, expected that of f, {values.shape}")
    through = through_the_winner(np, np.asarray(slopes(given)), given, p)
    grads = across(values - np.asarray(correction), z) * (z - p) + np.asarray(slopes(perturbed)) - through
    return problem.estimate(z, values, grads)
