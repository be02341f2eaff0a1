"""How a traced program reaches the kernels: by XLA's foreign function interface, or else by a callback to Python."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from .. import _core
from .._engine import checks, thread_count
from .._engine.backend import backend
from ..reference import kernels as _reference
from . import _callback

_NAMES = ("float16", "bfloat16", "float32", "float64")


@cache
def _registered() -> bool:
    """Whether JAX has taken the compiled handlers, which it refuses to if its interface is another version.

    With no CPU client yet JAX would only queue them, and a refusal would then keep it from starting at all.
    """
    handlers = _core.xla_handlers()
    try:
        jax.local_devices(backend="cpu")
        for name, handler in handlers.items():
            jax.ffi.register_ffi_target(f"gumbelfast_{name}", handler, platform="cpu")
    except RuntimeError:
        return False
    return bool(handlers)


class Settings(NamedTuple):
    """What a program is traced with beside its arguments."""

    route: str
    backend: str
    threads: int


def settings() -> Settings:
    return Settings(route(), backend(), thread_count.get_num_threads())


def route() -> str:
    """How compiled programs reach the kernels.

    Returns
    -------
    {"ffi", "callback"}
        "ffi": XLA calls the compiled kernels, without Python. "callback": XLA calls back to Python, where it refuses
        them or gumbelfast was built without its headers, or `gumbelfast.use_backend` has chosen the reference.
    """
    return "ffi" if backend() != _reference.name and _registered() else "callback"


def call(
    how: Settings, target: str, results: tuple[jax.ShapeDtypeStruct, ...], *operands: Any, **attributes: Any
) -> tuple[Any, ...]:
    """Run a handler of src/xla.cpp, or its counterpart in `_host`.

    The first operand of draws holds the two words of a key. vmap puts axes of size 1 in front of operands that it does
    not map: the noise of an example depends on its key alone.
    """
    attributes |= {"backend": how.backend, "threads": how.threads}
    if how.route == "ffi":
        bound = jax.ffi.ffi_call(f"gumbelfast_{target}", results, vmap_method="expand_dims")
        found: tuple[Any, ...] = bound(*operands, **attributes)
        return found
    return _callback.call(target, results, *operands, **attributes)


def key_words(name: str, key: Any) -> jax.Array:
    """The two words, high and low, of the 64-bit key that a JAX key stands for.

    Two words of key data are taken as they are; of four, the last two are folded into the key that the first two are.
    """
    words = jax.random.key_data(key)  # says what is wrong with what is no key
    if words.ndim != 1:
        raise ValueError(f"{name} takes a single key, got an array of keys of shape {words.shape[:-1]}: use jax.vmap")
    if words.size > 2:
        folded = jax.random.wrap_key_data(words[:2], impl="threefry2x32")
        for word in words[2:]:
            folded = jax.random.fold_in(folded, word)
        words = jax.random.key_data(folded)
    return words


def float_array(x: ArrayLike) -> jax.Array:
    """The argument as a JAX array of one of the four dtypes."""
    array = jnp.asarray(x)
    if array.dtype.name not in _NAMES:
        raise TypeError(f"expected float16, bfloat16, float32 or float64, got {array.dtype.name}")
    return array


def checked_axis(x: jax.Array, axis: Any) -> int:
    """The axis of the categories counted from the back, -1 for the last."""
    index = checks.axis_index(axis, x.ndim)
    if x.shape[index] == 0:
        raise ValueError(f"axis {axis} has size 0")
    return index - int(x.ndim)
