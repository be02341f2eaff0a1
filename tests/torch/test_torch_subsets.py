"""Subsets and permutations of tensors: NumPy's values on the same noise, and gradients by differences."""

import doctest
from typing import Any

import numpy as np
import pytest
import torch
from helpers import OLD_NUMPY

import gumbelfast as gf
import gumbelfast.subsets as own
import gumbelfast.torch as gt
from gumbelfast.torch import permutations, subsets

F64 = torch.float64


@pytest.fixture
def x() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(3, 6, dtype=F64, requires_grad=True)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, F64])
def test_relaxed_subsets_are_those_of_numpy(x: torch.Tensor, dtype: torch.dtype, hard: bool) -> None:
    given, tau = x.detach().to(dtype), torch.tensor([0.2, 0.5, 2.0])
    found = subsets.relaxed_top_k(given, 3, tau[:, None], hard, generator=gf.default_rng(4))
    wide = given.to(F64 if dtype is F64 else torch.float32).numpy()
    wanted = own.relaxed_top_k(wide, 3, tau.numpy(), hard, rng=gf.default_rng(4))
    assert found.dtype is dtype
    torch.testing.assert_close(found, torch.from_numpy(wanted).to(dtype))
    across = subsets.relaxed_top_k(given.T, 3, tau[None], hard, dim=0, generator=gf.default_rng(4))
    assert torch.equal(across.T, found)
    if hard:
        chosen = gt.gumbel_top_k(given, 3, generator=gf.default_rng(4)).indices
        assert torch.equal(found, torch.zeros_like(given).scatter(-1, chosen, 1))


def test_gradients(x: torch.Tensor) -> None:
    def relaxed(x: torch.Tensor, hard: bool = False) -> torch.Tensor:
        return subsets.relaxed_top_k(x, 3, 0.7, hard, generator=gf.default_rng(1))

    assert torch.autograd.gradcheck(relaxed, (x,))
    assert torch.autograd.gradcheck(lambda x: subsets.subset_log_partition(x, 3), (x,))
    assert torch.autograd.gradgradcheck(lambda x: subsets.subset_log_partition(x, 3), (x,))
    assert torch.autograd.gradcheck(lambda x: subsets.subset_marginals(x, 3), (x,))
    assert torch.autograd.gradcheck(lambda x: subsets.subset_marginals(x, 2, dim=0), (x,))
    g = torch.randn(3, 6, dtype=F64)
    (soft,) = torch.autograd.grad(relaxed(x), x, g)
    (hard,) = torch.autograd.grad(relaxed(x, True), x, g)
    assert torch.equal(soft, hard)


def test_straight_through_k_hot_samples(x: torch.Tensor) -> None:
    hot = subsets.sample_k_hot(x, 2, generator=gf.default_rng(5))
    drawn = own.sample_subsets(x.detach().numpy(), 2, rng=5)
    assert torch.equal(hot.detach(), torch.zeros(3, 6, dtype=F64).scatter(-1, torch.from_numpy(drawn), 1))
    g = torch.randn(3, 6, dtype=F64)
    hot.backward(g)
    np.testing.assert_allclose(x.grad, own.subset_marginals_backward(g.numpy(), x.detach().numpy(), 2), rtol=1e-13)
    torch.manual_seed(7)
    first = subsets.sample_k_hot(x.detach(), 2, dim=0)
    torch.manual_seed(7)
    assert torch.equal(subsets.sample_k_hot(x, 2, dim=0).detach(), first)
    assert torch.equal(first.sum(0), torch.full((6,), 2.0, dtype=F64))


@pytest.fixture
def matrices() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 4, 4, dtype=F64, requires_grad=True)


@pytest.mark.parametrize("hard", [False, True])
def test_sinkhorn_is_that_of_numpy(matrices: torch.Tensor, hard: bool) -> None:
    found = permutations.gumbel_sinkhorn(matrices, 0.5, 10, hard, noise_scale=0.3, generator=gf.default_rng(2))
    given = matrices.detach().numpy()
    wanted = gf.permutations.gumbel_sinkhorn(given, 0.5, 10, hard, noise_scale=0.3, rng=gf.default_rng(2))
    np.testing.assert_allclose(found.detach(), wanted, rtol=1e-14)
    half = permutations.gumbel_sinkhorn(matrices.detach().half(), torch.tensor([0.5, 1.0]), hard=hard)
    assert half.dtype is torch.float16


def test_gradients_of_permutations(matrices: torch.Tensor, x: torch.Tensor) -> None:
    def relaxed(z: torch.Tensor, hard: bool = False) -> torch.Tensor:
        return permutations.gumbel_sinkhorn(z, 0.8, 7, hard, generator=gf.default_rng(1))

    assert torch.autograd.gradcheck(relaxed, (matrices,))
    g = torch.randn(2, 4, 4, dtype=F64)
    (soft,), (hard,) = (torch.autograd.grad(relaxed(matrices, each), matrices, g) for each in (False, True))
    assert torch.equal(soft, hard)
    for sort in (permutations.soft_sort, permutations.neural_sort):
        assert torch.autograd.gradcheck(lambda s, sort=sort: sort(s, torch.tensor([0.5, 1.0, 3.0])), (x,))
        wanted = getattr(gf.permutations, sort.__name__)(x.detach().numpy(), 0.5)
        np.testing.assert_allclose(sort(x, 0.5).detach(), wanted, rtol=1e-14)


FAULTS: list[tuple[Any, type[Exception], str]] = [
    (lambda x: subsets.relaxed_top_k(x, 7), ValueError, "k=7 exceeds the 6 columns"),
    (lambda x: subsets.relaxed_top_k(x, 2, 0.0), ValueError, "tau must be finite and > 0, got 0.0"),
    (lambda x: subsets.relaxed_top_k(x, 2, dim=2), IndexError, "dim must lie in [-2, 1], got 2"),
    (lambda x: subsets.sample_k_hot(x * torch.nan, 2), ValueError, "logits contain NaN at index (0, 0)"),
    (lambda x: subsets.subset_marginals([0.0], 1), TypeError, "logits must be a torch.Tensor, got list"),
    (
        lambda x: torch.func.vmap(lambda row: subsets.subset_marginals(row, 1))(x),
        NotImplementedError,
        "subset_marginals works in plain eager code: logits is compiled, traced, transformed or a subclass here",
    ),
    (
        lambda x: permutations.gumbel_sinkhorn(x),
        ValueError,
        "logits must be square matrices (..., n, n) with n > 0, got shape (3, 6)",
    ),
    (lambda x: permutations.gumbel_sinkhorn(x[:, :3], iterations=0), ValueError, "iterations must be >= 1, got 0"),
    (lambda x: permutations.soft_sort(x * torch.inf), ValueError, "scores must be finite, got "),
    (lambda x: permutations.neural_sort(x, -1.0), ValueError, "tau must be finite and > 0, got -1.0"),
]


@pytest.mark.parametrize(("call", "error", "text"), FAULTS, ids=range(len(FAULTS)))
def test_bad_input_moves_nothing(x: torch.Tensor, call: Any, error: type[Exception], text: str) -> None:
    before = torch.get_rng_state()
    with pytest.raises(error) as caught:
        call(x)
    assert str(caught.value).startswith(text)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.skipif(OLD_NUMPY, reason="NumPy 1 prints numbers otherwise")
@pytest.mark.parametrize("module", [subsets, permutations], ids=["subsets", "permutations"])
def test_docstrings(module: Any) -> None:
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)
