"""Which factors the terms of a logsumexp can have."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .._engine import checks
from .._engine.checks import Array, real


def factors(b: ArrayLike, x: ArrayLike) -> tuple[Array, Array]:
    """`x` and `b` broadcast against each other, `b`, of numbers or booleans, as float64."""
    found, terms = np.asarray(b), checks.as_array(x)
    found = real(found.astype(np.int8) if found.dtype == np.bool_ else found, "b")
    try:
        shape = np.broadcast_shapes(terms.shape, found.shape)
    except ValueError:
        raise ValueError(f"b of shape {found.shape} does not broadcast with x of shape {terms.shape}") from None
    if terms.shape != shape:
        terms = np.broadcast_to(terms, shape)
    return terms, np.broadcast_to(found, shape)
