"""Functions whose small calls take one compiled step (src/direct.hpp)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from . import _backend, _core

_Function = TypeVar("_Function", bound=Callable[..., Any])


def in_one_step(function: _Function) -> _Function:
    """The function, called only where the step of that name declines."""
    made: Any = functools.update_wrapper(_core.direct(function), function)
    made.__annotations__ = function.__annotations__  # Python 3.14 copies what makes them
    return made  # type: ignore[no-any-return]


def tell_steps() -> None:
    """Tells the steps what they need to know; until then they decline."""
    from . import random
    from .generator import Generator
    from .states import TopK

    compiled = [each for each in _backend._BY_NAME.values() if isinstance(each, _core.Backend)]
    _core.know(_backend._active, compiled, Generator, random, TopK)
