"""`gumbelfast.torch.gumbel_softmax` and `softmax`: values, gradients, layouts."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers import assert_same_bytes, run_python
from torch import Tensor

import gumbelfast as gf
import gumbelfast.torch as gt
from gumbelfast._engine.backend import active

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
HALF = [torch.float16, torch.bfloat16]
INF = float("inf")


def normal(shape: tuple[int, ...], dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return (torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2).to(dtype)


def seeded(f: Callable[..., Tensor], *args: Any, seed: int = 3, **kwargs: Any) -> Tensor:
    torch.manual_seed(seed)
    return f(*args, **kwargs)


def as_numpy(x: Tensor) -> Any:
    """bfloat16 as ml_dtypes'."""
    import ml_dtypes

    return x.view(torch.int16).numpy().view(ml_dtypes.bfloat16) if x.dtype is torch.bfloat16 else x.numpy()


def test_package_alone_leaves_torch_out() -> None:
    found = run_python("import sys, gumbelfast; assert 'torch' not in sys.modules")
    assert found.returncode == 0, found.stderr


def test_missing_torch_says_what_to_install() -> None:
    found = run_python("import sys; sys.modules['torch'] = None\nimport gumbelfast.torch")
    assert 'ImportError: gumbelfast.torch needs PyTorch: pip install "gumbelfast[torch]"' in found.stderr


def test_bfloat16_needs_no_ml_dtypes() -> None:
    found = run_python(
        "import sys; sys.modules['ml_dtypes'] = None\n"
        "import torch, gumbelfast.torch as gt\n"
        "y = gt.softmax(torch.zeros(2, 4, dtype=torch.bfloat16), -1)\n"
        "print(y.dtype, y.tolist())"
    )
    assert found.stdout.strip() == f"torch.bfloat16 {[[0.25] * 4] * 2}", found.stderr


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hard", [False, True])
def test_same_bytes_as_the_numpy_function(compiled: str, dtype: torch.dtype, hard: bool) -> None:
    x = normal((3, 4, 33), dtype)
    rng, same = gf.default_rng(5), gf.default_rng(5)
    for dim in (-1, 2, 1, 0):
        wanted = gf.gumbel_softmax(as_numpy(x), 0.7, hard, axis=dim, rng=rng)
        found = gt.gumbel_softmax(x, 0.7, hard, dim=dim, generator=same)
        assert found.is_contiguous()
        assert_same_bytes(as_numpy(found), np.ascontiguousarray(wanted))
    assert rng.offset == same.offset


@pytest.mark.parametrize("dtype", DTYPES)
def test_reference_backend_takes_every_dtype(dtype: torch.dtype) -> None:
    x = normal((3, 20), dtype)
    fast = seeded(gt.gumbel_softmax, x, 0.9)
    with gf.use_backend("reference"):
        slow = seeded(gt.gumbel_softmax, x, 0.9)
    torch.testing.assert_close(fast, slow)


@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts_change_nothing(dtype: torch.dtype) -> None:
    x = normal((2, 5, 6, 7), dtype)
    wanted = seeded(gt.gumbel_softmax, x, dim=1)
    channels_last = x.to(memory_format=torch.channels_last)
    found = seeded(gt.gumbel_softmax, channels_last, dim=1)
    assert found.stride() == channels_last.stride()
    strided = torch.empty((4, 5, 6, 14), dtype=dtype)[::2, :, :, ::2].copy_(x)
    for other in (found, seeded(gt.gumbel_softmax, strided, dim=1), seeded(gt.gumbel_softmax, x, dim=-3)):
        assert torch.equal(other, wanted)
    row = normal((7,), dtype)
    assert torch.equal(seeded(gt.gumbel_softmax, row.expand(4, 7)), seeded(gt.gumbel_softmax, row.repeat(4, 1)))
    negated = torch.complex(torch.zeros(3, 4), normal((3, 4))).conj().imag
    assert torch.equal(seeded(gt.gumbel_softmax, negated), seeded(gt.gumbel_softmax, -normal((3, 4))))


@pytest.mark.parametrize("dim", [0, 1])
def test_contiguous_tensors_are_not_copied(monkeypatch: pytest.MonkeyPatch, dim: int) -> None:
    seen = []
    kernels = active()

    class Spy:
        def gumbel_softmax(self, logits: Any, soft: Any, *rest: Any) -> int:
            seen.append((logits[0].ctypes.data, soft.ctypes.data))
            return kernels.gumbel_softmax(logits, soft, *rest)

    for module in ("torch._draws", "_engine.draws"):
        monkeypatch.setattr(f"gumbelfast.{module}.active", Spy)
    x = normal((4, 9)) if dim else normal((9, 4)).T
    y = gt.gumbel_softmax(x, dim=dim)
    if dim:
        assert seen == [(x.data_ptr(), y.data_ptr())]
    y = gt.gumbel_softmax(normal((4, 9)).T, dim=0)
    assert seen[-1][1] == y.data_ptr()


def test_batches_agree_on_their_first_rows() -> None:
    x = normal((50, 17))
    for n in (1, 7, 50):
        assert torch.equal(seeded(gt.gumbel_softmax, x[:n]), seeded(gt.gumbel_softmax, x)[:n])
        assert torch.equal(seeded(gt.categorical, x[:n]), seeded(gt.categorical, x)[:n])


