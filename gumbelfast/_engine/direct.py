"""Functions whose plain calls take one compiled step (src/direct.hpp)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from .. import _core
from . import backend, thread_count

_Function = TypeVar("_Function", bound=Callable[..., Any])


def in_one_step(function: _Function) -> _Function:
    """The function, called only if the compiled step of that name declines."""
    made: Any = functools.update_wrapper(_core.direct(function), function)
    made.__annotations__ = function.__annotations__  # Python 3.14 copies the function that makes them
    return made  # type: ignore[no-any-return]


def step_alone(name: str) -> Callable[..., Any]:
    """The compiled step of that name, which gives None for what it declines."""

    def decline(*args: Any, **kwargs: Any) -> None:
        return None

    decline.__qualname__ = name
    return _core.direct(decline)  # type: ignore[no-any-return]


def know_these(generator: type[Any], sources: ModuleType, top_k: type[Any]) -> None:
    """Gives the compiled steps what they need from the layers above; until then they decline."""
    compiled = [each for each in backend._BY_NAME.values() if isinstance(each, _core.Backend)]
    _core.know(backend._active, compiled, generator, sources, thread_count, top_k)
