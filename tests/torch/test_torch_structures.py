"""Sums over labellings of tensors: NumPy's values, gradients by differences, transforms and compilers."""

import doctest

import numpy as np
import pytest
import torch
from helpers import OLD_NUMPY

import gumbelfast.structures as own
from gumbelfast.torch import structures
from gumbelfast.torch.structures import label_marginals, log_partition

PARENTS = [-1, 0, 0, 2]
TREES = [(None, (3, 3)), (PARENTS, (3, 3, 3)), ([-1, -1, 1, 0], (3, 3))]


def potentials(shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    return x, torch.randn(shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(("parents", "shape"), TREES)
def test_values_are_those_of_numpy(parents: list[int] | None, shape: tuple[int, ...]) -> None:
    x, w = potentials(shape)
    wanted = own.label_marginals(x.detach().numpy(), w.detach().numpy(), parents=parents)
    log_z = own.log_partition(x.detach().numpy(), w.detach().numpy(), parents=parents)
    assert np.array_equal(log_partition(x, w, parents=parents).detach(), log_z)
    for found, each in zip(label_marginals(x, w, parents=parents), wanted, strict=True):
        assert np.array_equal(found.detach(), each)


@pytest.mark.parametrize(("parents", "shape"), TREES)
def test_gradients(parents: list[int] | None, shape: tuple[int, ...]) -> None:
    x, w = potentials(shape)
    assert torch.autograd.gradcheck(lambda x, w: log_partition(x, w, parents=parents), (x, w))
    assert torch.autograd.gradgradcheck(lambda x, w: log_partition(x, w, parents=parents), (x, w))
    assert torch.autograd.gradcheck(lambda x, w: tuple(label_marginals(x, w, parents=parents)), (x, w))


@pytest.mark.parametrize(("parents", "shape"), TREES)
def test_transforms(parents: list[int] | None, shape: tuple[int, ...]) -> None:
    x, w = potentials(shape)
    wanted = label_marginals(x, w, parents=parents)
    found = torch.func.vmap(lambda one: tuple(label_marginals(one, w, parents=parents)))(x)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)
    gradient = torch.func.grad(lambda x: log_partition(x, w, parents=parents).sum())(x)
    torch.testing.assert_close(gradient, wanted.nodes)


def test_forbidden_labels_have_gradient_zero_in_every_mode() -> None:
    x, w = (each.detach().clone() for each in potentials((3, 3)))
    x[:, 1, 0] = w[0, 1] = w[2] = -torch.inf
    wanted = label_marginals(x, w).nodes
    assert wanted.isfinite().all()
    torch.testing.assert_close(torch.func.grad(lambda x: log_partition(x, w).sum())(x), wanted)
    torch.testing.assert_close(torch.func.vmap(lambda one: label_marginals(one, w).nodes)(x), wanted)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtypes(dtype: torch.dtype) -> None:
    x, w = (each.detach().to(dtype).requires_grad_() for each in potentials((3, 3)))
    found = log_partition(x, w)
    assert found.dtype is torch.float32
    found.sum().backward()
    assert (x.grad.dtype, w.grad.dtype) == (dtype, dtype)
    exact = label_marginals(x.detach().double(), w.detach().double())
    torch.testing.assert_close(x.grad, exact.nodes.to(dtype))


def test_bad_input() -> None:
    x, w = potentials((3, 3))
    for call, error, text in (
        (lambda: log_partition([[0.0]], w), TypeError, "unary must be a torch.Tensor, got list"),
        (lambda: log_partition(x, None), TypeError, "pairwise must be a torch.Tensor, got NoneType"),
        (lambda: label_marginals(x, w[0]), ValueError, "pairwise must have shape (3, 3) or (3, 3, 3), got (3,)"),
        (
            lambda: torch.func.vmap(lambda one: log_partition(one, w[0]))(x),
            ValueError,
            "pairwise must have shape (3, 3) or (3, 3, 3), got (3,)",
        ),
        (
            lambda: torch.func.vmap(lambda one: log_partition(one[0], w))(x),
            ValueError,
            "unary must have axes (..., nodes, labels), got shape (3,)",
        ),
        (lambda: log_partition(x, w, parents=[0]), ValueError, "parents must have shape (4,), one a node, got (1,)"),
        (lambda: log_partition(x * torch.nan, w), ValueError, "unary contains NaN at index (0, 0, 0)"),
    ):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == text


@pytest.mark.skipif(OLD_NUMPY, reason="NumPy 1 prints numbers otherwise")
def test_docstrings() -> None:
    found = doctest.testmod(structures)
    assert (found.failed, found.attempted > 0) == (0, True)
