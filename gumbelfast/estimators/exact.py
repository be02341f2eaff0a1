"""The exact expectation and gradient, by enumeration."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._sampling.softmax import log_softmax
from . import _checks
from ._formulas import across
from ._problem import Array, Function, Problem

MOST = 2**20  # configurations


class Exact(NamedTuple):
    """An expectation and its gradient.

    Attributes
    ----------
    value : ndarray of shape lead
        E[f].
    grad : ndarray of the shape of the logits
        d E[f] / d logits.
    """

    value: Array
    grad: Array


def exact(logits: ArrayLike, f: Function, *, family: str = "categorical") -> Exact:
    r"""E[f(z)] and its gradient, by enumeration.

    Parameters
    ----------
    logits, f, family
        As in `score_function`; `f` is called with all configurations of an event at once, the same for every row.

    Returns
    -------
    Exact
        :math:`\sum_z p(z) f(z)` and :math:`\sum_z p(z) f(z) \, \partial \log p(z) / \partial x`.

    Raises
    ------
    TypeError, ValueError
        As in `score_function`, and for more than 2**20 configurations.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast import estimators
    >>> logits, score = np.zeros(3), np.arange(3.0)
    >>> found = estimators.exact(logits, lambda z: z @ score)
    >>> float(found.value), found.grad.round(3).tolist()
    (1.0, [-0.333, 0.0, 0.333])
    """
    problem = Problem(logits, 1, family, f)
    x = problem.logits
    columns = x.shape[-1]
    first = np.zeros((1, *x.shape), x.dtype)
    first[..., 0] = 1
    lead = problem.values(first).ndim - 1
    event = x.shape[lead:-1]
    count = columns ** math.prod(event)
    _checks.check_configurations(columns, math.prod(event), MOST)
    digits = np.indices((columns,) * math.prod(event)).reshape(math.prod(event), count)
    index = np.moveaxis(digits, 0, -1).reshape(count, *(1,) * lead, *event)
    z = np.broadcast_to(index[..., None] == np.arange(columns), (count, *x.shape)).astype(x.dtype)
    picked = np.where(z > 0, log_softmax(x), 0)
    p = np.exp(picked.sum(axis=tuple(range(1 + lead, z.ndim))))
    values = p * problem.values(z, 1 + lead)
    grad = (across(values, z) * (z - problem.mean)).sum(axis=0)
    return Exact(values.sum(axis=0), grad[..., 1] if problem.binary else grad)
