"""Cases of `gumbelfast.torch`, beside what torch itself does.

`cases.cases` calls `table`; ours and the framework's contenders register in ``peers/with_gumbelfast_torch.py``.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

import cases

TRAINING = ((8, 10), (2560, 16), (1024, 1024), (64, 128256))


def table(quick: bool) -> list[cases.Case]:
    """Tensors in, tensors out: training steps and draws."""
    if find_spec("torch") is None:
        return []
    found = []
    for full in TRAINING:
        shape = (min(full[0], 16), min(full[1], 500)) if quick else full
        for hard in (False, True):
            variant = "×".join(map(str, full)) + "-hard" * hard
            work = f"torch tensors, gumbel_softmax and backward, {variant}"
            inputs = partial(_training, shape, hard)
            found.append(_case(variant, "torch gumbel_softmax", work, inputs, shape[0] * shape[1]))
    shape = (4, 1000) if quick else (64, 128256)
    for name in ("categorical", "multinomial"):
        work = f"torch tensors, {name}, {shape[0]}×{shape[1]}"
        found.append(_case(name, f"torch {name}", work, partial(_draws, shape, name), shape[0] * shape[1]))
    return found


def _case(variant: str, operation: str, work: str, inputs: Any, elements: int) -> cases.Case:
    return cases.Case("torch", variant.replace("×", "x"), operation, work, inputs, elements, headline=False)


def _training(shape: tuple[int, int], hard: bool) -> tuple[Any, ...]:
    return cases.normal(shape), cases.normal(shape, scale=1)[::-1].copy(), 0.5, hard


def _draws(shape: tuple[int, int], name: str) -> tuple[Any, ...]:
    return (np.exp(cases.normal(shape)) if name == "multinomial" else cases.normal(shape),)
