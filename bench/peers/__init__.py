"""Who can do what: the contenders for each operation, one module per library.

An *operation* is a name such as ``categorical``. A contender for it is a function that takes the
inputs of a case, prepares whatever may be prepared (buffers, compiled code, a generator) and returns a
call without arguments: the thing that is timed. Buffers are reused wherever a library lets its user do so.
"""

from __future__ import annotations

import importlib
import inspect
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pin  # noqa: F401  (thread counts, before any library is imported)

Call = Callable[[], Any]
LIBRARIES = (
    "gumbelfast", "numpy", "scipy", "torch", "jax", "numba", "mkl_random", "mkl", "gumbelfast_torch", "gumbelfast_jax",
    "engines", "transformers",
)  # fmt: skip


class Unavailable(Exception):
    """Raised by a contender that cannot run here; the message says why."""


@dataclass(frozen=True)
class Contender:
    """One way to do an operation.

    Attributes
    ----------
    name : str
        The library, then what tells this contender from the library's others.
    prepare : callable
        Takes the inputs of a case and returns the call to time.
    role : {"ours", "peer", "reference"}
        A reference (a plain maximum, a copy) does less work: it shows the machine's limit and is no peer.
    tails : dict
        Per dtype: where the noise is poorer than full range, or what else the result lacks.
    adapt : callable
        Brings the result of the call into the form that the check expects; not timed.
    """

    name: str
    prepare: Callable[..., Call]
    role: str
    tails: dict[str, str]
    adapt: Callable[[Any], Any]

    @property
    def library(self) -> str:
        """The first word of the name."""
        return self.name.split()[0]


CONTENDERS: dict[str, list[Contender]] = defaultdict(list)
MISSING: dict[str, str] = {}


def contender(
    operation: str,
    name: str,
    *,
    role: str = "peer",
    tail: str = "",
    tail64: str = "",
    adapt: Callable[[Any], Any] = lambda result: result,
) -> Callable[[Callable[..., Call]], Callable[..., Call]]:
    """Register the decorated function as a contender for `operation`; `tail64` is the note for float64."""
    tails = {"float32": tail, "float64": tail64}

    def register(prepare: Callable[..., Call]) -> Callable[..., Call]:
        CONTENDERS[operation].append(Contender(name, prepare, role, tails, adapt))
        return prepare

    return register


def refuse_missing_settings(function: Callable[..., Any], settings: dict[str, Any]) -> None:
    """Unavailable for settings that `function` has no argument for."""
    if missing := settings.keys() - inspect.signature(function).parameters.keys():
        raise Unavailable(f"{function.__qualname__} has no {', '.join(sorted(missing))}")


def load(libraries: tuple[str, ...] = LIBRARIES) -> None:
    """Import the contenders of `libraries`; `MISSING` then says which are not installed, and why."""
    for library in libraries:
        try:
            importlib.import_module(f"peers.with_{library}")
        except (ImportError, OSError) as error:
            MISSING[library] = str(error)
