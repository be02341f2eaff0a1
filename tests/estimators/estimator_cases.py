"""Problems whose gradients the estimators' tests look for: a quadratic of one row, and one of several variables."""

from typing import Any

import numpy as np

CURVATURE = np.array([[1.0, 0.3, 0.0], [0.3, 2.0, -0.4], [0.0, -0.4, 0.7]])
SLOPE = np.array([1.0, -2.0, 0.5])
LOGITS = np.array([0.3, -1.0, 0.8])
BITS = np.array([0.2, -0.7])


def quadratic(z: Any) -> Any:
    return np.einsum("...i,ij,...j->...", z, CURVATURE, z) + z @ SLOPE


def quadratic_slope(z: Any) -> Any:
    return 2 * z @ CURVATURE + SLOPE


def bits(z: Any) -> Any:
    """Two Bernoulli variables that matter to each other."""
    return ((z - 0.499) ** 2).sum(axis=-1) + z[..., 0] * z[..., 1]


def bits_slope(z: Any) -> Any:
    return 2 * (z - 0.499) + z[..., ::-1]


def soft_control(z: Any) -> Any:
    """A control variate that is nobody's best, of perturbed logits or log-odds."""
    return np.tanh(z).sum(axis=-1)


def soft_control_slope(z: Any) -> Any:
    return 1 / np.cosh(z) ** 2
