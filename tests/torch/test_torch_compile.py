"""`gumbelfast.torch` under torch.compile, torch.func, checkpoints and torch's own judge of operators."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import gumbelfast.torch as gt
from gumbelfast.torch import _ops

X = torch.randn(4, 10, generator=torch.Generator().manual_seed(0))
OPS = torch.ops.gumbelfast
EMPTY, TAU = torch.empty(0), torch.tensor(0.5, dtype=torch.float64)


def seeded(f: Callable[..., Any], *args: Any, seed: int = 3) -> Any:
    torch.manual_seed(seed)
    return f(*args)


CALLS: dict[str, Callable[[Tensor], Any]] = {
    "soft": lambda x: gt.gumbel_softmax(x, 0.7),
    "hard": lambda x: gt.gumbel_softmax(x, 0.7, hard=True, dim=0),
    "categorical": lambda x: gt.categorical(x, (3, 2)),
    "top_k": lambda x: tuple(gt.gumbel_top_k(x, 3, dim=0)),
    "multinomial": lambda x: gt.multinomial(x.exp(), 2),
    "noise": lambda x: (gt.gumbel_like(x), gt.exponential((2, 3), dtype=torch.float64)),
}


@pytest.mark.parametrize("name", CALLS)
def test_compiled_draws_are_the_eager_ones(name: str) -> None:
    call = CALLS[name]
    twice = torch.compile(lambda x: (call(x), call(x)), fullgraph=True, backend="aot_eager")
    torch.manual_seed(3)
    wanted = call(X), call(X)
    state = torch.get_rng_state()
    found = seeded(twice, X)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)
    for pair in zip(*(part if isinstance(part, tuple) else (part,) for part in found), strict=True):
        assert not torch.equal(*pair)


@pytest.mark.parametrize("hard", [False, True])
def test_inductor_keeps_two_calls_apart_with_right_gradients(hard: bool) -> None:
    w = torch.randn(4, 10, generator=torch.Generator().manual_seed(1))

    def loss(x: Tensor) -> Tensor:
        y, z = gt.gumbel_softmax(x, 0.7, hard), gt.gumbel_softmax(x, 0.7, hard)
        return (y * w).sum() + (z * w * w).sum()

    found = []
    for f in (loss, torch.compile(loss, fullgraph=True)):
        x = X.clone().requires_grad_()
        value = seeded(f, x)
        value.backward()
        assert x.grad is not None
        found.append((value.detach(), x.grad))
    torch.testing.assert_close(*found)
    assert found[0][1].abs().max() > 0


def test_generators_are_for_eager_code() -> None:
    g = torch.Generator().manual_seed(3)

    def f(x: Tensor) -> Tensor:
        return gt.gumbel_softmax(x, generator=g) + 0

    with pytest.raises(NotImplementedError, match="generator= cannot be traced"):
        torch.func.grad(lambda x: gt.gumbel_softmax(x, generator=g).sum())(X)
    with pytest.raises(RuntimeError, match="generator= cannot be traced"):
        torch.compile(f, fullgraph=True, backend="aot_eager")(X)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_draw_the_same_again(reentrant: bool) -> None:
    x = X.clone().requires_grad_()
    y = seeded(lambda x: checkpoint(lambda x: gt.gumbel_softmax(x, 0.5).square(), x, use_reentrant=reentrant), x)
    torch.rand(3)
    (g,) = torch.autograd.grad(y.sum(), x) if not reentrant else (y.sum().backward(), x.grad)[1:]
    (wanted,) = torch.autograd.grad(seeded(lambda x: gt.gumbel_softmax(x, 0.5).square(), x).sum(), x)
    torch.testing.assert_close(g, wanted)


@pytest.mark.parametrize("hard", [False, True])
def test_transforms_agree_with_autograd(hard: bool) -> None:
    x = X.double().requires_grad_()

    def f(x: Tensor) -> Tensor:
        return (seeded(gt.gumbel_softmax, x, 0.7, hard) * x.detach().cos()).sum()

    (wanted,) = torch.autograd.grad(f(x), x)
    torch.testing.assert_close(torch.func.grad(f)(x.detach()), wanted)
    direction = torch.ones_like(x).cumsum(-1)
    _, tangent = torch.func.jvp(f, (x.detach(),), (direction,))
    torch.testing.assert_close(tangent, (wanted * direction).sum())
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x.detach(), direction)
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(f(dual)).tangent, tangent)
        assert gt.categorical(dual).shape == (4,)
    hessian = torch.func.jacfwd(torch.func.grad(f), randomness="same")(x.detach()[:1])
    assert hessian.isfinite().all()
    assert (hessian.abs().max() > 0).item()


def test_values_and_gradient_of_top_k_under_transforms() -> None:
    w = torch.tensor([3.0, 2.0])
    f = lambda x: (seeded(gt.gumbel_top_k, x, 2).values * w).sum()  # noqa: E731
    index = seeded(gt.gumbel_top_k, X, 2).indices
    assert torch.equal(torch.func.grad(f)(X), torch.zeros_like(X).scatter(-1, index, w.expand(4, 2)))


@pytest.mark.parametrize("name", CALLS)
def test_vmap_randomness(name: str) -> None:
    batch = X[:1].expand(6, 4, 10)
    mapped = {r: torch.vmap(CALLS[name], randomness=r) for r in ("same", "different", "error")}
    first = [seeded(mapped[r], batch) for r in ("same", "different")]
    same, different = (part[0] if isinstance(part, tuple) else part for part in first)
    assert all(torch.equal(same[0], row) for row in same)
    assert not any(torch.equal(different[0], row) for row in different[1:])
    alone = seeded(CALLS[name], batch[0])
    torch.testing.assert_close(same[0], alone[0] if isinstance(alone, tuple) else alone)
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="randomness"):
        mapped["error"](batch)
    assert torch.equal(torch.get_rng_state(), state)


def test_vmap_over_something_else_draws_apart() -> None:
    x, scales = torch.zeros(50), torch.ones(6)
    draw = lambda s: gt.categorical(x, 5) * s  # noqa: E731
    found = torch.vmap(draw, randomness="different")(scales)
    assert not torch.equal(found[0], found[1])
    same = torch.vmap(draw, randomness="same")(scales)
    assert torch.equal(same[0], same[1])
    nested = torch.vmap(torch.vmap(draw, randomness="same"), randomness="different")(scales.reshape(2, 3))
    assert torch.equal(nested[0, 0], nested[0, 1])
    assert not torch.equal(nested[0], nested[1])


def test_vmap_of_a_gradient() -> None:
    f = lambda x: seeded(gt.gumbel_softmax, x, 0.7).square().sum()  # noqa: E731
    per_example = torch.vmap(torch.func.grad(f), randomness="same")(X)
    torch.testing.assert_close(per_example, torch.stack([torch.func.grad(f)(row) for row in X]))


@pytest.mark.parametrize(
    ("op", "args"),
    [
        (OPS.gumbel_softmax, (X.clone().requires_grad_(), TAU, -1, EMPTY)),
        (OPS.gumbel_softmax_hard, (X.clone().requires_grad_(), TAU, -2, EMPTY)),
        (OPS.gumbel_softmax, (X.bfloat16().T, TAU, -1, EMPTY)),
        (OPS.gumbel_softmax, (X.clone().requires_grad_(), 1 + TAU.expand(len(X), 1), -1, EMPTY)),
        (OPS.checked_noise, (X.half(), TAU, -2, EMPTY)),
        (OPS.categorical, (X, [2, 3], -2, "gumbel", [], EMPTY)),
        (OPS.categorical, (X, [2], -1, "alias", [1], EMPTY)),
        (OPS.gumbel_top_k, (X.half(), 3, -2, [], EMPTY)),
        (OPS.multinomial, (X.exp(), 2, True, [], EMPTY)),
        (OPS.noise, ("gumbel", [3, 4], torch.float16, EMPTY)),
        (OPS.noise_like, ("exponential", X, torch.bfloat16, EMPTY)),
    ],
)
def test_opcheck(op: Any, args: Any) -> None:
    # Draws differ from run to run, so what compares two runs would fail of itself.
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(op.default, args, test_utils=checks)
    assert torch.Tag.nondeterministic_seeded in op.default.tags


def test_bad_rows_are_named_in_compiled_code() -> None:
    x = X.clone()
    x[2] = -torch.inf
    state = torch.get_rng_state()
    for call in ("soft", "categorical"):
        with pytest.raises(ValueError, match="row 2 has no finite logit"):
            torch.compile(CALLS[call], fullgraph=True, backend="aot_eager")(x)
    assert torch.equal(torch.get_rng_state(), state)
    assert _ops.token(None).numel() == 0


def test_tensors_that_functionalization_has_wrapped() -> None:
    for call in (gt.softmax, gt.log_softmax, gt.gumbel_softmax, gt.categorical, gt.gumbel_like):
        found = seeded(call, torch._to_functional_tensor(X))
        found = torch._from_functional_tensor(found) if torch._is_functional_tensor(found) else found
        torch.testing.assert_close(found, seeded(call, X))
