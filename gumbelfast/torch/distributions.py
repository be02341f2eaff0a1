"""Distributions of torch whose samples are drawn by gumbelfast."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, distributions

from .relaxed import gumbel_softmax
from .sampling import categorical


def _logits_of(distribution: distributions.Categorical) -> Tensor:
    """Log-probabilities with -inf where a given probability is 0, which torch takes for a very small one."""
    logits: Tensor = distribution.logits
    if "probs" in vars(distribution):
        logits = logits.masked_fill(distribution.probs == 0, -torch.inf)
    return logits


class RelaxedOneHotCategorical(distributions.RelaxedOneHotCategorical):
    r"""`torch.distributions.RelaxedOneHotCategorical`, with samples from `gumbel_softmax`.

    Arguments, `log_prob` and all else are torch's. Samples lie on the simplex at any temperature, and a category of
    probability 0 is exactly 0 in them.

    Notes
    -----
    Maddison, Mnih and Teh, "The Concrete distribution" (2016); Jang, Gu and Poole (2016).
    """

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Samples of shape ``sample_shape + batch_shape + event_shape``, with gradients to parameters."""
        logits = _logits_of(self.base_dist._categorical)
        shape = (*sample_shape, *self.batch_shape, *self.event_shape)
        return gumbel_softmax(logits.expand(shape), self.temperature)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """`rsample` without gradients."""
        with torch.no_grad():
            return self.rsample(sample_shape)


class OneHotCategoricalStraightThrough(distributions.OneHotCategoricalStraightThrough):
    """`torch.distributions.OneHotCategoricalStraightThrough`, with samples from `categorical`.

    Arguments, the gradient of `rsample` (that of the probabilities) and all else are torch's. A category of probability
    0 is never drawn.

    Notes
    -----
    Bengio, Leonard and Courville, "Estimating or propagating gradients through stochastic neurons" (2013).
    """

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """One-hot samples of shape ``sample_shape + batch_shape + event_shape``."""
        logits = _logits_of(self._categorical).detach()
        index = categorical(logits, tuple(sample_shape))
        return torch.nn.functional.one_hot(index, logits.shape[-1]).to(logits.dtype)
