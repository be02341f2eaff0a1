"""gumbelfast on Dask's arrays and frames: larger than memory, on many processes, and the same draws.

    import gumbelfast.dask as gfd  # in place of gumbelfast, for dask arrays

Results are lazy, and do not depend on chunks, workers, retries or order: `categorical(x, rng=3).compute()` equals
``gumbelfast.categorical(numpy.asarray(x), rng=3)``, byte for byte, however `x` is cut (``docs/scale.md``).
"""

try:
    import dask.array  # noqa: F401 - which dask installed without extras lacks
except ImportError as error:
    raise ImportError('gumbelfast.dask needs Dask: pip install "gumbelfast[dask]"') from error

from .draws import categorical, gumbel_top_k, weighted_sample
from .frames import sample_rows
from .memmap import from_memmap
from .noise import exponential, gumbel
from .relaxed import gumbel_softmax
from .softmax import log_softmax, logsumexp, softmax

__all__ = [
    "categorical",
    "exponential",
    "from_memmap",
    "gumbel",
    "gumbel_softmax",
    "gumbel_top_k",
    "log_softmax",
    "logsumexp",
    "sample_rows",
    "softmax",
    "weighted_sample",
]
