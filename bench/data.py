"""Kinds of data and lengths of rows: cases of softmax's family, Gumbel-softmax and tokens beside torch.

`cases.cases` calls `table`. `compare_kinds` says what the slowest kind costs beside plain data.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import cases

KINDS = ("plain", "half-inf", "one-left", "x40", "flat")
COLUMNS = (2, 5, 10, 15, 16, 17, 32, 33, 64)
TAUS = (0.5, 0.05)


def logits_of(kind: str, shape: tuple[int, int]) -> Any:
    """Logits of one of `KINDS`."""
    x = cases.normal(shape, scale=1)
    match kind:
        case "half-inf":
            x[np.random.default_rng(1).random(shape) < 0.5] = -np.inf
            x[:, 0] = 0
        case "one-left":
            x[:, np.arange(shape[1]) != shape[1] // 3] = -np.inf
        case "x40":
            x *= 40
        case "flat":
            x *= 1e-3  # of equal logits it would be undefined which ones top-p keeps
    return x


def _arguments(operation: str, kind: str, shape: tuple[int, int], tau: float) -> tuple[Any, ...]:
    x = logits_of(kind, shape)
    grad = cases.normal(shape, scale=1)[::-1].copy()
    match operation:
        case "softmax_backward":
            return grad, cases.softmax_of(x)
        case "log_softmax_backward":
            x -= x.max(-1, keepdims=True)
            return grad, x - np.log(np.exp(x).sum(-1, keepdims=True))
        case "gumbel_softmax":
            return x, grad, tau, False
        case "tokens":
            return x, 0.8, 0, 0.9
    return (x,)


def table(quick: bool) -> list[cases.Case]:
    """Every operation on every kind of data at one shape, and plain data in rows of few columns."""
    square = (16, 64) if quick else (1024, 1024)
    total = 1 << 10 if quick else 1 << 20
    found = []
    softmaxes = ("softmax", "log_softmax", "logsumexp", "softmax_backward", "log_softmax_backward")
    for operation in (*softmaxes, "categorical", "tokens"):
        found += [_case("data", f"{operation}:{kind}", operation, kind, square) for kind in KINDS]
    for tau in TAUS:
        for kind in KINDS:
            found.append(_case("data", f"gumbel_softmax at {tau}:{kind}", "gumbel_softmax", kind, square, tau))
    for operation in (*softmaxes, "categorical", "gumbel_softmax"):
        for cols in COLUMNS:
            found.append(_case("short", f"{operation}:{cols}", operation, "plain", (total // cols, cols)))
    return found


def _case(row: str, variant: str, operation: str, kind: str, shape: tuple[int, int], tau: float = 0.5) -> cases.Case:
    work = f"{variant.partition(':')[0]}, {shape[0]}×{shape[1]}, {kind}"
    inputs: Callable[[], tuple[Any, ...]] = partial(_arguments, operation, kind, shape, tau)
    further = {"tokens": ("torch by hand", "llama.cpp chain"), "categorical": ("vllm blocks",)}
    peers = ("torch", *further.get(operation, ()))
    return cases.Case(row, variant, operation, work, inputs, shape[0] * shape[1], peers=peers, headline=False)


def compare_kinds(results: list[dict[str, Any]]) -> list[list[str]]:
    """Per operation and contender: ns per element of plain data, and the slowest kind as a multiple of it."""
    figures: dict[tuple[str, str], dict[str, float]] = {}
    for result in results:
        row, _, variant = result["id"].partition("/")
        operation, _, kind = variant.partition(":")
        if row == "data":
            for entrant in result["entrants"]:
                figures.setdefault((operation, entrant["name"]), {})[kind] = entrant["median"]
    lines = []
    for (operation, name), by_kind in figures.items():
        slowest = max(by_kind, key=lambda kind: by_kind[kind])
        ratios = (f"{by_kind[kind] / by_kind['plain']:.2f}" for kind in KINDS[1:])
        over = f"{by_kind[slowest] / by_kind['plain']:.2f} ({slowest})"
        lines.append([operation, name, f"{by_kind['plain']:.3g}", *ratios, over])
    return lines
