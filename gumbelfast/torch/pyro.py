"""The distributions of `gumbelfast.torch` for Pyro: for `pyro.sample`, plates, masks and guides.

    from gumbelfast.torch.pyro import RelaxedOneHotCategorical  # in place of pyro.distributions'

Each is its namesake with Pyro's mix-in (Bingham et al., "Pyro: deep universal probabilistic programming", 2019).
"""

from __future__ import annotations

try:
    from pyro.distributions.torch_distribution import TorchDistributionMixin
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] != "pyro":
        raise
    raise ImportError('gumbelfast.torch.pyro needs Pyro: pip install "gumbelfast[pyro]"') from error

from .distributions import discrete, hard_concrete, plackett_luce, relaxed_bernoulli, relaxed_categorical

__all__ = [
    "Categorical",
    "ExpRelaxedCategorical",
    "HardConcrete",
    "LogitRelaxedBernoulli",
    "OneHotCategoricalStraightThrough",
    "PlackettLuce",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
]


class Categorical(discrete.Categorical, TorchDistributionMixin):
    """`gumbelfast.torch.Categorical`."""


class OneHotCategoricalStraightThrough(discrete.OneHotCategoricalStraightThrough, TorchDistributionMixin):
    """`gumbelfast.torch.OneHotCategoricalStraightThrough`."""


class ExpRelaxedCategorical(relaxed_categorical.ExpRelaxedCategorical, TorchDistributionMixin):
    """`gumbelfast.torch.ExpRelaxedCategorical`."""


class RelaxedOneHotCategorical(relaxed_categorical.RelaxedOneHotCategorical, TorchDistributionMixin):
    """`gumbelfast.torch.RelaxedOneHotCategorical`; samples score themselves at any temperature."""


class LogitRelaxedBernoulli(relaxed_bernoulli.LogitRelaxedBernoulli, TorchDistributionMixin):
    """`gumbelfast.torch.LogitRelaxedBernoulli`."""


class RelaxedBernoulli(relaxed_bernoulli.RelaxedBernoulli, TorchDistributionMixin):
    """`gumbelfast.torch.RelaxedBernoulli`; samples score themselves at any temperature."""


class PlackettLuce(plackett_luce.PlackettLuce, TorchDistributionMixin):
    """`gumbelfast.torch.PlackettLuce`."""


class HardConcrete(hard_concrete.HardConcrete, TorchDistributionMixin):
    """`gumbelfast.torch.HardConcrete`."""
