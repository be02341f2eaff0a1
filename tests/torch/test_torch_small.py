"""Small calls of `gumbelfast.torch`: arrays over tensors' memory, and keys that are drawn where nothing can fail."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from helpers import assert_same_bytes
from torch import Tensor
from torch_checks import normal

import gumbelfast as gf
import gumbelfast.torch as gt
from gumbelfast import _core
from gumbelfast._engine.backend import active
from gumbelfast.torch import _draws, _tensors

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
CALLS: dict[str, Callable[[Tensor], Any]] = {
    "categorical": gt.categorical,
    "two draws": lambda x: gt.categorical(x, (2,)),
    "first dimension": lambda x: gt.categorical(x, dim=0),
    "gumbel_top_k": lambda x: gt.gumbel_top_k(x, 2).indices,
    "gumbel_softmax": lambda x: gt.gumbel_softmax(x, 0.7),
    "hard": lambda x: gt.gumbel_softmax(x, 0.7, True),
    "multinomial": lambda x: gt.multinomial((x - x.amax(-1, keepdim=True)).exp(), 1),
    "several": lambda x: gt.multinomial((x - x.amax(-1, keepdim=True)).clamp(min=-3).exp(), 2),
}


@pytest.fixture
def long_way(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A function after which nothing is done in one step."""

    def forbid() -> None:
        monkeypatch.setattr(_draws, "choose_keyed", lambda *_: None)
        monkeypatch.setattr(_draws, "relax_keyed", lambda *_: None)
        monkeypatch.setattr(_draws, "lies_within", lambda *_: False)
        monkeypatch.setattr(_tensors, "_SEEN", {})

    return forbid


def logits_of(dtype: torch.dtype) -> list[Tensor]:
    x = normal((6, 10)).to(dtype)
    with_holes, large = x.clone(), x.double().clone()
    with_holes[torch.arange(60).reshape(6, 10) % 7 == 3] = -torch.inf
    large[:, 1] = 3e4 if dtype is torch.float16 else 1e35
    wide = normal((6, 2000)).to(dtype)
    leaves = torch.nn.Parameter(x), x.clone().requires_grad_()
    return [x, x[::2], x[:, ::2], x.T, x[2:3], x[:, :3], with_holes, large.to(dtype), wide, *leaves]


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CALLS)
def test_both_ways_draw_the_same(name: str, dtype: torch.dtype, long_way: Callable[[], None]) -> None:
    def draw_all() -> list[Any]:
        found = []
        for i, x in enumerate(logits_of(dtype)):
            torch.manual_seed(i)
            y = CALLS[name](x).detach()
            found.append(
                (
                    y.dtype,
                    y.shape,
                    y.stride(),
                    y.contiguous().view(torch.uint8).tolist(),
                    torch.get_rng_state().tolist(),
                )
            )
        return found

    once = draw_all()
    long_way()
    assert draw_all() == once


@pytest.mark.parametrize("name", [name for name in CALLS if name != "first dimension"])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, "row"])
def test_refused_logits_leave_the_generator(name: str, bad: Any) -> None:
    x = normal((6, 10), torch.float32)
    if bad == "row":
        x[4] = -torch.inf
    else:
        x[4, 7] = bad
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with pytest.raises((ValueError, RuntimeError), match=r"row 4|\(4, [07]\)"):
        CALLS[name](x)
    assert torch.equal(torch.get_rng_state(), before)


def test_interrupted_draws_leave_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernels:
        def gumbel_max(self, *_: Any) -> int:
            raise KeyboardInterrupt

    for module in ("torch._draws", "_engine.draws"):
        monkeypatch.setattr(f"gumbelfast.{module}.active", Kernels)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        gt.categorical(normal((6, 10), torch.float32), (2,))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_key_is_the_next_word_of_the_generator() -> None:
    x = normal((6, 10), torch.float32)
    for name, same in (
        ("categorical", lambda rng: gf.categorical(x.numpy(), rng=rng)),
        ("gumbel_softmax", lambda rng: gf.gumbel_softmax(x.numpy(), 0.7, rng=rng)),
        ("hard", lambda rng: gf.gumbel_softmax(x.numpy(), 0.7, True, rng=rng)),
    ):
        torch.manual_seed(5)
        key = torch.empty((), dtype=torch.int64).random_(-(2**63), None)
        after = torch.get_rng_state()
        torch.manual_seed(5)
        assert_same_bytes(CALLS[name](x).numpy(), same(gf.Generator(key.item() % 2**64)))
        assert torch.equal(torch.get_rng_state(), after)


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_over_tensors(dtype: torch.dtype) -> None:
    x = normal((3, 4)).to(dtype)
    for tensor in (x, x[1:], x[1], x[1, 2], x.clone().requires_grad_(), x[:, 1:], x[:0]):
        seen = _tensors.array(tensor)
        assert seen.shape == tuple(tensor.shape)
        values = seen.view(ml_dtypes.bfloat16) if dtype is torch.bfloat16 else seen
        assert values.astype(np.float64).tolist() == tensor.tolist()
    array = _tensors.array(x)
    x[0, 0] = 5
    wanted = x.double().tolist()
    del x, tensor, seen, values
    kept = array.view(ml_dtypes.bfloat16) if dtype is torch.bfloat16 else array
    assert kept.astype(np.float64).tolist() == wanted
    assert array.flags.carray


