"""Estimators of the gradient of an expectation over discrete samples, d E[f(z)] / d logits.

All have the same interface. `logits` has its categories last, or, with ``family="bernoulli"``, one log-odds per
variable. `f` maps samples of shape ``(n, *logits.shape)`` to values of shape ``(n, *lead)``, where `lead` is any
leading part of the shape of the batch: axes that the values keep are independent rows, the others are variables of one
event. `grad_f` maps the same samples to df/dz, of their shape. Samples are one-hot vectors along the categories (0 or 1
for Bernoulli variables), or points of the simplex where an estimator relaxes them. ``docs/estimators.md`` says which
one to take.
"""

from ._problem import Estimate
from .bits import arm, disarm
from .control import rebar, relax
from .distinct import importance_weighted, unordered_set
from .exact import Exact, exact
from .multisample import vimco
from .pathwise import (
    decoupled_straight_through_gumbel_softmax,
    gapped_straight_through,
    gumbel_rao,
    reinmax,
    reparameterized,
    straight_through,
    straight_through_gumbel_softmax,
)
from .score import RunningMean, muprop, score_function
from .without_replacement import score_weights, without_replacement

__all__ = [
    "Estimate",
    "Exact",
    "RunningMean",
    "arm",
    "decoupled_straight_through_gumbel_softmax",
    "disarm",
    "exact",
    "gapped_straight_through",
    "gumbel_rao",
    "importance_weighted",
    "muprop",
    "rebar",
    "reinmax",
    "relax",
    "reparameterized",
    "score_function",
    "score_weights",
    "straight_through",
    "straight_through_gumbel_softmax",
    "unordered_set",
    "vimco",
    "without_replacement",
]
