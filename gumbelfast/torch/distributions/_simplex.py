"""Probabilities and points of the simplex, in dtypes that round as coarsely as half types do."""

from __future__ import annotations

import torch
from torch import Tensor, distributions
from torch.distributions import constraints, transforms


class _RoundedSimplex(type(constraints.simplex)):  # type: ignore[misc]
    """torch's constraint; entries of half types are summed in float32, up to their rounding."""

    def check(self, value: Tensor) -> Tensor:
        total = value.sum(-1, dtype=torch.promote_types(value.dtype, torch.float32))
        f = torch.finfo(value.dtype)
        # 1e-6 is torch's figure. Rounding a sum, dividing by it and rounding entries moves it by less than the others.
        tolerance = max(1e-6, 4 * f.eps + value.shape[-1] * f.tiny * f.eps)
        return (value >= 0).all(-1) & ((total - 1).abs() < tolerance)


class _RealVector(type(constraints.real_vector)):  # type: ignore[misc]
    """torch's constraint, which an empty batch meets."""

    def check(self, value: Tensor) -> Tensor:
        return self.base_constraint.check(value).all(-1)


rounded_simplex = _RoundedSimplex()
constraints_of_parameters = {"probs": rounded_simplex, "logits": _RealVector(constraints.real, 1)}

distributions.biject_to.register(_RoundedSimplex, lambda _: transforms.StickBreakingTransform())
distributions.transform_to.register(_RoundedSimplex, lambda _: transforms.SoftmaxTransform())


def logits_of(categorical: distributions.Categorical) -> Tensor:
    """Log-probabilities with -inf where a given probability is 0, which torch takes for a very small one."""
    logits: Tensor = categorical.logits
    if "probs" in vars(categorical):
        logits = logits.masked_fill(categorical.probs == 0, -torch.inf)
    return logits
