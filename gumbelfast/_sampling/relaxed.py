"""Relaxed samples and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, draws, out_checks, row_checks, thread_count
from .._engine.direct import in_one_step
from .._engine.types import SeedLike
from .softmax import backward

Array = NDArray[Any]


@in_one_step
def gumbel_softmax(
    logits: ArrayLike,
    tau: ArrayLike = 1.0,
    hard: bool = False,
    *,
    axis: int = -1,
    rng: SeedLike = None,
    seeds: ArrayLike | None = None,
    positions: ArrayLike | None = None,
    offset: int | ArrayLike | None = None,
    row_stride: int | None = None,
    out: Array | None = None,
    return_soft: bool = False,
    num_threads: int | None = None,
) -> Any:
    r"""Relaxed one-hot samples, ``softmax((logits + g) / tau)``, or straight-through hard ones.

    The same seed at the same position gives the same noise again: with `seeds`, move `positions` from call to call.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64
        Unnormalised log-probabilities.
    tau : float or array_like of float, default 1.0
        Temperature of the relaxation: one number, or one per row, which broadcasts to the batch shape.
    hard : bool, default False
        Return exact one-hot rows, 1 at the largest perturbed logit: the index that `categorical` draws there.
    axis, rng, seeds, positions, offset, row_stride, num_threads
        As in `categorical`.
    out : ndarray, optional
        Takes the first result; shape and dtype of `logits`, which it may be itself.
    return_soft : bool, default False
        Return ``(result, soft)``; `gumbel_softmax_backward` wants the soft one, whatever went forward.

    Returns
    -------
    ndarray, or a tuple of two with `return_soft`
        Shape and dtype of `logits`.

    Raises
    ------
    TypeError, ValueError
        As in `categorical`; nothing is written to `out` then.

    Notes
    -----
    Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax" (2016); Maddison, Mnih and Teh, "The
    Concrete distribution" (2016). The largest perturbed logit is subtracted before the scaling by 1/tau, so any tau
    whose reciprocal is finite is safe.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> y = gf.gumbel_softmax(np.zeros((2, 4), np.float32), tau=0.5, rng=0)
    >>> bool(np.allclose(y.sum(-1), 1))
    True
    """
    x, axis = checks.rows(logits, axis)
    scale = row_checks.positive_reciprocals(tau, "tau", x.shape[:-1], x.dtype)
    target = None
    if out is not None:
        direct = out_checks.output(out, x.shape if axis == -1 else np.shape(logits), x.dtype, (logits,))
        # The soft kernel writes noise where its result goes before it reads the logits.
        if direct and axis == -1 and (hard or not out_checks.may_share_memory(out, x)):
            target = out
    first_result = np.empty(x.shape, x.dtype) if target is None else target
    hard_rows = first_result if hard else None
    soft_rows = first_result if not hard else np.empty(x.shape, x.dtype) if return_soft else None
    threads, where = thread_count.resolve(num_threads), (rng, seeds, positions, offset, row_stride)
    draws.relax((x, None, scale), soft_rows, hard_rows, axis, threads, where, is_target=target is not None)
    result = first_result if axis == -1 else checks.restored(first_result, axis)
    if out is not None and target is None:
        out[...] = result
        result = out
    if not return_soft:
        return result
    return result, result if not hard or soft_rows is None else checks.restored(soft_rows, axis)


def gumbel_softmax_backward(
    grad: ArrayLike,
    y_soft: ArrayLike,
    tau: ArrayLike = 1.0,
    *,
    axis: int = -1,
    out: Array | None = None,
    num_threads: int | None = None,
) -> Array:
    r"""Gradient of `gumbel_softmax` with respect to its logits.

    Parameters
    ----------
    grad : array_like
        Gradient with respect to the result, of the dtype of `y_soft`.
    y_soft : array_like of float16, bfloat16, float32 or float64
        The soft result. For straight-through gradients pass it as well, whatever went forward.
    tau : float or array_like of float, default 1.0
        Temperature of the forward pass: one number, or one per row.
    axis : int, default -1
        Axis of the categories.
    out : ndarray, optional
        Takes the result; it may be `grad` or `y_soft` itself.
    num_threads : int, optional
        The most threads to use; the result does not depend on it.

    Returns
    -------
    ndarray
        :math:`y (\mathrm{grad} - \sum_j \mathrm{grad}_j y_j) / \tau`, shape and dtype of `y_soft`.

    Raises
    ------
    TypeError, ValueError
        For dtypes, shapes, `tau` or `out` that do not fit.

    Notes
    -----
    Bengio, Leonard and Courville (2013) for straight-through; Jang, Gu and Poole (2016).

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> soft = gf.gumbel_softmax(np.zeros(3), tau=0.5, rng=0)
    >>> grad = gf.gumbel_softmax_backward(np.array([1.0, 0.0, 0.0]), soft, tau=0.5)
    >>> bool(np.allclose(grad, soft[0] * (np.array([1.0, 0.0, 0.0]) - soft) / 0.5))
    True
    """
    axis = checks.as_integer(axis, "axis")
    return backward("softmax_backward", grad, y_soft, "y_soft", tau, "tau", axis, out, num_threads)
