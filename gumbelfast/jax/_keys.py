"""From a JAX key to its 64 bits, in a way that JAX's checks for keys used twice can see."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import jax
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

# `jax.random.key_data` leaves a key unused in the eyes of `jax.debug_key_reuse`. An operation that JAX does not know
# uses up its keys, if it is in a compiled function.
_primitive = Primitive("gumbelfast_key_data")


def _abstract(key: Any) -> ShapedArray:
    data = jax.eval_shape(jax.random.key_data, jax.ShapeDtypeStruct(key.shape, key.dtype))
    return ShapedArray(data.shape, data.dtype)


def _batched(keys: Any, axes: Any) -> tuple[jax.Array, int]:
    return _primitive.bind(*keys), axes[0]


_primitive.def_abstract_eval(_abstract)
_primitive.def_impl(jax.random.key_data)
mlir.register_lowering(_primitive, mlir.lower_fun(jax.random.key_data, multiple_results=False))
batching.primitive_batchers[_primitive] = _batched


def _is_typed(key: Any) -> bool:
    return isinstance(key, jax.Array) and jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key)


@cache
def _word_count(dtype: Any) -> int:
    return int(jax.eval_shape(jax.random.key_data, jax.ShapeDtypeStruct((), dtype)).size)


def single_key(name: str, key: Any) -> jax.Array:
    """A typed key of two words, or two words."""
    typed = _is_typed(key)
    found: jax.Array = key if typed else jax.random.key_data(key)  # raises the error for anything but a key
    shape = found.shape if typed else found.shape[:-1]
    if shape:
        raise ValueError(f"{name} takes a single key, got an array of keys of shape {shape}: use jax.vmap")
    four = (_word_count(found.dtype) if typed else found.size) > 2
    return _folded(found) if four else found


def words(key: Any) -> jax.Array:
    """The two words, high and low, of what `single_key` returned: to be called in a compiled function."""
    found: jax.Array = _primitive.bind(key) if _is_typed(key) else key
    return found


@partial(jax.jit)
def _folded(key: Any) -> jax.Array:
    """The last words of a key, folded into the key that the first two are."""
    data = words(key)
    found = jax.random.wrap_key_data(data[:2], impl="threefry2x32")
    for word in data[2:]:
        found = jax.random.fold_in(found, word)
    return jax.random.key_data(found)
