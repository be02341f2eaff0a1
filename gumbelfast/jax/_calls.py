"""How a traced program reaches the kernels: by XLA's foreign function interface, or else by a callback to Python."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import jax

from .. import _core
from .._engine import thread_count
from .._engine.backend import backend
from ..reference import kernels as _reference
from . import _callback


@cache
def _registered() -> bool:
    """Whether JAX has taken the compiled handlers, which it refuses to if its interface is another version.

    Before there is a CPU client JAX would only queue the handlers, and a refusal would later keep it from starting at
    all.
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
    """The settings that a program is traced with, besides its arguments."""

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

    Examples
    --------
    >>> import gumbelfast.jax
    >>> gumbelfast.jax.route() in ("ffi", "callback")
    True
    """
    return "ffi" if backend() != _reference.name and _registered() else "callback"


def call(
    how: Settings, target: str, results: tuple[jax.ShapeDtypeStruct, ...], *operands: Any, **attributes: Any
) -> tuple[Any, ...]:
    """Run a handler of src/xla*.cpp, or its counterpart in `_host`.

    The first operand of draws holds the two words of a key. vmap puts axes of size 1 in front of operands that it does
    not map: the noise of an example depends on its key alone.
    """
    attributes |= {"backend": how.backend, "threads": how.threads}
    if how.route == "ffi":
        bound = jax.ffi.ffi_call(f"gumbelfast_{target}", results, vmap_method="expand_dims")
        found: tuple[Any, ...] = bound(*operands, **attributes)
        return found
    return _callback.call(target, results, *operands, **attributes)
