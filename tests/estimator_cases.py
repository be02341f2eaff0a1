"""Problems whose gradients the estimators' tests look for: a quadratic of one row, and one of several variables."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gumbelfast import estimators

CURVATURE = np.array([[1.0, 0.3, 0.0], [0.3, 2.0, -0.4], [0.0, -0.4, 0.7]])
SLOPE = np.array([1.0, -2.0, 0.5])
LOGITS = np.array([0.3, -1.0, 0.8])
BITS = np.array([0.2, -0.7])


def quadratic(z: Any) -> Any:
    return np.einsum("...i,ij,...j->...", z, CURVATURE, z) + z @ SLOPE


def quadratic_slope(z: Any) -> Any:
    return 2 * z @ CURVATURE + SLOPE


def bits(z: Any) -> Any:
    """Two Bernoulli variables that matter to each other."""
    return ((z - 0.499) ** 2).sum(axis=-1) + z[..., 0] * z[..., 1]


def bits_slope(z: Any) -> Any:
    return 2 * (z - 0.499) + z[..., ::-1]


def soft_control(z: Any) -> Any:
    """A control variate that is nobody's best, of perturbed logits or log-odds."""
    return np.tanh(z).sum(axis=-1)


def soft_control_slope(z: Any) -> Any:
    return 1 / np.cosh(z) ** 2


SLOPED = (
    "muprop", "rebar", "straight_through", "reparameterized", "straight_through_gumbel_softmax", "gumbel_rao",
    "decoupled_straight_through_gumbel_softmax", "reinmax", "gapped_straight_through",
)  # fmt: skip
SETS = ("unordered_set", "importance_weighted")
ANTITHETIC = ("arm", "disarm")


class Case(NamedTuple):
    """A call of an estimator that NumPy and the doors have under one name."""

    name: str
    family: str
    options: dict[str, Any]

    def __str__(self) -> str:
        return "-".join([self.name, self.family, *map(str, self.options.values())])

    @property
    def logits(self) -> Any:
        """Rows of logits, or of log-odds; rows are problems of their own."""
        x = BITS if self.family == "bernoulli" else LOGITS
        return x + np.random.default_rng(0).normal(size=(4, x.size))

    @property
    def keywords(self) -> dict[str, Any]:
        own = self.name in (*SETS, *ANTITHETIC)
        return self.options | ({} if own else {"family": self.family})

    def numpy(self, x: Any, rng: Any, f: Callable[..., Any], slope: Callable[..., Any]) -> estimators.Estimate:
        more: tuple[Any, ...] = (slope,) if self.name in SLOPED else ()
        if self.name == "relax":
            more = (soft_control, soft_control_slope)
        found: estimators.Estimate = getattr(estimators, self.name)(x, f, *more, rng=rng, **self.keywords)
        return found


def _cases() -> list[Case]:
    options: list[tuple[str, dict[str, Any]]] = [
        *(("score_function", {"num_samples": 7, "baseline": b}) for b in (None, 0.7, "self_critical")),
        *(("score_function", {"num_samples": 7, "baseline": b}) for b in ("leave_one_out", "optimal")),
        ("muprop", {"num_samples": 7}),
        ("rebar", {"num_samples": 7, "tau": 0.4, "eta": 0.7}),
        ("relax", {"num_samples": 7}),
        ("straight_through", {"num_samples": 7}),
        ("straight_through", {"num_samples": 7, "surrogate": "identity"}),
        ("reparameterized", {"num_samples": 7, "tau": 0.4}),
        ("straight_through_gumbel_softmax", {"num_samples": 7, "tau": 0.4}),
        ("gumbel_rao", {"num_samples": 7, "tau": 0.4, "num_conditional": 3}),
        ("decoupled_straight_through_gumbel_softmax", {"num_samples": 7, "tau_forward": 0.6, "tau_backward": 0.4}),
        ("reinmax", {"num_samples": 7}),
        ("reinmax", {"num_samples": 7, "tau": 1.5}),
        ("gapped_straight_through", {"num_samples": 7, "tau": 0.5, "gap": 0.8}),
        ("vimco", {"num_samples": 7}),
    ]
    found = [Case(name, family, given) for family in ("categorical", "bernoulli") for name, given in options]
    found += [Case(name, "bernoulli", {"num_samples": 8}) for name in ANTITHETIC]
    for k in (1, 2, 3):
        baselines = {1: (None,)}.get(k, (None, "leave_one_out"))
        found += [Case(name, "categorical", {"k": k, "baseline": b}) for name in SETS for b in baselines]
    return [*found, Case("importance_weighted", "categorical", {"k": 2, "baseline": "normalized"})]


CASES = _cases()

# Of one category, or two bits, and without bias, with the fewest samples.
UNBIASED = [
    case
    for family in ("categorical", "bernoulli")
    for case in (
        Case("score_function", family, {}),
        Case("score_function", family, {"num_samples": 2, "baseline": "leave_one_out"}),
        Case("score_function", family, {"num_samples": 2, "baseline": "optimal"}),
        Case("score_function", family, {"baseline": "self_critical"}),
        Case("muprop", family, {}),
        Case("rebar", family, {"tau": 0.5}),
        Case("relax", family, {}),
    )
]
UNBIASED += [Case(name, "bernoulli", {}) for name in ANTITHETIC]
UNBIASED += [Case(name, "categorical", {"k": k, "baseline": "leave_one_out"}) for name in SETS for k in (2, 3)]
