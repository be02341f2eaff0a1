"""The categorical distribution of torch, drawn by gumbelfast."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, distributions

from .distributions import _logits_of
from .sampling import categorical


class Categorical(distributions.Categorical):
    r"""`torch.distributions.Categorical`, with samples from `categorical`.

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

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Categories of shape ``sample_shape + batch_shape``, int64."""
        return categorical(_logits_of(self).detach(), tuple(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probabilities of categories that broadcast against the batch shape."""
        if self._validate_args:
            self._validate_sample(value)
        logits = _logits_of(self)
        index, table = torch.broadcast_tensors(value.long().unsqueeze(-1), logits)
        return table.gather(-1, index[..., :1]).squeeze(-1)
