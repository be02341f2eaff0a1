"""Hard concrete gates, with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributions
from torch.distributions import constraints
from torch.nn.functional import logsigmoid

from ...distributions import _checks
from . import _densities, _draws
from ._draws import Sampled
from .relaxed_bernoulli import LogitRelaxedBernoulli


class HardConcrete(Sampled, distributions.Distribution):
    r"""Gates :math:`\min(1, \max(0, s (\zeta - \gamma) + \gamma))` of relaxed Bernoulli samples s.

    Parameters
    ----------
    temperature, probs, logits, validate_args
        Of `LogitRelaxedBernoulli`.
    low, high : float, default -0.1 and 1.1
        :math:`\gamma < 0` and :math:`\zeta > 1`.

    Raises
    ------
    TypeError, ValueError
        As in `LogitRelaxedBernoulli`, and for a `low` or `high` out of range.

    Notes
    -----
    Louizos, Welling and Kingma, "Learning sparse neural networks through L0 regularization" (2018). The draws are those
    of `gumbelfast.distributions.HardConcrete`. `prob_active` has a gradient, and its sum is the L0 penalty.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import HardConcrete
    >>> logits = torch.zeros(3, requires_grad=True)
    >>> gates = HardConcrete(2 / 3, logits=logits)
    >>> (gates.rsample().sum() + 0.1 * gates.prob_active().sum()).backward()
    >>> (logits.grad > 0).all()
    tensor(True)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}  # noqa: RUF012
    support = constraints.unit_interval
    has_rsample = True

    def __init__(
        self,
        temperature: float | Tensor,
        probs: float | Tensor | None = None,
        logits: float | Tensor | None = None,
        low: float = -0.1,
        high: float = 1.1,
        validate_args: bool | None = None,
    ) -> None:
        self._base = LogitRelaxedBernoulli(temperature, probs, logits, validate_args)
        self._low, self._high = _checks.stretch(low, high)
        super().__init__(self._base.batch_shape, validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """As in torch."""
        new = self._get_checked_instance(HardConcrete, _instance)
        new._base, new._low, new._high = self._base.expand(batch_shape), self._low, self._high
        super(HardConcrete, new).__init__(new._base.batch_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def logits(self) -> Tensor:
        """The log-odds of s above 1/2."""
        return self._base.logits

    @property
    def probs(self) -> Tensor:
        """The probability of s above 1/2."""
        return self._base.probs

    def rsample(self, sample_shape: Sequence[int] = (), *, generator: Any = None) -> Tensor:
        """Gates of shape ``sample_shape + batch_shape``, with gradients to parameters; `generator` as elsewhere."""
        logits = self.logits.expand(self._extended_shape(torch.Size(sample_shape)))
        s = _draws.sigmoid(_draws.logits(logits, self._base.temperature, generator))
        return (s * (self._high - self._low) + self._low).clamp(0, 1).to(logits.dtype)

    def _margin(self, z: float) -> Tensor:
        """The log-odds of a gate that is not cut off below z, which is 0 or 1."""
        odds = torch.tensor((z - self._low) / (self._high - z), dtype=torch.float64, device="cpu").log().item()
        x = _densities.widened(self.logits)
        return x - self._base.temperature * odds

    def prob_active(self) -> Tensor:
        r"""The probability of a gate above 0, :math:`\mathrm{sigmoid}(x - \tau \log(-\gamma / \zeta))`."""
        return torch.sigmoid(self._margin(0.0))

    def prob_one(self) -> Tensor:
        r"""The probability of a gate of 1, :math:`\mathrm{sigmoid}(x - \tau \log((1 - \gamma) / (\zeta - 1)))`."""
        return torch.sigmoid(self._margin(1.0))

    def at_rest(self) -> Tensor:
        """The gate without noise, for use after training."""
        return (torch.sigmoid(self.logits) * (self._high - self._low) + self._low).clamp(0, 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density between 0 and 1, and the log-probabilities of 0 and of 1; float32 for half types."""
        if self._validate_args:
            self._validate_sample(value)
        z = _densities.widened(value)
        inside = torch.where((z > 0) & (z < 1), z, torch.full_like(z, 0.5))
        s = (inside - self._low) / (self._high - self._low)
        log_volume = torch.log(s) + torch.log1p(-s) + torch.tensor(self._high - self._low, dtype=z.dtype).log()
        density = self._base.log_prob(torch.log(s) - torch.log1p(-s)) - log_volume
        ends = logsigmoid(-self._margin(0.0)), logsigmoid(self._margin(1.0))
        return torch.where(z == 0, ends[0], torch.where(z == 1, ends[1], density))
