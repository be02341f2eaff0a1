"""Estimators as losses of torch: NumPy's at equal noise, without bias, and two gradients that do not mix."""

import doctest
import importlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from estimator_cases import (
    BITS,
    CASES,
    CURVATURE,
    LOGITS,
    SLOPE,
    UNBIASED,
    Case,
    bits,
    bits_slope,
    quadratic,
    quadratic_slope,
)
from torch import Tensor

import gumbelfast as gf
from gumbelfast import estimators as plain
from gumbelfast.torch import estimators as est

N = 10**6
CLOSE: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-12}
EACH = pytest.mark.parametrize("case", CASES, ids=str)
# One of each name and family.
ONCE = pytest.mark.parametrize("case", {(c.name, c.family): c for c in CASES}.values(), ids=str)


def curved(z: Tensor) -> Tensor:
    return torch.einsum("...i,ij,...j->...", z, torch.tensor(CURVATURE).to(z), z) + z @ torch.tensor(SLOPE).to(z)


def two_bits(z: Tensor) -> Tensor:
    return ((z - 0.499) ** 2).sum(-1) + z[..., 0] * z[..., 1]


def soft(z: Tensor) -> Tensor:
    return torch.tanh(z).sum(-1)


def f_of(case: Case) -> Any:
    return two_bits if case.family == "bernoulli" else curved


def call(case: Case, x: Tensor, f: Any = None, control: Any = soft, **given: Any) -> Any:
    more = (control,) if case.name == "relax" else ()
    return getattr(est, case.name)(x, f or f_of(case), *more, **case.keywords, **given)


def in_numpy(case: Case, x: Any, rng: Any) -> plain.Estimate:
    functions = (bits, bits_slope) if case.family == "bernoulli" else (quadratic, quadratic_slope)
    return case.numpy(x, rng, *functions)


@EACH
def test_numpy_has_the_same_at_equal_noise(case: Case) -> None:
    x = torch.tensor(case.logits, requires_grad=True)
    found, wanted = call(case, x, generator=gf.default_rng(3)), in_numpy(case, case.logits, gf.default_rng(3))
    found.loss.sum().backward()
    np.testing.assert_allclose(x.grad, wanted.grad, **CLOSE)
    np.testing.assert_allclose(found.samples, wanted.samples, **CLOSE)
    np.testing.assert_allclose(found.values, wanted.values, **CLOSE)
    assert not found.samples.requires_grad
    assert not found.values.requires_grad
    if case.name == "vimco":
        np.testing.assert_allclose(found.loss.detach(), -np.log(np.exp(wanted.values).mean(0)), **CLOSE)
    elif case.name not in ("unordered_set", "importance_weighted"):
        np.testing.assert_allclose(found.loss.detach(), wanted.values.mean(0), **CLOSE)
    if case.name == "relax":
        np.testing.assert_allclose(found.variance_loss.detach(), (wanted.grads**2).sum(-1).mean(0), **CLOSE)


@ONCE
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_dtypes(case: Case, dtype: torch.dtype) -> None:
    x = torch.tensor(case.logits).to(dtype).requires_grad_()
    found = call(case, x, generator=gf.default_rng(3))
    found.loss.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype is dtype
    assert found.samples.dtype is torch.float32
    wide = in_numpy(case, x.detach().float().numpy(), gf.default_rng(3))
    np.testing.assert_allclose(x.grad.float(), wide.grad, rtol=1e-2 if dtype is torch.bfloat16 else 2e-4, atol=1e-2)


