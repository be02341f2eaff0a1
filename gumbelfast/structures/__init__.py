"""Random structures: exact sums and samples where there is a recursion, optimisation where there is a solver.

`log_partition`, `label_marginals` and `sample_labellings` are exact, for chains and trees. `perturb_and_map` turns any
MAP solver into a sampler of an approximate posterior and a bound on log Z, and `make_perturbed_argmax` makes an argmax
differentiable. `viterbi`, `viterbi_tree`, `graph_cut` and `brute_force` are solvers. Potentials are logarithms: the
larger, the likelier. ``docs/structures.md`` has examples.
"""

from ._labelling import Labelling
from .grid import graph_cut
from .perturb import PerturbAndMAP, perturb_and_map
from .perturbed import PerturbedArgmax, make_perturbed_argmax
from .solvers import brute_force, viterbi, viterbi_tree
from .sums import (
    Marginals,
    label_marginals,
    label_marginals_backward,
    log_partition,
    log_partition_backward,
    sample_labellings,
)

__all__ = [
    "Labelling",
    "Marginals",
    "PerturbAndMAP",
    "PerturbedArgmax",
    "brute_force",
    "graph_cut",
    "label_marginals",
    "label_marginals_backward",
    "log_partition",
    "log_partition_backward",
    "make_perturbed_argmax",
    "perturb_and_map",
    "sample_labellings",
    "viterbi",
    "viterbi_tree",
]