@pytest.mark.parametrize("shape", [(0, 5), (3, 0, 5)])
def test_empty_batches(shape: tuple[int, ...]) -> None:
    x = torch.empty(shape, requires_grad=True)
    for hard in (False, True):
        y = gt.gumbel_softmax(x, hard=hard)
        assert y.shape == shape
        y.sum().backward()
    assert gt.softmax(x).shape == shape
    with pytest.raises(ValueError, match=r"^dim -1 has size 0$"):
        gt.gumbel_softmax(torch.empty(3, 0))


def test_generators() -> None:
    x = normal((4, 8))
    g = torch.Generator().manual_seed(9)
    first, second = gt.gumbel_softmax(x, generator=g), gt.gumbel_softmax(x, generator=g)
    assert not torch.equal(first, second)
    assert torch.equal(gt.gumbel_softmax(x, generator=g.manual_seed(9)), first)
    assert torch.equal(seeded(gt.gumbel_softmax, x, seed=9), first)
    # One key of 64 bits a call, whatever the call: the next draw of torch's own is the same.
    for call in (gt.gumbel_softmax, gt.categorical, lambda x, generator: gt.gumbel(1000, generator=generator)):
        call(x, generator=g.manual_seed(1))
        after = torch.rand(1, generator=g)
        torch.empty((), dtype=torch.int64).random_(-(2**63), None, generator=g.manual_seed(1))
        assert torch.equal(torch.rand(1, generator=g), after)
    with pytest.raises(TypeError, match=r"generator must be a torch[.]Generator or a .*, got int"):
        gt.gumbel_softmax(x, generator=3)


def test_first_call_may_be_in_inference_mode() -> None:
    code = (
        "import torch, threading, gumbelfast.torch as gt\n"
        "with torch.inference_mode(): gt.gumbel_softmax(torch.zeros(3))\n"
        "gt.gumbel_softmax(torch.zeros(3, requires_grad=True)).sum().backward()\n"
    )
    found = run_python(code)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("tau", [1.0, 0.3])
@pytest.mark.parametrize("dim", [-1, 0])
def test_gradcheck(tau: float, dim: int) -> None:
    x = normal((3, 4), torch.float64).requires_grad_()
    t = torch.tensor(tau, dtype=torch.float64, requires_grad=True)
    ours = (
        (lambda x: seeded(gt.gumbel_softmax, x, tau, dim=dim), (x,)),
        (lambda x, t: seeded(gt.gumbel_softmax, x, t, dim=dim), (x, t)),
        (lambda x: gt.softmax(x * tau, dim), (x,)),
        (lambda x: gt.log_softmax(x * tau, dim), (x,)),
        (lambda x: seeded(gt.gumbel_top_k, x, 2, dim).values, (x,)),
    )
    for f, inputs in ours:
        assert torch.autograd.gradcheck(f, inputs)
        assert torch.autograd.gradgradcheck(f, inputs)
    assert torch.autograd.gradcheck(ours[0][0], (x,), check_forward_ad=True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_hard_is_exact_with_the_gradient_of_soft(compiled: str, dtype: torch.dtype) -> None:
    x, w = normal((6, 40), dtype), normal((6, 40), dtype, 1)
    grads = []
    for hard in (False, True):
        leaf = x.clone().requires_grad_()
        y = seeded(gt.gumbel_softmax, leaf, 0.8, hard)
        (y * w).sum().backward()
        grads.append(leaf.grad)
        if hard:
            assert set(y.unique().tolist()) == {0.0, 1.0}
            assert torch.equal(y.sum(-1), torch.ones(6, dtype=dtype))
            assert torch.equal(y.argmax(-1), seeded(gt.categorical, x))
    assert torch.equal(*grads)
    assert grads[0].abs().max() > 0


def test_second_derivatives_through_hard_samples_are_those_of_soft_ones() -> None:
    found = []
    for hard in (False, True):
        x = normal((3, 5), torch.float64).requires_grad_()
        y, w = seeded(gt.gumbel_softmax, x, 0.7, hard), normal((3, 5), torch.float64, 1)
        (g,) = torch.autograd.grad((y * w).sum(), x, create_graph=True)
        found.append(torch.autograd.grad(g.square().sum(), x)[0])
    assert torch.equal(*found)
    assert found[0].abs().max() > 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_and_gradients_are_torchs(compiled: str, dtype: torch.dtype) -> None:
    for ours, theirs in ((gt.softmax, torch.softmax), (gt.log_softmax, torch.log_softmax)):
        for shape, dim in (((), 0), ((7,), 0), ((3, 50), -1), ((3, 50, 2), 1)):
            x, w = normal(shape, dtype), normal(shape, dtype, 1)
            a = x.clone().requires_grad_()
            torch.testing.assert_close(ours(a, dim), theirs(x.double(), dim).to(dtype))
            # Half types are rounded once: the gradient is that of the result, in higher precision.
            y = ours(a, dim)
            (y * w).sum().backward()
            z, g = y.detach().double(), w.double()
            wanted = z * (g - (g * z).sum(dim, keepdim=True))
            if ours is gt.log_softmax:
                wanted = g - z.exp() * g.sum(dim, keepdim=True)
            assert a.grad is not None
            eps = torch.finfo(dtype).eps
            torch.testing.assert_close(a.grad.double(), wanted, rtol=eps, atol=64 * torch.finfo(torch.float32).eps)
        bad = torch.tensor([[float("nan"), 0, 0], [-INF, -INF, -INF], [0, 0, -INF]])
        assert torch.equal(ours(bad).isnan(), theirs(bad, -1).isnan())
        assert ours(normal((2, 3)), 1, torch.float64).dtype is torch.float64


def test_second_use_of_a_changed_result_is_noticed() -> None:
    x = normal((2, 3)).requires_grad_()
    y = gt.gumbel_softmax(x)
    y.detach().zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
