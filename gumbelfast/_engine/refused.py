"""Errors for rows that a kernel refused. The core finds and words them (csrc/diagnose.hpp), for JAX as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from .. import _core
from .checks import Array


class Refused(ValueError):  # noqa: N818 - it says what became of the logits
    """Logits that no kernel draws from.

    Attributes
    ----------
    kind : {"nan", "infinite", "empty", "few", "overflow"}
        NaN or +inf among the logits, a row without a finite one, or with fewer than were asked for; "overflow" where
        the logits themselves are good.
    row : int
        The row's number among all rows.
    place : tuple of int
        The place of a bad logit in the array that was given, or of the row among the rows.
    count : int
        The finite logits of a row that has too few.
    """

    def __init__(self, text: str, kind: str, row: int, place: tuple[int, ...], count: int) -> None:
        super().__init__(text)
        self.kind, self.row, self.place, self.count = kind, row, place, count

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.kind, self.row, self.place, self.count)


def refuse(
    x: Array,
    mask: Array | None,
    axis: int,
    *,
    wanted: int | None = None,
    what: str = "",
    owner: Callable[[int], str] = lambda row: "",
) -> NoReturn:
    """Says why a kernel refused logits that `checks.rows` laid out, or which row has fewer than `wanted` of `what`.

    With `owner` it says to whom the row belongs as well.
    """
    shape = np.shape(x)
    columns = shape[-1] if shape else 1
    rows = np.ascontiguousarray(x).reshape(-1, columns)
    allowed = None if mask is None else np.ascontiguousarray(mask).reshape(-1, columns)
    if allowed is not None and len(allowed) != len(rows):
        allowed = np.ascontiguousarray(np.broadcast_to(allowed, rows.shape))
    # With k = 0 nothing is missing.
    found = _core.diagnose((rows, allowed, 1.0), wanted or 0)
    kind, row, column, count = found
    moved = -1 - axis if axis < 0 else len(shape) - 1 - axis
    text = _core.words_of(found, list(shape), moved, wanted or 0, what, owner(row))
    place = [int(i) for i in np.unravel_index(row, shape[:-1])]
    if kind in ("nan", "infinite") and shape:
        place.insert(len(place) - moved, column)
    raise Refused(text, kind, row, tuple(place), count)


def refuse_ragged(x: Array, bounds: Array) -> NoReturn:
    """The same for rows of any lengths, one after the other: a bad logit, or a row without a finite one."""
    wide = x.astype(np.float64)
    if np.isnan(wide).any() or np.isposinf(wide).any():
        refuse(x, None, -1)
    finite = np.concatenate([[0], np.isfinite(wide).cumsum()])[bounds]
    row = int((np.diff(finite) == 0).argmax())
    text = _core.words_of(("empty", row, 0, 0), [bounds.size - 1, 1], 0, 0, "", "")
    raise Refused(text, "empty", row, (row,), 0)


def check_weights_of_choice(p: Array, distinct: int = 0) -> None:
    """Checks weights along the last axis, for so many draws without replacement, or for draws with it."""
    _raise(_core.fault_of_weights(np.ascontiguousarray(p), distinct))


def check_inverses(values: Array) -> None:
    """Checks reciprocals of temperatures, one for all rows or one per row."""
    _raise(_core.fault_of_inverses(np.ascontiguousarray(values) if values.ndim else values))


def _raise(fault: Any) -> None:
    if fault:
        raise ValueError(fault)
