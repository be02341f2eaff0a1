"""The logarithm of a sum of exponentials with factors, and its sign."""

from __future__ import annotations

import math

import numpy as np

from .._engine.backend import active
from .._engine.checks import Array


def logsumexp(x: Array, b: Array, scale: float | Array, threads: int) -> tuple[Array, Array]:
    """log|sum_j b_j exp(scale x_j)| and the sign of the sum, per row, in float64; 0 times inf or NaN as in SciPy."""
    x = x.astype(np.float64)
    scale = np.reshape(scale, (*x.shape[:-1], 1)) if isinstance(scale, np.ndarray) else scale
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        terms = np.where(b == 0, -np.inf, x * scale + np.log(np.abs(b)))
    positive = _sum(np.where(b < 0, -np.inf, terms), threads)  # NaN counts as positive, in a term or a factor
    negative = _sum(np.where(b < 0, terms, -np.inf), threads)
    top = np.maximum(positive, negative)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.where(np.isneginf(top), 0.0, np.minimum(positive, negative) - top)
        # log(1 - exp(gap)), in the form that loses no digits: Maechler, "Accurately computing
        # log(1 - exp(-|a|))" (2012).
        logs = top + np.where(gap > -math.log(2), np.log(-np.expm1(gap)), np.log1p(-np.exp(gap)))
        sign = np.sign(np.where(np.isneginf(top), 0.0, positive - negative))
        spoilt = ~np.isfinite(logs) & ((b == 0) & ~(x < np.inf)).any(axis=-1)
    return np.where(spoilt, np.nan, logs), np.where(spoilt, np.nan, sign)


def _sum(terms: Array, threads: int) -> Array:
    result = np.empty(terms.shape[:-1])
    active().logsumexp(terms, 1.0, result, threads)
    return result


def sign_of_positive(logs: Array) -> Array:
    """The sign of sums whose terms are all positive, from their logarithms."""
    return np.where(np.isnan(logs), np.nan, logs > -np.inf)
