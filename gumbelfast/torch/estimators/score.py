"""Estimators that need only values of f, and MuProp, which adds its gradient at the mean."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..._engine import checks
from ...estimators import _checks, _surrogates
from ._draws import Draws, Estimate, Function


class RunningMean(torch.nn.Module):
    """A baseline with memory: the exponentially weighted mean of the values of earlier calls.

    Its state is saved with that of the module that holds it.

    Parameters
    ----------
    decay : float, default 0.9
        Weight of the past, in [0, 1).

    Raises
    ------
    ValueError
        For a decay outside [0, 1).

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import estimators
    >>> mean = estimators.RunningMean(0.5)
    >>> mean.update(torch.tensor([1.0, 3.0]))
    >>> mean.value
    tensor(2., dtype=torch.float64)
    """

    state: Tensor

    def __init__(self, decay: float = 0.9) -> None:
        super().__init__()
        _checks.check_decay(decay)
        self.decay = decay
        # A sum and its weight. What compiled code does to float64 tensors without dimensions in place is lost (2.13).
        self.register_buffer("state", torch.zeros(2, dtype=torch.float64))

    @property
    def value(self) -> Tensor:
        """The mean, 0 before the first call."""
        total, weight = self.state.unbind()
        return total / torch.where(weight > 0, weight, 1.0)

    def update(self, values: Tensor) -> None:
        """Update the mean with new values."""
        if values.numel() == 0:
            return
        with torch.no_grad():
            mean = values.detach().double().mean()
            self.state.mul_(self.decay).add_((1 - self.decay) * torch.stack((mean, torch.ones_like(mean))))


def score_function(
    logits: Tensor,
    f: Function,
    *,
    num_samples: int = 1,
    baseline: str | RunningMean | Tensor | float | None = None,
    family: str = "categorical",
    generator: Any = None,
) -> Estimate:
    r"""REINFORCE: :math:`(f(z) - b) \, \partial \log p(z) / \partial x`. Unbiased, for any f.

    Parameters
    ----------
    logits : Tensor of float16, bfloat16, float32 or float64
        Shape ``(..., K)``, or any shape for ``family="bernoulli"``, where they are log-odds. Half types are computed in
        float32. A logit of -inf is never drawn and gets gradient 0.
    f : callable
        From samples of shape ``(num_samples, *logits.shape)`` to a tensor of shape ``(num_samples, *lead)``. No
        gradient passes through these samples.
    num_samples : int, default 1
        Samples of each variable.
    baseline : {None, "leave_one_out", "optimal", "self_critical"}, RunningMean, Tensor or float
        What is subtracted from the values. "leave_one_out" and "optimal", of two samples or more: see
        `gumbelfast.estimators.score_function`. "self_critical": f at the most probable sample. A tensor broadcasts to
        the values and gets no gradient: that of a network that predicts them is trained by a loss of its own.
    family : {"categorical", "bernoulli"}
        What the logits describe.
    generator : torch.Generator or gumbelfast.Generator, optional
        As in `gumbelfast.torch.gumbel_softmax`. One of ours at the same place draws what `gumbelfast.estimators` draws.

    Returns
    -------
    Estimate
        One-hot samples.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        For logits and generators as in `gumbelfast.torch.gumbel_softmax`, for an unknown `baseline` or `family`, too
        few samples, or a result of `f` that is not a tensor of real numbers or whose shape does not fit.

    Notes
    -----
    Williams (1992); Greensmith, Bartlett and Baxter (2004); Kool, van Hoof and Welling (2019); the greedy baseline:
    Rennie, Marcheret, Mroueh, Ross and Goel, "Self-critical sequence training" (2017).

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import estimators
    >>> logits = torch.zeros(3, requires_grad=True)
    >>> found = estimators.score_function(logits, lambda z: z[:, 0], num_samples=64, baseline="leave_one_out")
    >>> found.loss.backward()
    >>> bool(logits.grad[0] > 0)
    True
    """
    draws = Draws(logits, f, num_samples, family, generator)
    _checks.check_baseline_name(baseline, draws.num_samples)
    if isinstance(baseline, RunningMean):
        found = _surrogates.score_function(draws, baseline.value.to(draws.logits.dtype))
        baseline.update(found.values)
        return Estimate(*found)
    if isinstance(baseline, Tensor) and baseline.is_complex():
        _checks.refuse_complex(baseline.dtype)
    if baseline is not None and not isinstance(baseline, (str, Tensor)):
        baseline = torch.full((), checks.finite_number(baseline, "baseline"), dtype=torch.float64)
    return Estimate(*_surrogates.score_function(draws, baseline))


def muprop(
    logits: Tensor, f: Function, *, num_samples: int = 1, family: str = "categorical", generator: Any = None
) -> Estimate:
    r"""MuProp: REINFORCE on what is left of f after its first-order expansion around the mean. Unbiased.

    Parameters
    ----------
    logits, f, num_samples, family, generator
        As in `score_function`; `f` is evaluated at the mean, a point of the simplex, as well, and differentiated there.

    Returns
    -------
    Estimate
        Its gradient: :math:`(f(z) - f(\mu) - f'(\mu)^T (z - \mu)) \, \partial \log p(z) / \partial x +
        f'(\mu)^T \partial \mu / \partial x`, :math:`\mu = \mathrm{softmax}(x)`.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `score_function`.

    Notes
    -----
    Gu, Levine, Sutskever and Mnih, "MuProp: unbiased backpropagation for stochastic neural networks" (2016).

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import estimators
    >>> logits, rng = torch.zeros(3, requires_grad=True), torch.Generator().manual_seed(0)
    >>> found = estimators.muprop(logits, lambda z: z[:, 0], num_samples=20_000, generator=rng)
    >>> found.loss.backward()
    >>> logits.grad.round(decimals=1)  # the truth: 2/9, -1/9, -1/9
    tensor([ 0.2000, -0.1000, -0.1000])
    """
    return Estimate(*_surrogates.muprop(Draws(logits, f, num_samples, family, generator)))
