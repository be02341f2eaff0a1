"""Perturb-and-MAP: samples and a bound on log Z from a MAP solver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks
from .._engine.sources import reserved
from .._engine.types import SeedLike
from .._sampling.argmax import categorical
from .._sampling.noise import gumbel
from ..random.generator import Generator
from . import _checks
from .solvers import all_labellings

Array = NDArray[Any]
Solver = Callable[[Array], Any]

_BLOCK = 2**18  # potentials that are perturbed at a time: so few that they stay in the cache

_NO_SCORES = "order='full' needs a solver that returns scores as well"


class PerturbAndMAP(NamedTuple):
    """What `perturb_and_map` returns.

    Attributes
    ----------
    samples : ndarray of int64, shape (num_samples, *batch, *sites)
        The best labelling under each perturbation.
    marginals : ndarray of float64, shape (*batch, *sites, S)
        The share of the samples with each label at each site.
    maxima : ndarray of shape (num_samples, *batch), or None
        The perturbed potential of each sample, noise of mean zero included; None if the solver returns no scores.
    """

    samples: NDArray[np.int64]
    marginals: NDArray[np.float64]
    maxima: Array | None

    @property
    def log_z_bound(self) -> Any:
        """The mean of `maxima`, an estimate of an upper bound on log Z; with ``order="full"``, of log Z itself."""
        return self._maxima().mean(axis=0)

    @property
    def log_z_stderr(self) -> Any:
        """The standard error of `log_z_bound`, from at least two samples."""
        maxima = self._maxima()
        if len(maxima) < 2:
            raise ValueError("a standard error needs at least 2 samples, got 1")
        return maxima.std(axis=0, ddof=1) / len(maxima) ** 0.5

    def _maxima(self) -> NDArray[np.float64]:
        if self.maxima is None:
            raise ValueError("the solver returned labels without scores: there are no perturbed maxima")
        return self.maxima.astype(np.float64)


def perturb_and_map(
    unary: ArrayLike, solver: Solver, num_samples: int, *, order: str = "unary", rng: SeedLike = None
) -> PerturbAndMAP:
    r"""Perturb the potentials of a discrete Markov random field with Gumbel noise, and find the best labelling.

    Parameters
    ----------
    unary : array_like of float16, bfloat16, float32 or float64, shape (*batch, *sites, S)
        Potential of each of S labels at each site.
    solver : callable
        Knows all other potentials. It takes unary potentials of shape (n, *batch, *sites, S), float32 or float64, and
        returns a pair of best labels, integers of shape (n, *batch, *sites), and their scores, of shape (n, *batch): a
        `Labelling` of `viterbi`, `viterbi_tree`, `graph_cut` or `brute_force`. It may return labels alone; then there
        is no bound. Its argument is overwritten before the next call.
    num_samples : int
        How many perturbations, at least 1.
    order : {"unary", "full"}
        "unary" perturbs the unary potentials. "full" perturbs the potential of every labelling, which is exact, for
        models of up to 65536 labellings and solvers that return scores.
    rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
        Where the randomness comes from.

    Returns
    -------
    PerturbAndMAP
        ``samples``, ``marginals``, ``maxima``, ``log_z_bound`` and ``log_z_stderr``.

    Raises
    ------
    TypeError
        For potentials that are not floats.
    ValueError
        For NaN or +inf among the potentials, a site with all labels forbidden, an unknown order, ``num_samples < 1``,
        and labels that do not fit the potentials. Whatever the solver raises passes through. The generator is then left
        as it was.

    Notes
    -----
    With standard Gumbels :math:`\gamma` of mean zero, one for each site and label, a sample is

    .. math:: \hat x = \arg\max_x \theta(x) + \sum_i \gamma_i(x_i), \qquad
        \log Z \le E \Big[ \max_x \theta(x) + \sum_i \gamma_i(x_i) \Big]

    (Papandreou and Yuille, "Perturb-and-MAP random fields", 2011; Hazan and Jaakkola, "On the partition function and
    random maximum a-posteriori perturbations", 2012). Samples and bound are exact for models without interactions. For
    others the samples follow a distribution near the Gibbs distribution :math:`\exp \theta(x) / Z`; its marginals
    differ, however many samples are taken. The noise is ``gumbel(-np.euler_gamma, size=(num_samples, *unary.shape))``
    in the dtype of the computation. The largest potential of each site is subtracted before the noise is added, and
    added to the maxima again: a constant for all labels of a site changes no distribution. With one Gumbel for every
    labelling (``order="full"``) the samples are exact, and the expectation of the maxima is log Z.

    Examples
    --------
    >>> import numpy as np
    >>> from functools import partial
    >>> from gumbelfast.structures import perturb_and_map, viterbi
    >>> found = perturb_and_map(np.zeros((10, 2)), partial(viterbi, pairwise=np.eye(2)), 1000, rng=0)
    >>> found.samples.shape, found.marginals.shape
    ((1000, 10), (10, 2))
    """
    if order not in ("unary", "full"):
        raise ValueError(f"order must be 'unary' or 'full', got {order!r}")
    x = _checks.unary(unary, ("sites", "labels"))
    _checks.no_nan(x, "unary")
    _checks.some_label(x)
    count = checks.positive_count(num_samples, "num_samples")
    samples, maxima = (_perturb_unary if order == "unary" else _perturb_all)(solver, count, x, rng)
    marginals = np.stack([(samples == label).mean(axis=0) for label in range(x.shape[-1])], axis=-1)
    return PerturbAndMAP(samples, marginals, maxima)


def _perturb_unary(solver: Solver, count: int, x: Array, rng: SeedLike) -> tuple[NDArray[np.int64], Array | None]:
    """Solves for ``x + gumbel(-euler_gamma, size=(count, *x.shape))``; what is common to a site is added to scores."""
    common = x.max(axis=-1, keepdims=True)
    with np.errstate(over="ignore"):
        low = np.where(np.isneginf(x), x, np.maximum(x - common, np.finfo(x.dtype).min))
    with reserved(rng, count * x.size) as (key, element):
        noise = Generator(key)

        def perturb(first: int, out: Array) -> None:
            gumbel(-np.euler_gamma, out=out, rng=noise, offset=element + first * x.size)
            out += low

        samples, scores = _solve_each(solver, count, x, perturb)
    if scores is None:
        return samples, None
    sites = tuple(range(scores.ndim - 1, x.ndim))
    return samples, scores + common.astype(np.float64).sum(axis=sites)


def _perturb_all(solver: Solver, count: int, x: Array, rng: SeedLike) -> tuple[NDArray[np.int64], Array]:
    """Draws from the table of all labellings.

    The solver gives the potential of a labelling when all others are so unlikely that it has no choice.
    """
    score = _solve(solver, x[None])[1]
    if score is None:
        raise ValueError(_NO_SCORES)
    batch, sites, labels = score.shape[1:], x.shape[score.ndim - 1 : -1], x.shape[-1]
    every = all_labellings(int(np.prod(sites)), labels).reshape(-1, *sites)
    wanted = every.reshape(len(every), *(1,) * len(batch), *sites)
    # The penalty of all other labels: so large that they are chosen only if the labelling is forbidden, which is then
    # practically impossible; so small that no sum becomes infinite.
    price = x.dtype.type(np.finfo(x.dtype).max / (2 * every[0].size))

    def force(first: int, out: Array) -> None:
        chosen = wanted[first : first + len(out), ..., None] == np.arange(labels)
        with np.errstate(over="ignore"):
            out[...] = np.where(chosen, x, x - price)

    score = _solve_each(solver, len(every), x, force)[1]
    if score is None:
        raise ValueError(_NO_SCORES)
    index, perturbed = categorical(np.moveaxis(score, 0, -1), size=count, return_perturbed=True, rng=rng)
    return every[index].reshape(count, *batch, *sites), perturbed - perturbed.dtype.type(np.euler_gamma)


def _solve_each(
    solver: Solver, count: int, x: Array, make: Callable[[int, Array], None]
) -> tuple[NDArray[np.int64], Array | None]:
    """Labels and scores of `count` problems like `x`, which ``make(first, out)`` writes a block at a time."""
    memory = np.empty((min(count, max(1, _BLOCK // max(1, x.size))), *x.shape), x.dtype)
    samples, scores = np.empty((count, *x.shape[:-1]), np.int64), []
    for first in range(0, count, len(memory)):
        block = memory[: count - first]
        make(first, block)
        samples[first : first + len(block)], score = _solve(solver, block)
        scores.append(score)
    known = [score for score in scores if score is not None]
    return samples, np.concatenate(known) if len(known) == len(scores) else None


def _solve(solver: Solver, block: Array) -> tuple[Array, Array | None]:
    found = solver(block)
    labels, score = found if isinstance(found, tuple) else (found, None)
    labels = _checks.labels(labels, block.shape[:-1], block.shape[-1])
    if score is not None:
        score = np.asarray(score)
        if score.ndim == 0 or score.shape != labels.shape[: score.ndim]:
            raise ValueError(
                f"solver returned scores of shape {score.shape}, expected a leading part of {labels.shape}"
            )
    return labels, score
