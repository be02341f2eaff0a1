"""`gumbelfast.torch.logsumexp`: values, layouts, gradients, errors."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import gumbelfast as gf
import gumbelfast.torch as gt

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
DIMS: list[Any] = [-1, 0, 1, (2,), (0, 2), (-1, 0), (2, 0), [0, 1, 2]]


def normal(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    return (torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS)
def test_values_are_those_of_float64(dim: Any, keepdim: bool, dtype: torch.dtype) -> None:
    x = normal((3, 4, 5), dtype)
    found = gt.logsumexp(x, dim, keepdim)
    wanted = x.double().exp().sum(dim, keepdim=keepdim).log()
    assert found.dtype is dtype
    rtol = {torch.float16: 2**-10, torch.bfloat16: 2**-7, torch.float32: 1e-6, torch.float64: 1e-14}[dtype]
    torch.testing.assert_close(found.double(), wanted, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_same_bytes_as_the_numpy_function(compiled: str, dtype: torch.dtype) -> None:
    x = normal((7, 33), dtype)
    for dim in (0, 1):
        np.testing.assert_array_equal(gt.logsumexp(x, dim).numpy(), gf.logsumexp(x.numpy(), axis=dim))


def test_infinities_and_empty_shapes() -> None:
    inf = math.inf
    x = torch.tensor([[-inf, -inf], [inf, 1.0], [-inf, 2.0], [math.nan, 1.0], [800.0, 800.0]], dtype=torch.float64)
    found = gt.logsumexp(x, -1)
    assert found.tolist()[:3] == [-inf, inf, 2.0]
    assert found[3].isnan()
    assert found[4].item() == pytest.approx(800 + math.log(2))
    for shape in ((0, 3), (3, 0), ()):
        for dim in (0, -1):
            e = torch.zeros(shape)
            torch.testing.assert_close(gt.logsumexp(e, dim), torch.logsumexp(e, dim))


@pytest.mark.parametrize("dim", DIMS)
def test_gradients(dim: Any) -> None:
    x = normal((3, 2, 4)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: gt.logsumexp(x, dim), x)
    assert torch.autograd.gradgradcheck(lambda x: gt.logsumexp(x, dim, True), x)
    f = lambda x: gt.logsumexp(x, dim).square().sum()  # noqa: E731
    (wanted,) = torch.autograd.grad(torch.logsumexp(x, dim if isinstance(dim, int) else tuple(dim)).square().sum(), x)
    for found in (torch.autograd.grad(f(x), x)[0], torch.func.grad(f)(x.detach())):
        torch.testing.assert_close(found, wanted)


def test_gradient_of_half_types_and_masked_entries() -> None:
    x = torch.tensor([[0.0, -math.inf, 1.0]], dtype=torch.bfloat16, requires_grad=True)
    (g,) = torch.autograd.grad(gt.logsumexp(x, -1).sum(), x)
    torch.testing.assert_close(g, torch.softmax(x.detach(), -1))
    assert g[0, 1] == 0


def test_dimensions_are_integers_of_any_type() -> None:
    x = normal((3, 2))
    for dim in (np.int8(1), np.array(1, ">u2"), torch.tensor(1), [np.uint64(1)], (torch.tensor(1, dtype=torch.int8),)):
        torch.testing.assert_close(gt.logsumexp(x, dim), torch.logsumexp(x, 1))
    for dim in (True, 1.0, np.float64(1), "1", None, (1.0,), [torch.tensor(True)]):
        with pytest.raises(TypeError, match=r"^dim must be an integer, got "):
            gt.logsumexp(x, dim)


def test_bad_arguments() -> None:
    x = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"^dim must name dimensions, each once, got \(1, -1\)$"):
        gt.logsumexp(x, (1, -1))
    with pytest.raises(ValueError, match=r"^dim must name dimensions, each once, got \(\)$"):
        gt.logsumexp(x, ())
    with pytest.raises(IndexError, match=r"^dim must lie in \[-2, 1\], got 2$"):
        gt.logsumexp(x, (0, 2))
    with pytest.raises(TypeError, match="expected float16, bfloat16, float32 or float64, got int64"):
        gt.logsumexp(x.long(), 0)
