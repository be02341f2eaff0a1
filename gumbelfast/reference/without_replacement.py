"""Estimators from one sample without replacement, order by order: Kool, van Hoof and Welling (2019, 2020).

`p` holds the probabilities of all items, `items` are those that were drawn, and `values` what f gave for them.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np

Vector = Any  # an array of shape (K,) or (k,), float64


def order_probability(p: Vector, order: tuple[int, ...]) -> float:
    """Plackett-Luce: each next item in proportion to what is left."""
    left, chance = float(p.sum()), 1.0
    for item in order:
        chance *= p[item] / left
        left -= p[item]
    return chance


def set_probability(p: Vector, items: tuple[int, ...]) -> float:
    """The first draws are these items, in any order."""
    return sum(order_probability(p, order) for order in permutations(items))


def without(p: Vector, item: int) -> Vector:
    """The distribution in which an item is out of the question."""
    return np.where(np.arange(p.size) == item, 0, p)


def ratio(p: Vector, items: tuple[int, ...], item: int) -> float:
    """The leave-one-out ratio of an item of a set."""
    rest = tuple(i for i in items if i != item)
    return set_probability(without(p, item), rest) / set_probability(p, items)


def unordered_set(p: Vector, items: tuple[int, ...], values: Vector, baseline: bool) -> Vector:
    """The gradient estimate, by the logits of p."""
    f = dict(zip(items, values, strict=True))
    total = np.zeros_like(p)
    for s in items:
        b = 0.0
        if baseline:
            rest = tuple(i for i in items if i != s)
            b = p[s] * f[s] + sum(p[other] * ratio(without(p, s), rest, other) * f[other] for other in rest)
        total += p[s] * ((np.arange(p.size) == s) - p) * ratio(p, items, s) * (f[s] - b)
    return total


def importance_weighted(
    p: Vector, items: tuple[int, ...], kappa: float, values: Vector, baseline: str | None
) -> Vector:
    """The gradient estimate, by the logits of p; kappa is the largest perturbed log-probability not drawn.

    `baseline` is "leave_one_out", "normalized", or empty for none.
    """
    drawn = np.array(items)
    w = p[drawn] / (1 - np.exp(-p[drawn] * np.exp(-kappa)))
    if baseline == "normalized":
        w = w / w.sum()
    total = np.zeros_like(p)
    for i, item in enumerate(items):
        b = 0.0
        if baseline == "leave_one_out":
            b = p[item] * values[i] + sum(w[j] * values[j] for j in range(len(items)) if j != i)
        elif baseline == "normalized":
            b = float(w @ values)
        total += w[i] * ((np.arange(p.size) == item) - p) * (values[i] - b)
    return total