def test_memory_that_is_not_the_value() -> None:
    negated = torch.complex(torch.zeros(1), torch.full((1,), 3.0)).conj().imag
    assert negated.is_contiguous()
    assert _tensors.array(negated).tolist() == [-3.0]
    assert _tensors.array(torch._efficientzerotensor((2,))).tolist() == [0.0, 0.0]


def test_tensors_that_outlive_their_transform() -> None:
    kept: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        kept.append(x * 2)
        return kept[-1].sum()

    x = normal((3, 4), torch.float32)
    torch.func.grad(keep)(x)
    torch.func.vmap(keep)(x)
    differentiated, mapped = kept
    for hard in (False, True):
        torch.manual_seed(1)
        found = gt.gumbel_softmax(differentiated, 0.7, hard)
        torch.manual_seed(1)
        assert torch.equal(found, gt.gumbel_softmax(x * 2, 0.7, hard))
    torch.manual_seed(1)
    index = gt.categorical(differentiated)
    torch.manual_seed(1)
    assert torch.equal(index, gt.categorical(x * 2))
    before = torch.get_rng_state()
    for call in (gt.categorical, gt.gumbel_softmax):
        with pytest.raises(RuntimeError, match="escaped from inside a function being vmapped"):
            call(mapped)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_generator_by_name_draws_the_same() -> None:
    x, own = normal((6, 10), torch.float32), torch.Generator()
    for call in (gt.categorical, gt.gumbel_softmax, lambda x, **by: gt.multinomial(x.exp(), 1, **by)):
        torch.manual_seed(2)
        own.manual_seed(2)
        assert torch.equal(call(x), call(x, generator=own))
        assert torch.equal(torch.get_rng_state(), own.get_state())


@pytest.mark.parametrize(
    "args", [(), (1, 2, 3), (None, 64, [2], np.dtype("f4")), (None, 64, (2,), "f4"), (None, "64", (2,), np.dtype("f4"))]
)
def test_memory_is_described_in_full(args: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        _core.view_memory(*args)


def test_memory_has_a_place_and_a_shape() -> None:
    for address, shape, text in (
        (0, (2,), "no such memory"),
        (64, (2, -1), "not negative"),
        (64, (1,) * 65, "no such"),
    ):
        with pytest.raises(ValueError, match=text):
            _core.view_memory(None, address, shape, np.dtype("f4"))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_what_lies_within(dtype: str) -> None:
    x = np.array([[-1.0, 0.5], [2.0, 1.0]], dtype)
    for low, high, wanted in ((-1.0, 2.0, True), (-0.9, 2.0, False), (-1.0, 1.9, False)):
        assert _core.lies_within(x, low, high) is wanted
    for other in (x * np.nan, x[:, ::-1], x.astype("f2"), np.zeros(4097, dtype), x[:0]):
        assert not _core.lies_within(other, -9.0, 9.0)
    with pytest.raises(TypeError):
        _core.lies_within(x, 1, 2.0)


def test_what_may_be_refused_draws_no_key() -> None:
    word, drawn, kernels = np.zeros(1, np.uint64), [], active()
    good = np.array([[0.0, -np.inf, 1.0]], np.float32)
    bad = (
        np.full((2, 3), -np.inf), good[:, 1:2], np.array([1e31]), np.array([[0.0], [-1e31]]), good[:, ::2].T[::-1].T,
        good.astype("f2"), good.tolist(), np.zeros((0, 3)), np.zeros(4097),
    )  # fmt: skip
    for x in bad:
        assert _core.choose_keyed(kernels, x, False, lambda: drawn.append(1), word) is None
        assert _core.relax_keyed(kernels, x, 1.0, False, lambda: drawn.append(1), word) is None
    assert _core.relax_keyed(kernels, good, np.ones(1), False, lambda: drawn.append(1), word) is None
    for other in (gf.reference.kernels, None, object()):
        assert _core.choose_keyed(other, good, False, lambda: drawn.append(1), word) is None
    assert not drawn
    for keepdims, shape in ((False, (1,)), (True, (1, 1))):
        index = _core.choose_keyed(kernels, good, keepdims, lambda: drawn.append(1), word)
        assert index is not None
        assert index.shape == shape
    assert len(drawn) == 2
    with pytest.raises(ZeroDivisionError):
        _core.choose_keyed(kernels, good, False, lambda: 1 // 0, word)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="one uint64"):
        _core.relax_keyed(kernels, good, 1.0, False, list, np.zeros(1))
    for call in (_core.choose_keyed, _core.relax_keyed):
        with pytest.raises(TypeError, match="need a backend"):
            call(good)  # type: ignore[operator]
