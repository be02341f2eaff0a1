"""`gumbelfast.torch.Categorical` beside torch's."""

import math
from typing import Any

import pytest
import torch
from torch import distributions
from torch_checks import assert_frequencies

import gumbelfast as gf
import gumbelfast.torch as gt


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(1234)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_stands_in_for_torchs(batch: tuple[int, ...]) -> None:
    p = torch.rand(*batch, 5).softmax(-1).requires_grad_()
    for given in ({"probs": p}, {"logits": p.log()}):
        ours, theirs = gt.Categorical(**given), distributions.Categorical(**given)
        assert isinstance(ours, distributions.Categorical)
        assert (ours.batch_shape, ours.event_shape) == (theirs.batch_shape, theirs.event_shape)
        torch.testing.assert_close(ours.entropy(), theirs.entropy())
        for shape in ((), (4,), (4, 1)):
            drawn = ours.sample(shape)
            assert (drawn.shape, drawn.dtype) == (theirs.sample(shape).shape, torch.int64)
            torch.testing.assert_close(ours.log_prob(drawn), theirs.log_prob(drawn))
        wide = ours.expand((7, *batch))
        assert type(wide) is gt.Categorical
        assert wide.sample((2,)).shape == (2, 7, *batch)
        torch.testing.assert_close(ours.log_prob(ours.enumerate_support()), theirs.log_prob(theirs.enumerate_support()))
        found, wanted = (
            torch.autograd.grad(d.log_prob(torch.tensor(2)).sum(), p, retain_graph=True)[0] for d in (ours, theirs)
        )
        torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(distributions.kl_divergence(ours, theirs), torch.zeros(batch), atol=1e-6, rtol=0)


def test_probability_zero_is_never_drawn_and_has_no_probability() -> None:
    p = torch.tensor([0.1, 0.0, 0.7, 0.2])
    for d in (gt.Categorical(probs=p), gt.Categorical(logits=p.log())):
        drawn = d.sample((20_000,))
        assert (drawn != 1).all()
        assert_frequencies(drawn, p)
        assert_frequencies(torch.cat([d.sample((100,)) for _ in range(100)]), p)
        assert d.log_prob(torch.tensor(1)) == -math.inf
        torch.testing.assert_close(d.log_prob(torch.tensor([0, 2, 3])), p[[0, 2, 3]].log())
        entropy = -sum(q * math.log(q) for q in p.tolist() if q > 0)
        assert d.entropy().item() == pytest.approx(entropy, rel=1e-6)


def test_gradient_where_a_probability_is_zero() -> None:
    p = torch.tensor([0.25, 0.0, 0.75], requires_grad=True)
    (g,) = torch.autograd.grad(gt.Categorical(probs=p).log_prob(torch.tensor(2)), p)
    # log(p_2 / sum p): 1 / p_2 - 1 at the place, -1 elsewhere.
    torch.testing.assert_close(g[[0, 2]], torch.tensor([-1.0, 1 / 0.75 - 1]))
    assert g.isfinite().all()


def test_arguments_are_validated_as_torchs() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"logits": torch.tensor([math.nan, 2.0])}, "Expected parameter logits"),
        ({"probs": torch.tensor([-1.0, 2.0])}, "Expected parameter probs"),
    ]
    for given, text in cases:
        with pytest.raises(ValueError, match=text):
            gt.Categorical(**given, validate_args=True)
    with pytest.raises(ValueError, match="to be within the support"):
        gt.Categorical(probs=torch.ones(3), validate_args=True).log_prob(torch.tensor(3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("law", [gt.Categorical, gt.OneHotCategoricalStraightThrough])
def test_half_types_empty_batches_and_generators(law: Any, dtype: torch.dtype) -> None:
    p = torch.rand(3, 4, 1000).softmax(-1).to(dtype)  # in half types rows sum to 1 no closer than they round
    x = p.log()
    for given in ({"probs": p}, {"logits": x}):
        made = law(**given)
        a, b = (made.sample((2,), generator=gf.Generator(7)) for _ in range(2))
        assert torch.equal(a, b)
        assert not torch.equal(a, made.sample((2,), generator=gf.Generator(8)))
        assert torch.isfinite(made.log_prob(a)).all()
    wanted = gt.categorical(x, (2,), generator=gf.Generator(7))
    found = law(logits=x).sample((2,), generator=gf.Generator(7))
    if law is gt.OneHotCategoricalStraightThrough:
        assert found.dtype is dtype
        assert (found.sum(-1) == 1).all()
        found = found.argmax(-1)
    assert torch.equal(found, wanted)
    for empty in (torch.empty(0, 5, dtype=dtype), torch.empty(3, 0, 5, dtype=dtype)):
        none = law(logits=empty)
        assert none.sample((2,)).shape[: -1 if law is gt.OneHotCategoricalStraightThrough else None] == (
            2,
            *empty.shape[:-1],
        )
