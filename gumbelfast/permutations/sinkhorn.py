"""Relaxed permutations of Gumbel-perturbed scores by Sinkhorn's normalisation, and hard ones by matching."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import row_checks, thread_count
from .._engine.backend import active
from .._engine.types import SeedLike
from .._sampling.noise import gumbel
from . import _checks as check

Array = NDArray[Any]


def gumbel_sinkhorn(
    logits: ArrayLike,
    tau: ArrayLike = 1.0,
    iterations: int = 20,
    hard: bool = False,
    *,
    noise_scale: float = 1.0,
    rng: SeedLike = None,
    offset: int | None = None,
    return_perturbed: bool = False,
) -> Any:
    r"""Relaxed permutation matrices, Sinkhorn's normalisation of ``exp((logits + noise_scale * g) / tau)``.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64, shape (..., n, n)
        Entry (i, j) is the score of item j at place i; finite.
    tau : float or array_like of float, default 1.0
        Temperature of the relaxation: one number, or one per matrix, which broadcasts to the batch shape.
    iterations : int, default 20
        Rounds of normalisation of rows, then columns, at least 1. A smaller tau needs more rounds.
    hard : bool, default False
        Return exact permutation matrices, those of `match`.
    noise_scale : float, default 1.0
        Factor of the Gumbel noise; 0 leaves the scores unchanged.
    rng, offset
        As in `gumbelfast.gumbel`: the noise is what ``gumbel(size=logits.shape)`` draws, in the dtype of the result.
    return_perturbed : bool, default False
        Return ``(result, perturbed)``; `gumbel_sinkhorn_backward` needs the perturbed scores, for hard results too.

    Returns
    -------
    ndarray, or a tuple of two with `return_perturbed`
        float32, or float64 for float64 logits; shape of `logits`. Columns sum to 1, rows nearly.

    Raises
    ------
    TypeError, ValueError
        For logits that are not square matrices of finite floats, a bad tau, number of iterations, noise scale or
        offset, and scores that overflow when divided by tau.
    ImportError
        With ``hard=True`` and without SciPy.

    Notes
    -----
    Mena, Belanger, Linderman and Snoek, "Learning latent permutations with Gumbel-Sinkhorn networks"
    (2018): as tau tends to 0 the limit of the iteration tends to the permutation with the largest total score,

    .. math:: M(X) = \arg\max_P \langle P, X \rangle, \qquad S(X / \tau) = \arg\max_{P \in \mathcal{B}_n} \langle P, X
        \rangle + \tau h(P)

    over doubly stochastic matrices with entropy h. Everything is computed with logarithms. There is one Gumbel for each
    entry, not for each permutation, so the law of M is close to the Gibbs law but not equal to it.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.permutations import gumbel_sinkhorn
    >>> p = gumbel_sinkhorn(np.zeros((4, 4)), tau=0.5, rng=0)
    >>> bool(np.allclose(p.sum(axis=-2), 1))
    True
    """
    x = check.square(logits)
    rounds, scale = check.iterations(iterations), scales(tau, x)
    width = check.noise_scale(noise_scale)
    if hard:
        _assignment()
    z = gumbel(size=x.shape, dtype=x.dtype, rng=rng, offset=offset) if width else np.zeros_like(x)
    z = z * x.dtype.type(width) + x
    result = relax(z, scale, rounds, hard)
    return (result, z) if return_perturbed else result


def relax(z: Array, scale: float | Array, rounds: int, hard: bool) -> Array:
    """The relaxed or hard permutations of perturbed scores (..., n, n), with 1/tau for all or for each matrix."""
    y = np.zeros_like(z)
    if hard:
        np.put_along_axis(y, match(z)[..., None], 1, -1)
    else:
        active().sinkhorn(_stack(z), rounds, scale, _stack(y), thread_count.resolve(None))
    return y


def relax_backward(grad: Array, z: Array, scale: float | Array, rounds: int) -> Array:
    """The gradient with respect to z of the relaxed permutations; arrays are contiguous."""
    found = np.empty_like(z)
    active().sinkhorn_backward(_stack(grad), _stack(z), rounds, scale, _stack(found), thread_count.resolve(None))
    return found


def _stack(x: Array) -> Array:
    return x.reshape(-1, *x.shape[-2:])


def gumbel_sinkhorn_backward(
    grad: ArrayLike, perturbed: ArrayLike, tau: ArrayLike = 1.0, iterations: int = 20
) -> Array:
    r"""Gradient of `gumbel_sinkhorn` with respect to its logits.

    Parameters
    ----------
    grad : array_like of real numbers
        Gradient with respect to the result; broadcasts to its shape.
    perturbed : array_like of float16, bfloat16, float32 or float64, shape (..., n, n)
        What ``return_perturbed=True`` returned, for straight-through gradients too.
    tau, iterations
        As in the forward pass.

    Returns
    -------
    ndarray
        Shape of `perturbed`; float32, or float64 for float64.

    Raises
    ------
    TypeError, ValueError
        For dtypes, shapes, tau or a number of iterations that do not fit.

    Notes
    -----
    The derivative of the iteration that was run, not of its limit: for a round :math:`L' = L - \mathrm{logsumexp}(L)`
    along one axis it is :math:`G = G' - e^{L'} \sum G'` along that axis. The backward pass keeps 2 n numbers per round,
    not n**2.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.permutations import gumbel_sinkhorn_backward
    >>> bool(np.allclose(gumbel_sinkhorn_backward(1.0, np.eye(3)), 0, atol=1e-15))  # columns always sum to 1
    True
    """
    z = check.square(perturbed, "perturbed")
    rounds, scale = check.iterations(iterations), scales(tau, z)
    return relax_backward(check.gradient(grad, z.shape).astype(z.dtype, order="C"), z, scale, rounds)


def match(scores: ArrayLike) -> NDArray[np.int64]:
    """The permutation with the largest total score: for each row, the column that it is matched with.

    Parameters
    ----------
    scores : array_like of float16, bfloat16, float32 or float64, shape (..., n, n)
        Finite.

    Returns
    -------
    ndarray of int64, shape (..., n)

    Raises
    ------
    TypeError, ValueError
        For scores that are not square matrices of finite floats.
    ImportError
        Without SciPy.

    Notes
    -----
    `scipy.optimize.linear_sum_assignment` (Crouse, "On implementing 2D rectangular assignment algorithms",
    2016), matrix by matrix.

    Examples
    --------
    >>> from gumbelfast.permutations import match
    >>> match([[0.0, 2.0], [1.0, 0.0]])
    array([1, 0])
    """
    x, solve = check.square(scores, "scores"), _assignment()
    index = np.empty(x.shape[:-1], np.int64)
    for each, row in zip(x.reshape(-1, *x.shape[-2:]), index.reshape(-1, x.shape[-1]), strict=True):
        row[:] = solve(each, maximize=True)[1]
    return index


def _assignment() -> Any:
    try:
        from scipy.optimize import linear_sum_assignment
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "scipy":
            raise
        raise ImportError("hard permutations need SciPy: pip install scipy") from error
    return linear_sum_assignment


def scales(tau: ArrayLike, x: Array) -> float | Array:
    """1/tau, for all matrices or for each, by which scores can be multiplied."""
    inverse = row_checks.positive_reciprocals(tau, "tau", x.shape[:-2], x.dtype)
    check.overflow(_stack(x), inverse, "logits")
    return inverse
