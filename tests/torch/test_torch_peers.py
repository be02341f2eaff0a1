"""What torch's own tests expect of these functions, and cases in which torch and others are known to fail."""

import math
from typing import Any

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch_checks import assert_frequencies

import gumbelfast.torch as gt

INF = math.inf
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
F = torch.nn.functional


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
    assert len(set(y.argmax(-1).tolist())) == 2  # noise decides between equals of any size
    y.square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def on_other_device() -> torch.Tensor:
    """Stands for a tensor on a GPU, which this machine need not have."""
    with FakeTensorMode():
        return torch.zeros(3, device="cuda")


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
            on_other_device,
            NotImplementedError,
            "logits is on device cuda:0; gumbelfast works on the CPU, use torch.nn.functional.gumbel_softmax there",
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
    with pytest.raises(TypeError, match=r"^k must be an integer for all rows, got a tensor of shape \(2,\)$"):
        gt.gumbel_top_k(x, torch.tensor([1, 2]))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"k must be an integer, got 1\.5"):
        gt.gumbel_top_k(x, 1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"sizes must be >= 0, got \(-1,\)"):
        gt.categorical(x, -1)
    with pytest.raises(TypeError, match="expected float16, bfloat16, float32 or float64, got int32"):
        gt.gumbel(3, dtype=torch.int32)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensors_are_refused(layout: torch.layout) -> None:
    x = torch.nested.nested_tensor([torch.randn(2, 3), torch.randn(4, 3)], layout=layout)
    calls = (gt.softmax, gt.gumbel_softmax, gt.categorical, gt.gumbel_like, lambda x: gt.gumbel_top_k(x, 1))
    for call in (*calls, lambda x: gt.multinomial(x, 1)):
        with pytest.raises(TypeError, match="is a nested tensor; call this for each of its parts, or use"):
            call(x)
