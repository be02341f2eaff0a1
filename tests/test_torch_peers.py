"""What torch's own tests expect of these functions, and cases in which torch and others are known to fail."""

import math
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, distributions

import gumbelfast.torch as gt

INF = math.inf
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
F = torch.nn.functional


def assert_frequencies(index: Tensor, p: Tensor) -> None:
    """Chi-square at a chance of 1e-6, and nothing where p is 0."""
    counts = torch.bincount(index.flatten(), minlength=len(p)).double()
    expected = p.double() / p.double().sum() * index.numel()
    assert counts[p == 0].sum() == 0
    some = p > 0
    statistic = ((counts - expected)[some] ** 2 / expected[some]).sum()
    assert statistic < stats.chi2.isf(1e-6, int(some.sum()) - 1)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(1234)


# torch's test_nn: gumbel_softmax


@pytest.mark.parametrize(
    ("shape", "dim", "count"),
    [((5,), 0, 1), ((5,), -1, 1), ((5, 4), 1, 5), ((5, 4, 3), 1, 15), ((5, 4, 3), -1, 20), ((), 0, 1), ((), -1, 1)],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_straight_through_shapes(shape: tuple[int, ...], dim: int, count: int, dtype: torch.dtype) -> None:
    y = gt.gumbel_softmax(torch.randn(shape).to(dtype), hard=True, dim=dim)
    assert y.shape == shape
    assert y.dtype is dtype
    assert y.min() >= 0
    assert y.sum() == count
    soft = gt.gumbel_softmax(torch.randn(shape).to(dtype), dim=dim)
    assert torch.allclose(soft.float().sum(dim), torch.ones(()), atol=0.05)


def test_straight_through_frequencies() -> None:
    p = torch.tensor([0.1, 0.2, 0.7])
    draws = gt.gumbel_softmax(p.log().expand(10_000, 3), hard=True)
    assert_frequencies(draws.argmax(-1), p)


def test_straight_through_gradient_is_torchs_formula() -> None:
    logits, tau = torch.zeros(4, 10, requires_grad=True), 1.0
    torch.manual_seed(0)
    soft = gt.gumbel_softmax(logits, tau)
    torch.manual_seed(0)
    hard = gt.gumbel_softmax(logits, tau, hard=True)
    assert torch.equal(soft.argmax(-1), hard.argmax(-1))
    weights = torch.randn(4, 10)
    g_soft, g_hard = (torch.autograd.grad((y * weights).sum(), logits)[0] for y in (soft, hard))
    torch.testing.assert_close(g_soft, g_hard)
    y = soft.detach()
    torch.testing.assert_close(g_soft, y * (weights - (weights * y).sum(-1, keepdim=True)) / tau)


def test_eps_is_deprecated_as_in_torch() -> None:
    for f in (F.gumbel_softmax, gt.gumbel_softmax):
        with pytest.warns(UserWarning, match="`eps` parameter is deprecated and has no effect"):
            f(torch.zeros(3), eps=1e-5)


# torch's test_torch: multinomial


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("draws", [1, 3, 255, 300, 20_000])
def test_multinomial_with_replacement(dtype: torch.dtype, draws: int) -> None:
    weights = torch.rand(3, 4).to(dtype)
    weights[:, 1] = 0
    index = gt.multinomial(weights, draws, replacement=True)
    assert index.shape == (3, draws)
    assert index.dtype is torch.int64
    assert index.is_contiguous()
    assert (index != 1).all()
    assert ((index >= 0) & (index < 4)).all()
    for row, p in zip(index, weights, strict=True):
        if draws > 1000:
            assert_frequencies(row, p)
    assert gt.multinomial(weights[0], draws, True).shape == (draws,)


@pytest.mark.parametrize("dtype", DTYPES)
def test_multinomial_without_replacement(dtype: torch.dtype) -> None:
    weights = torch.rand(30, 50).to(dtype)
    weights[:, 7] = 0
    index = gt.multinomial(weights, 49)
    assert torch.equal(index.sort(-1).values, torch.tensor([j for j in range(50) if j != 7]).expand(30, 49))
    assert gt.multinomial(weights[0], 3).shape == (3,)
    first = gt.multinomial(torch.tensor([1.0, 2, 3, 0]).expand(20_000, 4), 2)
    assert_frequencies(first[:, 0], torch.tensor([1.0, 2, 3, 0]))
    # The second item: P(j) = sum over i of p_i p_j / (1 - p_i).
    p = torch.tensor([1 / 6, 2 / 6, 3 / 6, 0], dtype=torch.float64)
    assert_frequencies(
        first[:, 1], torch.stack([sum(p[i] * p[j] / (1 - p[i]) for i in range(4) if i != j) for j in range(4)])
    )


def test_multinomial_last_category_and_strides() -> None:
    last = torch.zeros(1_000)
    last[-1] = 1
    assert (gt.multinomial(last, 500, True) == 999).all()
    weights = torch.rand(6, 4)
    torch.manual_seed(2)
    a = gt.multinomial(weights.t(), 2)
    torch.manual_seed(2)
    assert torch.equal(a, gt.multinomial(weights.t().contiguous(), 2))
    assert gt.multinomial(torch.empty(0, 3), 2).shape == (0, 2)
    assert gt.multinomial(torch.empty(0, 3), 300, True).shape == (0, 300)


@pytest.mark.parametrize(
    ("weights", "draws", "replacement", "text"),
    [
        ([1.0, -0.25, 2], 1, False, "weights must be finite and >= 0, got -0.25 at index (1,)"),
        ([1.0, math.nan, 2], 1, True, "weights must be finite and >= 0, got nan at index (1,)"),
        ([[1.0, 1], [1, INF]], 300, True, "weights must be finite and >= 0, got inf at index (1, 1)"),
        ([[1.0, 1], [0, 0]], 1, True, "weights of row 1 sum to 0.0"),
        ([[1.0, 1], [0, 0]], 300, True, "weights of row 1 sum to 0.0"),
        ([1.0, 1], 3, False, "num_samples=3 exceeds the 2 categories"),
        ([1.0, 1], 0, False, "num_samples must be at least 1, got 0"),
        ([1.0, 1], -1, True, "num_samples must be >= 0, got -1"),
        ([[[1.0]]], 1, False, "input must have 1 or 2 dimensions, got 3"),
    ],
)
def test_multinomial_raises_where_torch_does(weights: Any, draws: int, replacement: bool, text: str) -> None:
    p, before = torch.tensor(weights), torch.get_rng_state()
    with pytest.raises(RuntimeError):
        torch.multinomial(p, draws, replacement)
    torch.set_rng_state(before)
    with pytest.raises(RuntimeError) as caught:
        gt.multinomial(p, draws, replacement)
    assert str(caught.value) == text
    assert torch.equal(torch.get_rng_state(), before)


def test_multinomial_refuses_to_draw_what_weighs_nothing() -> None:
    # torch returns a category of weight 0 here.
    with pytest.raises(RuntimeError, match=r"^num_samples=3 exceeds the 2 positive weights of row 1$"):
        gt.multinomial(torch.tensor([[1.0, 1, 1], [1, 0, 2]]), 3)


# Where peers fail


def test_pytorch_50034_and_192812_zero_probabilities_are_never_drawn() -> None:
    p = torch.zeros(1000)
    p[::50] = 1e-30
    for index in (
        gt.multinomial(p.expand(5000, 1000), 1, True),
        gt.multinomial(p, 5000, True),
        gt.multinomial(p.expand(500, 1000), 20),
        gt.OneHotCategoricalStraightThrough(probs=p).sample((5000,)).argmax(-1),
        gt.RelaxedOneHotCategorical(torch.tensor(0.5), probs=p).sample((5000,)).argmax(-1),
    ):
        assert (index % 50 == 0).all()
    logits = torch.tensor([0.0, -INF, 1.0])
    assert (gt.categorical(logits, 10_000) != 1).all()
    assert (gt.gumbel_top_k(logits.expand(1000, 3), 2).indices != 1).all()


def test_pytorch_2576_more_than_2_to_the_24_categories() -> None:
    weights = torch.zeros(2**24 + 3)
    weights[-1] = 1
    with pytest.raises(RuntimeError, match="2\\^24"):
        torch.multinomial(weights, 1)
    assert gt.multinomial(weights, 1).item() == 2**24 + 2
    assert gt.multinomial(weights, 2, True).tolist() == [2**24 + 2] * 2


@pytest.mark.parametrize("hard", [False, True])
def test_masked_logits_get_probability_and_gradient_zero(hard: bool) -> None:
    x = torch.tensor([[0.0, -INF, 1.0]] * 100, requires_grad=True)
    y = gt.gumbel_softmax(x, 0.1, hard)
    assert (y[:, 1] == 0).all()
    (y * torch.randn(100, 3)).sum().backward()
    assert x.grad is not None
    assert (x.grad[:, 1] == 0).all()
    assert x.grad.isfinite().all()


def test_rows_that_are_masked_throughout_are_named() -> None:
    x = torch.zeros(3, 4)
    x[2] = -INF
    calls = (
        gt.gumbel_softmax,
        gt.categorical,
        lambda x: gt.gumbel_softmax(x.clone().requires_grad_()),
        lambda x: gt.gumbel_softmax(x.bfloat16(), hard=True),
        lambda x: gt.gumbel_softmax(x, torch.ones(3, 1)),
        lambda x: gt.categorical(x, 1000),
    )
    for call in calls:
        with pytest.raises(ValueError, match=r"^row 2 has no finite logit$"):
            call(x)
    with pytest.raises(ValueError, match=r"^k=1 exceeds the 0 finite logits of row 2$"):
        gt.gumbel_top_k(x, 1)
    assert gt.softmax(x)[2].isnan().all()


@pytest.mark.parametrize(
    ("dtype", "tau"),
    [
        (torch.float32, 1e-30),
        (torch.float32, 1e-3),
        (torch.float64, 1e-300),
        (torch.bfloat16, 1e-4),
        (torch.float16, 1e-4),
    ],
)
@pytest.mark.parametrize("hard", [False, True])
def test_tiny_temperatures(dtype: torch.dtype, tau: float, hard: bool) -> None:
    x = torch.randn(50, 30).to(dtype).requires_grad_()
    y = gt.gumbel_softmax(x, tau, hard)
    assert y.isfinite().all()
    torch.testing.assert_close(y.float().sum(-1), torch.ones(50), atol=0.02, rtol=0)
    (y * torch.randn(50, 30).to(dtype)).sum().backward()
    assert x.grad is not None
    assert not x.grad.isnan().any()


@pytest.mark.parametrize("scale", [1e38, 65504.0])
def test_huge_logits(scale: float) -> None:
    x = torch.tensor([[1.0, -1, 1, 0]] * 200) * scale
    x = (x if scale > 1e5 else x.half()).requires_grad_()
    y = gt.gumbel_softmax(x)
    assert (y[:, [1, 3]] == 0).all()
    assert y.isfinite().all()
    assert len(set(y.argmax(-1).tolist())) == (1 if scale > 1e5 else 2)
    y.square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: torch.zeros(2, 3).index_fill(0, torch.tensor(1), math.nan),
            ValueError,
            "logits contain NaN at index (1, 0)",
        ),
        (lambda: torch.tensor([0, INF], dtype=torch.bfloat16), ValueError, "logits contain +inf at index (1,)"),
        (
            lambda: torch.zeros(3, dtype=torch.int64),
            TypeError,
            "expected float16, bfloat16, float32 or float64, got int64",
        ),
        (lambda: [0.0, 1.0], TypeError, "logits must be a torch.Tensor, got list"),
        (
            lambda: torch.zeros(3, device="meta"),
            NotImplementedError,
            "logits is on device meta; gumbelfast works on the CPU, use torch.nn.functional.gumbel_softmax there",
        ),
        (
            lambda: torch.eye(3).to_sparse(),
            TypeError,
            "logits must be a dense tensor, got a sparse_coo one; convert it, or "
            "use torch.nn.functional.gumbel_softmax",
        ),
    ],
)
def test_bad_logits_move_no_state(make: Any, error: type[Exception], text: str) -> None:
    x, g = make(), torch.Generator().manual_seed(4)
    for generator in (None, g):
        state = (torch.default_generator if generator is None else generator).get_state()
        for hard in (False, True):
            with pytest.raises(error) as caught:
                gt.gumbel_softmax(x, hard=hard, generator=generator)
            assert str(caught.value) == text
        assert torch.equal((torch.default_generator if generator is None else generator).get_state(), state)


