"""Discrete distributions of torch whose samples are drawn by gumbelfast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributions

from ..sampling import categorical, categorical_of
from ._simplex import constraints_of_parameters, logits_of


class Categorical(distributions.Categorical):
    r"""`torch.distributions.Categorical`, with samples from `categorical`, or of `probs` by a race without logarithms.

    Arguments, `entropy` and all else are torch's. A category of probability 0 is never drawn, and its log-probability
    is -inf; torch takes it for one of the machine epsilon.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import Categorical
    >>> dice = Categorical(probs=torch.tensor([1.0, 1.0, 2.0, 0.0]))
    >>> dice.sample((1000,)).shape
    torch.Size([1000])
    >>> dice.log_prob(torch.tensor([2, 3])).exp()
    tensor([0.5000, 0.0000])
    """

    arg_constraints = constraints_of_parameters

    def sample(self, sample_shape: Sequence[int] = (), *, generator: Any = None) -> Tensor:
        """Categories of shape ``sample_shape + batch_shape``, int64; `generator` is that of `categorical`."""
        if "probs" in vars(self):
            return categorical_of(self.probs.detach(), tuple(sample_shape), generator)
        return categorical(self.logits.detach(), tuple(sample_shape), generator=generator)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probabilities of categories that broadcast against the batch shape."""
        if self._validate_args:
            self._validate_sample(value)
        logits = logits_of(self)
        index, table = torch.broadcast_tensors(value.long().unsqueeze(-1), logits)
        return table.gather(-1, index[..., :1]).squeeze(-1)


class OneHotCategoricalStraightThrough(distributions.OneHotCategoricalStraightThrough):
    """`torch.distributions.OneHotCategoricalStraightThrough`, with samples from `categorical`.

    Arguments, the gradient of `rsample` (that of the probabilities) and all else are torch's. A category of probability
    0 is never drawn.

    Notes
    -----
    Bengio, Leonard and Courville, "Estimating or propagating gradients through stochastic neurons" (2013).

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import OneHotCategoricalStraightThrough
    >>> logits = torch.zeros(5, 3, requires_grad=True)
    >>> z = OneHotCategoricalStraightThrough(logits=logits).rsample()
    >>> z.sum(-1).tolist(), z.requires_grad
    ([1.0, 1.0, 1.0, 1.0, 1.0], True)
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
        index = self._categorical.sample(sample_shape, generator=generator)
        hot = self._categorical.logits.new_zeros((*index.shape, *self.event_shape))
        return hot.scatter(-1, index.unsqueeze(-1), 1)

    def rsample(self, sample_shape: Sequence[int] = (), *, generator: Any = None) -> Tensor:
        """`sample` with the gradient of the probabilities."""
        probs = self._categorical.probs
        return self.sample(sample_shape, generator=generator) + (probs - probs.detach())
