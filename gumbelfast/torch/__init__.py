"""gumbelfast on PyTorch's CPU tensors, with gradients: the functions that torch has, under the same names.

    from gumbelfast.torch import gumbel_softmax  # in place of torch.nn.functional's

Tensors and the compiled core share memory. ``torch.manual_seed`` determines the draws.
"""

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError('gumbelfast.torch needs PyTorch: pip install "gumbelfast[torch]"') from error

from .distributions.discrete import Categorical, OneHotCategoricalStraightThrough
from .distributions.hard_concrete import HardConcrete
from .distributions.plackett_luce import PlackettLuce
from .distributions.relaxed_bernoulli import LogitRelaxedBernoulli, RelaxedBernoulli
from .distributions.relaxed_categorical import ExpRelaxedCategorical, RelaxedOneHotCategorical
from .noise import exponential, exponential_like, gumbel, gumbel_like
from .relaxed import gumbel_softmax
from .sampling import TopK, categorical, gumbel_top_k, multinomial
from .softmax import log_softmax, logsumexp, softmax
from .tokens import TokenSample, sample_tokens

__all__ = [
    "Categorical",
    "ExpRelaxedCategorical",
    "HardConcrete",
    "LogitRelaxedBernoulli",
    "OneHotCategoricalStraightThrough",
    "PlackettLuce",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
    "TokenSample",
    "TopK",
    "categorical",
    "exponential",
    "exponential_like",
    "gumbel",
    "gumbel_like",
    "gumbel_softmax",
    "gumbel_top_k",
    "log_softmax",
    "logsumexp",
    "multinomial",
    "sample_tokens",
    "softmax",
]
