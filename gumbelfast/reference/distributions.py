"""Densities as the papers print them: products and powers, nothing rearranged.

For parameters of moderate size; where factors overflow, logarithms are what a program needs. Arrays are longdouble
inside, categories last.
"""

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[Any]


def gumbel_cdf(x: ArrayLike, loc: float, scale: float) -> Array:
    """exp(-exp(-(x - loc) / scale)): Gumbel (1954)."""
    z = (np.asarray(x, np.longdouble) - loc) / scale
    return np.asarray(np.exp(-np.exp(-z)))


def gumbel_density(x: ArrayLike, loc: float, scale: float) -> Array:
    """The derivative of `gumbel_cdf`, exp(-z - exp(-z)) / scale with z = (x - loc) / scale."""
    z = (np.asarray(x, np.longdouble) - loc) / scale
    return np.asarray(np.exp(-z - np.exp(-z)) / scale)


def concrete_density(y: ArrayLike, pi: ArrayLike, tau: float) -> Array:
    """Of a point of the simplex: Jang, Gu and Poole (2016), appendix B."""
    y, pi = np.asarray(y, np.longdouble), np.asarray(pi, np.longdouble)
    k = y.shape[-1]
    total = (pi / y**tau).sum(axis=-1)
    product = (pi / y ** (tau + 1)).prod(axis=-1)
    return np.asarray(math.gamma(k) * tau ** (k - 1) * total ** (-k) * product)


def concrete_density_maddison(x: ArrayLike, alpha: ArrayLike, lam: float) -> Array:
    """The same: Maddison, Mnih and Teh (2016), definition 1."""
    x, alpha = np.asarray(x, np.longdouble), np.asarray(alpha, np.longdouble)
    n = x.shape[-1]
    weight = alpha * x ** (-lam)
    factors = alpha * x ** (-lam - 1) / weight.sum(axis=-1, keepdims=True)
    return np.asarray(math.factorial(n - 1) * lam ** (n - 1) * factors.prod(axis=-1))


def exp_concrete_density(y: ArrayLike, alpha: ArrayLike, lam: float) -> Array:
    """Of the logarithm of a point: Maddison, Mnih and Teh (2016), appendix C."""
    y, alpha = np.asarray(y, np.longdouble), np.asarray(alpha, np.longdouble)
    n = y.shape[-1]
    weight = alpha * np.exp(-lam * y)
    return np.asarray(math.factorial(n - 1) * lam ** (n - 1) * weight.sum(axis=-1) ** (-n) * weight.prod(axis=-1))


def binary_concrete_density(x: ArrayLike, alpha: ArrayLike, lam: float) -> Array:
    """Of a number in (0, 1): Maddison, Mnih and Teh (2016), appendix B."""
    x, alpha = np.asarray(x, np.longdouble), np.asarray(alpha, np.longdouble)
    below = (alpha * x ** (-lam) + (1 - x) ** (-lam)) ** 2
    return np.asarray(lam * alpha * x ** (-lam - 1) * (1 - x) ** (-lam - 1) / below)
