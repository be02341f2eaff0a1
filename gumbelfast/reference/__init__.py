"""The reference: what every kernel means, in plain NumPy.

Written from the stream law and the papers, for reading rather than speed; it shares no code with the compiled core.
`kernels` stands in for a compiled backend, the other modules explain one subject each.
`gumbelfast.reference.categorical` and its neighbours have the names and signatures of the package's own functions and
run on these pages.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from . import kernels

__all__ = ["kernels"]


def publish(
    functions: Iterable[Callable[..., Any]], use_backend: Callable[[str], AbstractContextManager[None]]
) -> None:
    """Offer the package's functions here, run on the reference; the package calls this when they exist.

    Functions named like a page (`softmax`) hide it as an attribute; ``from .reference.softmax import ...`` reaches it.
    """

    def on_reference(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with use_backend(kernels.name):
                return function(*args, **kwargs)

        return run

    for function in functions:
        globals()[function.__name__] = on_reference(function)
