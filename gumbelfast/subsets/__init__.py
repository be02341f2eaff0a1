"""Subsets of k items: relaxed ones with gradients, exact sums, marginals and samples, and survey designs.

``docs/subsets.md`` has the formulas, their sources and examples.
"""

from .designs import conditional_poisson_logits, inclusion_probabilities, sample_sampford
from .exact import (
    sample_subsets,
    subset_log_partition,
    subset_log_prob,
    subset_marginals,
    subset_marginals_backward,
)
from .relaxed import relaxed_top_k, relaxed_top_k_backward

__all__ = [
    "conditional_poisson_logits",
    "inclusion_probabilities",
    "relaxed_top_k",
    "relaxed_top_k_backward",
    "sample_sampford",
    "sample_subsets",
    "subset_log_partition",
    "subset_log_prob",
    "subset_marginals",
    "subset_marginals_backward",
]
