"""The cases of `gumbelfast.jax`: a jitted program that draws with it, and the same program with `jax.random`."""

from __future__ import annotations

from functools import partial
from typing import Any

import cases


def table(quick: bool) -> list[cases.Case]:
    """Relaxed samples with their gradient, from small to large, and draws."""
    shapes = [(8, 10), (40, 16), (16, 64), (4, 1000)] if quick else [(8, 10), (2560, 16), (1024, 1024), (64, 128256)]

    def relaxed(shape: tuple[int, int]) -> tuple[Any, ...]:
        return cases.normal(shape), cases.normal(shape, scale=1)[::-1].copy(), 0.5, False

    rows = []
    for shape in shapes:
        name, units = "×".join(map(str, shape)), shape[0] * shape[1]
        work = f"jitted gumbel_softmax and backward, {name}"
        inputs = partial(relaxed, shape)
        rows.append(cases.Case("jax", f"relaxed-{name}", "jax_gumbel_softmax", work, inputs, units, headline=False))
    for shape in (shapes[0], shapes[-1]):
        name, units = "×".join(map(str, shape)), shape[0] * shape[1]
        work = f"jitted categorical, {name}"
        inputs = partial(_logits, shape)
        rows.append(cases.Case("jax", f"categorical-{name}", "jax_categorical", work, inputs, units, headline=False))
    return rows


def _logits(shape: tuple[int, int]) -> tuple[Any, ...]:
    return (cases.normal(shape),)
