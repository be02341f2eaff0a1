"""The exact expectation, by enumeration."""

from __future__ import annotations

from torch import Tensor

from ...estimators import _surrogates
from ._draws import Draws, Function


def exact(logits: Tensor, f: Function, *, family: str = "categorical") -> Tensor:
    r"""E[f(z)] by enumeration, with all its gradients.

    Parameters
    ----------
    logits, f, family
        As in `score_function`; `f` is called with all configurations of an event at once, the same for every row.

    Returns
    -------
    Tensor of shape lead
        :math:`\sum_z p(z) f(z)`.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `score_function`, and for more than 2**20 configurations.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import estimators
    >>> estimators.exact(torch.zeros(4), lambda z: z @ torch.arange(4.0))
    tensor(1.5000)
    """
    found: Tensor = _surrogates.exact(Draws(logits, f, 1, family))
    return found
