"""The distributions of `gumbelfast.torch` for Pyro: for `pyro.sample`, plates, masks and guides.

    from gumbelfast.torch.pyro import RelaxedOneHotCategorical  # in place of pyro.distributions'

Each is the class of the same name with Pyro's mix-in (Bingham et al., "Pyro: deep universal probabilistic programming",
2019).
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
    """`gumbelfast.torch.Categorical`.

    Examples
    --------
    >>> import pyro, torch
    >>> from gumbelfast.torch.pyro import Categorical
    >>> z = pyro.sample("z", Categorical(torch.tensor([0.0, 1.0, 0.0])))
    >>> z
    tensor(1)
    """


class OneHotCategoricalStraightThrough(discrete.OneHotCategoricalStraightThrough, TorchDistributionMixin):
    """`gumbelfast.torch.OneHotCategoricalStraightThrough`.

    Examples
    --------
    >>> import pyro, torch
    >>> from gumbelfast.torch.pyro import OneHotCategoricalStraightThrough
    >>> z = pyro.sample("z", OneHotCategoricalStraightThrough(torch.tensor([0.0, 1.0, 0.0])))
    >>> z
    tensor([0., 1., 0.])
    """


class ExpRelaxedCategorical(relaxed_categorical.ExpRelaxedCategorical, TorchDistributionMixin):
    """`gumbelfast.torch.ExpRelaxedCategorical`.

    Examples
    --------
    >>> import pyro, torch
    >>> from gumbelfast.torch.pyro import ExpRelaxedCategorical
    >>> z = pyro.sample("z", ExpRelaxedCategorical(0.5, logits=torch.zeros(2, 3)))
    >>> torch.allclose(z.exp().sum(-1), torch.ones(2))
    True
    """


class RelaxedOneHotCategorical(relaxed_categorical.RelaxedOneHotCategorical, TorchDistributionMixin):
    """`gumbelfast.torch.RelaxedOneHotCategorical`; samples score themselves at any temperature.

    Examples
    --------
    >>> import pyro, torch
    >>> from gumbelfast.torch.pyro import RelaxedOneHotCategorical
    >>> z = pyro.sample("z", RelaxedOneHotCategorical(0.5, logits=torch.zeros(2, 3)))
    >>> torch.allclose(z.sum(-1), torch.ones(2))
    True
    """


class LogitRelaxedBernoulli(relaxed_bernoulli.LogitRelaxedBernoulli, TorchDistributionMixin):
    """`gumbelfast.torch.LogitRelaxedBernoulli`.

    Examples
    --------
    >>> import pyro, torch
    >>> from gumbelfast.torch.pyro import LogitRelaxedBernoulli
    >>> z = pyro.sample("z", LogitRelaxedBernoulli(0.5, logits=torch.tensor([-99.0, 99.0])))
    >>> z > 0
    tensor([False,  True])
    """


class RelaxedBernoulli(relaxed_bernoulli.RelaxedBernoulli, TorchDistributionMixin):
    """`gumbelfast.torch.RelaxedBernoulli`; samples score themselves at any temperature.

    Examples
    --------
    >>> import pyro, torch
    >>> from gumbelfast.torch.pyro import RelaxedBernoulli
    >>> z = pyro.sample("z", RelaxedBernoulli(0.5, logits=torch.tensor([-99.0, 99.0])))
    >>> z.round()
    tensor([0., 1.])
    """


class PlackettLuce(plackett_luce.PlackettLuce, TorchDistributionMixin):
    """`gumbelfast.torch.PlackettLuce`.

    Examples
    --------
    >>> import pyro, torch
    >>> from gumbelfast.torch.pyro import PlackettLuce
    >>> z = pyro.sample("z", PlackettLuce(torch.tensor([0.0, 99.0, 199.0]), k=2))
    >>> z
    tensor([2, 1])
    """


class HardConcrete(hard_concrete.HardConcrete, TorchDistributionMixin):
    """`gumbelfast.torch.HardConcrete`.

    Examples
    --------
    >>> import pyro, torch
    >>> from gumbelfast.torch.pyro import HardConcrete
    >>> z = pyro.sample("z", HardConcrete(0.5, logits=torch.tensor([-99.0, 99.0])))
    >>> z
    tensor([0., 1.])
    """
