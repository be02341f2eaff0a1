"""Estimates from samples without replacement, of sequences or anything else: expectations and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._engine import table_checks
from .._engine.checks import real
from .._sampling.softmax import logsumexp
from ..distributions import subsets
from . import _checks
from ._problem import Array

_NO_WEIGHT = -1e4  # a finite log-probability whose exponential is 0


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
        f at the samples; ignored where there is no sample.
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
    TypeError
        For what is not real numbers.
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
    log_p, threshold, f = _checked(log_probs, perturbed, kappa, values)
    weights = _importance(log_p, threshold, normalized)
    weights = weights.reshape(weights.shape + (1,) * (f.ndim - weights.ndim))
    total: Array = (weights * np.where(weights > 0, f, 0)).sum(axis=log_p.ndim - 1)
    return total[()]


def score_weights(
    log_probs: ArrayLike,
    perturbed: ArrayLike,
    kappa: ArrayLike,
    values: ArrayLike,
    *,
    method: str = "unordered_set",
    baseline: str | None = "leave_one_out",
) -> Array:
    r"""Weights of the gradients of log p, for an estimate of dE[f] from k samples without replacement.

    Parameters
    ----------
    log_probs, perturbed, kappa, values : array_like of float, shapes (..., k), (..., k), (...) and (..., k)
        As in `without_replacement`.
    method : {"unordered_set", "importance"}
        Which estimator: that of `unordered_set` or of `importance_weighted`, where the formulas are.
    baseline : {"leave_one_out", "normalized", None}
        As in that function.

    Returns
    -------
    ndarray of float64, shape (..., k)
        :math:`c_i`, so that :math:`\sum_{i \in S} c_i \, \partial \log p_i / \partial \theta` estimates
        :math:`\partial E[f] / \partial \theta`, for any parameters of the model: they are constants for its backward
        pass. 0 where there is no sample.

    Raises
    ------
    TypeError, ValueError
        As in `without_replacement`, for an unknown `method` or `baseline`, for a `kappa` above -inf where samples are
        missing ("unordered_set"), and for fewer than two samples with a baseline.

    Notes
    -----
    "unordered_set" takes the probability of all other samples to be 1 minus the sum of p, so it needs log-probabilities
    whose rounding is small compared with that.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> from gumbelfast import estimators
    >>> estimators.score_weights(np.log([0.5, 0.3]), [1.0, 0.0], -0.5, [2.0, 2.0]).round(6)
    array([0., 0.])
    """
    log_p, threshold, f = _checked(log_probs, perturbed, kappa, values)
    _checks.check_set_baseline(method, baseline, log_p.shape[-1])
    if f.ndim != log_p.ndim:
        raise ValueError(f"values of shape {f.shape} does not fit log_probs of shape {log_p.shape}")
    there = ~np.isneginf(log_p)
    f = np.where(there, f, 0)
    if method == "importance":
        return np.where(there, importance_coefficients(log_p, threshold, f, baseline), 0)
    table_checks.all_drawn(there, threshold)
    rest = np.maximum(-np.expm1(logsumexp(log_p)), np.finfo(np.float64).eps)
    outside = np.where(np.isneginf(threshold), -np.inf, np.log(rest))
    # Where samples are missing, all others were drawn: nothing is left outside, and a placeholder of no weight will do.
    coefficients = unordered_coefficients(np.where(there, log_p, _NO_WEIGHT), outside, f, baseline)
    return np.where(there, coefficients, 0)


def _checked(*given: ArrayLike) -> tuple[Array, Array, Array]:
    """Log-probabilities, threshold and values as float64; perturbed values are only checked."""
    names = ("log_probs", "perturbed", "kappa", "values")
    log_p, g, threshold, f = (real(a, name) for a, name in zip(given, names, strict=True))
    table_checks.threshold_sample(log_p, g, threshold, f)
    return log_p, threshold, f


def unordered_coefficients(log_p: Array, outside: Array, f: Array, baseline: str | None) -> Array:
    """The products p(s) R(S, s) (f(s) - b(s)), from the log-probabilities of S, finite, and of all else together."""
    chance = subsets.leave_out(log_p, outside)
    weights: Array = np.exp(log_p + chance.one - chance.none[..., None])
    if baseline is None:
        return weights * f
    others = np.exp(log_p[..., None, :] + chance.two - chance.one[..., None])
    centred: Array = -np.expm1(log_p) * f - np.einsum("...ij,...j->...i", others, f)
    return weights * centred


def importance_coefficients(log_p: Array, kappa: Array, f: Array, baseline: str | None) -> Array:
    """The products w_i (f_i - b_i)."""
    weights = _importance(log_p, kappa, baseline == "normalized")
    if baseline is None:
        return weights * f
    mean = (weights * f).sum(axis=-1, keepdims=True)
    own = weights - np.exp(log_p) if baseline == "leave_one_out" else 0
    centred: Array = f - (mean - own * f)
    return weights * centred


def _importance(log_p: Array, kappa: Array, normalized: bool) -> Array:
    """The weights p / q, 0 where there is no sample."""
    with np.errstate(invalid="ignore"):
        log_weights = log_p - subsets.log_inclusion(log_p - kappa[..., None])
    weights: Array = np.where(np.isneginf(log_p), 0, np.exp(log_weights))
    return weights / weights.sum(axis=-1, keepdims=True) if normalized else weights
