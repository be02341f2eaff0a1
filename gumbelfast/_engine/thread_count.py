"""How many threads a call may use. The number never changes a result."""

from __future__ import annotations

import os

from . import checks


def _checked(value: object, name: str) -> int:
    threads = checks.as_integer(value, name)
    if not 1 <= threads <= 4096:
        raise ValueError(f"{name} must be between 1 and 4096, got {threads}")
    return threads


def _default() -> int:
    text = os.environ.get("GUMBELFAST_NUM_THREADS")
    if text:
        try:
            return _checked(int(text), "GUMBELFAST_NUM_THREADS")
        except ValueError:
            raise ValueError(f"GUMBELFAST_NUM_THREADS must be an integer between 1 and 4096, got {text!r}") from None
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_num_threads = _default()


def get_num_threads() -> int:
    """The most threads that a call uses when it is not told otherwise.

    At first the environment variable ``GUMBELFAST_NUM_THREADS``, or else the number of CPUs that the process may use.

    Examples
    --------
    >>> import gumbelfast as gf
    >>> gf.get_num_threads() >= 1
    True
    """
    return _num_threads


def set_num_threads(num_threads: int) -> None:
    """Set the default of ``num_threads`` for the whole process.

    Parameters
    ----------
    num_threads : int
        At least 1. Small calls use fewer; results do not depend on it.

    Raises
    ------
    TypeError, ValueError
        If it is not an integer between 1 and 4096.

    Examples
    --------
    >>> import gumbelfast as gf
    >>> before = gf.get_num_threads()
    >>> gf.set_num_threads(1)
    >>> gf.get_num_threads()
    1
    >>> gf.set_num_threads(before)
    """
    global _num_threads
    _num_threads = _checked(num_threads, "num_threads")


def resolve(num_threads: int | None) -> int:
    return _num_threads if num_threads is None else _checked(num_threads, "num_threads")
