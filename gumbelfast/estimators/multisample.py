"""The bound from several samples, whose gradient is not a mean over them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._engine.types import SeedLike
from .._sampling.softmax import log_softmax
from ..random.generator import Generator
from . import _checks
from ._formulas import across, vimco_coefficients
from ._problem import Estimate, Function, Problem


def vimco(
    logits: ArrayLike, log_joint: Function, *, num_samples: int = 2, family: str = "categorical", rng: SeedLike = None
) -> Estimate:
    r"""VIMCO: the negative importance-weighted bound of K samples, with leave-one-out baselines. Unbiased.

    Parameters
    ----------
    logits, family, rng
        As in `score_function`: those of the variational distribution q.
    log_joint : callable
        :math:`\log p(x, z)`, from samples of shape ``(num_samples, *logits.shape)`` to shape ``(num_samples, *lead)``.
    num_samples : int, default 2
        K, at least 2.

    Returns
    -------
    Estimate
        ``grad`` estimates the gradient of :math:`-E[\hat L]`, :math:`\hat L = \log \frac{1}{K} \sum_k w_k`; ``grads``
        are K times the terms of its sum. ``values`` are :math:`\log w_k = \log p(x, z_k) - \log q(z_k)`.

    Raises
    ------
    TypeError, ValueError
        As in `score_function`, and for fewer than two samples.

    Notes
    -----
    Mnih and Rezende, "Variational inference for Monte Carlo objectives" (2016). The gradient of :math:`\hat L` by the
    logits: :math:`\sum_k (\hat L - \hat L_{-k} - w_k / \sum_j w_j) \, \partial \log q(z_k) / \partial x`; in
    :math:`\hat L_{-k}` the geometric mean of the other weights stands in place of :math:`w_k`.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> log_joint = np.log([0.1, 0.2, 0.3])  # log p(x, z) of each z, p(x) = 0.6
    >>> found = estimators.vimco(np.zeros(3), lambda z: z @ log_joint, num_samples=10_000, rng=0)
    >>> round(float(np.log(np.exp(found.values).mean())), 2), round(float(np.log(0.6)), 2)
    (-0.51, -0.51)
    """
    _checks.check_several(num_samples)
    problem = Problem(logits, num_samples, family, log_joint)

    def make(noise: Generator) -> Estimate:
        z = problem.hard(noise)
        found = problem.values(z)
        log_q = np.where(z > 0, log_softmax(problem.logits), 0).sum(axis=tuple(range(found.ndim, z.ndim)))
        log_w = found - log_q
        factor = -problem.num_samples * across(vimco_coefficients(np, log_w), z)
        return problem.estimate(z, log_w, factor * (z - problem.mean))

    return problem.drawn(rng, 1, problem.size, make)
