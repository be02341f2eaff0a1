"""Draws without replacement, in order, as a distribution of torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributions
from torch.distributions import constraints

from .. import _tensors
from ..sampling import gumbel_top_k
from ._densities import widened


class PlackettLuce(distributions.Distribution):
    r"""The law of the first k draws of successive sampling, in order.

    Parameters
    ----------
    logits : Tensor of float16, bfloat16, float32 or float64
        Log-weights, items last; -inf is never drawn.
    k : int, optional
        How many are drawn; by default all, so that samples are permutations.
    validate_args : bool, optional
        As in torch.

    Raises
    ------
    TypeError, ValueError
        For logits that are not a tensor of floats or have no items, and a k out of range.

    Notes
    -----
    Plackett (1975); Luce (1959): :math:`\log p(o) = \sum_i x_{o_i} - \log \sum_{j \notin \{o_1 \dots o_{i-1}\}} \exp
    x_j`. Samples are those of `gumbel_top_k`.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import PlackettLuce
    >>> law = PlackettLuce(torch.tensor([0.2, 0.3, 0.5]).log(), k=2)
    >>> law.sample((5,)).shape
    torch.Size([5, 2])
    >>> law.log_prob(torch.tensor([2, 0])).exp()
    tensor(0.2000)
    """

    arg_constraints = {"logits": constraints.independent(constraints.dependent, 1)}  # noqa: RUF012
    has_rsample = False

    def __init__(self, logits: Tensor, k: int | None = None, validate_args: bool | None = None) -> None:
        _tensors.check(logits, "logits", "torch's own distributions")
        if logits.ndim == 0:
            raise ValueError("logits must have a dimension of items, got shape ()")
        _tensors.require_columns(logits, -1)
        items = logits.shape[-1]
        self.logits = logits
        self.k = items if k is None else _tensors.count_of(k, "k", items, ValueError)
        super().__init__(logits.shape[:-1], torch.Size((self.k,)), validate_args=False)
        self._validate_args = distributions.Distribution._validate_args if validate_args is None else validate_args

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """As in torch."""
        new = self._get_checked_instance(PlackettLuce, _instance)
        new.logits, new.k = self.logits.expand(*batch_shape, self.logits.shape[-1]), self.k
        super(PlackettLuce, new).__init__(torch.Size(batch_shape), self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        """Columns of the logits."""
        return constraints.independent(constraints.integer_interval(0, self.logits.shape[-1] - 1), 1)

    def sample(self, sample_shape: Sequence[int] = (), *, generator: Any = None) -> Tensor:
        """Orders of shape ``sample_shape + batch_shape + (k,)``, int64; `generator` is that of `gumbel_top_k`."""
        x = self.logits.detach().expand(*sample_shape, *self.logits.shape)
        return gumbel_top_k(x, self.k, generator=generator).indices

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probabilities of orders; -inf for those that cannot be drawn, and those that repeat an item."""
        if self._validate_args:
            self._validate_sample(value)
        order, x = value.long(), widened(self.logits)
        batch = torch.broadcast_shapes(order.shape[:-1], x.shape[:-1])
        order, x = order.expand(*batch, self.k), x.expand(*batch, x.shape[-1])
        picked = x.gather(-1, order)
        others = x.scatter(-1, order, -torch.inf)
        # From what is left at the end, so that no remainder is a difference.
        rest = torch.full_like(others[..., :1], -torch.inf)
        some = ~(others == -torch.inf).all(-1, keepdim=True)
        rest = torch.where(some, torch.where(some, others, 0.0).logsumexp(-1, keepdim=True), rest)
        left = torch.cat([rest, picked.flip(-1)], -1).logcumsumexp(-1)[..., 1:].flip(-1)
        in_order = order.sort(-1).values
        bad = (picked == -torch.inf).any(-1) | (in_order[..., 1:] == in_order[..., :-1]).any(-1)
        terms = torch.where(bad.unsqueeze(-1), torch.zeros_like(picked), picked - left)
        return terms.sum(-1).masked_fill(bad, -torch.inf)