@pytest.mark.parametrize("case", UNBIASED, ids=str)
def test_unbiased(case: Case) -> None:
    """10**6 samples, 5 standard errors: rows are independent estimates."""
    one = torch.tensor(BITS if case.family == "bernoulli" else LOGITS, requires_grad=True)
    est.exact(one, f_of(case), family=case.family).backward()
    samples = case.options.get("num_samples", case.options.get("k", 2 if case.name in ("arm", "disarm") else 1))
    x = one.detach().expand(N // samples, -1).clone().requires_grad_()
    call(case, x, generator=gf.default_rng(1)).loss.sum().backward()
    assert x.grad is not None
    assert one.grad is not None
    error = x.grad.std(0) / len(x) ** 0.5
    assert ((x.grad.mean(0) - one.grad).abs() <= 5 * error + 1e-12).all()


@pytest.mark.parametrize("case", [Case("unordered_set", "categorical", {"k": 2}),
                                  Case("importance_weighted", "categorical", {"k": 2})], ids=str)  # fmt: skip
def test_the_loss_of_samples_without_replacement_is_unbiased(case: Case) -> None:
    x = torch.tensor(LOGITS).expand(N // 2, -1)
    loss = call(case, x, generator=gf.default_rng(1)).loss
    wanted = plain.exact(LOGITS, quadratic).value
    assert (loss.mean() - wanted).abs() < 5 * loss.std() / len(loss) ** 0.5


@ONCE
def test_what_f_depends_on_gets_the_gradient_of_the_value(case: Case) -> None:
    """Central differences in float64, the noise being the same."""
    x = torch.tensor(case.logits, requires_grad=True)

    def loss(w: Tensor) -> Tensor:
        f = f_of(case)
        return call(case, x, lambda z: f(z) * w[0] + (z @ w[1:]) ** 2, generator=gf.default_rng(3)).loss

    w = torch.linspace(0.5, 1.5, 1 + x.shape[-1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (w,))


@pytest.mark.parametrize("family", ["categorical", "bernoulli"])
def test_relaxed_and_exact_ones_are_derivatives_by_the_logits(family: str) -> None:
    case = Case("reparameterized", family, {"tau": 0.7, "num_samples": 3})
    x = torch.tensor(case.logits, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: call(case, x, generator=gf.default_rng(3)).loss, (x,))
    assert torch.autograd.gradcheck(lambda x: est.exact(x, f_of(case), family=family), (x,))
    assert torch.autograd.gradgradcheck(lambda x: est.exact(x, f_of(case), family=family), (x,))


def test_many_distinct_samples_are_those_of_numpy() -> None:
    """Above six the weights are integrals; with all categories the gradient is exact."""
    logits, w = np.random.default_rng(0).normal(size=(3, 9)), np.cos(np.arange(9))
    for k in (7, 9):
        x = torch.tensor(logits, requires_grad=True)
        est.unordered_set(x, lambda z: z @ torch.tensor(w), k, generator=gf.default_rng(3)).loss.sum().backward()
        found = plain.unordered_set(logits, lambda z: z @ w, k, rng=gf.default_rng(3))
        np.testing.assert_allclose(x.grad, found.grad, **CLOSE)
    np.testing.assert_allclose(x.grad, plain.exact(logits, lambda z: z @ w).grad, **CLOSE)


def test_exact_is_that_of_numpy() -> None:
    rows = np.random.default_rng(0).normal(size=(3, 4))
    x = torch.tensor(rows, requires_grad=True)
    found = est.exact(x, lambda z: torch.sin(z[..., 0, 1] + 2 * z[..., 1, 2] * z[..., 2, 3]))
    found.backward()
    wanted = plain.exact(rows, lambda z: np.sin(z[..., 0, 1] + 2 * z[..., 1, 2] * z[..., 2, 3]))
    np.testing.assert_allclose(found.detach(), wanted.value, **CLOSE)
    np.testing.assert_allclose(x.grad, wanted.grad, **CLOSE)


class Control(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1)).double()
        for i, parameter in enumerate(self.parameters()):
            torch.nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(i))

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z).squeeze(-1)


