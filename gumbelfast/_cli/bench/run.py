"""Measures, and prints a table of ratios."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from ..._engine.backend import backend
from ..._engine.thread_count import get_num_threads, set_num_threads
from ...random.seeding import default_rng
from .. import text
from ..info import cpu_name
from ..turns import Contest, Step, duration
from .torch_ways import torch
from .works import Work, works

ROUNDS = 31
US = "gumbelfast"


@contextmanager
def _one_thread() -> Iterator[None]:
    ours, theirs = get_num_threads(), torch and torch.get_num_threads()
    try:
        set_num_threads(1)
        if torch:
            torch.set_num_threads(1)
        yield
    finally:
        set_num_threads(ours)
        if torch:
            torch.set_num_threads(theirs)


def libraries() -> list[str]:
    """Who takes part: torch where it is installed."""
    return [US, "NumPy", *["torch"] * bool(torch)]


def steps(work: Work, library: str) -> list[Step]:
    """The ways of a library, each with a generator of its own and inputs of its own kind."""
    made: list[Step] = []
    for way in work.ways[library]:
        rng: Any = default_rng(0)
        inputs = work.inputs
        if library == "NumPy":
            rng = np.random.Generator(np.random.SFC64(0))
        elif library == "torch":
            rng = torch.Generator().manual_seed(0)
            inputs = tuple(torch.from_numpy(each) if isinstance(each, np.ndarray) else each for each in inputs)
        made.append(partial(way, rng, *inputs))
    return made


def measure(quick: bool) -> dict[str, dict[str, float]]:
    """Seconds of one call for each work, and in it for each library: the median of its fastest way."""
    taking = libraries()
    with _one_thread():
        contests = {}
        for work in works(quick):
            ways = [(library, step) for library in taking for step in steps(work, library)]
            contests[work.what] = [library for library, _ in ways], Contest([step for _, step in ways])
        for _, (_, contest) in text.track(list(product(range(1 if quick else ROUNDS), contests.values())), "bench"):
            contest.round()
    found: dict[str, dict[str, float]] = {}
    for what, (names, contest) in contests.items():
        each = list(zip(names, contest.medians(), strict=True))
        found[what] = {library: min(seconds for name, seconds in each if name == library) for library in taking}
    return found


def _ratio(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}"


def main(quick: bool = False) -> int:
    """Measure and report.

    Parameters
    ----------
    quick : bool
        Small works and one round, which only show that everything runs.

    Returns
    -------
    int
        0, or 2 if the backend in use is the reference, whose times tell nothing.
    """
    if backend() == "reference":
        print("bench needs a compiled backend: unset GUMBELFAST_BACKEND", file=sys.stderr)
        return 2
    peers = libraries()[1:]
    rows = [
        [what, duration(of[US]), *(_ratio(of[peer] / of[US]) for peer in peers)] for what, of in measure(quick).items()
    ]
    columns = ["work", f"{US} ", *(f"{peer} " for peer in peers)]
    text.table(f"{cpu_name()}, backend {backend()}", columns, rows)
    print(
        "Time of one call, and how many times as long others take: above 1 gumbelfast is faster. One thread, float32\n"
        "(weights in float64), medians of rounds in which all take turns, the fastest way that each has."
    )
    if not torch:
        print("torch is not installed and does not take part.")
    return 0
