"""Estimators from samples without replacement: of expectations, and of their gradients by explicit logits."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _subsets, _validate, _validate_tables
from .._types import SeedLike
from ..softmax import log_softmax, logsumexp
from ..weighted import with_threshold
from ._problem import Array, Estimate, Function, Problem


def without_replacement(
    log_probs: ArrayLike, perturbed: ArrayLike, kappa: ArrayLike, values: ArrayLike, *, normalized: bool = False
) -> Any:
    r"""Estimate E[f] from k samples without replacement.

    Parameters
    ----------
    log_probs : array_like of float, shape (..., k)
        Normalised log-probabilities of the samples; -inf marks a place without a sample.
    perturbed : array_like of float, shape (..., k)
        Their perturbed log-probabilities G, by which they were drawn. They only serve to check that `kappa` is the
        threshold of these samples.
    kappa : array_like of float, shape (...)
        The largest G that was not drawn, -inf if all were: `stochastic_beam_search` and `weighted_sample` return it.
    values : array_like of float, shape (..., k) or (..., k, \*event)
        f at the samples; not looked at where there is none.
    normalized : bool, default False
        Divide by the sum of the weights. The estimate is then biased, less and less as k grows, but varies less where f
        is far from 0, and is exact for a constant f.

    Returns
    -------
    float64 or ndarray of float64
        :math:`\sum_{i \in S} w_i f_i`, :math:`w_i = p_i / q_i`, :math:`q_i = 1 - \exp(-\exp(\log p_i - \kappa))`, of
        shape (...) or (..., \*event).

    Raises
    ------
    ValueError
        For shapes that do not fit, log-probabilities above 0 by more than rounding, or perturbed values below `kappa`.

    Notes
    -----
    Given kappa, a sample was drawn with probability :math:`q_i = P(G_i > \kappa)`; the estimate is unbiased: Kool, van
    Hoof and Welling, "Stochastic beams and where to find them" (2019), section 4.2; Vieira, "Estimating means in a
    finite universe" (2017).

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> from gumbelfast import estimators
    >>> found = gf.weighted_sample([0.5, 0.3, 0.2], 3, rng=0)
    >>> log_p = np.log([0.5, 0.3, 0.2])[found.indices]
    >>> float(estimators.without_replacement(log_p, found.perturbed, found.kappa, found.indices).round(6))
    0.7
    """
    log_p, g, threshold, f = (np.asarray(a, np.float64) for a in (log_probs, perturbed, kappa, values))
    _validate_tables.threshold_sample(log_p, g, threshold, f)
    weights = np.exp(_log_weights(log_p, threshold))
    if normalized:
        weights = weights / weights.sum(axis=-1, keepdims=True)
    weights = weights.reshape(weights.shape + (1,) * (f.ndim - weights.ndim))
    total: Array = np.where(weights > 0, weights * f, 0).sum(axis=log_p.ndim - 1)
    return total[()]


def _log_weights(log_p: Array, kappa: Array) -> Array:
    """log(p / q), -inf where there is no sample."""
    with np.errstate(invalid="ignore"):
        weights = log_p - _subsets.log_inclusion(log_p - kappa[..., None])
    return np.where(np.isneginf(log_p), -np.inf, weights)


class _Sets:
    """k distinct categories of every row: one-hot samples, the values of f, and log-probabilities, rows first."""

    def __init__(self, logits: ArrayLike, f: Function, k: int, baseline: Any, known: tuple[Any, ...], rng: Any) -> None:
        _validate_tables.one_of(baseline, "baseline", known)
        self.k, least = operator.index(k), 1 if baseline is None else 2
        if self.k < least:
            why = "" if baseline is None else f" with baseline {baseline!r}"
            raise ValueError(f"k must be >= {least}{why}, got {k}")
        self.problem = Problem(logits, self.k, "categorical", f)
        columns = self.problem.logits.shape[-1]
        _validate.count(self.k, columns)
        log_p = log_softmax(self.problem.logits)
        drawn = with_threshold(log_p, self.k, "finite logits", rng)
        index = drawn.indices
        self.z = (np.moveaxis(index, -1, 0)[..., None] == np.arange(columns)).astype(log_p.dtype)
        self.found = self.problem.values(self.z)
        if self.found.shape != self.z.shape[:-1]:
            raise ValueError(f"f returned shape {self.found.shape}, expected {self.z.shape[:-1]}: one value a row")
        wide = log_p.astype(np.float64)
        self.log_p = np.take_along_axis(wide, index, -1)
        np.put_along_axis(wide, index, -np.inf, -1)
        self.outside = logsumexp(wide)
        self.kappa = drawn.kappa.astype(np.float64)
        self.values = np.moveaxis(self.found, 0, -1).astype(np.float64)

    def estimate(self, weights: Array, centred: Array) -> Estimate:
        """The sum of weights * centred * d log p / d x, told as the mean of k times each."""
        factor = np.moveaxis(self.k * weights * centred, -1, 0)[..., None]
        return self.problem.estimate(self.z, self.found, factor * (self.z - self.problem.mean))


def unordered_set(
    logits: ArrayLike, f: Function, k: int, *, baseline: str | None = "leave_one_out", rng: SeedLike = None
) -> Estimate:
    r"""The unordered set estimator: REINFORCE from k distinct samples, averaged over all orders. Unbiased.

    Parameters
    ----------
    logits : array_like of floats, shape (..., K)
        Each row is a variable of its own. Half types are computed in float32.
    f : callable
        From samples of shape ``(k, *logits.shape)``, one-hot, to values of shape ``(k, *logits.shape[:-1])``.
    k : int
        Distinct samples per row, at most its finite logits.
    baseline : {"leave_one_out", None}
        Subtract from each value what the other samples, and the sample itself, say of E[f]. It wants two samples at
        least.
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
        another shape than one value a row.

    Notes
    -----
    Kool, van Hoof and Welling, "Estimating gradients for discrete random variables by sampling without replacement"
    (2020). The leave-one-out ratio is :math:`R(S, s) = P^{D \setminus s}(S \setminus s) / P^D(S)`, P the probability of
    a set of first draws (`plackett_luce_set_log_prob`), the superscript what may be drawn; with
    :math:`R^{D \setminus s}(S, s') = P^{D \setminus s s'}(S \setminus s s') / P^{D \setminus s}(S \setminus s)`,

    .. math:: b(s) = p(s) f(s) + \sum_{s' \in S \setminus s} p(s') R^{D \setminus s}(S, s') f(s').

    The weights p R of a set add up to 1, those of each b(s) as well, and with all categories in the set the estimate
    is the gradient itself.
    """
    sets = _Sets(logits, f, k, baseline, ("leave_one_out", None), rng)
    chance = _subsets.leave_out(sets.log_p, sets.outside)
    weights = np.exp(sets.log_p + chance.one - chance.none[..., None])
    centred = sets.values
    if baseline is not None:
        others = np.exp(sets.log_p[..., None, :] + chance.two - chance.one[..., None])
        centred = -np.expm1(sets.log_p) * sets.values - np.einsum("...ij,...j->...i", others, sets.values)
    return sets.estimate(weights, centred)


def importance_weighted(
    logits: ArrayLike, f: Function, k: int, *, baseline: str | None = "leave_one_out", rng: SeedLike = None
) -> Estimate:
    r"""REINFORCE from k distinct samples, weighted by the inverse of their chance to be drawn.

    Parameters
    ----------
    logits, f, k, rng
        As in `unordered_set`.
    baseline : {"leave_one_out", "normalized", None}
        What is subtracted from the values. "leave_one_out": :math:`b_i = p_i f_i + \sum_{j \ne i} w_j f_j`, which keeps
        the estimate unbiased. "normalized": :math:`b = \sum_j w_j f_j / W`, with all weights divided by their sum W;
        biased, less and less as k grows. Both want two samples at least.

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
    """
    sets = _Sets(logits, f, k, baseline, ("leave_one_out", "normalized", None), rng)
    weights = np.exp(_log_weights(sets.log_p, sets.kappa))
    if baseline == "normalized":
        weights = weights / weights.sum(axis=-1, keepdims=True)
    centred = sets.values
    if baseline is not None:
        mean = (weights * sets.values).sum(axis=-1, keepdims=True)
        own = weights - np.exp(sets.log_p) if baseline == "leave_one_out" else 0
        centred = sets.values - (mean - own * sets.values)
    return sets.estimate(weights, centred)
