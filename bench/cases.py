"""Every case of the bench, defined once: what is worked on, how much of it, and how often its unit occurs.

The contenders of a case are all that `peers` registers for its operation (or those it names); the check of
equal work is the operation's own in `checks`. The tests and the report both read this list.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import by_weight
import data
import doors_jax
import doors_torch
import serving

CURVE = (2, 10, 50, 64, 256, 1000, 4096, 32768, 128256)
KINDS = ("normal", "flat", "ascending", "descending", "peaked", "half masked")
SINGLE_DRAWS = ("numpy", "torch", "jax", "numba", "vllm blocks")


@dataclass(frozen=True)
class Case:
    """One row of the report.

    Attributes
    ----------
    row : str
        The row of the table of goals, or the name of a further group.
    variant : str
        What distinguishes this case from the others of its row; empty for the headline.
    operation : str
        A key of `peers.CONTENDERS` and of `checks.CHECKS`.
    work : str
        What is done, in words.
    inputs : callable
        Builds the inputs, equal for every contender.
    units : int
        How many of `unit` one call handles: a figure is ns per unit.
    peers : tuple of str
        The peers that take part; all when empty.
    headline : bool
        Whether the goal of the row is about this case.
    dtype : {"float32", "float64"}
        The dtype of the computation.
    rounds : int
        The most turns of each contender that a report takes.
    """

    row: str
    variant: str
    operation: str
    work: str
    inputs: Callable[[], tuple[Any, ...]]
    units: int
    unit: str = "element"
    peers: tuple[str, ...] = ()
    headline: bool = True
    dtype: str = "float32"
    rounds: int = 15

    @property
    def id(self) -> str:
        """The name of the case on the command line and in files."""
        return f"{self.row}/{self.variant}" if self.variant else self.row


def normal(shape: tuple[int, ...], dtype: Any = np.float32, scale: float = 2) -> Any:
    """Normal logits, the same at every call."""
    x = np.random.default_rng(2024).standard_normal(shape, dtype=dtype)
    x *= dtype(scale)
    return x


def kind_of_logits(kind: str, shape: tuple[int, int]) -> tuple[Any, ...]:
    """Logits of one of `KINDS`, and the mask of the last."""
    ramp = np.linspace(-8, 8, shape[1], dtype=np.float32)
    match kind:
        case "flat":
            return (np.zeros(shape, np.float32),)
        case "ascending":
            return (np.tile(ramp, (shape[0], 1)),)
        case "descending":
            return (np.tile(ramp[::-1], (shape[0], 1)),)
        case "peaked":
            return (normal(shape, scale=6),)
        case "half masked":
            return normal(shape), np.random.default_rng(1).random(shape) < 0.5
    return (normal(shape),)


def softmax_of(x: Any) -> Any:
    """Softmax of the last axis in the dtype of `x`: the input of the backward case."""
    y = np.exp(x - x.max(-1, keepdims=True))
    y /= y.sum(-1, keepdims=True)
    return y


def cases(quick: bool = False) -> list[Case]:
    """All cases; `quick` gives the same list at sizes that only show that everything runs."""
    n = 1 << 12 if quick else 4 << 20
    vocabulary = (4, 1000) if quick else (64, 128256)
    square = (16, 64) if quick else (1024, 1024)
    many, items = (10_000, 10_000) if quick else (1_000_000, 1_000_000)
    columns, taken = (100, 100) if quick else (1000, 1000)
    total = 1 << 12 if quick else 4 << 20
    size, area = vocabulary[0] * vocabulary[1], square[0] * square[1]
    f32, f64 = np.float32, np.float64
    wide = "×".join(map(str, vocabulary))
    grid = "×".join(map(str, square))

    def relaxed(hard: bool) -> tuple[Any, ...]:
        return normal(square), normal(square, scale=1)[::-1].copy(), 0.5, hard

    def weights() -> Any:
        return np.random.default_rng(3).exponential(size=items)

    def probabilities() -> Any:
        p = np.random.default_rng(4).exponential(size=columns) + 0.1
        return p / p.sum()

    table = [
        Case("N1", "", "gumbel", f"Gumbel noise, float32, {n}", lambda: (n, f32), n),
        Case("N2", "", "gumbel", f"Gumbel noise, float64, {n}", lambda: (n, f64), n, dtype="float64"),
        Case("C1", "", "categorical", f"categorical, {wide} float32", lambda: (normal(vocabulary),), size),
        Case("K1", "", "top_k", f"top-50 without replacement, {wide} float32", lambda: (normal(vocabulary), 50), size),
        Case("S1", "", "softmax", f"softmax, {grid} float32", lambda: (normal(square),), area),
        Case(
            "S2",
            "",
            "softmax_backward",
            f"softmax backward, {grid} float32",
            lambda: (normal(square)[::-1].copy(), softmax_of(normal(square))),
            area,
        ),
        Case("G1", "", "gumbel_softmax", f"gumbel_softmax and backward, {grid}", lambda: relaxed(False), area),
        Case("G1", "hard", "gumbel_softmax", "the same, straight through", lambda: relaxed(True), area, headline=False),
        Case(
            "D1", "", "draws", f"{many} draws from one row of {columns}", lambda: (probabilities(), many), many, "draw"
        ),
        Case("W1", "", "weighted", f"{taken} of {items} weighted items", lambda: (weights(), taken), items, "item"),
        Case("L1", "", "relaxed", "one call of gumbel_softmax, 8×10", lambda: (normal((8, 10)), 0.5), 1, "call"),
        Case(
            "L1",
            "categorical",
            "categorical",
            "one call of categorical, 8×10",
            lambda: (normal((8, 10)),),
            1,
            "call",
            headline=False,
        ),
        Case("T1", "N1", "threads", "two threads, N1", lambda: ("gumbel", n, f32), n),
        Case("T1", "C1", "threads", "two threads, C1", lambda: ("categorical", normal(vocabulary)), size),
        Case("T1", "G1", "threads", "two threads, G1", lambda: ("gumbel_softmax", *relaxed(False)), area),
    ]
    for k in CURVE:
        shape = (max(1, total // k), k)
        inputs = _bind(normal, shape)
        work = f"categorical, {shape[0]}×{k}"
        table.append(Case("curve", f"K={k}", "categorical", work, inputs, shape[0] * k, peers=SINGLE_DRAWS))
    for kind in KINDS:
        work = f"categorical, {wide}, {kind} logits"
        kind_inputs = _bind(kind_of_logits, kind, vocabulary)
        table.append(Case("kinds", kind.replace(" ", "-"), "categorical", work, kind_inputs, size, peers=SINGLE_DRAWS))
    rows = (max(1, vocabulary[0] // 4), vocabulary[1])
    for name, k in [(str(k), k) for k in (1, 5, 50, 500)] + [("half", rows[1] // 2)]:
        work = f"top-{k} of {rows[0]}×{rows[1]}"
        table.append(Case("topk", f"k={name}", "top_k", work, _bind(normal, rows, k=k), rows[0] * rows[1]))
    for name, top_k, top_p in (("temperature", 0, 1.0), ("top-k=50,top-p=0.9", 50, 0.9), ("top-p=0.9", 0, 0.9)):
        work = f"tokens at temperature 0.8, {wide}, {name}"
        settings = _bind(lambda k, p: (normal(vocabulary), 0.8, k, p), top_k, top_p)
        table.append(Case("tokens", name, "tokens", work, settings, size, headline=False))
    for chains, nodes, labels in ((1000, 100, 2), (1000, 100, 10), (250, 100, 50)):
        chain = (10, 7, labels) if quick else (chains, nodes, labels)
        work = f"best labelling of {chain[0]} chains of {chain[1]} nodes, {labels} labels"
        potentials = _bind(lambda shape: (normal(shape), normal((shape[2], shape[2]))), chain)
        table.append(Case("viterbi", f"S={labels}", "viterbi", work, potentials, math.prod(chain), headline=False))
    rows_of_subsets, count = ((32, 50), 4) if quick else ((1000, 100), 10)
    matrices = (8, 5, 5) if quick else (256, 16, 16)
    pairs = _bind(lambda shape: (normal(shape, scale=1), normal(shape, scale=1)[::-1].copy()), rows_of_subsets)
    squares = _bind(lambda shape: (normal(shape, scale=1), normal(shape, scale=1)[::-1].copy()), matrices)
    for operation, work, made, steps, units in (
        (
            "relaxed_top_k",
            f"relaxed top-{count} of {rows_of_subsets[0]}×{rows_of_subsets[1]}",
            pairs,
            count,
            rows_of_subsets,
        ),
        (
            "sinkhorn",
            f"20 rounds of Sinkhorn, {matrices[0]} matrices of {matrices[1]}×{matrices[2]}",
            squares,
            20,
            matrices,
        ),
        (
            "subset_marginals",
            f"marginals of {count}-subsets, {rows_of_subsets[0]}×{rows_of_subsets[1]} float64",
            _bind(
                lambda shape: tuple(x.astype(f64) for x in (normal(shape, scale=1), normal(shape, scale=1)[::-1])),
                rows_of_subsets,
            ),
            count,
            rows_of_subsets,
        ),
    ):
        inputs = _bind(lambda make, steps: (*make(), steps), made, steps)
        table.append(
            Case("lanes", operation, operation, f"{work}, and gradient", inputs, math.prod(units), headline=False)
        )
    prompts, k, steps, tokens = (2, 4, 3, 1000) if quick else (8, 16, 5, 32000)
    beam_rows = prompts * (k + 1)
    table.append(
        Case(
            "B1",
            "",
            "beams",
            f"stochastic beam search, {prompts} prompts, k={k}, V={tokens}, {steps} steps outside the model",
            # The same row for every beam: the probability of a sequence is that of its tokens.
            lambda: (*(np.repeat(normal((1, tokens)), rows, 0) for rows in (prompts, beam_rows)), k, steps),
            (prompts + (steps - 1) * beam_rows) * tokens,
            "logit",
        )
    )
    pair = _bind(lambda: (normal(square, f64), softmax_of(normal(square, f64))))
    for row, operation, made, count in (
        ("C1", "categorical", _bind(normal, vocabulary, f64), size),
        ("K1", "top_k", _bind(normal, vocabulary, f64, k=50), size),
        ("S1", "softmax", _bind(normal, square, f64), area),
        ("S2", "softmax_backward", pair, area),
        ("G1", "gumbel_softmax", lambda: (*pair()[::-1], 0.5, False), area),
    ):
        work = f"{row} in float64"
        table.append(Case("float64", row, operation, work, made, count, headline=False, dtype="float64"))
    parts = (by_weight, data, doors_torch, doors_jax, serving)
    return sum((part.table(quick) for part in parts), table)


def _bind(make: Callable[..., Any], *arguments: Any, k: int | None = None) -> Callable[[], tuple[Any, ...]]:
    """Delay `make(*arguments)` until the case runs; a `k` follows the array it makes."""

    def inputs() -> tuple[Any, ...]:
        made = make(*arguments)
        made = made if isinstance(made, tuple) else (made,)
        return made if k is None else (*made, k)

    return inputs
