"""Relaxed subsets: a differentiable stand-in for the k largest perturbed logits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, row_checks, thread_count
from .._engine.backend import active
from .._engine.types import SeedLike
from .._sampling.conditional import conditional_gumbel
from . import _checks as check

Array = NDArray[Any]


def relaxed_top_k(
    logits: ArrayLike,
    k: int,
    tau: ArrayLike = 1.0,
    hard: bool = False,
    *,
    axis: int = -1,
    rng: SeedLike = None,
    seeds: ArrayLike | None = None,
    positions: ArrayLike | None = None,
    offset: int | ArrayLike | None = None,
    row_stride: int | None = None,
    return_perturbed: bool = False,
) -> Any:
    r"""Relaxed k-hot samples: what `gumbel_top_k` draws, as tau tends to 0.

    The same seed at the same position gives the same noise again: with `seeds`, move `positions` from call to call.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        Unnormalised log-weights, at least k of them finite in each row; -inf is never drawn.
    k : int
        The size of the subsets.
    tau : float or array_like of float, default 1.0
        Temperature of the relaxation: one number, or one per row, which broadcasts to the batch shape.
    hard : bool, default False
        Return exact k-hot rows, 1 at the columns that `gumbel_top_k` draws there.
    axis, rng, seeds, positions, offset, row_stride
        As in `categorical`.
    return_perturbed : bool, default False
        Return ``(result, perturbed)``; `relaxed_top_k_backward` needs the perturbed logits, for hard results too.

    Returns
    -------
    ndarray, or a tuple of two with `return_perturbed`
        float32, or float64 for float64 logits; shape of `logits`. Rows sum to k. Entries are >= 0; at large tau some
        may exceed 1.

    Raises
    ------
    TypeError, ValueError
        As in `gumbel_top_k`, and for a bad tau.

    Notes
    -----
    Xie and Ermon, "Reparameterizable subset sampling via continuous relaxations" (2019), after Plötz and
    Roth (2018): with :math:`\alpha_1 = x + g`,

    .. math:: p_j = \mathrm{softmax}(\alpha_j / \tau), \qquad \alpha_{j+1} = \alpha_j + \log(1 - p_j), \qquad
        y = \sum_{j=1}^k p_j

    with :math:`\log(1 - p)` of the largest entry from the sum of the others, so that any tau is safe.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.subsets import relaxed_top_k
    >>> relaxed_top_k(np.zeros(6), 2, hard=True, rng=0).sum()
    np.float64(2.0)
    >>> bool(np.isclose(relaxed_top_k(np.zeros(6), 2, tau=0.5, rng=0).sum(), 2))
    True
    """
    x, axis, k = check.logits(logits, axis, k)
    scale = _scales(tau, x)
    # With an infinite bound this is logits + noise, in the dtype of the computation.
    z = conditional_gumbel(
        x, upper=np.inf, rng=rng, seeds=seeds, positions=positions, offset=offset, row_stride=row_stride
    )
    result = checks.restored(relax(z, k, scale, hard), axis)
    return (result, checks.restored(z, axis)) if return_perturbed else result


def relaxed_top_k_backward(
    grad: ArrayLike, perturbed: ArrayLike, k: int, tau: ArrayLike = 1.0, *, axis: int = -1
) -> Array:
    r"""Gradient of `relaxed_top_k` with respect to its logits.

    Parameters
    ----------
    grad : array_like of real numbers
        Gradient with respect to the result; broadcasts to its shape.
    perturbed : array_like of float16, bfloat16, float32 or float64
        What ``return_perturbed=True`` returned, for straight-through gradients too.
    k, tau, axis
        As in the forward pass.

    Returns
    -------
    ndarray
        Shape of `perturbed`; float32, or float64 for float64.

    Raises
    ------
    TypeError, ValueError
        For dtypes, shapes, k or tau that do not fit.

    Notes
    -----
    The chain rule, backwards through the k steps, with A the gradient with respect to :math:`\alpha_{j+1}`:

    .. math:: v = \mathrm{grad} - \frac{A}{1 - p}, \qquad A' = A + \frac{p}{\tau} \Big(v - \sum v\, p\Big)

    without a division by a difference from 1 that may vanish: for the largest entry j, :math:`p_i / (1 - p_j)` is
    computed as the softmax of all others at i.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.subsets import relaxed_top_k_backward
    >>> bool(np.allclose(relaxed_top_k_backward(1.0, [0.5, -0.5, 0.1], 2), 0, atol=1e-15))  # the sum is always 2
    True
    """
    x, axis, k = check.logits(perturbed, axis, k)
    scale = _scales(tau, x)
    work = checks.work_dtype(x.dtype)
    outer = check.rows_like(grad, "grad", x.shape, axis).astype(work).reshape(x.shape)
    return checks.restored(relax_backward(outer, np.ascontiguousarray(x, work), k, scale), axis)


def relax(z: Array, k: int, scale: float | Array, hard: bool) -> Array:
    """The relaxed or hard subsets of rows of perturbed logits, with 1/tau for all or for each row."""
    y = np.zeros_like(z)
    if hard:
        np.put_along_axis(y, np.argsort(-z, axis=-1, kind="stable")[..., :k], 1, -1)
    else:
        active().relaxed_top_k(z, k, scale, y, thread_count.resolve(None))
    return y


def relax_backward(grad: Array, z: Array, k: int, scale: float | Array) -> Array:
    """The gradient with respect to z of the relaxed subsets; arrays are contiguous."""
    found = np.empty_like(z)
    active().relaxed_top_k_backward(grad, z, k, scale, found, thread_count.resolve(None))
    return found


def _scales(tau: ArrayLike, x: Array) -> float | Array:
    """1/tau, for all rows or for each."""
    return row_checks.positive_reciprocals(tau, "tau", x.shape[:-1], x.dtype)
