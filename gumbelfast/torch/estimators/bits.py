"""Estimators for bits from pairs of antithetic samples."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ...estimators import _checks, _surrogates
from ._draws import Draws, Estimate, Function


def arm(logits: Tensor, f: Function, *, num_samples: int = 2, generator: Any = None) -> Estimate:
    r"""ARM: the gradient with respect to log-odds of bits, from values at antithetic samples. Unbiased, for any f.

    Parameters
    ----------
    logits : Tensor of float16, bfloat16, float32 or float64
        Log-odds of bits, of any shape.
    f, generator
        As in `score_function` with ``family="bernoulli"``.
    num_samples : int, default 2
        Samples of each bit: an even number, pairs of sample i and ``i + num_samples / 2``.

    Returns
    -------
    Estimate
        Its gradient is the mean over the pairs of :math:`(f(b) - f(\tilde b)) (u - 1/2)`, where :math:`b = [u >
        \sigma(-x)]` and :math:`\tilde b = [u < \sigma(x)]` with a uniform u of each bit.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `score_function`, and for an odd `num_samples`.

    Notes
    -----
    Yin and Zhou, "ARM: augment-REINFORCE-merge gradient for stochastic binary networks" (2019).

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import estimators
    >>> logits, rng = torch.zeros(3, requires_grad=True), torch.Generator().manual_seed(0)
    >>> c = torch.tensor([4.0, 8.0, 12.0])
    >>> estimators.arm(logits, lambda z: z @ c, num_samples=20_000, generator=rng).loss.backward()
    >>> logits.grad.round()  # the truth: c / 4
    tensor([1., 2., 3.])
    """
    return _antithetic("arm", logits, f, num_samples, generator)


def disarm(logits: Tensor, f: Function, *, num_samples: int = 2, generator: Any = None) -> Estimate:
    r"""DisARM: `arm` averaged over the noise, given the pair of samples. Unbiased, and of lower variance.

    Parameters
    ----------
    logits, f, num_samples, generator
        As in `arm`.

    Returns
    -------
    Estimate
        Its gradient is the mean over the pairs of :math:`\frac{1}{2} (f(b) - f(\tilde b)) (b - \tilde b)
        \sigma(|x|)`.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `arm`.

    Notes
    -----
    Dong, Mnih and Tucker, "DisARM: an antithetic gradient estimator for binary latent variables" (2020).

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import estimators
    >>> logits, rng = torch.zeros(3, requires_grad=True), torch.Generator().manual_seed(0)
    >>> c = torch.tensor([4.0, 8.0, 12.0])
    >>> estimators.disarm(logits, lambda z: z @ c, num_samples=20_000, generator=rng).loss.backward()
    >>> logits.grad.round()  # the truth: c / 4
    tensor([1., 2., 3.])
    """
    return _antithetic("disarm", logits, f, num_samples, generator)


def _antithetic(kind: str, logits: Tensor, f: Function, num_samples: Any, generator: Any) -> Estimate:
    _checks.check_pairs(num_samples)
    return Estimate(*_surrogates.antithetic(Draws(logits, f, num_samples, "bernoulli", generator), kind))
