"""Rows with a stride, one temperature a row, and alias tables of `gumbelfast.torch`, beside the functions for NumPy."""

import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from torch import Tensor
from torch_checks import normal

import gumbelfast as gf
import gumbelfast.torch as gt

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
TAUS = torch.tensor([0.5, 2.0, 1e-3])


def numpy_of(x: Tensor) -> Any:
    if x.dtype is torch.bfloat16:
        return x.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return x.numpy()


def place() -> dict[str, Any]:
    return {"generator": gf.Generator(5)}


CALLS = {
    "softmax": lambda x: gt.softmax(x),
    "log_softmax": lambda x: gt.log_softmax(x),
    "logsumexp": lambda x: gt.logsumexp(x, -1),
    "categorical": lambda x: gt.categorical(x, (4,), **place()),
    "alias": lambda x: gt.categorical(x, (4,), method="alias", **place()),
    "gumbel_top_k": lambda x: gt.gumbel_top_k(x, 3, **place()).values,
    "multinomial": lambda x: gt.multinomial(x.exp().float(), 3, **place()),
    "gumbel_softmax": lambda x: gt.gumbel_softmax(x, 0.7, **place()),
    "hard": lambda x: gt.gumbel_softmax(x, 0.7, True, **place()),
    "gradient": lambda x: torch.func.vjp(gt.softmax, normal(tuple(x.shape)).to(x))[1](x)[0],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.usefixtures("backend")
def test_rows_with_a_stride_give_what_copies_give(name: str, dtype: torch.dtype) -> None:
    wide = normal((6, 90)).to(dtype)
    for x in (wide[:, 3:80], wide[::2, :70], wide[1:2, :50], wide[:, :1], wide[:, ::2], wide.T[:40]):
        x = x if x.ndim == 2 and x.shape[0] <= 6 else x[:6]
        if name == "gumbel_top_k" and x.shape[1] < 3:
            continue
        if name == "multinomial" and x.shape[1] < 3:
            continue
        torch.testing.assert_close(CALLS[name](x), CALLS[name](x.contiguous()), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["categorical", "softmax", "gumbel_softmax", "gumbel_top_k"])
def test_rows_with_a_stride_are_not_copied(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Tensor:
        raise AssertionError("copied")

    padded = normal((6, 90)).float()
    monkeypatch.setattr(Tensor, "contiguous", refuse)
    CALLS[name](padded[:, :80])
    with pytest.raises(AssertionError, match="copied"):
        CALLS[name](padded[:, ::2])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hard", [False, True])
def test_one_tau_a_row_is_that_of_the_rows_alone(dtype: torch.dtype, hard: bool, backend: str) -> None:
    x = normal((3, 40)).to(dtype)
    found = gt.gumbel_softmax(x, TAUS[:, None], hard, generator=gf.Generator(5))
    wanted = gf.gumbel_softmax(numpy_of(x), TAUS.double().numpy(), hard=hard, rng=gf.Generator(5))
    assert np.array_equal(numpy_of(found), wanted)
    turned = gt.gumbel_softmax(x.T, TAUS, hard, dim=0, generator=gf.Generator(5))
    assert torch.equal(turned.T, found)
    same = gt.gumbel_softmax(x, torch.full((3, 1), 0.3), hard, generator=gf.Generator(5))
    assert torch.equal(same, gt.gumbel_softmax(x, torch.tensor(0.3), hard, generator=gf.Generator(5)))


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("shape", [(3, 1), (1, 1), (1,), (2, 3, 1), (2, 1, 1)])
def test_gradients_at_one_tau_a_row(shape: tuple[int, ...], hard: bool) -> None:
    x = normal((2, 3, 7)).requires_grad_()
    tau = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.5
    weight = normal((2, 3, 7), seed=2)

    def loss(x: Tensor, tau: Tensor) -> Tensor:
        return (gt.gumbel_softmax(x, tau, hard, generator=gf.Generator(7)) * weight).sum()

    (by_kernel,) = torch.autograd.grad(loss(x, tau), x)
    (by_operators,) = torch.autograd.grad(loss(x, tau.clone().requires_grad_()), x)
    torch.testing.assert_close(by_kernel, by_operators)
    soft = lambda x: gt.gumbel_softmax(x, tau, generator=gf.Generator(7))  # noqa: E731
    assert torch.autograd.gradcheck(soft, x)
    assert torch.autograd.gradgradcheck(soft, x)
    assert torch.autograd.gradcheck(lambda t: gt.gumbel_softmax(x, t, generator=gf.Generator(7)), tau.requires_grad_())


@pytest.mark.parametrize("hard", [False, True])
def test_compiled_code_takes_one_tau_a_row(hard: bool) -> None:
    def loss(x: Tensor, tau: Tensor) -> Tensor:
        return gt.gumbel_softmax(x, tau, hard).square().sum()

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    for tau in (TAUS[:, None], torch.tensor([[1.0], [2.0], [3.0]])):
        results = []
        for f in (loss, compiled):
            x = normal((3, 40)).float().requires_grad_()
            torch.manual_seed(4)
            value = f(x, tau)
            value.backward()
            results.append((value.detach(), x.grad))
        torch.testing.assert_close(*results)


@pytest.mark.parametrize(
    ("tau", "text"),
    [
        ([[1.0], [0.0], [1.0]], "tau must be finite and > 0, got 0.0 in row 1"),
        ([[1.0], [1.0], [-2.0]], "tau must be finite and > 0, got -2.0 in row 2"),
        ([[float("nan")], [1.0], [1.0]], "tau must be finite and > 0, got nan in row 0"),
        (
            [[1e-40], [1.0], [1.0]],
            "tau must have a finite reciprocal, got 1e-40 in row 0, whose reciprocal overflows float32",
        ),
    ],
)
def test_bad_taus_are_named_with_their_row(tau: Any, text: str) -> None:
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        gt.gumbel_softmax(torch.zeros(3, 4), torch.tensor(tau, dtype=torch.float64))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", DTYPES)
def test_alias_tables_draw_what_numpys_door_draws(dtype: torch.dtype, backend: str) -> None:
    x = normal((3, 40)).to(dtype)
    found = gt.categorical(x, (500,), method="alias", generator=gf.Generator(5))
    wanted = gf.categorical(x.double().numpy(), size=500, method="alias", rng=gf.Generator(5))
    assert np.array_equal(found, wanted)
    few = gt.categorical(x, (9,), method="alias", generator=gf.Generator(5))
    assert torch.equal(few, found[:9])
    mask = torch.arange(40) % 2 == 0
    assert (gt.categorical(x, (500,), method="alias", mask=mask) % 2 == 0).all()
    torch.manual_seed(6)
    eager = gt.categorical(x, (9,), method="alias")
    torch.manual_seed(6)
    assert torch.equal(torch.compile(lambda x: gt.categorical(x, (9,), method="alias"))(x), eager)
    with pytest.raises(ValueError, match=r"^method must be 'gumbel' or 'alias', got 'table'$"):
        gt.categorical(x, method="table")


def test_vmap_of_alias_tables() -> None:
    x = normal((3, 40))
    f = lambda x: gt.categorical(x, (5,), method="alias")  # noqa: E731
    torch.manual_seed(3)
    same = torch.vmap(f, randomness="same", out_dims=1)(x)
    for i in range(3):
        torch.manual_seed(3)
        assert torch.equal(same[:, i], f(x[i]))
    torch.manual_seed(3)
    different = torch.vmap(f, randomness="different", out_dims=1)(x)
    torch.manual_seed(3)
    assert torch.equal(different, f(x))
