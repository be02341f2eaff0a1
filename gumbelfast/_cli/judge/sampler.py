"""A sampler under the calling convention of docs/judge.md, with the abilities that it declares."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
OPTIONS = "seeds", "top_k", "top_p", "min_p"
PIECE = 1 << 22  # the most logits of one call, unless a row is longer


class OutOfConventionError(Exception):
    """The sampler did not return one index for each row, or returned an index out of range."""


@dataclass(frozen=True)
class Sampler:
    """A sampler, and which options it takes.

    Attributes
    ----------
    function : callable
        ``f(logits, seed, **options)`` to an index for each row.
    options : frozenset of str
        Those of `OPTIONS` that it takes as parameters.
    speculate : callable, optional
        ``(draft_logits, target_logits, seed)`` to the first token of each row that speculative decoding returns.
    one_noise : bool
        Whether calls with one seed give each category the same noise, whatever the logits.
    """

    function: Callable[..., Any]
    options: frozenset[str] = field(default_factory=frozenset)
    speculate: Callable[..., Any] | None = None
    one_noise: bool = False

    def draw(self, logits: Array, seed: int = 0, **options: Any) -> Array:
        """The indices of one call, which must be those of categories."""
        index = self.call(logits, seed, **options)
        return checked(index, logits)

    def call(self, logits: Array, seed: int = 0, **options: Any) -> Array:
        """The indices of one call, whatever they are; the sampler gets logits that it may write to."""
        return _as_indices(self.function(logits.copy(), seed, **options), len(logits))

    def repeat(self, row: Array, draws: int, seed: int = 0, **options: Any) -> Array:
        """Many draws from one row, in calls of limited size with a seed for each."""
        rows = int(min(draws, max(1, PIECE // row.size)))
        batch = np.tile(row, (rows, 1))
        found = []
        for call, first in enumerate(range(0, draws, rows)):
            found.append(self.draw(batch[: draws - first], seed + call, **options))
        return np.concatenate(found)

    def speculated(self, draft: Array, target: Array, seed: int) -> Array:
        """The tokens that speculative decoding returns."""
        assert self.speculate is not None
        return checked(_as_indices(self.speculate(draft.copy(), target.copy(), seed), len(target)), target)


def _as_indices(returned: Any, rows: int) -> Array:
    index = np.asarray(returned)
    if index.shape != (rows,) or index.dtype.kind not in "iu":
        raise OutOfConventionError(f"returned {index.dtype} of shape {index.shape}, expected ({rows},) of integers")
    return index


def checked(index: Array, logits: Array) -> Array:
    """The indices, after a check that all are those of columns."""
    wrong = (index < 0) | (index >= logits.shape[1])
    if wrong.any():
        row = int(wrong.argmax())
        raise OutOfConventionError(f"drew {index[row]} of {logits.shape[1]} categories in row {row}")
    return index


def as_sampler(function: Callable[..., Any]) -> Sampler:
    """A function as a sampler: options are its parameters of these names, all else its attributes.

    Raises
    ------
    ValueError
        If its parameters cannot be determined, as for some compiled functions.
    """
    taken = frozenset(OPTIONS) & inspect.signature(function).parameters.keys()
    speculate, one_noise = getattr(function, "speculate", None), bool(getattr(function, "one_noise", False))
    return Sampler(function, taken, speculate, one_noise)


def load(target: str) -> Callable[..., Any]:
    """The function that ``MODULE:FUNCTION`` names; the module may be in the current folder.

    Raises
    ------
    ValueError
        If the text has another form, or there is no such function.
    ImportError
        If the module cannot be imported.
    """
    module, colon, path = target.partition(":")
    if not (module and colon and path):
        raise ValueError(f"expected MODULE:FUNCTION, got {target!r}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        if not hasattr(found, name):
            raise ValueError(f"{target}: {name!r} is not there")
        found = getattr(found, name)
    if not callable(found):
        raise ValueError(f"{target} is {type(found).__name__}, expected a function")
    function: Callable[..., Any] = found
    return function
