"""Estimators that need only values of f, and MuProp, which adds its gradient at the mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._engine.checks import real
from .._engine.types import SeedLike
from .._sampling.softmax import softmax_backward
from ..random.generator import Generator
from . import _checks
from ._formulas import across, less_the_others
from ._problem import Estimate, Function, Problem


class RunningMean:
    """A baseline with memory: the exponentially weighted mean of the values of earlier calls.

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
    >>> from gumbelfast.estimators import RunningMean
    >>> mean = RunningMean(decay=0.5)
    >>> mean.update([1.0, 3.0])
    >>> mean.update([5.0, 5.0])
    >>> mean.value  # (0.5 * 2 + 5) / (0.5 + 1)
    4.0
    """

    def __init__(self, decay: float = 0.9) -> None:
        _checks.check_decay(decay)
        self.decay = decay
        self._sum = self._weight = 0.0

    @property
    def value(self) -> float:
        """The mean, 0 before the first call."""
        return self._sum / self._weight if self._weight else 0.0

    def update(self, values: ArrayLike) -> None:
        """Update the mean with new values."""
        new = np.asarray(values)
        if new.size == 0:
            return
        self._sum = self.decay * self._sum + (1 - self.decay) * float(np.mean(new))
        self._weight = self.decay * self._weight + (1 - self.decay)


def score_function(
    logits: ArrayLike,
    f: Function,
    *,
    num_samples: int = 1,
    baseline: str | RunningMean | ArrayLike | None = None,
    family: str = "categorical",
    rng: SeedLike = None,
) -> Estimate:
    r"""REINFORCE: :math:`(f(z) - b) \, \partial \log p(z) / \partial x`. Unbiased, for any f.

    Parameters
    ----------
    logits : array_like of floats
        Shape ``(..., K)``, or any shape for ``family="bernoulli"``. Half types are computed in float32.
    f : callable
        From samples of shape ``(num_samples, *logits.shape)`` to values of shape ``(num_samples, *lead)``.
    num_samples : int, default 1
        Samples of each variable.
    baseline : {None, "leave_one_out", "optimal", "self_critical"}, RunningMean or array_like
        What is subtracted from the values. "leave_one_out" takes the mean of the other samples. "optimal" takes the
        other samples' :math:`\sum f s^2 / \sum s^2`, s the score, which estimates the scalar of least variance. Both
        need at least two samples. "self_critical" takes f at the most probable sample, which is one more call of `f`.
        Numbers broadcast to the values.
    family : {"categorical", "bernoulli"}
        What the logits describe.
    rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
        Where the randomness comes from.

    Returns
    -------
    Estimate
        One-hot samples, values, and a gradient per sample.

    Raises
    ------
    TypeError, ValueError
        For logits as in `gumbelfast.categorical`, for an unknown `baseline` or `family`, too few samples, or a result
        of `f` whose shape does not fit or that is not of real numbers. Whatever `f` raises passes through. The
        generator is then left as it was.

    Notes
    -----
    Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement learning" (1992); the
    baselines: Greensmith, Bartlett and Baxter (2004); Kool, van Hoof and Welling, "Buy 4 REINFORCE samples, get a
    baseline for free!" (2019); Rennie, Marcheret, Mroueh, Ross and Goel, "Self-critical sequence training" (2017). None
    of them introduces a bias, since none depends on the sample that it is subtracted for.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> logits, score = np.zeros(3), np.arange(3.0)
    >>> options = {"num_samples": 20_000, "baseline": "leave_one_out", "rng": 0}
    >>> found = estimators.score_function(logits, lambda z: z @ score, **options)
    >>> bool(np.allclose(found.grad, [-1 / 3, 0, 1 / 3], atol=0.01))
    True
    """
    problem = Problem(logits, num_samples, family, f)
    _checks.check_baseline_name(baseline, problem.num_samples)

    def make(noise: Generator) -> Estimate:
        z = problem.hard(noise)
        values = problem.values(z)
        score = z - problem.mean
        if isinstance(baseline, RunningMean):
            centred = values - baseline.value
        elif isinstance(baseline, str) and baseline == "self_critical":
            best = np.arange(z.shape[-1]) == problem.logits.argmax(axis=-1)[..., None]
            centred = values - problem.values(best[None].astype(z.dtype), values.ndim)
        elif isinstance(baseline, str):
            weight = np.ones_like(values)
            if baseline == "optimal":
                weight = np.square(score).sum(axis=tuple(range(values.ndim, z.ndim)))
            centred = less_the_others(np, values, weight)
        else:
            centred = values if baseline is None else values - np.broadcast_to(real(baseline, "baseline"), values.shape)
        found = problem.estimate(z, values, across(centred, z) * score)
        if isinstance(baseline, RunningMean):
            baseline.update(values)
        return found

    return problem.drawn(rng, 1, problem.size, make)


def muprop(
    logits: ArrayLike,
    f: Function,
    grad_f: Function,
    *,
    num_samples: int = 1,
    family: str = "categorical",
    rng: SeedLike = None,
) -> Estimate:
    r"""MuProp: REINFORCE for f minus its first-order expansion around the mean. Unbiased.

    Parameters
    ----------
    logits, f, num_samples, family, rng
        As in `score_function`; `f` is evaluated at the mean, a point of the simplex, as well.
    grad_f : callable
        The gradient of `f`: from samples to an array of their shape.

    Returns
    -------
    Estimate
        :math:`(f(z) - f(\mu) - f'(\mu)^T (z - \mu)) \, \partial \log p(z) / \partial x +
        f'(\mu)^T \partial \mu / \partial x`, :math:`\mu = \mathrm{softmax}(x)`.

    Raises
    ------
    TypeError, ValueError
        As in `score_function`.

    Notes
    -----
    Gu, Levine, Sutskever and Mnih, "MuProp: unbiased backpropagation for stochastic neural networks" (2016).

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> logits, score = np.zeros(3), np.arange(3.0)
    >>> f, slope = lambda z: z @ score, lambda z: np.broadcast_to(score, z.shape)
    >>> found = estimators.muprop(logits, f, slope, rng=0)  # a linear f leaves no variance
    >>> found.grad.round(3).tolist()
    [-0.333, 0.0, 0.333]
    """
    problem = Problem(logits, num_samples, family, f, grad_f)

    def make(noise: Generator) -> Estimate:
        z = problem.hard(noise)
        values = problem.values(z)
        mean = problem.mean[None]
        slope = problem.slopes(mean)
        linear = problem.values(mean, values.ndim) + (slope * (z - mean)).sum(axis=tuple(range(values.ndim, z.ndim)))
        return problem.estimate(z, values, across(values - linear, z) * (z - mean) + softmax_backward(slope, mean))

    return problem.drawn(rng, 1, problem.size, make)
