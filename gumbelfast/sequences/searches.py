"""Sequences from a model that is asked token by token: with and without replacement, and the most probable ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine.types import SeedLike
from . import _checks
from ._beams import NOTHING, Array, Beams, Model, Step, Trace, search
from ._expand import Draw, most_probable


class Sequences(NamedTuple):
    """What `beam_search` and `ancestral_sample` return.

    Attributes
    ----------
    sequences : ndarray of int64, shape (B, k, L)
        Tokens, -1 after the end; L is the length of the longest.
    lengths : ndarray of int64, shape (B, k)
        Tokens of each, `eos` included; 0 where there is no such sequence.
    log_probs : ndarray of float64, shape (B, k)
        Log-probabilities, -inf where there is no such sequence.
    trace : Trace or None
        The beams after each step, with ``return_all=True``.
    """

    sequences: NDArray[np.int64]
    lengths: NDArray[np.int64]
    log_probs: Array
    trace: Trace | None = None


class StochasticBeams(NamedTuple):
    """What `stochastic_beam_search` returns: the fields of `Sequences`, and two more.

    Attributes
    ----------
    sequences, lengths, log_probs, trace
        As in `Sequences`, in the order drawn.
    perturbed : ndarray of float64, shape (B, k)
        Perturbed log-probabilities G, -inf where there is no such sequence.
    kappa : ndarray of float64, shape (B,)
        The largest G of all sequences that were not drawn, -inf where there are none. With dead ends the largest G of
        all that gave way, whether it would have been completed or not.
    """

    sequences: NDArray[np.int64]
    lengths: NDArray[np.int64]
    log_probs: Array
    perturbed: Array
    kappa: Array
    trace: Trace | None = None


def stochastic_beam_search(
    step: Step,
    initial_state: Any,
    k: int,
    max_steps: int,
    *,
    eos: int | None = None,
    rng: SeedLike = None,
    seeds: ArrayLike | None = None,
    length_penalty: float | None = None,
    dead_ends: str = "raise",
    return_all: bool = False,
) -> StochasticBeams:
    r"""Draw k sequences per prompt without replacement, in order, from a model that is asked token by token.

    Parameters
    ----------
    step : callable
        ``step(tokens, state) -> (log_probs, state)``. The first call has ``tokens=None`` and `initial_state`, and
        returns one row of log-probabilities of the first token for each of B prompts, shape ``(B, V)``. Later calls
        have n tokens, shape ``(n,)``, one for each beam that can still grow (at most ``B * (k + 1)``), and return shape
        ``(n, V)``. Rows may be unnormalised: they are normalised here. -inf is never drawn. Anything that
        `numpy.asarray` takes will do: arrays of NumPy and JAX, tensors of PyTorch on the CPU without gradient.
    initial_state : object
        What the first call gets. A state that is returned is None, an array whose leading axis has the rows of the
        call, or a nest of dicts, lists, tuples and named tuples of these. Its rows are brought into the order of the
        next call's tokens by ``array[index]``.
    k : int
        How many sequences per prompt, ``k >= 0``. k + 1 beams are kept.
    max_steps : int
        The most tokens; a sequence that has so many ends there.
    eos : int, optional
        The token that ends a sequence, and belongs to it.
    rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
        Where the randomness comes from.
    seeds : int or array_like of int, shape (B,), optional
        One per prompt: its result depends on no other prompt, and is the same again with the same seed. Prompts whose
        seed is None draw from `rng`.
    dead_ends : {"raise", "drop"}, default "raise"
        What to do where nothing may follow a prefix, all its log-probabilities being -inf: raise, or drop the prefix
        and go on with all others. See the notes for what is drawn then.
    length_penalty : float, optional
        Sort the k sequences, once drawn, by ``log_prob / ((5 + length) / 6) ** length_penalty``, largest first, instead
        of by the order of the draw (Wu et al. 2016). It does not change which are drawn.
    return_all : bool, default False
        Return the beams after each step as well.

    Returns
    -------
    StochasticBeams

    Raises
    ------
    TypeError, ValueError
        For what `step` returned, with the number of the call, the row, its prompt and beam: log-probabilities that are
        no floats, of another shape, with NaN, +inf or, unless they are dropped, a row without a finite entry; a state
        without these rows. The generator has moved for the calls before. For bad settings, before `step` is called.
        What `step` raises passes through.

    Notes
    -----
    Kool, van Hoof and Welling, "Stochastic beams and where to find them: the Gumbel-top-k trick for sampling sequences
    without replacement" (2019). The sequences are the k largest of :math:`G = \log p(y) + g` over all sequences y, with
    independent standard Gumbels g, so in order they follow the Plackett-Luce distribution: each next one is drawn from
    the model among those not yet drawn. A prefix has the largest G of its continuations. The children c of a prefix
    with G are perturbed by :math:`z_c = \log p(c) + g_c`, and given that the largest of them is G they have

    .. math:: G_c = -\log(e^{-G} - e^{-Z} + e^{-z_c}), \qquad Z = \max_c z_c,

    computed as :math:`-\mathrm{logaddexp}(-G, \log(1 - e^{z_c - Z}) - z_c)` in float64. This increases in :math:`z_c`,
    so the k + 1 largest :math:`z_c` of each beam are enough, and `gumbel_top_k` finds them without most of the noise.
    ``estimators.without_replacement`` turns the result into estimates of expectations.

    *Dead ends.* A prefix that nothing may follow has the probability p of its tokens and a G like any other, which no
    sequence gets: nothing is renormalised. The completed sequences in the order of their G are a Plackett-Luce order,
    each next one drawn from the model among the completed ones that are left, and the first of these are returned.
    There may be fewer than k even if more could be completed: once a dead end has been dropped, the search cannot know
    those whose G is below that of a beam which gave way to it. It stops at that value, which is `kappa`. So
    ``estimators.without_replacement`` stays unbiased for the sum of p f over the completed sequences. With a larger k
    fewer are missing.

    The noise of step t (from 0) at beam j (of k + 1, the best first) is that of `gumbel_top_k` for the rows of the
    call; with `seeds`, at position ``t * (k + 1) + j`` of the prompt's seed.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> chain = np.log([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])  # a Markov chain, one prompt
    >>> step = lambda tokens, state: (chain[[0] if tokens is None else tokens], None)
    >>> found = gf.sequences.stochastic_beam_search(step, None, k=4, max_steps=5, rng=0)
    >>> found.sequences.shape, len(np.unique(found.sequences[0], axis=0))
    ((1, 4, 5), 4)

    Nothing may follow token 2 now:

    >>> chain[2] = -np.inf
    >>> found = gf.sequences.stochastic_beam_search(step, None, k=4, max_steps=2, rng=0, dead_ends="drop")
    >>> bool((found.sequences[..., 0] != 2).all())
    True
    """
    k, max_steps, end = _checks.search(k, max_steps, eos, length_penalty)
    drop = _checks.dead_ends(dead_ends)
    draw = Draw(rng, seeds, k + 1)
    beams = search(Model(step, initial_state, end, k + 1, drop), draw.children, k + 1, max_steps, end, exact=drop)
    kappa = np.maximum(beams.scores[:, k], beams.cut)
    sequences, lengths, log_probs, perturbed = _best(beams, k, length_penalty)
    return StochasticBeams(sequences, lengths, log_probs, perturbed, kappa, beams.trace if return_all else None)


def beam_search(
    step: Step,
    initial_state: Any,
    k: int,
    max_steps: int,
    *,
    eos: int | None = None,
    length_penalty: float | None = None,
    dead_ends: str = "raise",
    return_all: bool = False,
) -> Sequences:
    """The k sequences per prompt that a beam search of width k finds most probable, best first.

    Parameters
    ----------
    step, initial_state, k, max_steps, eos, length_penalty, dead_ends, return_all
        As in `stochastic_beam_search`; at most ``B * k`` beams grow. A prefix that is dropped as a dead end leaves its
        place to the next best, and no sequence of a beam that was lost to it before comes back.

    Returns
    -------
    Sequences

    Raises
    ------
    TypeError, ValueError
        As in `stochastic_beam_search`.

    Notes
    -----
    Sequences that have ended keep their place among the k while their log-probability is among the best. It is no exact
    search: a prefix that is dropped may have had the best continuation.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.sequences import beam_search
    >>> chain = np.log([[0.7, 0.3], [0.1, 0.9]])
    >>> def step(tokens, state):  # the next of two tokens, given the last; the first call has none
    ...     return chain[[0] if tokens is None else tokens], None
    ...
    >>> found = beam_search(step, None, k=2, max_steps=2)
    >>> found.sequences[0].tolist(), np.exp(found.log_probs[0]).round(2).tolist()
    ([[0, 0], [1, 1]], [0.49, 0.27])
    """
    k, max_steps, end = _checks.search(k, max_steps, eos, length_penalty)
    drop, width = _checks.dead_ends(dead_ends), max(k, 1)
    beams = search(Model(step, initial_state, end, width, drop), most_probable, width, max_steps, end)
    sequences, lengths, log_probs, _ = _best(beams, k, length_penalty)
    return Sequences(sequences, lengths, log_probs, beams.trace if return_all else None)


def ancestral_sample(
    step: Step,
    initial_state: Any,
    k: int,
    max_steps: int,
    *,
    eos: int | None = None,
    rng: SeedLike = None,
    seeds: ArrayLike | None = None,
    dead_ends: str = "raise",
) -> Sequences:
    """Draw k sequences per prompt with replacement, token by token.

    Parameters
    ----------
    step, initial_state, k, max_steps, eos, rng, seeds
        As in `stochastic_beam_search`; at most ``B * k`` sequences grow. Step t of sequence j has position
        ``t * k + j`` of the prompt's seed.
    dead_ends : {"raise", "drop"}, default "raise"
        With "drop" a sequence that runs into a dead end is reported as absent: length 0, log-probability -inf. It is
        not drawn again, so the others keep the probabilities of the model, and the share of absent ones estimates that
        of all dead ends.

    Returns
    -------
    Sequences

    Raises
    ------
    TypeError, ValueError
        As in `stochastic_beam_search`.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.sequences import ancestral_sample
    >>> chain = np.log([[0.7, 0.3], [0.1, 0.9]])
    >>> def step(tokens, state):  # the next of two tokens, given the last; the first call has none
    ...     return chain[[0] if tokens is None else tokens], None
    ...
    >>> found = ancestral_sample(step, None, k=10_000, max_steps=2, rng=0)
    >>> share = (found.sequences[0] == [1, 1]).all(axis=1).mean()
    >>> bool(abs(share - 0.3 * 0.9) < 0.02)
    True
    """
    k, max_steps, end = _checks.search(k, max_steps, eos)
    drop = _checks.dead_ends(dead_ends)
    draw, model = Draw(rng, seeds, k), Model(step, initial_state, end, k, drop)
    places = np.arange(model.prompts * k)
    log_prob = np.zeros(places.size)
    tokens = np.full((places.size, max_steps), NOTHING)
    rows = places // max(k, 1)  # the first call has one row per prompt, for all k
    while places.size:
        at, logits = model.steps, model.logits if model.steps else model.logits[rows]
        token = draw.top(model, logits, places, 1)[0][:, 0]
        tokens[places, at] = token
        log_prob[places] += model.logits[rows, token] - model.norm[rows, 0]
        dead = places[token == NOTHING]
        tokens[dead], log_prob[dead] = NOTHING, -np.inf
        going = (token != end) & (token != NOTHING)
        places, rows = places[going], rows[going]
        if at + 1 == max_steps or not places.size:
            break
        model.advance(token[going], rows)
        rows = np.arange(places.size)
    lengths = (tokens != NOTHING).sum(-1)
    grid = model.prompts, k
    sequences = tokens[:, : lengths.max(initial=0)].reshape(*grid, lengths.max(initial=0))
    return Sequences(sequences, lengths.reshape(grid), log_prob.reshape(grid))


def _best(beams: Beams, k: int, length_penalty: float | None) -> tuple[Array, Array, Array, Array]:
    """Sequences, lengths, log-probabilities and scores of the first k, in the order that the penalty asks for."""
    parts = [part[:, :k] for part in beams[:4]]
    if length_penalty is not None:
        _, lengths, log_probs, _ = parts
        penalized = log_probs / ((5 + lengths) / 6) ** length_penalty
        order = np.argsort(-penalized, axis=-1, kind="stable")
        parts = [np.take_along_axis(p, order[..., None] if p.ndim == 3 else order, 1) for p in parts]
    sequences, lengths, log_probs, scores = parts
    return sequences[..., : lengths.max(initial=0)], lengths, log_probs, scores
