"""Which kernels do the work: the best that this CPU can run, or the one that the user names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType

from .. import _core
from ..reference import kernels as _reference

Kernels = _core.Backend | ModuleType

_BY_NAME: dict[str, Kernels] = {b.name: b for b in _core.backends()} | {_reference.name: _reference}


def _find(name: str, source: str) -> Kernels:
    try:
        return _BY_NAME[name]
    except KeyError:
        raise ValueError(f"{source}: no usable backend {name!r}; usable here: {', '.join(_BY_NAME)}") from None


def _default() -> Kernels:
    name = os.environ.get("GUMBELFAST_BACKEND")
    return _find(name, "GUMBELFAST_BACKEND") if name else next(iter(_BY_NAME.values()))


_active: ContextVar[Kernels] = ContextVar("gumbelfast_backend", default=_default())  # noqa: B039 - kernels keep no state

active = _active.get


def backends() -> list[str]:
    """Names of the backends that can be used here, best first; the last is the pure-Python reference.

    Returns
    -------
    list of str
        For instance ``['avx512', 'avx2', 'scalar', 'reference']``.

    Examples
    --------
    >>> import gumbelfast as gf
    >>> gf.backends()[-2:]
    ['scalar', 'reference']
    """
    return list(_BY_NAME)


def backend() -> str:
    """Name of the backend in use.

    It is the first of `backends`, unless the environment variable ``GUMBELFAST_BACKEND`` names another when the package
    is imported, or `use_backend` is in force.

    Examples
    --------
    >>> import gumbelfast as gf
    >>> gf.backend() in gf.backends()
    True
    """
    name: str = active().name
    return name


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Use another backend within a ``with`` block, in the current thread or task.

    Threads that start within it take it over where Python's threads inherit their context (3.14 without the GIL).
    Every compiled backend returns the same bytes; the reference agrees within the accuracy that is documented.

    Parameters
    ----------
    name : str
        One of `backends`.

    Raises
    ------
    ValueError
        If the name is unknown or the CPU cannot run it; the message lists what can be used.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> x = np.log([0.1, 0.2, 0.7])
    >>> with gf.use_backend("reference"):
    ...     by_reference = gf.categorical(x, size=100, rng=0)
    ...
    >>> bool((by_reference == gf.categorical(x, size=100, rng=0)).all())
    True
    """
    token = _active.set(_find(name, "use_backend"))
    try:
        yield
    finally:
        _active.reset(token)