def test_the_variance_loss_trains_the_control_variate_and_nothing_else() -> None:
    control, w = Control(), torch.ones((), dtype=torch.float64, requires_grad=True)
    x = torch.tensor(LOGITS, requires_grad=True)
    found = est.relax(x, lambda z: w * curved(z), control, num_samples=4, generator=gf.default_rng(3))
    others = [x, w]
    assert all(
        g is None for g in torch.autograd.grad(found.variance_loss, others, retain_graph=True, allow_unused=True)
    )
    own = list(control.parameters())
    assert all(g is None for g in torch.autograd.grad(found.loss, own, retain_graph=True, allow_unused=True))

    def moment(*parameters: Tensor) -> Tensor:
        names = [name for name, _ in control.named_parameters()]

        def c(z: Tensor) -> Tensor:
            return torch.func.functional_call(control, dict(zip(names, parameters, strict=True)), (z,))

        return est.relax(x, curved, c, num_samples=4, generator=gf.default_rng(3)).variance_loss

    assert torch.autograd.gradcheck(moment, own)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small steps spend their time waiting for threads on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_a_learnt_control_variate_lowers_the_variance() -> None:
    def measured(control: Any) -> tuple[float, float]:
        x = torch.tensor(LOGITS).expand(N // 10, -1).clone().requires_grad_()
        est.relax(x, curved, control, generator=gf.default_rng(2)).loss.sum().backward()
        assert x.grad is not None
        squares = (x.grad - x.grad.mean(0)).square().sum(-1)
        return float(squares.mean()), float(squares.std() / len(squares) ** 0.5)

    control = Control()
    nothing, before = measured(lambda z: z.new_zeros(z.shape[:-1])), measured(control)
    adam, rng = torch.optim.Adam(control.parameters(), lr=0.02), gf.default_rng(1)
    for _ in range(200):
        adam.zero_grad()
        est.relax(torch.tensor(LOGITS), curved, control, num_samples=64, generator=rng).variance_loss.backward()
        adam.step()
    after = measured(control)
    for other in (nothing, before):
        assert other[0] - after[0] > 5 * np.hypot(other[1], after[1])
    assert after[0] < nothing[0] / 3


@pytest.mark.usefixtures("one_thread")
def test_an_ordinary_training_loop() -> None:
    torch.manual_seed(0)
    encoder, decoder = torch.nn.Linear(2, 4), torch.nn.Linear(4, 2)
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.05)
    data = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(8, 1)
    losses = []
    for _ in range(150):
        found = est.score_function(
            encoder(data), lambda z: (decoder(z) - data).square().sum(-1), num_samples=4, baseline="leave_one_out"
        )
        adam.zero_grad()
        found.loss.mean().backward()
        adam.step()
        losses.append(float(found.loss.detach().mean()))
    assert losses[-1] < 0.05 < 0.5 < losses[0]


def test_a_running_mean_is_that_of_numpy_and_is_saved() -> None:
    ours, theirs = est.RunningMean(0.5), plain.RunningMean(0.5)
    x = torch.tensor(LOGITS, requires_grad=True)
    for seed in range(3):
        x.grad = None
        est.score_function(x, curved, num_samples=4, baseline=ours, generator=gf.default_rng(seed)).loss.backward()
        found = plain.score_function(LOGITS, quadratic, num_samples=4, baseline=theirs, rng=gf.default_rng(seed))
        np.testing.assert_allclose(x.grad, found.grad, **CLOSE)
        assert float(ours.value) == pytest.approx(theirs.value)
    again = est.RunningMean(0.5)
    again.load_state_dict(ours.state_dict())
    assert float(again.value) == float(ours.value)
    ours.update(torch.empty(0))
    assert float(again.value) == float(ours.value)


@ONCE
def test_impossible_categories_get_no_gradient(case: Case) -> None:
    x = torch.tensor([[0.0, -torch.inf, 1.0, 0.3], [2.0, 3.0, -torch.inf, 0.1]], requires_grad=True)
    if case.family == "bernoulli":
        x = torch.tensor([[0.0, -torch.inf], [-torch.inf, 1.0]], requires_grad=True)
    call(case, x, lambda z: (z**2).sum(-1) + z[..., 0]).loss.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert (x.grad[x.isneginf()] == 0).all()


