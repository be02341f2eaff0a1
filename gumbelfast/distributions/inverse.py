"""Sampling by inversion of the distribution function."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, table_checks
from .._engine.tables import first_above


def inverse_transform(probs: ArrayLike, u: ArrayLike, *, axis: int = -1, cdf: bool = False) -> Any:
    r"""The category at which the cumulative distribution exceeds u: sampling by inversion, from given uniforms.

    Parameters
    ----------
    probs : array_like of float16, bfloat16, float32, float64 or integers
        Probabilities, finite and >= 0, which need not sum to 1; with ``cdf=True`` their cumulative sums.
    u : array_like of floats
        Uniforms in [0, 1), of a shape that broadcasts against the batch shape of `probs`.
    axis : int, default -1
        The axis of the categories.
    cdf : bool, default False
        `probs` are cumulative sums already.

    Returns
    -------
    ndarray of int64, or a scalar; its shape is that of `u` and the batch broadcast together

    Raises
    ------
    TypeError
        For probabilities that are neither floats nor integers, and uniforms that are not floats.
    ValueError
        For u outside [0, 1), negative or non-finite entries, a `cdf` that decreases, a total that is 0 or overflows.

    Notes
    -----
    With float64 sums :math:`c_j` accumulated in order, the smallest j with :math:`c_j / c_{K-1} > u`, the quotient
    rounded once and compared exactly (Devroye, *Non-Uniform Random Variate Generation*, 1986, ch. III.2). A category of
    probability zero is never returned. `Categorical` draws by the same rule with ``method="inverse"``, where u is a
    multiple of ``2**-64``.

    Examples
    --------
    >>> import gumbelfast as gf
    >>> gf.distributions.inverse_transform([1.0, 0.0, 3.0], [0.0, 0.24, 0.25, 0.99]).tolist()
    [0, 0, 2, 2]
    """
    x, _ = checks.rows(table_checks.counted(probs), axis)
    wide = x.astype(np.float64)
    table_checks.sums(wide, axis) if cdf else table_checks.weights(wide, axis)
    uniform = table_checks.broadcast_last(table_checks.uniforms(u), "u", x.shape[:-1])
    functions = (wide / wide[..., -1:] if cdf else _distribution(wide)).reshape(-1, x.shape[-1])
    index = np.empty(uniform.shape, np.int64)
    columns, drawn = index.reshape(-1, max(len(functions), 1)), uniform.reshape(-1, max(len(functions), 1))
    for i, function in enumerate(functions):
        columns[:, i] = first_above(function, drawn[:, i])
    return index[()]


def _distribution(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cumulative sums of float64 rows, divided by their totals: each division rounded once.

    NumPy accumulates in order, so the sums are the same everywhere.
    """
    sums: NDArray[np.float64] = np.cumsum(weights, axis=-1)
    sums /= sums[..., -1:].copy()
    return sums
