"""Relaxed samples of `gumbelfast.torch` score themselves: densities against mpmath, whatever the values round to."""

import copy
import io

import mpmath as mp
import numpy as np
import pytest
import torch
from torch import Tensor
from torch_checks import normal

import gumbelfast as gf
import gumbelfast.torch as gt

Relaxed, Binary = gt.RelaxedOneHotCategorical, gt.RelaxedBernoulli
KINDS = [Relaxed, Binary, gt.ExpRelaxedCategorical, gt.LogitRelaxedBernoulli]
TAUS = [1e-4, 0.05, 1.0, 10.0]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(1234)


def exact(x: Tensor, tau: float, v: Tensor, on_simplex: bool = True) -> tuple[float, float]:
    """The log-density at exp(v) in Jang's form, and the sum of the sizes of its terms."""
    with mp.workdps(60):
        s = [mp.mpf(a) - mp.mpf(tau) * mp.mpf(b) for a, b in zip(x.tolist(), v.tolist(), strict=True)]
        n, top = len(s), max(s)
        total = top + mp.log(sum(mp.exp(a - top) for a in s))
        terms = [mp.loggamma(n), (n - 1) * mp.log(mp.mpf(tau)), *(a - total for a in s)]
        terms += [-mp.mpf(b) for b in v.tolist()] if on_simplex else []
        return float(sum(terms)), float(sum(map(abs, terms)))


