"""Fast, exact and reproducible sampling of discrete latent variables on CPUs.

Noise is addressable: a draw is a pure function of a key and the number of the element, so threads, chunks, batch-mates
and SIMD width never change a result. Noise is lazy: sampling costs about as much as a maximum, and is exact.
This is no cryptographic generator.
"""

from pkgutil import extend_path

# In the source folder Python takes this package for the installed one: the compiled core is found where pip put it.
__path__ = extend_path(__path__, __name__)

from . import _direct, distributions, estimators, reference, structures
from ._backend import backend, backends, use_backend
from ._bitgen import Philox4x32
from ._threads import get_num_threads, set_num_threads
from .beam_search import Sequences, StochasticBeams, ancestral_sample, beam_search, stochastic_beam_search
from .categorical import Categorical
from .conditional import conditional_gumbel
from .distributions import Concrete, Gumbel
from .generator import Generator
from .inverse import inverse_transform
from .noise import exponential, gumbel
from .plackett_luce import plackett_luce_log_prob, plackett_luce_log_prob_backward, plackett_luce_set_log_prob
from .random import default_rng
from .relaxed import gumbel_softmax, gumbel_softmax_backward
from .sampling import categorical, gumbel_top_k
from .softmax import log_softmax, log_softmax_backward, logsumexp, softmax, softmax_backward
from .states import Argmax, TopK, merge
from .structures import make_perturbed_argmax, perturb_and_map
from .tokens import sample_tokens
from .weighted import WeightedSample, weighted_sample

__version__ = "0.1.0"

__all__ = [
    "Argmax",
    "Categorical",
    "Concrete",
    "Generator",
    "Gumbel",
    "Philox4x32",
    "Sequences",
    "StochasticBeams",
    "TopK",
    "WeightedSample",
    "ancestral_sample",
    "backend",
    "backends",
    "beam_search",
    "categorical",
    "conditional_gumbel",
    "default_rng",
    "distributions",
    "estimators",
    "exponential",
    "get_num_threads",
    "gumbel",
    "gumbel_softmax",
    "gumbel_softmax_backward",
    "gumbel_top_k",
    "inverse_transform",
    "log_softmax",
    "log_softmax_backward",
    "logsumexp",
    "make_perturbed_argmax",
    "merge",
    "perturb_and_map",
    "plackett_luce_log_prob",
    "plackett_luce_log_prob_backward",
    "plackett_luce_set_log_prob",
    "reference",
    "sample_tokens",
    "set_num_threads",
    "softmax",
    "softmax_backward",
    "stochastic_beam_search",
    "structures",
    "use_backend",
    "weighted_sample",
]

_direct.tell_steps()

reference.publish(
    (
        ancestral_sample,
        beam_search,
        categorical,
        conditional_gumbel,
        exponential,
        gumbel,
        gumbel_softmax,
        gumbel_softmax_backward,
        gumbel_top_k,
        log_softmax,
        log_softmax_backward,
        logsumexp,
        sample_tokens,
        softmax,
        softmax_backward,
        stochastic_beam_search,
        weighted_sample,
    ),
    use_backend,
)
