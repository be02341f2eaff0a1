"""REINFORCE with a control variate that is differentiated through conditional noise: REBAR and RELAX."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..._engine import checks
from ...estimators import _surrogates
from ._draws import ControlledEstimate, Draws, Estimate, Function, check_tau


def relax(
    logits: Tensor,
    f: Function,
    control: Function,
    *,
    num_samples: int = 1,
    family: str = "categorical",
    generator: Any = None,
) -> ControlledEstimate:
    r"""RELAX: REINFORCE with a learnt control variate c of the perturbed logits. Unbiased, whatever c is.

    Parameters
    ----------
    logits, f, num_samples, family, generator
        As in `score_function`.
    control : callable
        c: a module or function from perturbed logits of shape ``(num_samples, *logits.shape)``, perturbed log-odds for
        bits, to values of the shape that `f` returns.

    Returns
    -------
    ControlledEstimate
        The gradient of `loss`: :math:`(f(b) - c(\tilde z)) \, \partial \log p(b) / \partial x + \partial c(z) /
        \partial x - \partial c(\tilde z) / \partial x`, where :math:`z = x + g`, :math:`b` the one-hot of its maximum
        and :math:`\tilde z` drawn given b. `variance_loss` trains c, by an optimiser of its own parameters.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `score_function`, and for values of `control` of another shape than those of `f`.

    Notes
    -----
    Grathwohl, Choi, Wu, Roeder and Duvenaud, "Backpropagation through the void" (2018).

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import estimators
    >>> logits, c = torch.zeros(3, requires_grad=True), torch.nn.Linear(3, 1)
    >>> found = estimators.relax(logits, lambda z: z[:, 0], lambda z: c(z).squeeze(-1), num_samples=8)
    >>> (found.loss + found.variance_loss).backward()
    >>> logits.grad.shape, c.weight.grad.shape
    (torch.Size([3]), torch.Size([1, 3]))
    """
    draws = Draws(logits, f, num_samples, family, generator)
    return ControlledEstimate(*_surrogates.relax(draws, _surrogates.learnt_control(draws, control)))


def rebar(
    logits: Tensor,
    f: Function,
    *,
    tau: float | Tensor = 1.0,
    eta: float = 1.0,
    num_samples: int = 1,
    family: str = "categorical",
    generator: Any = None,
) -> Estimate:
    r"""REBAR: `relax` with the relaxed function itself, :math:`\eta f(\mathrm{softmax}(z / \tau))`. Unbiased.

    Parameters
    ----------
    logits, f, num_samples, family, generator
        As in `score_function`; `f` is differentiated at points of the simplex.
    tau : float or Tensor, default 1.0
        Temperature of the relaxation: one number, which gets no gradient.
    eta : float, default 1.0
        Weight of the control variate; 0 leaves REINFORCE.

    Returns
    -------
    Estimate
        Its gradient is that of `relax`.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `score_function`, for `tau` as in `gumbelfast.torch.gumbel_softmax`, and for an `eta` that is not finite.

    Notes
    -----
    Tucker, Mnih, Maddison, Lawson and Sohl-Dickstein, "REBAR: low-variance, unbiased gradient estimates for discrete
    latent variable models" (2017). To train `tau` and `eta` as they do, write the control variate for `relax`.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import estimators
    >>> logits, rng = torch.zeros(3, requires_grad=True), torch.Generator().manual_seed(0)
    >>> found = estimators.rebar(logits, lambda z: z[:, 0], num_samples=20_000, generator=rng)
    >>> found.loss.backward()
    >>> logits.grad.round(decimals=1)  # the truth: 2/9, -1/9, -1/9
    tensor([ 0.2000, -0.1000, -0.1000])
    """
    draws = Draws(logits, f, num_samples, family, generator)
    tau, eta = check_tau(tau, logits), checks.finite_number(eta, "eta")
    found = _surrogates.relax(draws, _surrogates.relaxed_control(draws, tau, eta))
    return Estimate(found.loss, found.samples, found.values)
