"""Estimators of d E[f(z)] / d logits as losses for PyTorch's training loops, under torch.compile as well.

    found = estimators.rebar(logits, decoder_loss, tau=0.5)
    (found.loss + divergence).mean().backward()

They are those of `gumbelfast.estimators`, without `grad_f`, since autograd differentiates `f`: `f` maps samples of
shape ``(n, *logits.shape)`` to a tensor of values of shape ``(n, *lead)``, where `lead` is any leading part of the
shape of the batch. Each returns an `Estimate`. The value of its `loss` is the estimate of E[f] from the samples. It has
two gradients: with respect to the logits, the estimator's; with respect to everything else that `f` depends on, the
ordinary one. ``docs/estimators.md`` says which one to take.

Bad input is refused before any generator advances; errors of `f` are raised after the draw, and pass through.
"""

from ._draws import ControlledEstimate, Estimate
from .bits import arm, disarm
from .control import rebar, relax
from .distinct import importance_weighted, unordered_set
from .exact import exact
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

__all__ = [
    "ControlledEstimate",
    "Estimate",
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
    "straight_through",
    "straight_through_gumbel_softmax",
    "unordered_set",
    "vimco",
]
