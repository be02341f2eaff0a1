"""Estimators from k distinct categories of every row."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ...estimators import _checks, _surrogates
from ._draws import Draws, Estimate, Function


def unordered_set(
    logits: Tensor, f: Function, k: int, *, baseline: str | None = "leave_one_out", generator: Any = None
) -> Estimate:
    r"""The unordered set estimator: REINFORCE from k distinct samples, averaged over all orders. Unbiased.

    Parameters
    ----------
    logits : Tensor, shape (..., K)
        Each row is an independent variable.
    f : callable
        From one-hot samples of shape ``(k, *logits.shape)`` to values of shape ``(k, *logits.shape[:-1])``.
    k : int
        Distinct samples per row, at most its finite logits.
    baseline : {"leave_one_out", None}
        As in `gumbelfast.estimators.unordered_set`.
    generator : torch.Generator or gumbelfast.Generator, optional
        As in `score_function`.

    Returns
    -------
    Estimate
        `loss` is :math:`\sum_{s \in S} p(s) R(S, s) f(s)`, its gradient with respect to the logits
        :math:`\sum_{s \in S} \nabla p(s) \, R(S, s) \, (f(s) - b(s))`.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `score_function`, for a k above the columns or, in eager code, the finite logits of a row (compiled code
        gives what is drawn too much no weight), or for an f that returns another shape than one value per row.

    Notes
    -----
    Kool, van Hoof and Welling, "Estimating gradients for discrete random variables by sampling without replacement"
    (2020). The weights are computed in float64.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import estimators
    >>> logits = torch.zeros(3, requires_grad=True)
    >>> estimators.unordered_set(logits, lambda z: z[:, 0], 3).loss.backward()
    >>> logits.grad  # all three were drawn: the truth
    tensor([ 0.2222, -0.1111, -0.1111])
    """
    number = _checks.as_set_size(k, "unordered_set", baseline)
    draws = Draws(logits, f, number, generator=generator)
    return Estimate(*_surrogates.distinct(draws, number, "unordered_set", baseline))


def importance_weighted(
    logits: Tensor, f: Function, k: int, *, baseline: str | None = "leave_one_out", generator: Any = None
) -> Estimate:
    r"""REINFORCE from k distinct samples, weighted by the inverse of their probability to be drawn.

    Parameters
    ----------
    logits, f, k, generator
        As in `unordered_set`.
    baseline : {"leave_one_out", "normalized", None}
        As in `gumbelfast.estimators.importance_weighted`; "normalized" is biased.

    Returns
    -------
    Estimate
        `loss` is :math:`\sum_{i \in S} w_i f_i`, its gradient with respect to the logits
        :math:`\sum_{i \in S} w_i (f_i - b_i) \, \partial \log p_i / \partial x`.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `unordered_set`.

    Notes
    -----
    Kool, van Hoof and Welling, "Buy 4 REINFORCE samples, get a baseline for free!" (2019).

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import estimators
    >>> logits = torch.zeros(3, requires_grad=True)
    >>> estimators.importance_weighted(logits, lambda z: z[:, 0], 3).loss.backward()
    >>> logits.grad  # all three were drawn: the truth
    tensor([ 0.2222, -0.1111, -0.1111])
    """
    number = _checks.as_set_size(k, "importance", baseline)
    draws = Draws(logits, f, number, generator=generator)
    return Estimate(*_surrogates.distinct(draws, number, "importance", baseline))
