"""Relaxed one-hot distributions of torch whose samples are drawn by gumbelfast, and score themselves."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributions
from torch.distributions import constraints, relaxed_categorical, transforms

from .. import _key, _tensors
from ..relaxed import gumbel_softmax
from . import _densities, _draws, _remembered
from ._draws import Sampled
from ._simplex import constraints_of_parameters, logits_of, rounded_simplex
from .discrete import Categorical


class ExpRelaxedCategorical(Sampled, relaxed_categorical.ExpRelaxedCategorical):
    r"""`torch.distributions.relaxed_categorical.ExpRelaxedCategorical`: logarithms of relaxed one-hot samples.

    Parameters
    ----------
    temperature : float or Tensor
        One for all rows, or one per row: a shape that is (), or ends in 1 and broadcasts against ``batch + (1,)``, or
        broadcasts against the batch itself. The batch shape is what logits and temperatures have together.
    probs, logits : Tensor of float16, bfloat16, float32 or float64
        As in torch, one of the two. A category of probability 0 is impossible: -inf in samples, and absent from the
        density.
    validate_args : bool, optional
        As in torch.

    Notes
    -----
    Maddison, Mnih and Teh, "The Concrete distribution" (2016), appendix C: the logarithm of the softmax of
    :math:`(x + g) / \tau`, with the density

    .. math:: p(v) = (n-1)!\, \tau^{n-1} \Big(\sum_k \alpha_k e^{-\tau v_k}\Big)^{-n} \prod_k \alpha_k e^{-\tau v_k}

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import ExpRelaxedCategorical
    >>> law = ExpRelaxedCategorical(1e-3, logits=torch.zeros(2, 3))
    >>> law.log_prob(law.rsample((4,))).isfinite().all()
    tensor(True)
    """

    arg_constraints = constraints_of_parameters

    def __init__(
        self,
        temperature: float | Tensor,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self.temperature = temperature
        categorical = Categorical(probs, logits, validate_args)
        batch = categorical.batch_shape
        if isinstance(temperature, Tensor) and temperature.ndim:
            batch = _tensors.joint_batch(batch, self._row_temperature.shape[:-1])
        self._categorical = categorical if batch == categorical.batch_shape else categorical.expand(batch)
        distributions.Distribution.__init__(self, batch, categorical.param_shape[-1:], validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """As in torch."""
        return super().expand(batch_shape, self._get_checked_instance(ExpRelaxedCategorical, _instance))

    @property
    def _row_temperature(self) -> Any:
        """The temperature, one per row in a last dimension of size 1."""
        tau = self.temperature
        return tau.unsqueeze(-1) if isinstance(tau, Tensor) and tau.ndim and tau.shape[-1] != 1 else tau

    def rsample(self, sample_shape: Sequence[int] = (), *, generator: Any = None) -> Tensor:
        """Samples of shape ``sample_shape + batch_shape + event_shape``, with gradients to parameters.

        `generator` is that of `gumbel_softmax`, whose samples at the same place these are the logarithms of.
        """
        logits = logits_of(self._categorical).expand(self._extended_shape(torch.Size(sample_shape)))
        return _draws.logarithms(logits, self._row_temperature, generator).to(logits.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density at logarithms of points of the simplex; float32 for half types."""
        if self._validate_args and value.numel():  # torch's constraint has no answer for an empty batch
            self._validate_sample(value)
        return _densities.concrete(logits_of(self._categorical), self._row_temperature, value, False)


class RelaxedOneHotCategorical(Sampled, distributions.RelaxedOneHotCategorical):
    r"""`torch.distributions.RelaxedOneHotCategorical`, with samples from `gumbel_softmax` that score themselves.

    Parameters are those of `ExpRelaxedCategorical`; all that is not named here is torch's. Samples lie on the simplex
    at any temperature, and a category of probability 0 is exactly 0 in them.

    Notes
    -----
    Maddison, Mnih and Teh, "The Concrete distribution" (2016); Jang, Gu and Poole (2016). Entries of samples round to
    0, where the density has no value, so samples remember their logarithms: see `log_prob`.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import RelaxedOneHotCategorical
    >>> law = RelaxedOneHotCategorical(1e-3, logits=torch.zeros(2, 3))
    >>> law.log_prob(law.rsample((4,))).isfinite().all()
    tensor(True)
    """

    arg_constraints = constraints_of_parameters

    def __init__(
        self,
        temperature: float | Tensor,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args)
        distributions.TransformedDistribution.__init__(self, base, transforms.ExpTransform(), validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """As in torch."""
        return super().expand(batch_shape, self._get_checked_instance(RelaxedOneHotCategorical, _instance))

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self) -> Any:
        """The simplex; that of half types is as wide as their rounding."""
        exact = self.logits.dtype in (torch.float32, torch.float64)
        return constraints.simplex if exact else rounded_simplex

    def rsample(self, sample_shape: Sequence[int] = (), *, generator: Any = None) -> Tensor:
        """Samples of shape ``sample_shape + batch_shape + event_shape``, with gradients to parameters.

        They are what `gumbel_softmax` draws with this `generator`.
        """
        shape = self._extended_shape(torch.Size(sample_shape))
        logits, tau = logits_of(self.base_dist._categorical).expand(shape), self.base_dist._row_temperature
        if not _draws.is_plain(logits, tau):
            log_y = _draws.logarithms(logits, tau, generator)
            return _remembered.remember_now(log_y.exp().to(logits.dtype), log_y)
        _tensors.check_temperature(tau, logits)
        place = _key.Place(generator)
        y = gumbel_softmax(logits.contiguous(), tau, generator=place)
        # Whoever cools down may change a temperature in place.
        kept = tau.clone() if isinstance(tau, Tensor) else tau
        return _remembered.remember(y, partial(_draws.logarithms, generator=place), logits, kept)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-density at points of the simplex; float32 for half types.

        Samples of these classes, views of them and what `detach` returns are scored by the logarithms that they
        remember, whatever their values round to, as long as the values are what was drawn. Derivatives by parameters
        include the way through the sample where it requires a gradient; the derivative by the sample itself leaves out
        entries below the square root of the smallest normal number. Copies do not remember: clones, what was pickled,
        and results of arithmetic.

        All other values are scored by their own logarithms. An exact 0 in them stands for the limit in which all zeros
        of the row vanish together: with z of n entries zero that is inf, -inf or a number as z is above, below or
        equal to ``tau * (n - z)``. A category of probability 0 must be 0: elsewhere the result is -inf, there it is
        the density on the face of the others.
        """
        if self._validate_args:
            self._validate_sample(value)
        y = _densities.widened(value)
        own = y.masked_fill(y == 0, 1).log().masked_fill(y == 0, -torch.inf)
        log_y = _remembered.unrounded(value, own, torch.exp, torch.inf, event_dims=1)
        base = self.base_dist
        return _densities.concrete(logits_of(base._categorical), base._row_temperature, log_y, True)
