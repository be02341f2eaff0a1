"""Elements of an array by weights, as `jax.random.choice`."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from . import _calls, _checks, _keys
from ._calls import Settings


def choice(
    key: ArrayLike,
    a: int | ArrayLike,
    shape: int | tuple[int, ...] = (),
    replace: bool = True,
    p: ArrayLike | None = None,
    axis: int = 0,
) -> jax.Array:
    r"""Choose elements of an array, uniformly or by weights, as `jax.random.choice`.

    Parameters
    ----------
    key : JAX key
        Typed or raw.
    a : int or array
        The array to choose from, along `axis`, or the integers below a number.
    shape : int or tuple of ints, default ()
        Of the choices.
    replace : bool, default True
        False: no element is chosen twice; they are in the order of successive sampling.
    p : array of real numbers, optional
        Weights of the elements, finite and >= 0, by default equal. They need not sum to 1: they are divided by their
        sum. Elements of weight 0 are never chosen.
    axis : int, default 0
        The axis of `a` that its elements lie along.

    Returns
    -------
    jax.Array
        Shape of `a` with `shape` in place of `axis`, and its dtype; for an integer int32, or int64 with x64.

    Raises
    ------
    TypeError
        For an `a` that is neither an array nor an integer, weights that are not real, and for a `key` that is not one.
    ValueError
        For a bad axis, a `p` of another size, an empty `a`, or more draws without replacement than elements.
    jax.errors.JaxRuntimeError
        When the program runs: for weights that are negative or not finite, whose sum is 0, or of which too few are
        positive.

    Notes
    -----
    For K elements and N draws the cost grows as K + N. With replacement a draw takes one uniform u of 64 bits: by an
    alias table of the weights (Walker 1977; Vose 1991), the values of ``gumbelfast.Categorical(probs=p).sample``; of
    equal ones :math:`\lfloor K u / 2^{64} \rfloor`. Without replacement the largest :math:`\log p_j + g_j` are chosen
    in float64, with standard Gumbels g (Efraimidis and Spirakis 2006; Vieira 2014). No gradient passes to `p`.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, gumbelfast.jax
    >>> key = jax.random.key(0)
    >>> gumbelfast.jax.choice(key, 5, (2, 3), p=jnp.array([0, 0, 0, 2, 0])).tolist()
    [[3, 3, 3], [3, 3, 3]]
    >>> sorted(gumbelfast.jax.choice(key, jnp.array([10, 20, 30]), 3, replace=False).tolist())
    [10, 20, 30]
    """
    key, wanted = _keys.single_key("choice", key), _checks.sizes(shape)
    array, axis, size = _checks.population(a, axis)
    weights = None if p is None else _checks.probabilities(p, size)
    if 0 in wanted:
        index = jnp.zeros(wanted, _checks.index_dtype(size))
    else:
        _checks.something(size)
        if not replace:
            _checks.draws_without_replacement(math.prod(wanted), size)
        index = _chosen(key, weights, size, wanted, bool(replace), _calls.settings())
    if array is None:
        return index
    if 0 in wanted:
        return jnp.empty((*array.shape[:axis], *wanted, *array.shape[axis + 1 :]), array.dtype)
    return jnp.take(array, index, axis, mode="clip")


@partial(jax.jit, static_argnums=(2, 3, 4, 5))
def _chosen(key: Any, p: Any, size: int, shape: tuple[int, ...], replace: bool, how: Settings) -> Any:
    words, dtype = _keys.words(key), _checks.index_dtype(size)
    still = None if p is None else jax.lax.stop_gradient(p)
    if not replace:
        result = jax.ShapeDtypeStruct((math.prod(shape),), dtype)
        even = jnp.ones(size, jnp.float32) if still is None else still
        return _calls.call(how, "distinct", (result,), words, even)[0].reshape(shape)
    result = jax.ShapeDtypeStruct(shape, dtype)
    if still is None:
        return _calls.call(how, "integers", (result,), words, jnp.asarray(size - 1, dtype))[0]
    return _calls.call(how, "alias", (result,), words, still, axis=0, weights=True)[0]
