"""The exact expectation, by enumeration."""

from __future__ import annotations

import jax
from jax.typing import ArrayLike

from ...estimators import _surrogates
from ._draws import Draws, Function


def exact(logits: ArrayLike, f: Function, *, family: str = "categorical") -> jax.Array:
    r"""E[f(z)] by enumeration, with all its gradients.

    Parameters
    ----------
    logits, f, family
        As in `score_function`; `f` is called with all configurations of an event at once, the same for every row.

    Returns
    -------
    array of shape lead
        :math:`\sum_z p(z) f(z)`.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `score_function`, and for more than 2**20 configurations.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from gumbelfast.jax import estimators
    >>> float(estimators.exact(jnp.zeros(4), lambda z: z @ jnp.arange(4.0)))
    1.5
    """
    found: jax.Array = _surrogates.exact(Draws(None, logits, f, 1, family))
    return found
