"""Estimators for bits from pairs of antithetic samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._engine.types import SeedLike
from .._sampling.noise import exponential
from ..random.generator import Generator
from . import _checks
from ._formulas import across, antithetic
from ._problem import Estimate, Function, Problem


def arm(logits: ArrayLike, f: Function, *, num_samples: int = 2, rng: SeedLike = None) -> Estimate:
    r"""ARM: the gradient with respect to log-odds of bits, from values at antithetic samples. Unbiased, for any f.

    Parameters
    ----------
    logits : array_like of floats
        Log-odds of bits, of any shape. Half types are computed in float32.
    f, rng
        As in `score_function` with ``family="bernoulli"``.
    num_samples : int, default 2
        Samples of each bit: an even number, pairs of sample i and ``i + num_samples / 2``.

    Returns
    -------
    Estimate
        Both samples of a pair have the gradient :math:`(f(b) - f(\tilde b)) (u - 1/2)`, where :math:`b = [u >
        \sigma(-x)]` and :math:`\tilde b = [u < \sigma(x)]` with a uniform u of each bit.

    Raises
    ------
    TypeError, ValueError
        As in `score_function`, and for an odd `num_samples`.

    Notes
    -----
    Yin and Zhou, "ARM: augment-REINFORCE-merge gradient for stochastic binary networks" (2019).

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> found = estimators.arm(np.zeros(3), lambda b: ((b - 0.45) ** 2).sum(-1), num_samples=20_000, rng=0)
    >>> bool(np.allclose(found.grad, 0.25 * (0.55**2 - 0.45**2), atol=0.005))
    True
    """
    return _antithetic("arm", logits, f, num_samples, rng)


def disarm(logits: ArrayLike, f: Function, *, num_samples: int = 2, rng: SeedLike = None) -> Estimate:
    r"""DisARM: `arm` averaged over the noise, given the pair of samples. Unbiased, and of lower variance.

    Parameters
    ----------
    logits, f, num_samples, rng
        As in `arm`.

    Returns
    -------
    Estimate
        Both samples of a pair have the gradient :math:`\frac{1}{2} (f(b) - f(\tilde b)) (b - \tilde b) \sigma(|x|)`.

    Raises
    ------
    TypeError, ValueError
        As in `arm`.

    Notes
    -----
    Dong, Mnih and Tucker, "DisARM: an antithetic gradient estimator for binary latent variables" (2020).

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> found = estimators.disarm(np.zeros(3), lambda b: ((b - 0.45) ** 2).sum(-1), num_samples=20_000, rng=0)
    >>> bool(np.allclose(found.grad, 0.25 * (0.55**2 - 0.45**2), atol=0.005))
    True
    """
    return _antithetic("disarm", logits, f, num_samples, rng)


def _antithetic(kind: str, logits: ArrayLike, f: Function, num_samples: int, rng: SeedLike) -> Estimate:
    _checks.check_pairs(num_samples)
    problem = Problem(logits, num_samples, "bernoulli", f)
    x, half = problem.samples(problem.logits), problem.num_samples // 2

    def make(noise: Generator) -> Estimate:
        e = exponential(size=(half, *x.shape), dtype=x.dtype, rng=noise)
        bits, weight = antithetic(np, x, e, kind)
        ones = bits.reshape(2 * half, *x.shape)
        z = np.stack([1 - ones, ones], axis=-1)
        values = problem.values(z)
        grads = across(values[:half].astype(x.dtype) - values[half:], weight) * weight
        return Estimate(ones, values, np.concatenate([grads, grads]).astype(x.dtype, copy=False))

    return problem.drawn(rng, 1, half * x.size, make)