def test_bad_arguments() -> None:
    x, before = torch.zeros(2, 3), torch.get_rng_state()
    for tau in (0, -1.0, math.nan, INF, 1e-40, torch.tensor(0.0), torch.tensor([1.0, -1.0, 1.0])):
        with pytest.raises(ValueError, match="tau must be finite and > 0, got"):
            gt.gumbel_softmax(x, tau)
    for dim in (2, -3):
        with pytest.raises(IndexError, match=rf"^dim must lie in \[-2, 1\], got {dim}$"):
            gt.gumbel_softmax(x, dim=dim)
    with pytest.raises(TypeError, match=r"dim must be an integer"):
        gt.categorical(x, dim="x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k=4 exceeds the 3 categories"):
        gt.gumbel_top_k(x, 4)
    with pytest.raises(TypeError, match=r"k must be an integer, got 1\.5"):
        gt.gumbel_top_k(x, 1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"sizes must be >= 0, got \(-1,\)"):
        gt.categorical(x, -1)
    with pytest.raises(TypeError, match="expected float16, bfloat16, float32 or float64, got int32"):
        gt.gumbel(3, dtype=torch.int32)
    assert torch.equal(torch.get_rng_state(), before)


# torch's test_distributions


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
        with pytest.raises(ValueError, match="Expected parameter logits"):
            kind(*arguments, logits=torch.tensor([math.nan, 2.0]), validate_args=True)
        with pytest.raises(ValueError, match="Expected value argument"):
            kind(*arguments, probs=torch.ones(3), validate_args=True).log_prob(torch.tensor([2.0, 0, 0]))


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
