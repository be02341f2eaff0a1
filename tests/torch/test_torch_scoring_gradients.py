"""Derivatives of relaxed samples' own scores, and the scores under compilers and transforms."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from torch_checks import normal

import gumbelfast.torch as gt

Relaxed = gt.RelaxedOneHotCategorical
KINDS = [Relaxed, gt.RelaxedBernoulli, gt.ExpRelaxedCategorical, gt.LogitRelaxedBernoulli]


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_are_those_of_finite_differences(kind: Any) -> None:
    def score(x: Tensor, tau: Tensor) -> Tensor:
        torch.manual_seed(3)
        law = kind(tau, logits=x)
        y = law.rsample((2,))
        return law.log_prob(y) + (y.sin().sum(-1) if y.ndim > law.log_prob(y).ndim else y.sin())

    x = normal((2, 3)).requires_grad_()
    tau = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    for arguments in ((x, tau), (x, tau.detach()), (x.detach(), tau)):
        assert torch.autograd.gradcheck(score, arguments)
        assert torch.autograd.gradgradcheck(score, arguments)


@pytest.mark.parametrize("tau", [1e-3, 0.05, 0.5])
def test_gradients_pass_by_entries_that_are_0(tau: float) -> None:
    x, heat = normal((4, 6)).requires_grad_(), torch.tensor(tau, dtype=torch.float64, requires_grad=True)
    law = Relaxed(heat, logits=x)
    torch.manual_seed(2)
    y = law.rsample()
    found = torch.autograd.grad(law.log_prob(y).sum() + y.square().sum(), (x, heat), retain_graph=True)
    torch.manual_seed(2)
    logits = x - x.logsumexp(-1, keepdim=True)
    v = ((logits + gt.gumbel((4, 6), dtype=torch.float64)) / heat).log_softmax(-1)
    plain = (logits - heat * v).log_softmax(-1).sum(-1) + 5 * heat.log() - v.sum(-1)
    wanted = torch.autograd.grad(plain.sum() + v.exp().square().sum(), (x, heat), retain_graph=True)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9 / tau)
    # Not through the sample where it is detached.
    (alone,) = torch.autograd.grad(law.log_prob(y.detach()).sum(), x, retain_graph=True)
    plain = (logits - tau * v.detach()).log_softmax(-1).sum(-1)
    torch.testing.assert_close(alone, torch.autograd.grad(plain.sum(), x, retain_graph=True)[0], rtol=1e-9, atol=1e-9)
    # By the sample: -(1 + tau) / y_k + n tau softmax(x - tau log y)_k / y_k where y is not tiny.
    (by_sample,) = torch.autograd.grad(law.log_prob(y).sum(), y)
    weights = (logits - tau * v).softmax(-1).detach()
    wanted_by_sample = (6 * tau * weights - 1 - tau) / y.detach()
    some = y.detach() > 1e-100
    torch.testing.assert_close(by_sample[some], wanted_by_sample[some], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("tau", [1e-3, 0.05, 0.5])
def test_gradients_pass_by_entries_that_are_0_or_1(tau: float) -> None:
    x, heat = normal((300,)).requires_grad_(), torch.tensor(tau, dtype=torch.float64, requires_grad=True)
    law = gt.RelaxedBernoulli(heat, logits=x)
    torch.manual_seed(2)
    y = law.rsample()
    assert tau > 0.1 or (y == 1).any()
    found = torch.autograd.grad(law.log_prob(y).sum() + y.square().sum(), (x, heat))
    torch.manual_seed(2)
    t = (x + gt.exponential(300, dtype=torch.float64).expm1().log()) / heat
    d = x - heat * t
    plain = heat.log() + logsigmoid(d) + logsigmoid(-d) - logsigmoid(t) - logsigmoid(-t)
    wanted = torch.autograd.grad(plain.sum() + t.sigmoid().square().sum(), (x, heat))
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9 / tau)


@pytest.mark.parametrize("kind", KINDS)
def test_compilers_and_transforms(kind: Any) -> None:
    x, tau = normal((3, 4)), torch.tensor(0.1, dtype=torch.float64)

    def score(x: Tensor, tau: Tensor) -> Tensor:
        law = kind(tau, logits=x, validate_args=False)
        return law.log_prob(law.rsample((2,))).sum()

    def seeded(f: Any, *arguments: Any) -> Any:
        torch.manual_seed(6)
        return f(*arguments)

    a, b = x.clone().requires_grad_(), tau.clone().requires_grad_()
    value = seeded(score, a, b)
    by_x, by_tau = torch.autograd.grad(value, (a, b))
    compiled = torch.compile(score, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(seeded(compiled, a, b), value)
    torch.testing.assert_close(torch.autograd.grad(seeded(compiled, a, b), (a, b)), (by_x, by_tau))
    torch.testing.assert_close(seeded(torch.func.grad(score, (0, 1)), x, tau), (by_x, by_tau))
    directions = (torch.ones_like(x).cumsum(-1), torch.tensor(2.0, dtype=torch.float64))
    slope = (by_x * directions[0]).sum() + 2 * by_tau
    torch.testing.assert_close(seeded(torch.func.jvp, score, (x, tau), directions)[1], slope)
    with torch.autograd.forward_ad.dual_level():
        duals = map(torch.autograd.forward_ad.make_dual, (x, tau), directions)
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(seeded(score, *duals)).tangent, slope)
    same = seeded(torch.vmap(score, in_dims=(0, None), randomness="same"), x[:1].expand(5, 4), tau)
    torch.testing.assert_close(same, seeded(score, x[0], tau).expand(5))
    assert torch.vmap(score, in_dims=(0, None), randomness="different")(x, tau).isfinite().all()
    # A sample that leaves compiled code takes its logarithm along.
    draw = torch.compile(
        lambda x: kind(tau, logits=x, validate_args=False).rsample(), fullgraph=True, backend="aot_eager"
    )
    torch.testing.assert_close(
        kind(tau, logits=a).log_prob(seeded(draw, a)), kind(tau, logits=a).log_prob(seeded(kind(tau, logits=a).rsample))
    )
    with torch.inference_mode():
        law = kind(tau, logits=x)
        y = law.rsample((2,))
        assert law.log_prob(y).isfinite().all()
    assert kind(tau, logits=a).log_prob(y).requires_grad
