"""Random structures by optimisation: perturb the potentials, and let a MAP solver find the best labelling.

`perturb_and_map` turns any MAP solver into a sampler of an approximate posterior and a bound on log Z, and
`make_perturbed_argmax` makes an argmax differentiable. `viterbi`, `viterbi_tree`, `graph_cut` and `brute_force` are
solvers. Potentials are logarithms: the larger, the likelier. ``docs/structures.md`` has examples.
"""

from ._labelling import Labelling
from .grid import graph_cut
from .perturb import PerturbAndMAP, perturb_and_map
from .perturbed import PerturbedArgmax, make_perturbed_argmax
from .solvers import brute_force, viterbi, viterbi_tree

__all__ = [
    "Labelling",
    "PerturbAndMAP",
    "PerturbedArgmax",
    "brute_force",
    "graph_cut",
    "make_perturbed_argmax",
    "perturb_and_map",
    "viterbi",
    "viterbi_tree",
]
