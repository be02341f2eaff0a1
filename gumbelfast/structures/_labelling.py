"""The result of a solver."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Labelling(NamedTuple):
    """The labelling that a solver found best.

    Attributes
    ----------
    labels : ndarray of int64, shape (*batch, *sites)
        The label of each site.
    score : ndarray, shape (*batch)
        The sum of their potentials, in the dtype that they were added up in.
    """

    labels: NDArray[np.int64]
    score: NDArray[Any]
