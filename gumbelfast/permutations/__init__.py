"""Relaxed permutations with gradients: Gumbel-Sinkhorn, SoftSort and NeuralSort; hard ones by matching.

``docs/permutations.md`` has the formulas, their sources and examples.
"""

from .sinkhorn import gumbel_sinkhorn, gumbel_sinkhorn_backward, match
from .sorting import neural_sort, neural_sort_backward, soft_sort, soft_sort_backward

__all__ = [
    "gumbel_sinkhorn",
    "gumbel_sinkhorn_backward",
    "match",
    "neural_sort",
    "neural_sort_backward",
    "soft_sort",
    "soft_sort_backward",
]
