"""Stochastic beam search for one prompt, over prefixes and without a state: Kool, van Hoof and Welling (2019).

Every prefix has a perturbed log-probability G, the largest of its continuations. Going down one token, the children are
perturbed independently and then moved so that their largest is the G of their parent.

A prefix that nothing may follow is dropped when the model is asked for its children. Other beams gave way to it before,
and what is worth less than the best of these is dropped as well: it may be less than what was lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .noise import gumbel_noise
from .philox import row_key

Vector = NDArray[Any]


class Beam(NamedTuple):
    """A prefix, its log-probability, and the largest perturbed log-probability of its continuations."""

    prefix: tuple[int, ...]
    log_prob: float
    perturbed: float


def conditioned(z: Vector, maximum: float) -> Vector:
    """Gumbels moved so that their largest is `maximum`: appendix B.3 of the paper."""
    with np.errstate(divide="ignore"):
        v = maximum - z + np.log1p(-np.exp(z - z.max()))
    given: Vector = maximum - np.maximum(0, v) - np.log1p(np.exp(-np.abs(v)))
    return given


def stochastic_beam_search(
    log_probs: Callable[[tuple[int, ...]], Vector], k: int, max_steps: int, seed: int, eos: int | None = None
) -> tuple[list[Beam], float]:
    """The k sequences with the largest perturbed log-probabilities, and the next largest of these.

    Parameters
    ----------
    log_probs : callable
        From a prefix to the logits of its next token, float32 or float64 of shape (V,); all -inf at a dead end.
    k, max_steps, eos
        As in `gumbelfast.sequences.stochastic_beam_search`.
    seed : int
        The prompt's seed.

    Returns
    -------
    beams : list of Beam
        At most k, in order.
    kappa : float
        -inf where there is no further sequence.
    """
    beams, cut = [Beam((), 0.0, 0.0)], -np.inf
    for step in range(max_steps):
        candidates = []
        for place, beam in enumerate(beams):
            if eos is not None and beam.prefix[-1:] == (eos,):
                candidates.append(beam)
                continue
            x = log_probs(beam.prefix)
            if not np.isfinite(x).any():
                continue
            columns = np.arange(x.size, dtype=np.uint64)
            element = np.uint64((step * (k + 1) + place) * (-(-x.size // 32) * 32)) + columns
            noise = gumbel_noise(row_key(np.array(seed, np.uint64)), element, x.dtype)
            wide = x.astype(np.float64)
            normalized = wide - np.log(np.exp(wide - wide.max()).sum()) - wide.max()
            z = beam.log_prob + normalized + noise
            if step:
                z = conditioned(z, beam.perturbed)
            candidates += [
                Beam((*beam.prefix, c), beam.log_prob + float(normalized[c]), float(z[c]))
                for c in np.flatnonzero(np.isfinite(x)).tolist()
            ]
        candidates.sort(key=lambda beam: -beam.perturbed)
        cut = max([cut, *(beam.perturbed for beam in candidates[k + 1 : k + 2])])
        beams = [beam for beam in candidates[: k + 1] if beam.perturbed >= cut]
    return beams[:k], beams[k].perturbed if len(beams) > k else cut