def test_slopes_are_found_where_no_gradient_is_asked_for() -> None:
    with torch.no_grad():
        found = est.rebar(torch.tensor(LOGITS), curved, generator=gf.default_rng(3))
    assert not found.loss.requires_grad
    x = torch.tensor(LOGITS, requires_grad=True)
    est.muprop(x, lambda z: torch.ones(z.shape[:-1], dtype=z.dtype)).loss.backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, 0, atol=1e-15)


X = torch.zeros(3)
REFUSED: list[tuple[Any, type[Exception], str]] = [
    (lambda **k: est.score_function(np.zeros(3), curved, **k), TypeError, "logits must be a torch.Tensor, got ndarray"),
    (lambda **k: est.score_function(torch.zeros(3, dtype=torch.int64), curved, **k), TypeError,
     "expected float16, bfloat16, float32 or float64, got int64"),
    (lambda **k: est.score_function(torch.tensor([0.0, torch.nan]), curved, **k), ValueError,
     "logits contain NaN at index (1,)"),
    (lambda **k: est.rebar(torch.tensor([[0.0, 1], [torch.inf, 0]]), curved, **k), ValueError,
     "logits contain +inf at index (1, 0)"),
    (lambda **k: est.arm(torch.tensor([[0.0, torch.nan]]), curved, **k), ValueError,
     "logits contain NaN at index (0, 1)"),
    (lambda **k: est.gumbel_rao(torch.full((2, 2), -torch.inf), curved, **k), ValueError, "row 0 has no finite logit"),
    (lambda **k: est.score_function(X, curved, num_samples=0, **k), ValueError, "num_samples must be >= 1, got 0"),
    (lambda **k: est.score_function(X, curved, family="gaussian", **k), ValueError,
     "family must be 'categorical' or 'bernoulli', got 'gaussian'"),
    (lambda **k: est.score_function(X, curved, baseline="loo", **k), ValueError,
     "baseline must be None, 'leave_one_out', 'optimal', 'self_critical', a RunningMean or numbers, got 'loo'"),
    (lambda **k: est.score_function(X, curved, baseline="optimal", **k), ValueError,
     "baseline 'optimal' needs num_samples >= 2, got 1"),
    (lambda **k: est.score_function(X, curved, baseline=1j, **k), TypeError, "baseline must be a real number, got 1j"),
    (lambda **k: est.score_function(X, curved, baseline=torch.tensor(1j), **k), TypeError,
     "baseline must be real numbers, got complex64"),
    (lambda **k: est.straight_through(X, curved, surrogate="sigmoid", **k), ValueError,
     "surrogate for categorical must be 'softmax' or 'identity', got 'sigmoid'"),
    (lambda **k: est.reparameterized(X, curved, tau=0, **k), ValueError, "tau must be finite and > 0, got 0"),
    (lambda **k: est.rebar(X, curved, tau=torch.tensor(-1.0), **k), ValueError, "tau must be finite and > 0, got -1.0"),
    (lambda **k: est.gumbel_rao(X, curved, tau=torch.ones(3), **k), ValueError,
     "tau must be one number, got a tensor of shape (3,)"),
    (lambda **k: est.rebar(X, curved, eta=float("nan"), **k), ValueError, "eta must be finite, got nan"),
    (lambda **k: est.gumbel_rao(X, curved, num_conditional=0, **k), ValueError, "num_conditional must be >= 1, got 0"),
    (lambda **k: est.reinmax(X, curved, tau=float("inf"), **k), ValueError, "tau must be finite and > 0, got inf"),
    (lambda **k: est.gapped_straight_through(X, curved, gap=-1, **k), ValueError, "gap must be >= 0, got -1"),
    (lambda **k: est.decoupled_straight_through_gumbel_softmax(X, curved, tau_forward=0.0, **k), ValueError,
     "tau_forward must be finite and > 0, got 0.0"),
    (lambda **k: est.decoupled_straight_through_gumbel_softmax(X, curved, tau_backward=-0.5, **k), ValueError,
     "tau_backward must be finite and > 0, got -0.5"),
    (lambda **k: est.arm(X, curved, num_samples=3, **k), ValueError, "num_samples must be even, got 3"),
    (lambda **k: est.disarm(X, curved, num_samples=1, **k), ValueError, "num_samples must be even, got 1"),
    (lambda **k: est.vimco(X, curved, num_samples=1, **k), ValueError, "num_samples must be >= 2, got 1"),
    (lambda **k: est.unordered_set(X, curved, 1, **k), ValueError,
     "k must be >= 2 with baseline 'leave_one_out', got 1"),
    (lambda **k: est.unordered_set(X, curved, 4, **k), ValueError, "k=4 exceeds the 3 columns"),
    (lambda **k: est.importance_weighted(torch.tensor([[0.0, 1.0], [0.0, -torch.inf]]), curved, 2, **k), ValueError,
     "k=2 exceeds the 1 finite logits of row 1"),
    (lambda **k: est.importance_weighted(X, curved, 2, baseline="optimal", **k), ValueError,
     "baseline must be 'leave_one_out', 'normalized' or None, got 'optimal'"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "text"), REFUSED, ids=[text for _, _, text in REFUSED])
