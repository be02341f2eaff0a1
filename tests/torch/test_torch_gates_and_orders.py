"""HardConcrete and PlackettLuce of torch: NumPy's draws and densities, gradients, enumeration; Pyro over all laws."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch_checks import assert_frequencies

import gumbelfast as gf
import gumbelfast.torch as gt
from gumbelfast.distributions import HardConcrete, plackett_luce_log_prob

X = [-1.0, 0.3, 2.0]


def test_gates_are_those_of_numpy() -> None:
    x = torch.tensor(X, dtype=torch.float64)
    law, own = gt.HardConcrete(0.5, logits=x, low=-0.2, high=1.3), HardConcrete(X, 0.5, -0.2, 1.3)
    z = law.rsample((1000,), generator=gf.default_rng(3))
    np.testing.assert_allclose(z, own.sample(1000, rng=3), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(law.log_prob(z), own.log_prob(z.numpy()), rtol=1e-10, atol=1e-12)
    for name in ("prob_active", "prob_one", "at_rest"):
        np.testing.assert_allclose(getattr(law, name)(), getattr(own, name)(), rtol=1e-13)
    assert ((z == 0).any(), (z == 1).any(), law.support.check(z).all()) == (True, True, True)


def test_gradients_of_gates() -> None:
    x = torch.tensor(X, dtype=torch.float64, requires_grad=True)
    tau = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)

    def gates(x: torch.Tensor, tau: torch.Tensor) -> torch.Tensor:
        return gt.HardConcrete(tau, logits=x).rsample((20,), generator=gf.default_rng(5))

    assert torch.autograd.gradcheck(gates, (x, tau))
    z = gates(x, tau)
    z.sum().backward()
    np.testing.assert_allclose(x.grad, HardConcrete(X, 0.7).backward(1.0, z.detach().numpy()).sum(0), rtol=1e-9)
    value = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    for function in (
        lambda x, t: gt.HardConcrete(t, logits=x).prob_active(),
        lambda x, t: gt.HardConcrete(t, logits=x).log_prob(value),
    ):
        assert torch.autograd.gradcheck(function, (x, tau))


def test_gates_expand_and_refuse() -> None:
    law = gt.HardConcrete(0.5, logits=torch.zeros(3)).expand((2, 3))
    assert law.sample((4,)).shape == (4, 2, 3)
    assert law.log_prob(law.sample()).shape == (2, 3)
    with pytest.raises(ValueError, match=r"^low must be < 0, got 0.5$"):
        gt.HardConcrete(0.5, logits=torch.zeros(3), low=0.5)
    with pytest.raises(ValueError, match="within the support"):
        gt.HardConcrete(0.5, logits=torch.zeros(3), validate_args=True).log_prob(torch.tensor(2.0))


@pytest.mark.parametrize("k", [0, 1, 2, 4])
def test_orders_are_enumerated(k: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, dtype=torch.float64)
    law = gt.PlackettLuce(x, k)
    every = torch.tensor(list(itertools.permutations(range(4), k)), dtype=torch.int64)
    p = law.log_prob(every).exp()
    assert p.sum().item() == pytest.approx(1, rel=1e-14)
    own = plackett_luce_log_prob(np.broadcast_to(x.numpy(), (len(every), 4)), every.numpy())
    np.testing.assert_allclose(law.log_prob(every), own, rtol=1e-13, atol=1e-15)
    drawn = law.sample((20_000,))
    assert (drawn.shape, drawn.dtype) == ((20_000, k), torch.int64)
    if k:
        place = torch.tensor(4) ** torch.arange(k)
        table = torch.zeros(4**k, dtype=torch.float64)
        table[(every * place).sum(-1)] = p
        assert_frequencies((drawn * place).sum(-1), table)


def test_gradients_and_impossible_orders() -> None:
    x = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    order = torch.tensor([[0, 2], [3, 1]])
    assert torch.autograd.gradcheck(lambda x: gt.PlackettLuce(x, 2).log_prob(order), (x,))
    whole = torch.tensor([[0, 2, 1, 3], [3, 1, 0, 2]])
    assert torch.autograd.gradcheck(lambda x: gt.PlackettLuce(x).log_prob(whole), (x,))
    hole = torch.tensor([0.0, -math.inf, 1.0], requires_grad=True)
    law = gt.PlackettLuce(hole, 2)
    found = law.log_prob(torch.tensor([[0, 2], [0, 1], [2, 2]]))
    assert found[0] == torch.tensor([0.0, 1.0]).log_softmax(-1)[0]
    assert (found[1:] == -math.inf).all()
    found[0].backward()
    assert hole.grad.isfinite().all()
    assert law.expand((3,)).sample((2,)).shape == (2, 3, 2)


def test_bad_orders() -> None:
    for call, error, text in (
        (lambda: gt.PlackettLuce(torch.zeros(3), 4), ValueError, "k=4 exceeds the 3 categories"),
        (lambda: gt.PlackettLuce(torch.zeros(())), ValueError, "logits must have a dimension of items, got shape ()"),
        (lambda: gt.PlackettLuce(torch.zeros(2, 0)), ValueError, "dim -1 has size 0"),
        (lambda: gt.PlackettLuce([0.0]), TypeError, "logits must be a torch.Tensor, got list"),
    ):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == text
    with pytest.raises(ValueError, match="within the support"):
        gt.PlackettLuce(torch.zeros(3), 1, validate_args=True).log_prob(torch.tensor([3]))


def laws() -> dict[str, Any]:
    pyro = pytest.importorskip("gumbelfast.torch.pyro")
    return {
        "RelaxedOneHotCategorical": lambda x: pyro.RelaxedOneHotCategorical(0.5, logits=x),
        "RelaxedBernoulli": lambda x: pyro.RelaxedBernoulli(0.5, logits=x).to_event(1),
        "OneHotCategoricalStraightThrough": lambda x: pyro.OneHotCategoricalStraightThrough(logits=x),
        "HardConcrete": lambda x: pyro.HardConcrete(0.5, logits=x).to_event(1),
    }


@pytest.mark.parametrize("name", ["RelaxedOneHotCategorical", "RelaxedBernoulli", "OneHotCategoricalStraightThrough"])
def test_svi_learns_in_pyro(name: str) -> None:
    """The posterior of a latent code whose picture was seen: SVI finds the category, or the bits, that made it."""
    make = laws()[name]
    import pyro

    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    code = torch.tensor([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0]])
    seen = torch.tensor([0.0, 4.0, 0.0])

    def model() -> None:
        with pyro.plate("rows", 5):
            z = pyro.sample("z", make(torch.zeros(5, 3)))
            pyro.sample("seen", pyro.distributions.Normal(z @ code, 0.7).to_event(1), obs=seen.expand(5, 3))

    def guide() -> None:
        logits = pyro.param("logits", torch.zeros(3))
        with pyro.plate("rows", 5):
            pyro.sample("z", make(logits.expand(5, 3)))

    svi = pyro.infer.SVI(model, guide, pyro.optim.Adam({"lr": 0.1}), pyro.infer.Trace_ELBO())
    losses = [svi.step() for _ in range(150)]
    assert np.isfinite(losses).all()
    assert np.mean(losses[-20:]) < np.mean(losses[:20])
    logits = pyro.param("logits").detach()
    assert logits.argmax() == 1
    assert logits[1] - logits[0] > 1


def test_pyro_has_the_same_draws() -> None:
    x = torch.tensor([0.1, 0.5, -0.3])
    for name, make in laws().items():
        torch.manual_seed(3)
        drawn = make(x)()
        torch.manual_seed(3)
        kind = getattr(gt, name)
        own = kind(logits=x) if name.startswith("OneHot") else kind(0.5, logits=x)
        assert torch.equal(drawn.detach(), own.sample())
        assert make(x).expand_by([4]).sample().shape == (4, 3)
    import gumbelfast.torch.pyro as gp

    assert gp.PlackettLuce(x).mask(False).log_prob(torch.tensor([2, 0, 1])) == 0
    assert gp.Categorical(logits=x).expand_by([7])().shape == (7,)
