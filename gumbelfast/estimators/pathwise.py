"""Estimators that differentiate through a relaxed sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._engine import checks
from .._engine.types import SeedLike
from .._sampling.conditional import conditional_gumbel
from .._sampling.relaxed import gumbel_softmax, gumbel_softmax_backward
from .._sampling.softmax import softmax, softmax_backward
from ..random.generator import Generator
from . import _checks
from ._formulas import gapped
from ._problem import Estimate, Function, Problem


def reparameterized(
    logits: ArrayLike,
    f: Function,
    grad_f: Function,
    *,
    tau: float = 1.0,
    num_samples: int = 1,
    family: str = "categorical",
    rng: SeedLike = None,
) -> Estimate:
    r"""Gumbel-softmax, reparameterised: :math:`f'(y)^T \partial y / \partial x`, :math:`y` a Concrete sample.

    It is an unbiased estimate of the gradient of the relaxed :math:`E[f(y)]`, which is that of :math:`E[f(z)]` in the
    limit of small `tau` only, where its variance grows without bound.

    Parameters
    ----------
    logits, num_samples, family, rng
        As in `score_function`.
    f, grad_f : callable
        The function and its gradient, at points of the simplex.
    tau : float, default 1.0
        Temperature of the relaxation.

    Returns
    -------
    Estimate
        The samples are relaxed ones.

    Raises
    ------
    TypeError, ValueError
        As in `score_function`, and for `tau` as in `gumbelfast.gumbel_softmax`.

    Notes
    -----
    Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax" (2016); Maddison, Mnih and Teh, "The
    Concrete distribution" (2016).

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> logits, score = np.zeros(3), np.arange(3.0)
    >>> f, slope = lambda z: z @ score, lambda z: np.broadcast_to(score, z.shape)
    >>> found = estimators.reparameterized(logits, f, slope, tau=0.5, num_samples=4, rng=0)
    >>> found.samples.shape, found.grad.shape
    ((4, 3), (3,))
    """
    problem = Problem(logits, num_samples, family, f, grad_f)

    def make(noise: Generator) -> Estimate:
        y = gumbel_softmax(problem.repeated(), tau, rng=noise)
        return problem.estimate(y, problem.values(y), gumbel_softmax_backward(problem.slopes(y), y, tau))

    return problem.drawn(rng, 1, problem.size, make)


def straight_through(
    logits: ArrayLike,
    f: Function,
    grad_f: Function,
    *,
    surrogate: str | None = None,
    num_samples: int = 1,
    family: str = "categorical",
    rng: SeedLike = None,
) -> Estimate:
    r"""Straight-through: hard samples forward, the gradient of a surrogate backward. Biased.

    Parameters
    ----------
    logits, f, num_samples, family, rng
        As in `score_function`.
    grad_f : callable
        The gradient of `f`: from samples to an array of their shape.
    surrogate : {None, "softmax", "sigmoid", "identity"}
        What takes the place of the sample in the backward pass: its mean, "softmax" ("sigmoid" for Bernoulli variables,
        None for either), or the logits themselves.

    Returns
    -------
    Estimate
        :math:`f'(z)^T \partial \mathrm{softmax}(x) / \partial x`, or :math:`f'(z)` for "identity".

    Raises
    ------
    TypeError, ValueError
        As in `score_function`, and for an unknown surrogate.

    Notes
    -----
    Hinton, "Neural networks for machine learning", lecture 9 (2012); Bengio, Leonard and Courville, "Estimating or
    propagating gradients through stochastic neurons for conditional computation" (2013), who found the identity to work
    better in one layer.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> logits, score = np.zeros(3), np.arange(3.0)
    >>> f, slope = lambda z: z @ score, lambda z: np.broadcast_to(score, z.shape)
    >>> estimators.straight_through(logits, f, slope, rng=0).grad.round(3).tolist()  # f is linear: exact
    [-0.333, 0.0, 0.333]
    """
    problem = Problem(logits, num_samples, family, f, grad_f)
    _checks.check_surrogate(surrogate, problem.binary)

    def make(noise: Generator) -> Estimate:
        z = problem.hard(noise)
        slope = problem.slopes(z)
        if surrogate != "identity":
            slope = softmax_backward(slope, np.broadcast_to(problem.mean, z.shape))
        return problem.estimate(z, problem.values(z), slope)

    return problem.drawn(rng, 1, problem.size, make)


def straight_through_gumbel_softmax(
    logits: ArrayLike,
    f: Function,
    grad_f: Function,
    *,
    tau: float = 1.0,
    num_samples: int = 1,
    family: str = "categorical",
    rng: SeedLike = None,
) -> Estimate:
    r"""Straight-through Gumbel-softmax: the hard sample forward, the soft one of the same noise backward. Biased.

    Parameters
    ----------
    logits, f, num_samples, family, rng
        As in `score_function`.
    grad_f : callable
        The gradient of `f`: from samples to an array of their shape.
    tau : float, default 1.0
        Temperature of the soft sample.

    Returns
    -------
    Estimate
        :math:`f'(z)^T \partial y / \partial x`.

    Raises
    ------
    TypeError, ValueError
        As in `reparameterized`.

    Notes
    -----
    Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax" (2016), section 2.2.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> logits, score = np.zeros(3), np.arange(3.0)
    >>> f, slope = lambda z: z @ score, lambda z: np.broadcast_to(score, z.shape)
    >>> found = estimators.straight_through_gumbel_softmax(logits, f, slope, tau=0.5, num_samples=4, rng=0)
    >>> np.unique(found.samples).tolist(), found.grad.shape
    ([0.0, 1.0], (3,))
    """
    problem = Problem(logits, num_samples, family, f, grad_f)

    def make(noise: Generator) -> Estimate:
        z, y = gumbel_softmax(problem.repeated(), tau, hard=True, return_soft=True, rng=noise)
        return problem.estimate(z, problem.values(z), gumbel_softmax_backward(problem.slopes(z), y, tau))

    return problem.drawn(rng, 1, problem.size, make)


def gumbel_rao(
    logits: ArrayLike,
    f: Function,
    grad_f: Function,
    *,
    tau: float = 1.0,
    num_conditional: int = 10,
    num_samples: int = 1,
    family: str = "categorical",
    rng: SeedLike = None,
) -> Estimate:
    r"""Straight-through Gumbel-softmax, Rao-Blackwellised: the same expectation, less variance, no more calls of f.

    Parameters
    ----------
    logits, f, grad_f, tau, num_samples, family, rng
        As in `straight_through_gumbel_softmax`.
    num_conditional : int, default 10
        Soft samples given each hard one, whose Jacobians are averaged.

    Returns
    -------
    Estimate
        :math:`f'(z)^T \frac{1}{m} \sum_i \partial y_i / \partial x`, the :math:`y_i` drawn given z.

    Raises
    ------
    TypeError, ValueError
        As in `reparameterized`, and for `num_conditional` below 1.

    Notes
    -----
    Paulus, Maddison and Krause, "Rao-Blackwellizing the straight-through Gumbel-softmax gradient estimator" (2020).

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> logits, score = np.zeros(3), np.arange(3.0)
    >>> f, slope = lambda z: (z @ score) ** 2, lambda z: 2 * (z @ score)[..., None] * score
    >>> options = {"tau": 0.5, "num_samples": 2000, "rng": 0}
    >>> plain = estimators.straight_through_gumbel_softmax(logits, f, slope, **options)
    >>> averaged = estimators.gumbel_rao(logits, f, slope, num_conditional=20, **options)
    >>> bool((averaged.grads.var(axis=0) < plain.grads.var(axis=0)).all())
    True
    """
    problem = Problem(logits, num_samples, family, f, grad_f)
    checks.positive_reciprocal(tau, "tau", problem.logits.dtype)
    num_conditional = checks.positive_count(num_conditional, "num_conditional")

    def make(noise: Generator) -> Estimate:
        z = problem.hard(noise)
        slope, index, x = problem.slopes(z), z.argmax(axis=-1), problem.repeated()
        total = np.zeros_like(z)
        for _ in range(num_conditional):
            y = softmax(conditional_gumbel(x, index, rng=noise), temperature=tau)
            total += gumbel_softmax_backward(slope, y, tau)
        return problem.estimate(z, problem.values(z), total / num_conditional)

    return problem.drawn(rng, 1 + num_conditional, problem.size, make)


def decoupled_straight_through_gumbel_softmax(
    logits: ArrayLike,
    f: Function,
    grad_f: Function,
    *,
    tau_forward: float = 1.0,
    tau_backward: float = 1.0,
    num_samples: int = 1,
    family: str = "categorical",
    rng: SeedLike = None,
) -> Estimate:
    r"""Straight-through Gumbel-softmax with one temperature for the draw and another for its gradient. Biased.

    Parameters
    ----------
    logits, f, grad_f, num_samples, family, rng
        As in `straight_through_gumbel_softmax`.
    tau_forward : float, default 1.0
        The samples are draws from :math:`\mathrm{softmax}(x / \tau_f)`: below 1 they explore less.
    tau_backward : float, default 1.0
        Temperature of the soft samples, :math:`y = \mathrm{softmax}((x / \tau_f + g) / \tau_b)`.

    Returns
    -------
    Estimate
        :math:`f'(z)^T \partial y / \partial x`, of E[f] under the distribution of the samples.

    Raises
    ------
    TypeError, ValueError
        As in `reparameterized`, for either temperature.

    Notes
    -----
    Shah, Yan, Mozer and Liu, "Improving discrete optimisation via decoupled straight-through Gumbel-softmax" (2024).
    With `tau_forward` 1 it is `straight_through_gumbel_softmax`.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> score = np.arange(3.0)
    >>> options = {"tau_forward": 0.5, "tau_backward": 1.0, "num_samples": 20_000, "rng": 0}
    >>> drawn = estimators.decoupled_straight_through_gumbel_softmax
    >>> found = drawn(np.zeros(3), lambda z: z @ score, lambda z: score + 0 * z, **options)
    >>> bool(found.grad[0] < 0 < found.grad[2] and abs(found.grad.sum()) < 1e-6)
    True
    """
    problem = Problem(logits, num_samples, family, f, grad_f)
    inverse = problem.logits.dtype.type(checks.positive_reciprocal(tau_forward, "tau_forward", problem.logits.dtype))
    checks.positive_reciprocal(tau_backward, "tau_backward", problem.logits.dtype)

    def make(noise: Generator) -> Estimate:
        z, y = gumbel_softmax(problem.repeated() * inverse, tau_backward, hard=True, return_soft=True, rng=noise)
        grads = inverse * gumbel_softmax_backward(problem.slopes(z), y, tau_backward)
        return problem.estimate(z, problem.values(z), grads)

    return problem.drawn(rng, 1, problem.size, make)


def reinmax(
    logits: ArrayLike,
    f: Function,
    grad_f: Function,
    *,
    tau: float = 1.0,
    num_samples: int = 1,
    family: str = "categorical",
    rng: SeedLike = None,
) -> Estimate:
    r"""ReinMax: straight-through of second order, by Heun's method. Biased, unless f is quadratic in each variable.

    Parameters
    ----------
    logits, f, grad_f, num_samples, family, rng
        As in `straight_through`.
    tau : float, default 1.0
        Temperature of the softmax that is averaged with the sample; at 1 the order is the second.

    Returns
    -------
    Estimate
        :math:`f'(z)^T (2 J(\bar p) - \frac{1}{2} J(p))`, :math:`\bar p = (z + \mathrm{softmax}(x / \tau)) / 2`,
        :math:`p = \mathrm{softmax}(x)`, :math:`J(p) = \mathrm{diag}(p) - p p^T`.

    Raises
    ------
    TypeError, ValueError
        As in `reparameterized`.

    Notes
    -----
    Liu, Dong, Liu, Yu and Gao, "Bridging discrete and backpropagation: straight-through and beyond" (2023), algorithm
    2. With tau 1 the expectation is :math:`\sum_{ij} p_i p_j (e_i - e_j)^T \frac{f'(e_i) + f'(e_j)}{2} e_i`, where
    the gradient has :math:`f(e_i) - f(e_j)`: the trapezoidal rule, exact for quadratic f.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> score = np.arange(3.0)
    >>> options = {"num_samples": 20_000, "rng": 0}
    >>> found = estimators.reinmax(np.zeros(3), lambda z: z @ score, lambda z: score + 0 * z, **options)
    >>> bool(np.allclose(found.grad, [-1 / 3, 0, 1 / 3], atol=0.01))
    True
    """
    problem = Problem(logits, num_samples, family, f, grad_f)
    checks.positive_reciprocal(tau, "tau", problem.logits.dtype)
    soft = softmax(problem.logits, temperature=tau)

    def make(noise: Generator) -> Estimate:
        z = problem.hard(noise)
        slope, p = problem.slopes(z), np.broadcast_to(problem.mean, z.shape)
        grads = 2 * softmax_backward(slope, 0.5 * (z + soft)) - 0.5 * softmax_backward(slope, p)
        return problem.estimate(z, problem.values(z), grads)

    return problem.drawn(rng, 1, problem.size, make)


def gapped_straight_through(
    logits: ArrayLike,
    f: Function,
    grad_f: Function,
    *,
    tau: float = 1.0,
    gap: float = 1.0,
    num_samples: int = 1,
    family: str = "categorical",
    rng: SeedLike = None,
) -> Estimate:
    r"""Gapped straight-through: in place of noise, logits are moved so that the sample wins by a gap. Biased.

    Parameters
    ----------
    logits, f, grad_f, num_samples, family, rng
        As in `straight_through`.
    tau : float, default 1.0
        Temperature of the soft sample.
    gap : float, default 1.0
        The least distance of all others below the sample's logit: finite and >= 0.

    Returns
    -------
    Estimate
        :math:`f'(z)^T \partial y / \partial x`, :math:`y = \mathrm{softmax}((x + m(z)) / \tau)`, where m raises the
        logit of the sample to the largest, and lowers the others to the gap below it where they are above.

    Raises
    ------
    TypeError, ValueError
        As in `reparameterized`, and for a bad `gap`.

    Notes
    -----
    Fan, Chi, Rudnicky and Ramadge, "Training discrete deep generative models via gapped straight-through estimator"
    (2022).

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> score = np.arange(3.0)
    >>> options = {"num_samples": 20_000, "rng": 0}
    >>> found = estimators.gapped_straight_through(np.zeros(3), lambda z: z @ score, lambda z: score + 0 * z, **options)
    >>> bool(found.grad[0] < 0 < found.grad[2] and abs(found.grad.sum()) < 1e-6)
    True
    """
    problem = Problem(logits, num_samples, family, f, grad_f)
    checks.positive_reciprocal(tau, "tau", problem.logits.dtype)
    gap = _checks.as_gap(gap)

    def make(noise: Generator) -> Estimate:
        z = problem.hard(noise)
        y = softmax(gapped(np, problem.logits, z, gap), temperature=tau)
        return problem.estimate(z, problem.values(z), softmax_backward(problem.slopes(z), y, temperature=tau))

    return problem.drawn(rng, 1, problem.size, make)
