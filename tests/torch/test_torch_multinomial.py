"""`gumbelfast.torch.multinomial`, and what torch's own tests expect of it."""

import math
from typing import Any

import pytest
import torch
from torch_checks import assert_frequencies

import gumbelfast as gf
import gumbelfast.torch as gt

INF = math.inf
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(1234)


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


@pytest.mark.parametrize("dtype", DTYPES)
def test_replacement_is_inversion_whatever_the_number(dtype: torch.dtype) -> None:
    weights = torch.rand(3, 40).to(dtype)
    weights[:, 5] = 0
    wanted = gf.Categorical(probs=weights.double().numpy()).sample(
        1000, rng=gf.Generator(9), offset=0, method="inverse"
    )
    for draws in (1, 2, 30, 300, 1000):
        found = gt.multinomial(weights, draws, True, generator=gf.Generator(9))
        assert torch.equal(found, torch.from_numpy(wanted[:draws].T))
    padded = torch.full((3, 50), -1.0, dtype=dtype)
    padded[:, :40] = weights
    assert torch.equal(gt.multinomial(padded[:, :40], 1000, True, generator=gf.Generator(9)), found)


@pytest.mark.parametrize("replacement", [False, True])
def test_vmap_shares_noise_as_it_is_told(replacement: bool) -> None:
    w = torch.rand(6, 8).reshape(2, 3, 8)
    f = lambda x: gt.multinomial(x, 3, replacement)  # noqa: E731

    def seeded(f: Any, x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        result: torch.Tensor = f(x)
        return result

    same = seeded(torch.vmap(f, randomness="same"), w[0])
    assert torch.equal(same, torch.stack([seeded(f, row) for row in w[0]]))
    assert torch.equal(seeded(torch.vmap(f, randomness="different"), w[0]), seeded(f, w[0]))
    inner = torch.vmap(torch.vmap(f, randomness="same"), randomness="different")
    outer = torch.vmap(torch.vmap(f, randomness="different"), randomness="same")
    equal = w[:1, :1].expand(2, 3, 8)
    found = seeded(inner, equal)
    assert (found == found[:, :1]).all()
    assert not torch.equal(found[0], found[1])
    found = seeded(outer, equal)
    assert (found == found[:1]).all()
    assert not torch.equal(found[0, 0], found[0, 1])
    both = torch.vmap(torch.vmap(f, randomness="same"), randomness="same")
    assert torch.equal(seeded(both, w), torch.stack([torch.stack([seeded(f, x) for x in row]) for row in w]))


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
        (
            [[[1.0]]],
            1,
            False,
            "input must have 1 or 2 dimensions, got 3; gumbelfast.torch.categorical draws from the logarithms "
            "of weights of any shape",
        ),
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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_refusals_quote_weights_of_every_dtype(dtype: torch.dtype) -> None:
    with pytest.raises(RuntimeError, match=r"^weights must be finite and >= 0, got -1.0 at index \(0, 1\)$"):
        gt.multinomial(torch.tensor([[1, -1]], dtype=dtype), 1)
    with pytest.raises(RuntimeError, match=r"^num_samples=2 exceeds the 1 positive weights of row 0$"):
        gt.multinomial(torch.tensor([[1, 0]], dtype=dtype), 2)
