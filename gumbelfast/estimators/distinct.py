"""Estimators of gradients by explicit logits, from k distinct categories of every row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from .._engine import checks
from .._engine.types import SeedLike
from .._sampling.softmax import log_softmax, logsumexp
from .._sampling.weighted import with_threshold
from ..random.generator import Generator
from . import _checks
from ._problem import Array, Estimate, Function, Problem
from .without_replacement import importance_coefficients, unordered_coefficients


class _Sets:
    """k distinct categories of every row: one-hot samples, the values of f, and log-probabilities, rows first."""

    def __init__(self, problem: Problem, noise: Generator) -> None:
        self.problem, self.k = problem, problem.num_samples
        log_p = log_softmax(problem.logits)
        drawn = with_threshold(log_p, self.k, "finite logits", noise)
        index = drawn.indices
        self.z = (np.moveaxis(index, -1, 0)[..., None] == np.arange(log_p.shape[-1])).astype(log_p.dtype)
        self.found = problem.values(self.z)
        if self.found.shape != self.z.shape[:-1]:
            raise ValueError(f"f returned shape {self.found.shape}, expected {self.z.shape[:-1]}: one value per row")
        wide = log_p.astype(np.float64)
        self.log_p = np.take_along_axis(wide, index, -1)
        np.put_along_axis(wide, index, -np.inf, -1)
        self.outside = logsumexp(wide)
        self.kappa = drawn.kappa.astype(np.float64)
        self.values = np.moveaxis(self.found, 0, -1).astype(np.float64)

    def estimate(self, coefficients: Array) -> Estimate:
        """The sum of coefficients * d log p / d x, expressed as the mean of k times each term."""
        factor = np.moveaxis(self.k * coefficients, -1, 0)[..., None]
        return self.problem.estimate(self.z, self.found, factor * (self.z - self.problem.mean))


def _estimate(
    logits: ArrayLike,
    f: Function,
    k: int,
    method: str,
    baseline: str | None,
    rng: SeedLike,
    coefficients: Callable[[_Sets], Array],
) -> Estimate:
    k = _checks.as_set_size(k, method, baseline)
    problem = Problem(logits, k, "categorical", f)
    checks.count(k, problem.logits.shape[-1])

    def make(noise: Generator) -> Estimate:
        sets = _Sets(problem, noise)
        return sets.estimate(coefficients(sets))

    return problem.drawn(rng, 1, problem.logits.size, make)


def unordered_set(
    logits: ArrayLike, f: Function, k: int, *, baseline: str | None = "leave_one_out", rng: SeedLike = None
) -> Estimate:
    r"""The unordered set estimator: REINFORCE from k distinct samples, averaged over all orders. Unbiased.

    Parameters
    ----------
    logits : array_like of floats, shape (..., K)
        Each row is an independent variable. Half types are computed in float32.
    f : callable
        From samples of shape ``(k, *logits.shape)``, one-hot, to values of shape ``(k, *logits.shape[:-1])``.
    k : int
        Distinct samples per row, at most its finite logits.
    baseline : {"leave_one_out", None}
        Subtract from each value an estimate of E[f] from the other samples and the sample itself. It needs at least two
        samples.
    rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
        Where the randomness comes from.

    Returns
    -------
    Estimate
        ``grad`` is :math:`\sum_{s \in S} \nabla p(s) \, R(S, s) \, (f(s) - b(s))`; ``grads`` are k times its terms.

    Raises
    ------
    TypeError, ValueError
        As in `score_function`, for a k above the columns or the finite logits of a row, or for an f that returns
        another shape than one value per row.

    Notes
    -----
    Kool, van Hoof and Welling, "Estimating gradients for discrete random variables by sampling without replacement"
    (2020). The leave-one-out ratio is :math:`R(S, s) = P^{D \setminus s}(S \setminus s) / P^D(S)`, P the probability of
    a set of first draws (`plackett_luce_set_log_prob`), the superscript what may be drawn; with
    :math:`R^{D \setminus s}(S, s') = P^{D \setminus s s'}(S \setminus s s') / P^{D \setminus s}(S \setminus s)`,

    .. math:: b(s) = p(s) f(s) + \sum_{s' \in S \setminus s} p(s') R^{D \setminus s}(S, s') f(s').

    The weights p R of a set add up to 1, those of each b(s) as well, and with all categories in the set the estimate
    is the gradient itself.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> logits, score = np.zeros(3), np.arange(3.0)
    >>> found = estimators.unordered_set(logits, lambda z: z @ score, k=3, rng=0)  # all three: exact
    >>> (found.grad.round(3) + 0).tolist()
    [-0.333, 0.0, 0.333]
    """

    def coefficients(sets: _Sets) -> Array:
        return unordered_coefficients(sets.log_p, sets.outside, sets.values, baseline)

    return _estimate(logits, f, k, "unordered_set", baseline, rng, coefficients)


def importance_weighted(
    logits: ArrayLike, f: Function, k: int, *, baseline: str | None = "leave_one_out", rng: SeedLike = None
) -> Estimate:
    r"""REINFORCE from k distinct samples, weighted by the inverse of their probability to be drawn.

    Parameters
    ----------
    logits, f, k, rng
        As in `unordered_set`.
    baseline : {"leave_one_out", "normalized", None}
        What is subtracted from the values. "leave_one_out": :math:`b_i = p_i f_i + \sum_{j \ne i} w_j f_j`, which keeps
        the estimate unbiased. "normalized": :math:`b = \sum_j w_j f_j / W`, with all weights divided by their sum W;
        biased, less and less as k grows. Both need at least two samples.

    Returns
    -------
    Estimate
        ``grad`` is :math:`\sum_{i \in S} w_i (f_i - b_i) \, \partial \log p_i / \partial x`, the weights
        :math:`w_i = p_i / q_i` as in `without_replacement`.

    Raises
    ------
    TypeError, ValueError
        As in `unordered_set`.

    Notes
    -----
    Kool, van Hoof and Welling, "Buy 4 REINFORCE samples, get a baseline for free!" (2019). The leave-one-out baseline
    adds nothing in expectation, since :math:`E[1_{i, j \in S} / (q_i q_j)] = 1`: Duffield, Lund and Thorup, "Priority
    sampling for estimation of arbitrary subset sums" (2007).

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> logits, score = np.zeros(3), np.arange(3.0)
    >>> found = estimators.importance_weighted(logits, lambda z: z @ score, k=3, rng=0)  # all three: exact
    >>> (found.grad.round(3) + 0).tolist()
    [-0.333, 0.0, 0.333]
    """

    def coefficients(sets: _Sets) -> Array:
        return importance_coefficients(sets.log_p, sets.kappa, sets.values, baseline)

    return _estimate(logits, f, k, "importance", baseline, rng, coefficients)
