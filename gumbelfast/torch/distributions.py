"""Distributions of torch whose samples are drawn by gumbelfast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributions

from ._simplex import Categorical, constraints_of_parameters, logits_of
from .relaxed_bernoulli import LogitRelaxedBernoulli, RelaxedBernoulli
from .relaxed_categorical import ExpRelaxedCategorical, RelaxedOneHotCategorical
from .sampling import categorical

__all__ = [
    "ExpRelaxedCategorical",
    "LogitRelaxedBernoulli",
    "OneHotCategoricalStraightThrough",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
]


class OneHotCategoricalStraightThrough(distributions.OneHotCategoricalStraightThrough):
    """`torch.distributions.OneHotCategoricalStraightThrough`, with samples from `categorical`.

    Arguments, the gradient of `rsample` (that of the probabilities) and all else are torch's. A category of probability
    0 is never drawn.

    Notes
    -----
    Bengio, Leonard and Courville, "Estimating or propagating gradients through stochastic neurons" (2013).
    """

    arg_constraints = constraints_of_parameters

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        self._categorical = Categorical(probs, logits, validate_args)
        shape = self._categorical.param_shape
        distributions.Distribution.__init__(self, self._categorical.batch_shape, shape[-1:], validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """As in torch."""
        return super().expand(batch_shape, self._get_checked_instance(OneHotCategoricalStraightThrough, _instance))

    def sample(self, sample_shape: Sequence[int] = (), *, generator: Any = None) -> Tensor:
        """One-hot samples of shape ``sample_shape + batch_shape + event_shape``, as `categorical` draws them."""
        logits = logits_of(self._categorical).detach()
        index = categorical(logits, tuple(sample_shape), generator=generator)
        return torch.nn.functional.one_hot(index, logits.shape[-1]).to(logits.dtype)

    def rsample(self, sample_shape: Sequence[int] = (), *, generator: Any = None) -> Tensor:
        """`sample` with the gradient of the probabilities."""
        probs = self._categorical.probs
        return self.sample(sample_shape, generator=generator) + (probs - probs.detach())
