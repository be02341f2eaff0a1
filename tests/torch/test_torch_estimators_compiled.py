"""Estimators under torch.compile and torch.func: what eager code draws and finds under the same seed."""

from typing import Any

import pytest
import torch
from estimator_cases import CASES, Case
from torch import Tensor

import gumbelfast as gf
from gumbelfast.torch import estimators as est

ONCE = pytest.mark.parametrize("case", {(c.name, c.family): c for c in CASES}.values(), ids=str)


@pytest.fixture(autouse=True)
def _each_compiles_anew() -> None:
    torch._dynamo.reset()


def net(width: int) -> torch.nn.Module:
    layers = torch.nn.Sequential(torch.nn.Linear(width, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    for i, parameter in enumerate(layers.parameters()):
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(i))
    return layers


def run(step: Any, case: Case, f: torch.nn.Module) -> list[Tensor]:
    x = torch.tensor(case.logits, dtype=torch.float32, requires_grad=True)
    torch.manual_seed(3)
    found = step(x)
    # relax: the same module is f and the control variate
    loss = found.loss.sum() + (found.variance_loss.sum() if case.name == "relax" else 0)
    grads = torch.autograd.grad(loss, [x, *f.parameters()])
    return [*(part.detach() for part in found), *grads, torch.get_rng_state()]


def step_of(case: Case, f: torch.nn.Module) -> Any:
    def value(z: Tensor) -> Tensor:
        return f(z).squeeze(-1)

    more = (value,) if case.name == "relax" else ()
    return lambda x: getattr(est, case.name)(x, value, *more, **case.keywords)


@ONCE
def test_compiled_ones_are_the_eager_ones(case: Case) -> None:
    f = net(case.logits.shape[-1])
    step = step_of(case, f)
    torch.testing.assert_close(
        run(torch.compile(step, fullgraph=True, backend="aot_eager"), case, f), run(step, case, f)
    )


def test_inductor_compiles_rebar() -> None:
    case = Case("rebar", "categorical", {"tau": 0.5, "num_samples": 2})
    f = net(3)
    step = step_of(case, f)
    torch.testing.assert_close(run(torch.compile(step, fullgraph=True), case, f), run(step, case, f))


def test_a_cooling_temperature_needs_no_new_graph() -> None:
    graphs = []

    def count(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    step = torch.compile(lambda x, tau: est.rebar(x, lambda z: z[..., 0], tau=tau).loss, fullgraph=True, backend=count)
    for tau in (1.0, 0.7, 0.5, 0.3):
        step(torch.zeros(2, 3), torch.tensor(tau))
    assert len(graphs) == 1


def test_a_compiled_running_mean_moves_on() -> None:
    means = [est.RunningMean(), est.RunningMean()]
    x = torch.linspace(-1, 1, 3)

    def step(x: Tensor, mean: est.RunningMean) -> Tensor:
        return est.score_function(x, lambda z: z[..., 0], num_samples=5, baseline=mean).loss

    for call, mean in zip((step, torch.compile(step, fullgraph=True, backend="aot_eager")), means, strict=True):
        torch.manual_seed(0)
        for _ in range(3):
            call(x, mean)
    assert means[0].value > 0
    torch.testing.assert_close(means[0].value, means[1].value)


@ONCE
def test_functional_gradients_are_the_same(case: Case) -> None:
    f = net(case.logits.shape[-1])
    step, x = step_of(case, f), torch.tensor(case.logits, dtype=torch.float32)
    torch.manual_seed(3)
    found = torch.func.grad(lambda x: step(x).loss.sum())(x)
    torch.testing.assert_close(found, run(step, case, f)[4 if case.name == "relax" else 3])


def test_vmap_draws_other_samples_for_each_example() -> None:
    x = torch.zeros(6, 50)
    f = step_of(Case("straight_through", "categorical", {"num_samples": 1}), net(50))
    samples = torch.func.vmap(lambda x: f(x).samples, randomness="different")(x)
    assert len({int(row.argmax()) for row in samples[:, 0]}) > 1
    with pytest.raises(NotImplementedError, match="generator= cannot be traced"):
        torch.func.grad(lambda x: est.muprop(x, lambda z: z[..., 0], generator=gf.default_rng(0)).loss)(x[0])