def drawn(logits: Tensor, tau: float, shape: tuple[int, ...], seed: int) -> Tensor:
    """In float64 the logarithms of what a call under that seed draws; perturbed logits are rounded to their dtype."""
    torch.manual_seed(seed)
    g = gt.gumbel((*shape, *logits.shape), dtype=logits.dtype)
    return ((logits + g).double() / tau).log_softmax(-1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("k", [2, 20, 1000])
def test_every_sample_scores_itself(dtype: torch.dtype, tau: float, k: int) -> None:
    x = normal((2, k), dtype)
    tau = torch.tensor(tau, dtype=dtype).item()
    law = Relaxed(tau, logits=x, validate_args=True)
    samples = []
    for seed, draw in enumerate((law.rsample, law.sample, law.rsample)):
        torch.manual_seed(seed)
        samples.append((seed, draw((2,))))
    for seed, y in reversed(samples):
        v = drawn(law.logits, tau, (2,), seed)
        found = law.log_prob(y)
        assert torch.equal(law.log_prob(y.detach()), found)
        assert torch.equal(law.log_prob(y[1]), found[1])
        assert torch.equal(law.log_prob(y.reshape(4, 1, k)[2:]), law.log_prob(y.reshape(4, 1, k))[2:])
        for i in np.ndindex(2, 2):
            wanted, size = exact(law.logits[i[1]], tau, v[i])
            # Each logarithm and each term is rounded a few times.
            assert abs(found[i].item() - wanted) <= 8 * torch.finfo(dtype).eps * size


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tau", TAUS)
def test_logarithms_of_samples_score_themselves(dtype: torch.dtype, tau: float) -> None:
    law = gt.ExpRelaxedCategorical(tau, logits=normal((2, 20), dtype))
    torch.manual_seed(1)
    v = law.rsample((3,))
    torch.testing.assert_close(v.double(), drawn(law.logits, tau, (3,), 1), rtol=8 * torch.finfo(dtype).eps, atol=1e-6)
    torch.manual_seed(1)
    torch.testing.assert_close(v.exp(), Relaxed(tau, logits=normal((2, 20), dtype)).sample((3,)), rtol=1e-4, atol=1e-6)
    found = law.log_prob(v)
    for i in np.ndindex(3, 2):
        wanted, size = exact(law.logits[i[1]], tau, v[i], on_simplex=False)
        size += law.logits[i[1]].abs().sum().item() + tau * v[i].abs().sum().item()
        assert abs(found[i].item() - wanted) <= 8 * torch.finfo(dtype).eps * size


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("tau", TAUS)
def test_binary_samples_are_those_of_numpy_and_score_themselves(dtype: torch.dtype, tau: float) -> None:
    x = normal((50,), dtype)
    law, logits = Binary(tau, logits=x), gt.LogitRelaxedBernoulli(tau, logits=x)
    same = gf.distributions.BinaryConcrete(x.float().numpy() if dtype is not torch.float64 else x.numpy(), tau)
    place = {"rng": gf.Generator(5), "offset": 32}
    start = gf.Generator(5)
    start.offset = 32
    y = law.rsample((4,), generator=start)
    assert start.offset == 232
    assert torch.equal(y, torch.from_numpy(same.sample(4, **place)).to(dtype))
    start.offset = 32
    t = same.sample_logits(4, **place)
    assert torch.equal(logits.sample((4,), generator=start), torch.from_numpy(t).to(dtype))
    eps = 2.0**-23 if dtype is not torch.float64 else 2.0**-52
    found, at_logits = law.log_prob(y), logits.log_prob(torch.from_numpy(t))
    for i in np.ndindex(4, 50):
        with mp.workdps(60):
            value, a = mp.mpf(float(t[i])), mp.mpf(x[i[1]].item())
            d, log_tau = mp.mpf(tau) * value - a, mp.log(mp.mpf(tau))
            at_logit = log_tau - abs(d) - 2 * mp.log1p(mp.exp(-abs(d)))
            wanted = at_logit + abs(value) + 2 * mp.log1p(mp.exp(-abs(value)))
        bound = 8 * eps * float(1 + abs(value) * (1 + tau) + abs(a) + abs(log_tau))
        assert abs(found[i].item() - wanted) <= bound
        if dtype in (torch.float32, torch.float64):
            assert abs(at_logits[i].item() - at_logit) <= bound
    torch.testing.assert_close(Binary(tau, logits=x[::3]).log_prob(y[2, ::3]), law.log_prob(y)[2, ::3])


def test_what_is_forgotten() -> None:
    law, single = Relaxed(1e-3, logits=normal((3, 5), torch.float32)), Binary(1e-3, logits=normal((9,), torch.float32))
    y = law.sample()
    assert (y == 0).any(-1).all()
    known = law.log_prob(y)
    assert known.isfinite().all()
    stream = io.BytesIO()
    torch.save(y, stream)
    stream.seek(0)
    for other in (y.clone(), copy.deepcopy(y), torch.load(stream), y * 1, torch.from_numpy(y.numpy())):
        assert torch.equal(other, y)
        assert law.log_prob(other).isinf().all()
    assert torch.equal(law.log_prob(copy.copy(y)), known)
    # Rows that were written over are scored as what they are now, the others as before.
    y[1] = torch.tensor([0.1, 0.2, 0.3, 0.1, 0.3])
    found = law.log_prob(y)
    assert torch.equal(found[::2], known[::2])
    torch.testing.assert_close(found[1], law.log_prob(y.clone())[1])
    assert not torch.isclose(found[1], known[1])
    z = single.sample()
    known = single.log_prob(z)
    z[4] = 0.25
    found = single.log_prob(z)
    torch.testing.assert_close(found[4], single.log_prob(torch.full((9,), 0.25))[4])
    assert torch.equal(found[:4], known[:4])
    # Another temperature in place of the one that they were drawn with changes no sample.
    tau = torch.tensor(0.01)
    law = Relaxed(tau, logits=normal((3, 5), torch.float32))
    y = law.sample()
    wanted = Relaxed(0.5, logits=normal((3, 5), torch.float32)).log_prob(y)
    tau.fill_(0.5)
    torch.testing.assert_close(law.log_prob(y), wanted)


@pytest.mark.parametrize(("tau", "zeros"), [(0.1, 1), (0.5, 1), (0.5, 2), (1.0, 2), (2.0, 1), (3.0, 3)])
def test_exact_zeros_are_limits(tau: float, zeros: int) -> None:
    x = normal((4,))
    y = torch.tensor([0.0, 0.0, 0.0, 0.0])
    y[zeros:] = 1 / (4 - zeros)
    law = Relaxed(tau, logits=x.double())
    found = law.log_prob(y.double()).item()
    v = y.double().log()
    near = [exact(law.logits, tau, v.masked_fill(y == 0, -size))[0] for size in (200.0, 400.0)]
    slope = near[1] - near[0]
    if abs(slope) < 1e-9:
        assert found == pytest.approx(near[1], rel=1e-12)
    else:
        assert found == np.copysign(np.inf, slope)
    assert gt.ExpRelaxedCategorical(tau, logits=x).log_prob(v).item() == -np.inf


def test_impossible_categories_are_absent() -> None:
    p = torch.tensor([0.2, 0.0, 0.3, 0.5], dtype=torch.float64)
    law, face = Relaxed(0.01, probs=p), Relaxed(0.01, probs=p[p > 0])
    y = law.rsample((50,))
    assert (y[:, 1] == 0).all()
    log_y = gt.ExpRelaxedCategorical(0.01, probs=p).rsample((50,))
    assert (log_y[:, 1] == -torch.inf).all()
    wanted = gt.ExpRelaxedCategorical(0.01, probs=p[p > 0]).log_prob(log_y[:, p > 0])
    torch.testing.assert_close(gt.ExpRelaxedCategorical(0.01, probs=p).log_prob(log_y), wanted)
    assert law.log_prob(y).isfinite().all()
    inner = torch.tensor([0.2, 0.0, 0.7, 0.1], dtype=torch.float64)
    torch.testing.assert_close(law.log_prob(inner), face.log_prob(inner[p > 0]))
    assert law.log_prob(torch.full((4,), 0.25, dtype=torch.float64)) == -torch.inf


def test_values_of_others_are_scored_as_in_torch() -> None:
    x, y = normal((3, 4)), normal((3, 4), seed=1).softmax(-1)
    tau = torch.tensor(0.4, dtype=torch.float64)
    theirs = torch.distributions.RelaxedOneHotCategorical(tau, logits=x)
    torch.testing.assert_close(Relaxed(0.4, logits=x).log_prob(y), theirs.log_prob(y))
    theirs = torch.distributions.RelaxedBernoulli(tau, logits=x)
    edge = torch.cat([y.flatten()[:10], torch.tensor([0.0, 1.0])]).reshape(3, 4)
    torch.testing.assert_close(Binary(0.4, logits=x).log_prob(edge), theirs.log_prob(edge))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("given", ["probs", "logits"])
def test_half_types(dtype: torch.dtype, given: str) -> None:
    raw = normal((20, 30), dtype)
    parameters = {given: raw if given == "logits" else raw.float().softmax(-1).to(dtype)}
    for tau in (0.1, 1.0):
        law = Relaxed(tau, **parameters, validate_args=True)
        y = law.rsample((50,))
        assert y.dtype is dtype
        assert law.support.check(y).all()
        assert not law.support.check(y * 1.1).any()
        found = law.log_prob(y)
        assert found.dtype is torch.float32
        assert found.isfinite().all()
        wide = Relaxed(tau, logits=law.logits.float())
        torch.manual_seed(4)
        y = law.sample()
        torch.manual_seed(4)
        torch.testing.assert_close(law.log_prob(y), wide.log_prob(wide.sample()), rtol=1e-5, atol=1e-3)
        assert Binary(tau, **parameters, validate_args=True).sample().dtype is dtype
    hard = gt.OneHotCategoricalStraightThrough(**parameters, validate_args=True)
    assert torch.equal(hard.sample((3,)).sum(-1), torch.ones(3, 20, dtype=dtype))
    assert torch.distributions.transform_to(law.support)(raw).sum(-1).float().sub(1).abs().max() < 0.05
    assert Relaxed(1.0, logits=normal((3,))).support is torch.distributions.constraints.simplex


def test_one_temperature_a_row() -> None:
    x = normal((2, 3), torch.float32)
    for shape in ((2, 1), (2,)):
        law = Relaxed(torch.tensor([0.5, 2.0]).reshape(shape), logits=x)
        y = law.rsample((4,))
        assert law.log_prob(y).shape == (4, 2)
        for row, tau in enumerate((0.5, 2.0)):
            torch.testing.assert_close(law.log_prob(y)[:, row], Relaxed(tau, logits=x[row]).log_prob(y[:, row]))
        assert law.expand((7, 2)).log_prob(law.expand((7, 2)).sample()).shape == (7, 2)
    assert Relaxed(torch.tensor([0.5]), logits=x).log_prob(y).shape == (4, 2)
    # Logits and temperatures have one batch shape together.
    wide = Relaxed(torch.tensor([[0.5], [2.0]]), logits=x[0])
    assert wide.batch_shape == (2,)
    assert wide.rsample().shape == (2, 3)
    single = Binary(torch.tensor([[0.5], [2.0]]), logits=x[0])
    assert single.batch_shape == single.log_prob(single.rsample()).shape == (2, 3)
    assert Binary(torch.tensor([0.5, 2.0]), logits=0.5).sample().shape == (2,)


def test_generators_and_empty_batches() -> None:
    x = normal((3, 4), torch.float32)
    for kind in KINDS:
        law = kind(0.5, logits=x)
        for draw in (law.rsample, law.sample):
            a, b = (draw((2,), generator=torch.Generator().manual_seed(8)) for _ in range(2))
            assert torch.equal(a, b)
        own = gf.default_rng(3)
        law.sample((2,), generator=own)
        assert own.offset == 24
        empty = kind(0.5, logits=x[:0])
        assert empty.rsample((2,)).shape == (2, 0, 4)
        assert empty.log_prob(empty.rsample()).shape == empty.batch_shape
        assert law.log_prob(law.sample((0,))).shape == (0, *law.batch_shape)
    y = Relaxed(0.5, logits=x).sample((2,), generator=gf.default_rng(3))
    logits = (x - x.logsumexp(-1, keepdim=True)).expand(2, 3, 4)
    assert torch.equal(y, torch.from_numpy(gf.gumbel_softmax(logits.numpy(), 0.5, rng=3)))
    hard = gt.OneHotCategoricalStraightThrough(logits=x)
    for draw in (hard.rsample, hard.sample):
        found = draw((2,), generator=gf.default_rng(3)).argmax(-1)
        assert torch.equal(found, torch.from_numpy(gf.categorical(logits.numpy(), rng=3)))


def test_bad_parameters_are_refused() -> None:
    x = normal((2, 3), torch.float32)
    state = torch.get_rng_state()
    for kind in KINDS:
        for bad in (0.0, torch.tensor(0.0)):
            with pytest.raises(ValueError, match=r"^temperature must be finite and > 0, got 0.0$"):
                kind(bad, logits=x).rsample()
        with pytest.raises(ValueError, match=r"^temperature must be finite and > 0, got -1.0 at index \(1, 0\)$"):
            kind(torch.tensor([[1.0], [-1.0]]), logits=x).rsample()
        with pytest.raises(
            ValueError, match=r"^temperature of shape .* does not broadcast against the batch shape \(2"
        ):
            kind(torch.ones(5, 1, 1).squeeze(-1), logits=x)
    infinite = torch.tensor([[0.0, torch.inf]])
    for kind in (Relaxed, gt.ExpRelaxedCategorical):
        with pytest.raises(ValueError, match="logits contain NaN"):
            kind(1.0, logits=infinite, validate_args=False).rsample()
        with pytest.raises(ValueError, match="dim -1 has size 0"):
            kind(1.0, logits=x[:, :0], validate_args=False).rsample()
    for kind in (Binary, gt.LogitRelaxedBernoulli):
        with pytest.raises(ValueError, match=r"^logits must be finite, got inf at index \(0, 1\)$"):
            kind(1.0, logits=infinite).rsample()
        with pytest.raises(ValueError, match="probs` or `logits"):
            kind(torch.ones(2))
    assert torch.equal(torch.get_rng_state(), state)
