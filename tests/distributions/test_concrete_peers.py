"""The relaxed distributions beside those of PyTorch, and what they refuse."""

from typing import Any

import numpy as np
import pytest
from helpers import assert_refused, normal

import gumbelfast as gf
from gumbelfast.distributions import BinaryConcrete, Concrete, ExpConcrete

INF, NAN = np.inf, np.nan
ZEROS = np.zeros((2, 3))


@pytest.mark.parametrize("tau", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("k", [2, 5, 40])
def test_densities_of_torch(tau: float, k: int) -> None:
    torch = pytest.importorskip("torch")
    relaxed = torch.distributions.relaxed_categorical
    x, log_y = normal("float64", (30, k)), gf.log_softmax(normal("float64", (30, k), 1))
    logits, given = torch.tensor(x), {"temperature": torch.tensor(tau, dtype=torch.float64), "validate_args": False}
    theirs = relaxed.ExpRelaxedCategorical(logits=logits, **given).log_prob(torch.tensor(log_y))
    np.testing.assert_allclose(ExpConcrete(x, tau).log_prob(log_y), theirs.numpy(), rtol=1e-10, atol=1e-10)
    theirs = relaxed.RelaxedOneHotCategorical(logits=logits, **given).log_prob(torch.tensor(np.exp(log_y)))
    np.testing.assert_allclose(Concrete(x, tau).log_prob(np.exp(log_y)), theirs.numpy(), rtol=1e-10, atol=1e-9)
    y = 1 / (1 + np.exp(-normal("float64", (30, k), 2)))
    theirs = torch.distributions.RelaxedBernoulli(logits=logits, **given).log_prob(torch.tensor(y))
    np.testing.assert_allclose(BinaryConcrete(x, tau).log_prob(y), theirs.numpy(), rtol=1e-10, atol=1e-10)


BAD: list[tuple[Any, type[Exception], str]] = [
    (lambda: Concrete([0.0, -INF], 1.0), ValueError, "logits must be finite, got -inf at index (1,)"),
    (lambda: ExpConcrete([[0.0], [NAN]], 1.0, axis=0), ValueError, "logits must be finite, got nan at index (1, 0)"),
    (lambda: BinaryConcrete([0.0, INF], 1.0), ValueError, "logits must be finite, got inf at index (1,)"),
    (lambda: BinaryConcrete(NAN, 1.0), ValueError, "logits must be finite, got nan"),
    (lambda: Concrete([0, 1], 1.0), TypeError, "expected float16, bfloat16, float32 or float64, got int64"),
    (lambda: BinaryConcrete(1, 1.0), TypeError, "expected float16, bfloat16, float32 or float64, got int64"),
    (lambda: Concrete(np.zeros((2, 0)), 1.0), ValueError, "axis -1 has size 0"),
    (lambda: Concrete(ZEROS, 0.0), ValueError, "tau must be finite and > 0, got 0.0"),
    (lambda: ExpConcrete(ZEROS, -0.5), ValueError, "tau must be finite and > 0, got -0.5"),
    (lambda: BinaryConcrete(0.0, NAN), ValueError, "tau must be finite and > 0, got nan"),
    (
        lambda: BinaryConcrete(np.float32(0), 1e-40),
        ValueError,
        "tau must be finite and > 0, got 1e-40, whose reciprocal overflows float32",
    ),
    (
        lambda: Concrete(ZEROS, 1.0).log_prob([[0.5, 0.5, 0.0]]),
        ValueError,
        "y must lie in (0, 1), got 0.0 at index (0, 2); "
        "ExpConcrete takes the logarithms of points that round to the boundary",
    ),
    (
        lambda: Concrete(ZEROS, 1.0).log_prob([0.75, 0.5, -0.25]),
        ValueError,
        "y must lie in (0, 1), got -0.25 at index (2,); "
        "ExpConcrete takes the logarithms of points that round to the boundary",
    ),
    (
        lambda: Concrete(ZEROS, 1.0).log_prob([[0.25, 0.25, 0.5], [0.25, 0.25, 0.25]]),
        ValueError,
        "y must sum to 1, got 0.75 in row 1",
    ),
    (
        lambda: Concrete(ZEROS.T, 1.0, axis=0).log_prob([[0.25, 0.5], [0.25, 0.5], [0.5, 0.5]]),
        ValueError,
        "y must sum to 1, got 1.5 in row 1",
    ),
    (
        lambda: Concrete(ZEROS, 1.0).log_prob([0.5, 0.5]),
        ValueError,
        "y of shape (2,) does not have 3 categories on axis -1",
    ),
    (
        lambda: ExpConcrete(ZEROS, 1.0).log_prob([0.0, -INF, -INF]),
        ValueError,
        "y must be logarithms, finite and <= 0, got -inf at index (1,)",
    ),
    (
        lambda: ExpConcrete(ZEROS, 1.0).log_prob([[-1.0, -1.0, 0.5]]),
        ValueError,
        "y must be logarithms, finite and <= 0, got 0.5 at index (0, 2)",
    ),
    (
        lambda: ExpConcrete(ZEROS, 1.0).log_prob([0.0, -800.0, 0.0]),
        ValueError,
        "exp(y) must sum to 1, got 2.0 in row 0",
    ),
    (lambda: ExpConcrete(ZEROS, 1.0).log_prob("abc"), TypeError, "y must be real numbers, got <U3"),
    (
        lambda: BinaryConcrete(0.0, 1.0).log_prob([0.5, 1.0]),
        ValueError,
        "y must lie in (0, 1), got 1.0 at index (1,); log_prob_logits takes the logits of numbers that round to 0 or 1",
    ),
    (
        lambda: BinaryConcrete(0.0, 1.0).cdf(NAN),
        ValueError,
        "y must lie in (0, 1), got nan; log_prob_logits takes the logits of numbers that round to 0 or 1",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), BAD)
def test_bad_input(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text


def test_bad_places_move_nothing() -> None:
    place = f"offset must keep all elements in [0, 2**62), got {2**62}"
    for law in (Concrete(ZEROS, 1.0), ExpConcrete(ZEROS, 1.0), BinaryConcrete(ZEROS, 1.0)):
        assert_refused(lambda rng, s=law.sample: s(-1, rng), ValueError, "size must be >= 0, got -1")
        assert_refused(lambda rng, s=law.sample: s(1, 3 if rng is None else rng, offset=2**62), ValueError, place)


def test_rounded_points_are_accepted() -> None:
    # Sums of rounded entries are not exactly 1; those of float16 are far from it.
    law = Concrete(normal("float64", 50), 1.0)
    y = law.sample(1000, rng=0)
    exact = law.log_prob(y)
    for dtype in (np.float32, np.float16):
        rounded = np.maximum(y.astype(dtype), np.finfo(dtype).smallest_subnormal)
        np.testing.assert_allclose(law.log_prob(rounded), exact, rtol=0.5)
