"""The machinery of searches over sequences: a model that is asked step by step, and beams that grow in rounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from .._sampling.softmax import logsumexp
from . import _checks

Array = NDArray[Any]
Step = Callable[[Any, Any], tuple[Any, Any]]

NOTHING = -1  # the token of a sequence that has ended, the parent of a beam that is not there


class Children(NamedTuple):
    """The candidates of some beams, m each: last tokens, log-probabilities and scores of the longer sequences."""

    tokens: NDArray[np.int64]
    log_probs: Array
    scores: Array


# From the model, the beams' places in the grid (n,), their log-probabilities (n, 1) and scores (n, 1), and m.
Expand = Callable[["Model", NDArray[np.int64], Array, Array, int], Children]


class Trace(NamedTuple):
    """The beams after each step: arrays of shape (steps, B, k + 1), the best first.

    Attributes
    ----------
    tokens : ndarray of int64
        The last token of each beam; -1 for one that had ended before, or is not there.
    parents : ndarray of int64
        Which beam of the step before it continues; -1 for one that is not there.
    perturbed : ndarray of float64
        Its perturbed log-probability, -inf for one that is not there. `beam_search`: the log-probability.
    """

    tokens: NDArray[np.int64]
    parents: NDArray[np.int64]
    perturbed: Array


class Model:
    """A `step` function, its state, and what it returned last: logits (n, V), and their logsumexp (n, 1).

    With `drop`, rows without a finite logit are let through: nothing follows them.
    """

    def __init__(self, step: Step, state: Any, eos: int, width: int, drop: bool) -> None:
        self._step, self._state, self._eos = step, state, eos
        self._width, self.drop = width, drop
        self.steps = 0
        self._take(step(None, state), None, None)
        self.prompts = self.logits.shape[0]

    def advance(self, tokens: NDArray[np.int64], index: NDArray[np.int64]) -> None:
        """Append tokens to the rows `index` of the last call, which become the rows of this one."""
        state = _checks.gathered(self._state, index)
        self.steps += 1
        self._take(self._step(tokens, state), len(tokens), self.logits.shape[1])

    def _take(self, returned: Any, rows: int | None, columns: int | None) -> None:
        found, self._state = _checks.pair(returned)
        self.logits = _checks.step_logits(found, self.steps, rows, columns, self._eos)
        _checks.state_rows(self._state, len(self.logits), self.steps)
        self.norm = np.asarray(logsumexp(self.logits, keepdims=True), np.float64)
        if self.drop:  # -inf less 0 stays -inf
            self.norm[np.isneginf(self.norm)] = 0

    def refuse(self, places: NDArray[np.int64]) -> NoReturn:
        """Says what is wrong with the logits, the rows of which belong to these places of the grid."""
        _checks.refuse_step(self.logits, self.steps, places, self._width)


class Beams(NamedTuple):
    """Where a search ended: arrays of shape (B, width), best first, how it got there, and what it left out.

    `cut` (B,) is the largest score of a beam that had to give way, -inf unless the search was `exact`.
    """

    sequences: NDArray[np.int64]
    lengths: NDArray[np.int64]
    log_probs: Array
    scores: Array
    trace: Trace
    cut: Array


def search(model: Model, expand: Expand, width: int, max_steps: int, eos: int, exact: bool = False) -> Beams:
    """Grow the best `width` beams per prompt until all have ended, or for `max_steps` tokens.

    Prompt b has the places ``b * width`` and following for its beams, the best first. A beam that has ended is its own
    only child, one that nothing may follow has none. If such dead ends leave places free, beams move up that are worth
    less than others that were cut before; an `exact` search, of scores that never grow, does without them.
    """
    prompts, columns = model.logits.shape
    kept = min(width + exact, columns)  # the one more is the best that a beam may lose
    cut = np.full((prompts, 1), -np.inf)
    log_prob = np.full((prompts, width), -np.inf)
    log_prob[:, 0] = 0
    score = log_prob
    places = np.arange(prompts) * width
    history: list[tuple[Array, Array, Array]] = []
    while True:
        found = Children(*(np.full((prompts * width, kept), fill) for fill in (NOTHING, -np.inf, -np.inf)))
        found.log_probs[:, 0], found.scores[:, 0] = log_prob.ravel(), score.ravel()
        grown = expand(model, places, found.log_probs[places, :1], found.scores[places, :1], kept)
        for whole, part in zip(found, grown, strict=True):
            whole[places] = part
        token, log_prob, score = (part.reshape(prompts, width * kept) for part in found)
        order = np.argsort(-score, axis=-1, kind="stable")
        if exact and order.shape[1] > width:
            cut = np.maximum(cut, np.take_along_axis(score, order[:, width : width + 1], -1))
        order = order[:, :width]
        token, log_prob, score = (np.take_along_axis(part, order, -1) for part in (token, log_prob, score))
        below = score < cut
        token[below], log_prob[below], score[below] = NOTHING, -np.inf, -np.inf
        parent = np.where(np.isneginf(score), NOTHING, order // kept)
        history.append((token, parent, score))
        row_of = np.full(prompts * width, NOTHING)
        row_of[places] = np.arange(places.size)
        places = np.flatnonzero((token != NOTHING) & (token != eos))
        if len(history) == max_steps or not places.size:
            break
        rows = row_of[places // width * width + parent.ravel()[places]]
        model.advance(token.ravel()[places], rows)
    trace = Trace(*(np.stack(part) for part in zip(*history, strict=True)))
    sequences = _followed(trace)
    return Beams(sequences, (sequences != NOTHING).sum(-1), log_prob, score, trace, cut[:, 0])


def _followed(trace: Trace) -> NDArray[np.int64]:
    """The sequences that lead to the last beams."""
    steps, prompts, width = trace.tokens.shape
    sequences = np.empty((prompts, width, steps), np.int64)
    place = np.broadcast_to(np.arange(width), (prompts, width))
    there = trace.parents[-1] != NOTHING
    for step in reversed(range(steps)):
        sequences[..., step] = np.where(there, np.take_along_axis(trace.tokens[step], place, -1), NOTHING)
        place = np.where(there, np.take_along_axis(trace.parents[step], place, -1), 0)
    return sequences
