"""Fast, exact and reproducible sampling of discrete latent variables on CPUs.

Noise is addressable: a draw is a pure function of a key and the number of the element, so threads, chunks, batch-mates
and SIMD width never change a result. Noise is lazy: sampling costs about as much as a maximum, and is exact.
This is no cryptographic generator.
"""

from pkgutil import extend_path

# In the source folder Python takes this package for the installed one: the compiled core is found where pip put it.
__path__ = extend_path(__path__, __name__)

from . import (
    distributions,
    estimators,
    permutations,
    reference,
    sequences,
    serving,
    shards,
    streams,
    structures,
    subsets,
)
from ._bitgen import Philox4x32
from ._engine import sources
from ._engine.backend import backend, backends, use_backend
from ._engine.direct import know_these
from ._engine.thread_count import get_num_threads, set_num_threads
from ._sampling.argmax import categorical, gumbel_top_k
from ._sampling.conditional import conditional_gumbel
from ._sampling.hindsight import counterfactual, hindsight_gumbel
from ._sampling.noise import exponential, gumbel
from ._sampling.noise_at import exponential_at, gumbel_at
from ._sampling.relaxed import gumbel_softmax, gumbel_softmax_backward
from ._sampling.softmax import log_softmax, log_softmax_backward, logsumexp, softmax, softmax_backward
from ._sampling.tokens import TokenSample, filter_tokens, sample_tokens
from ._sampling.weighted import WeightedSample, weighted_sample
from .distributions.categorical import Categorical
from .random import Generator, default_rng
from .shards import TopK

__version__ = "0.2.0"

__all__ = [
    "Categorical",
    "Generator",
    "Philox4x32",
    "TokenSample",
    "TopK",
    "WeightedSample",
    "backend",
    "backends",
    "categorical",
    "conditional_gumbel",
    "counterfactual",
    "default_rng",
    "distributions",
    "estimators",
    "exponential",
    "exponential_at",
    "filter_tokens",
    "get_num_threads",
    "gumbel",
    "gumbel_at",
    "gumbel_softmax",
    "gumbel_softmax_backward",
    "gumbel_top_k",
    "hindsight_gumbel",
    "log_softmax",
    "log_softmax_backward",
    "logsumexp",
    "permutations",
    "reference",
    "sample_tokens",
    "sequences",
    "serving",
    "set_num_threads",
    "shards",
    "softmax",
    "softmax_backward",
    "streams",
    "structures",
    "subsets",
    "use_backend",
    "weighted_sample",
]


know_these(Generator, sources, TopK)


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__file__", "__name__", "__path__", "__version__"]


reference.publish(
    (
        categorical,
        conditional_gumbel,
        counterfactual,
        exponential,
        exponential_at,
        filter_tokens,
        gumbel,
        gumbel_at,
        gumbel_softmax,
        gumbel_softmax_backward,
        gumbel_top_k,
        hindsight_gumbel,
        log_softmax,
        log_softmax_backward,
        logsumexp,
        sample_tokens,
        sequences.ancestral_sample,
        sequences.beam_search,
        sequences.stochastic_beam_search,
        softmax,
        softmax_backward,
        weighted_sample,
    ),
    use_backend,
)
