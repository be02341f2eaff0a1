"""Relaxed Bernoulli distributions of torch whose samples are drawn by gumbelfast, and score themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributions
from torch.distributions import relaxed_bernoulli, transforms
from torch.distributions.utils import broadcast_all
from torch.nn.functional import logsigmoid

from .. import _tensors
from . import _densities, _draws, _remembered
from ._draws import Sampled


class LogitRelaxedBernoulli(Sampled, relaxed_bernoulli.LogitRelaxedBernoulli):
    r"""`torch.distributions.relaxed_bernoulli.LogitRelaxedBernoulli`: logits of relaxed Bernoulli samples.

    Parameters
    ----------
    temperature : float or Tensor
        Broadcasts against the probabilities; the batch shape is what they have together.
    probs, logits : float or Tensor of float16, bfloat16, float32 or float64
        As in torch, one of the two.
    validate_args : bool, optional
        As in torch.

    Notes
    -----
    Maddison, Mnih and Teh (2016), appendix B: :math:`t = (x + l) / \tau` with logistic noise l, drawn as by
    `gumbelfast.distributions.BinaryConcrete`.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import LogitRelaxedBernoulli
    >>> LogitRelaxedBernoulli(0.5, logits=torch.zeros(3)).rsample((4,)).shape
    torch.Size([4, 3])
    """

    def __init__(
        self,
        temperature: float | Tensor,
        probs: float | Tensor | None = None,
        logits: float | Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if isinstance(temperature, Tensor) and temperature.ndim and (probs is None) != (logits is None):
            (given,) = broadcast_all(probs if logits is None else logits)
            given = given.expand(_tensors.joint_batch(given.shape, temperature.shape))
            probs, logits = (given, None) if logits is None else (None, given)
        super().__init__(temperature, probs, logits, validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """As in torch."""
        return super().expand(batch_shape, self._get_checked_instance(LogitRelaxedBernoulli, _instance))

    def rsample(self, sample_shape: Sequence[int] = (), *, generator: Any = None) -> Tensor:
        """Samples of shape ``sample_shape + batch_shape``, with gradients to parameters; `generator` as elsewhere."""
        logits = self.logits.expand(self._extended_shape(torch.Size(sample_shape)))
        return _draws.logits(logits, self.temperature, generator).to(logits.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density at any real numbers; float32 for half types."""
        if self._validate_args:
            self._validate_sample(value)
        return _densities.logistic(self.logits, self.temperature, value)


class RelaxedBernoulli(Sampled, distributions.RelaxedBernoulli):
    r"""`torch.distributions.RelaxedBernoulli`, with samples that score themselves.

    Parameters are those of `LogitRelaxedBernoulli`; all that is not named here is torch's. Samples may round to 0 and
    1, where torch keeps off them.

    Notes
    -----
    Maddison, Mnih and Teh (2016), appendix B. The draws are those of `gumbelfast.distributions.BinaryConcrete`.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import RelaxedBernoulli
    >>> law = RelaxedBernoulli(1e-3, logits=torch.zeros(3))
    >>> law.log_prob(law.rsample((4,))).isfinite().all()
    tensor(True)
    """

    def __init__(
        self,
        temperature: float | Tensor,
        probs: float | Tensor | None = None,
        logits: float | Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        base = LogitRelaxedBernoulli(temperature, probs, logits, validate_args)
        distributions.TransformedDistribution.__init__(self, base, transforms.SigmoidTransform(), validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """As in torch."""
        return super().expand(batch_shape, self._get_checked_instance(RelaxedBernoulli, _instance))

    def rsample(self, sample_shape: Sequence[int] = (), *, generator: Any = None) -> Tensor:
        """Samples of shape ``sample_shape + batch_shape``, with gradients to parameters; `generator` as elsewhere."""
        logits = self.logits.expand(self._extended_shape(torch.Size(sample_shape)))
        t = _draws.logits(logits, self.temperature, generator)
        y = _draws.sigmoid(t).to(logits.dtype)
        if _draws.is_plain(t, 1.0):
            return _remembered.remember(y, lambda t: t, t)
        return _remembered.remember_now(y, t)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density at numbers from 0 to 1; float32 for half types.

        Samples are scored by the logits that they remember, as in `RelaxedOneHotCategorical`. The derivative by the
        sample itself leaves out entries that are within a rounding of 1, or below the square root of the smallest
        normal number. Other values are scored by their own logits, 0 and 1 as the smallest normal number and that
        below 1, as in torch.
        """
        if self._validate_args:
            self._validate_sample(value)
        y = _densities.widened(value)
        own = self.transforms[0].inv(y)
        # Above, torch's logit is cut off, and has no derivative.
        top = 1 - torch.finfo(y.dtype).eps
        t = _remembered.unrounded(value, own, torch.sigmoid, top, event_dims=0)
        return self.base_dist.log_prob(t) - logsigmoid(t) - logsigmoid(-t)
