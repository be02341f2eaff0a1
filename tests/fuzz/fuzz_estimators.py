"""Calls of estimators, which ask functions of the user's that may fail at any time."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from fuzz_arrays import FEW, ODD, ODD_SIZES, Source, floats
from fuzz_functions import Asked, Call, OwnError, replaced, setting
from helpers import Array

from gumbelfast import estimators

RELAXED = (
    "rebar", "reparameterized", "straight_through_gumbel_softmax", "gumbel_rao", "reinmax", "gapped_straight_through",
)  # fmt: skip
DECOUPLED = "decoupled_straight_through_gumbel_softmax"
NEEDS_SLOPE = ("muprop", "straight_through", DECOUPLED, *RELAXED)


def without_replacement(s: Source) -> Call:
    dims = s.choice([(1,), (3,), (2, 4), (0, 2), (8,), ()])
    log_p = -np.abs(s.generator().normal(size=dims)) - 1.5
    if s.one_in(3):
        log_p = np.where(s.generator().random(dims) < 0.5, -np.inf, log_p)
    log_p = s.mostly([log_p], [*ODD, floats(s, dims)])
    g = s.mostly([np.zeros(dims)], [*ODD, floats(s, dims)])
    kappa = s.mostly([np.full(dims[:-1], s.choice([-1.0, -np.inf, 0.0]))])
    args = log_p, g, kappa, floats(s, dims)
    if s.one_in(2):
        return Call(
            estimators.without_replacement, args, {"normalized": s.one_in(2)}, lambda found, *_, **__: None, draws=False
        )
    given = {"method": s.mostly(["unordered_set", "importance"])}
    given |= {"baseline": s.mostly([None, "leave_one_out", "normalized"])}

    def check(found: Any, log_p: Any, *_: Any, **__: Any) -> None:
        assert found.shape == np.shape(log_p)
        assert (found[np.isneginf(log_p)] == 0).all()

    return Call(estimators.score_weights, args, given, check, draws=False)


def _estimator(name: str, s: Source) -> Call:
    dims = s.choice([(2,), (3,), (2, 3), (2, 1), (1, 2, 2), (0, 2), (), (4,)])
    sets = name in ("unordered_set", "importance_weighted")
    pairs = name in ("arm", "disarm")
    binary = pairs or (not sets and s.one_in(3))
    w = np.cos(np.arange(np.prod(dims, dtype=int))).reshape(dims)
    lead = len(dims) - 1 if sets else s.below(max(len(dims), 1))

    def value(z: Array) -> Array:
        return (w * z).sum(axis=tuple(range(1 + lead, z.ndim)))

    def slope(z: Array) -> Array:
        return np.broadcast_to(w, z.shape)

    def ask(chosen: str, z: Array) -> Array:
        return {"value": value, "slope": slope}[chosen](z)

    faults = [lambda y: y[:1], lambda y: y * 1j, lambda y: y.astype("O"), lambda y: y * np.nan, lambda y: y[..., None]]
    asked = Asked(ask, s.below(8), replaced(s, *faults))
    functions = [partial(asked, "value")]
    if name in NEEDS_SLOPE:
        functions.append(partial(asked, "slope"))
    if name == "relax":
        functions += [partial(asked, "value"), partial(asked, "slope")]
    given: dict[str, Any] = {}
    if sets:
        functions.append(s.mostly([1, 2, 3, 2], ODD_SIZES))
        given["baseline"] = s.mostly([None, "leave_one_out"])
    elif pairs:
        given["num_samples"] = s.mostly([2, 4], ODD_SIZES)
    else:
        given["family"] = s.mostly(["bernoulli" if binary else "categorical"])
        if name != "exact":
            given["num_samples"] = s.mostly([1, 2, 3], ODD_SIZES)
        if name in RELAXED and s.one_in(2):
            given["tau"] = setting(s)
        if name == DECOUPLED and s.one_in(2):
            given |= {"tau_forward": setting(s), "tau_backward": setting(s)}
        if name == "gapped_straight_through":
            given["gap"] = s.mostly([1.0, 0.0, 2], [-1.0])
        if name == "gumbel_rao":
            given["num_conditional"] = s.mostly([1, 3], FEW)
        if name == "rebar":
            given["eta"] = s.mostly([1.0, 0.0, -2])
        if name == "score_function":
            given["baseline"] = s.mostly(
                [None, "leave_one_out", "optimal", "self_critical", 0.5, estimators.RunningMean()]
            )
        if name == "straight_through":
            given["surrogate"] = s.mostly([None, "identity", "sigmoid" if binary else "softmax"])

    def function(x: Any, **given: Any) -> Any:
        mean = given.get("baseline")
        if isinstance(mean, estimators.RunningMean):
            given["baseline"] = mean = copy.copy(mean)
        try:
            return getattr(estimators, name)(x, *functions, **given)
        except (OwnError, TypeError, ValueError):
            assert not isinstance(mean, estimators.RunningMean) or mean.value == 0, "an error, and yet the mean moved"
            raise

    def check(found: Any, x: Any, **_: Any) -> None:
        shape = np.shape(x)
        if name == "exact":
            assert found.grad.shape == shape
            return
        assert found.samples.shape == found.grads.shape == (len(found.samples), *shape)
        assert found.grad.dtype == (np.float64 if np.asarray(x).dtype == np.float64 else np.float32)
        assert np.shape(found.values) == found.samples.shape[: np.ndim(found.values)]
        impossible = np.broadcast_to(np.isneginf(np.asarray(x, np.float64)), found.samples.shape)
        assert (found.samples[impossible] == 0).all()
        if not binary and name != "reparameterized":
            assert ((found.samples == 0) | (found.samples == 1)).all()
            assert (found.samples.sum(-1) == 1).all()

    return Call(function, (floats(s, dims),), given, check, draws=name != "exact", asked=asked)


ESTIMATORS: list[Callable[[Source], Call]] = [
    *(partial(_estimator, name) for name in (*NEEDS_SLOPE, "exact", "relax", "score_function")),
    *(partial(_estimator, name) for name in ("importance_weighted", "unordered_set", "arm", "disarm", "vimco")),
    without_replacement,
]
