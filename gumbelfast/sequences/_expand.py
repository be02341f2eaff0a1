"""How a beam grows: by its largest perturbed log-probabilities, or by its largest log-probabilities."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import address, row_checks, thread_count
from .._engine.backend import active
from .._engine.types import SeedLike
from ..random import seeding
from ._beams import NOTHING, Array, Children, Model


class Draw:
    """The k largest perturbed logits of each row of a step, and where their noise lies."""

    def __init__(self, rng: SeedLike, seeds: ArrayLike | None, width: int) -> None:
        # A seed becomes one generator for all steps; generators, ours and NumPy's, are asked anew by every step.
        given = rng is None or isinstance(rng, np.random.Generator | np.random.BitGenerator)
        self._rng = rng if given else seeding.default_rng(rng)
        self._seeds, self._width = seeds, width

    def top(self, model: Model, logits: Array, places: NDArray[np.int64], m: int) -> tuple[NDArray[np.int64], Array]:
        """Columns and perturbed logits, largest first; -1 and -inf where a row has no more."""
        index = np.empty((places.size, m), np.int64)
        perturbed = np.empty(index.shape)
        draw = partial(active().gumbel_top_k, logits, None, 1.0, index, perturbed, thread_count.resolve(None))

        def call(*address: Any) -> int:
            tiles = draw(*address)
            return tiles if tiles >= -1 or (not model.drop and (index[:, 0] < 0).any()) else -2 - tiles

        seeds = positions = None
        if self._seeds is not None:
            prompt, beam = np.divmod(places, self._width)
            given, missing = row_checks.seed_rows(self._seeds, (model.prompts,))
            row_checks.different_noise(self._seeds, None, (model.prompts,))
            seeds = np.ma.MaskedArray(given, np.ma.nomask if missing is None else missing)[prompt]
            positions = model.steps * self._width + beam
        if address.draw_rows(call, logits.shape, logits.size, self._rng, seeds, positions) < 0:
            model.refuse(places)
        return index, perturbed

    def children(self, model: Model, places: NDArray[np.int64], log_prob: Array, score: Array, kept: int) -> Children:
        """Of each beam the children with the largest perturbed log-probabilities, given that the largest is its own."""
        token, perturbed = self.top(model, model.logits, places, kept)
        shift = log_prob - model.norm
        z = perturbed + shift
        grown = np.take_along_axis(model.logits, token, -1) + shift
        # Nothing conditions the root: its largest child is a standard Gumbel.
        scores = conditioned(z, score) if model.steps else z
        return Children(token, np.where(token == NOTHING, -np.inf, grown), scores)


def conditioned(z: Array, maximum: Array) -> Array:
    """Perturbed values, the largest of a row first, given that the largest is `maximum`."""
    largest = np.maximum(z[:, :1], np.finfo(np.float64).min)  # a row of -inf stays one
    with np.errstate(divide="ignore"):  # of the largest itself: log 0
        tail = np.log(-np.expm1(z - largest)) - z
    given: Array = -np.logaddexp(-maximum, tail)
    return given


def most_probable(model: Model, places: NDArray[np.int64], log_prob: Array, score: Array, kept: int) -> Children:
    """Of each beam the most probable children."""
    if not np.isfinite(model.norm).all():
        model.refuse(places)
    token = np.argpartition(-model.logits, kept - 1, axis=-1)[:, :kept]
    grown = np.take_along_axis(model.logits, token, -1) + (log_prob - model.norm)
    return Children(np.where(np.isneginf(grown), NOTHING, token), grown, grown)
