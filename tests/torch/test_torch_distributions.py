"""The distributions of `gumbelfast.torch`, held against those of torch as torch's own tests hold them."""

import math
from typing import Any

import pytest
import torch
from torch import distributions
from torch_checks import assert_frequencies

import gumbelfast.torch as gt

INF = math.inf


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(1234)


PAIRS = [
    (gt.RelaxedOneHotCategorical, distributions.RelaxedOneHotCategorical, (torch.tensor(0.7),)),
    (gt.OneHotCategoricalStraightThrough, distributions.OneHotCategoricalStraightThrough, ()),
]


@pytest.mark.parametrize(("ours", "theirs", "arguments"), PAIRS)
def test_distributions_stand_in_for_torchs(ours: Any, theirs: Any, arguments: Any) -> None:
    for batch in ((), (3,), (2, 3)):
        p = torch.rand(*batch, 5).softmax(-1).requires_grad_()
        for given in ({"probs": p}, {"logits": p.log()}):
            a, b = ours(*arguments, **given), theirs(*arguments, **given)
            assert isinstance(a, theirs)
            for shape in ((), (4,), (4, 1)):
                x, y = a.sample(shape), b.sample(shape)
                assert (x.shape, x.dtype, x.requires_grad) == (y.shape, y.dtype, False)
                torch.testing.assert_close(a.log_prob(y), b.log_prob(y))
                assert a.rsample(shape).shape == y.shape
                assert a.rsample(shape).requires_grad
                a.log_prob(x)
            wide = a.expand((7, *batch))
            assert type(wide) is ours
            assert wide.sample((2,)).shape == (2, 7, *batch, 5)
            assert a.support.check(a.sample((50,))).all()
            assert (a.batch_shape, a.event_shape, a.has_rsample) == (b.batch_shape, b.event_shape, True)
    for kind in (theirs, ours):
        with pytest.raises(ValueError, match="Expected parameter"):
            kind(*arguments, logits=torch.tensor([math.nan, 2.0]), validate_args=True)
        with pytest.raises(ValueError, match="Expected value argument"):
            kind(*arguments, probs=torch.ones(3), validate_args=True).log_prob(torch.tensor([2.0, 0, 0]))


RELAXED = [
    (gt.ExpRelaxedCategorical, distributions.relaxed_categorical.ExpRelaxedCategorical),
    (gt.RelaxedBernoulli, distributions.RelaxedBernoulli),
    (gt.LogitRelaxedBernoulli, distributions.relaxed_bernoulli.LogitRelaxedBernoulli),
]


@pytest.mark.parametrize(("ours", "theirs"), RELAXED)
def test_relaxed_distributions_stand_in_for_torchs(ours: Any, theirs: Any) -> None:
    tau = torch.tensor(0.7)
    for batch in ((), (3,), (2, 3)):
        p = torch.rand(*batch, 5).softmax(-1).requires_grad_()
        for given in ({"probs": p}, {"logits": p.log()}):
            a, b = ours(tau, **given), theirs(tau, **given)
            assert isinstance(a, theirs)
            assert a.temperature is tau
            torch.testing.assert_close((a.probs, a.logits), (b.probs, b.logits))
            for shape in ((), (4,), (4, 1)):
                x, y = a.sample(shape), b.sample(shape)
                assert (x.shape, x.dtype, x.requires_grad) == (y.shape, y.dtype, False)
                torch.testing.assert_close(a.log_prob(y), b.log_prob(y), rtol=1e-4, atol=1e-5)
                assert a.rsample(shape).requires_grad
                assert a.log_prob(a.rsample(shape)).shape == b.log_prob(y).shape
            wide = a.expand((7, *a.batch_shape))
            assert type(wide) is ours
            assert wide.sample((2,)).shape == (2, 7, *a.batch_shape, *a.event_shape)
            assert a.support is b.support
            assert (a.batch_shape, a.event_shape, a.has_rsample) == (b.batch_shape, b.event_shape, b.has_rsample)
            with pytest.raises(ValueError, match="Expected value argument"):
                ours(tau, **given, validate_args=True).log_prob(torch.full_like(y, math.nan))
    for kind in (theirs, ours):
        with pytest.raises(ValueError, match="Expected parameter"):
            kind(tau, logits=torch.tensor([math.nan, 2.0]), validate_args=True)
        with pytest.raises(NotImplementedError):
            kind(tau, logits=torch.zeros(2)).mean  # noqa: B018


def test_entropy_of_the_relaxed_one_is_not_implemented() -> None:
    for kind in PAIRS[0][:2]:
        with pytest.raises(NotImplementedError):
            kind(torch.tensor(1.0), probs=torch.ones(3)).entropy()


def test_distribution_frequencies_and_gradients() -> None:
    p = torch.tensor([0.1, 0.2, 0.0, 0.7], requires_grad=True)
    for temperature in (0.1, 2.0):
        d = gt.RelaxedOneHotCategorical(torch.tensor(temperature), probs=p)
        assert_frequencies(d.sample((20_000,)).argmax(-1), p.detach())
    d = gt.OneHotCategoricalStraightThrough(probs=p)
    draws = d.rsample((20_000,))
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    assert_frequencies(draws.argmax(-1), p.detach())
    # Straight through to the probabilities, which are p / sum(p).
    w = torch.randn(4)
    (found,) = torch.autograd.grad((d.rsample() * w).sum(), p)
    (wanted,) = torch.autograd.grad((p / p.sum() * w).sum(), p)
    torch.testing.assert_close(found, wanted)


def test_temperature_has_a_gradient_and_a_batch() -> None:
    t = torch.tensor([[0.5], [2.0]], requires_grad=True)
    y = gt.RelaxedOneHotCategorical(t, logits=torch.randn(2, 6)).rsample((3,))
    assert y.shape == (3, 2, 6)
    y.square().sum().backward()
    assert t.grad is not None
    assert (t.grad < 0).all()
    masked = torch.tensor([0.0, -INF, 1.0])
    tau = torch.tensor(0.01, requires_grad=True)
    y = gt.gumbel_softmax(masked, tau)
    (gradient,) = torch.autograd.grad(y[0], tau)
    assert gradient.isfinite()
