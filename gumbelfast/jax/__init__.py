"""The samplers of gumbelfast for JAX programs on CPUs: under jit, vmap and grad, with JAX's keys.

Each function replaces the one of the same name in `jax.random` or `jax.nn`. The same key draws the same values with and
without jit or vmap, and they are those that gumbelfast draws from the noise of that key (``docs/jax.md``).
"""

try:
    import jax.ffi  # noqa: F401 - what JAX before 0.5 does not bring
except ImportError as error:
    raise ImportError('gumbelfast.jax needs JAX: pip install "gumbelfast[jax]"') from error

from ._calls import route
from ._choice import choice
from .nn import gumbel_softmax, log_softmax, logsumexp, softmax
from .random import categorical, exponential, gumbel, gumbel_top_k

__all__ = [
    "categorical",
    "choice",
    "exponential",
    "gumbel",
    "gumbel_softmax",
    "gumbel_top_k",
    "log_softmax",
    "logsumexp",
    "route",
    "softmax",
]