def test_bad_input_moves_no_generator(call: Any, error: type[Exception], text: str) -> None:
    rng = gf.default_rng(0)
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        call(generator=rng)
    assert rng.offset == 0


def test_bad_input_without_generators() -> None:
    with pytest.raises(ValueError, match=r"^3 \*\* 13 configurations are more than 2\*\*20$"):
        est.exact(torch.zeros(13, 3), lambda z: z.sum((-1, -2)))
    with pytest.raises(ValueError, match=r"^decay must lie in \[0, 1\), got 1$"):
        est.RunningMean(1)
    with pytest.raises(TypeError, match=r"^generator must be a torch\.Generator or a gumbelfast\.Generator, got int$"):
        est.rebar(X, curved, generator=3)
    with pytest.raises(np.exceptions.AxisError):
        est.score_function(torch.tensor(1.0), curved)


def test_results_of_functions_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"^f returned shape \(3,\), expected a leading part of \(2,\)$"):
        est.score_function(X, lambda z: z[0], num_samples=2)
    with pytest.raises(ValueError, match=r"^f returned shape \(\), expected a leading part of \(2,\)$"):
        est.rebar(X, lambda z: z.sum(), num_samples=2)
    with pytest.raises(ValueError, match=r"^control returned shape \(2, 3\), expected that of f, \(2,\)$"):
        est.relax(X, curved, torch.tanh, num_samples=2)
    with pytest.raises(ValueError, match=r"^f returned shape \(2, 4\), expected \(2, 4, 5\): one value per row$"):
        est.unordered_set(torch.zeros(4, 5, 3), lambda z: z.sum((-1, -2)), 2)
    with pytest.raises(TypeError, match=r"^f returned ndarray, expected a tensor$"):
        est.score_function(X, lambda z: z.numpy())
    with pytest.raises(TypeError, match=r"^f returned complex64, expected real numbers$"):
        est.score_function(X, lambda z: z[..., 0] * 1j)
    with pytest.raises(TypeError, match=r"^control returned float, expected a tensor$"):
        est.relax(X, curved, lambda z: 0.0)


def test_integers_and_temperatures_in_tensors_are_taken() -> None:
    found = est.score_function(X, lambda z: z.argmax(-1), num_samples=5, generator=gf.default_rng(3))
    assert found.loss == found.samples.argmax(-1).float().mean()
    tau = torch.tensor(0.5)
    first, second = (est.rebar(X, curved, tau=t, generator=gf.default_rng(3)).loss for t in (0.5, tau))
    assert first == second


MODULES = ("score", "pathwise", "control", "distinct", "bits", "multisample", "exact")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_docstrings_run(name: str) -> None:
    module = importlib.import_module(f"gumbelfast.torch.estimators.{name}")
    assert doctest.testmod(module).failed == 0
    public = [getattr(module, thing) for thing in est.__all__ if hasattr(module, thing)]
    assert public
    assert all(thing.__doc__ for thing in public)
