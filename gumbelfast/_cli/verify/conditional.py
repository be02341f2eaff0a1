"""What the reference lets perturbed logits under a condition be."""

from __future__ import annotations

import numpy as np

from ...reference.rows import load_logits
from ...reference.softmax import logsumexp
from .cases import Case
from .inputs import Inputs, condition
from .judges import CONDITIONAL_ULP, REFUSED, Judge, Results, Verdict, _refused, _where, noise_bounds


def conditional(case: Case, given: Inputs) -> Judge:
    """As `judge`, for conditional_gumbel."""
    x = load_logits((given.x, None, 1.0))
    if x is None or np.isneginf(x).all(axis=-1).any():
        return _refused
    bound, index = condition(case, x)
    rows, eps = np.arange(case.rows), np.finfo(x.dtype).eps
    _, *noise, _ = noise_bounds(case, x.dtype)
    ends = []
    for g, sign in zip(noise, (-1, 1), strict=True):
        if bound is None:
            top = logsumexp(x) + g[rows, index].astype(np.longdouble)
            top += sign * eps * (4 + np.log(case.columns) + np.abs(x.max(axis=-1)) + np.abs(top))
        else:
            top = bound.astype(x.dtype).astype(np.longdouble)
        # The result grows with the bound and with the noise.
        z = -np.logaddexp(-top[:, None], -(x + g).astype(np.longdouble))
        z += sign * CONDITIONAL_ULP * eps * np.maximum(1, np.where(np.isfinite(z), np.abs(z), 0))
        if index is not None:
            z[rows, index] = top
        ends.append(z)
    low, high = ends

    def look(got: Results) -> Verdict:
        if not got:
            return Verdict(fault=REFUSED)
        z, least = got[0], low
        if index is not None:
            top = z[rows, index]
            # What rounding would put beside the largest is kept below it.
            least = np.minimum(low, np.nextafter(top, -np.inf, dtype=z.dtype)[:, None])
            least[rows, index] = low[rows, index]
            tied = (z >= top[:, None]) & (np.arange(case.columns) != index[:, None])
            if tied.any():
                return Verdict(fault=_where(tied, z, low))
        return Verdict(fault=_where(~((least <= z) & (z <= high)), z, low))

    return look
