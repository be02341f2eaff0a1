"""Cases of draws by weights: `Generator.choice` beside NumPy's, weights beside their logarithms, rows of a graph.

`cases.cases` calls `table`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import cases


def table(quick: bool) -> list[cases.Case]:
    """Draws without replacement, draws with it, prepared weights, and k neighbours of each node of a graph."""
    items, huge, few = (3_000, 5_000, 20) if quick else (1_000_000, 10_000_000, 1000)
    found = [
        _case("distinct", "distinct choice", f"choice, {few} distinct of {items}", (items, few), _probabilities),
        _case("half", "distinct choice", f"choice, half of {items}", (items, items // 2), _probabilities),
        _case("huge", "distinct choice", f"choice, {few} distinct of {huge}", (huge, few), _probabilities),
        _case("float32", "weighted", f"{few} of {items} weights in float32", (items, few), _float32),
        _case("prepared", "prepared", f"{few} of {huge} weights, prepared", (huge, few), _weights),
        _case("prepared-10", "prepared", f"10 of {huge} weights, prepared", (huge, 10), _weights),
    ]
    for columns, draws in ((1000, items), (items, items), (10, 10)):
        work = f"choice, {draws} draws of {columns}"
        found.append(_case(f"{draws}-of-{columns}", "draws", work, (columns, draws), _probabilities))
    entries = 20_000 if quick else 200_000
    for degree in (10, 100, 1000):
        work = f"5 neighbours each of {entries // degree} nodes with {degree}"
        inputs: Callable[[], tuple[Any, ...]] = partial(_graph, entries // degree, degree)
        found.append(cases.Case("graph", str(degree), "neighbours", work, inputs, entries, headline=False))
    return found


def _case(variant: str, operation: str, work: str, sizes: tuple[int, int], make: Callable[[int], Any]) -> cases.Case:
    return cases.Case(
        "weights", variant, operation, work, lambda: (make(sizes[0]), sizes[1]), 1, "call", headline=False,
        dtype="float32" if make is _float32 else "float64",
    )  # fmt: skip


def _weights(items: int) -> Any:
    return np.random.default_rng(3).exponential(size=items)


def _float32(items: int) -> Any:
    return _weights(items).astype(np.float32)


def _probabilities(items: int) -> Any:
    w = _weights(items)
    return w / w.sum()


def _graph(nodes: int, degree: int) -> tuple[Any, ...]:
    """Logits of edges, the node at the end of each, and how many nodes there may be."""
    logits = cases.normal((nodes, degree))
    space = 1_000_000
    ends = np.random.default_rng(1).integers(0, space // degree, (nodes, degree)) + np.arange(degree) * (
        space // degree
    )
    return logits, ends, space
