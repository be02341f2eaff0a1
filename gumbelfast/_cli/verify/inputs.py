"""The arrays that a case of `verify` stands for."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._engine.types import Address
from .cases import Case

Array = NDArray[Any]

KEY = 0x243F6A8885A308D3  # digits of pi
TILE = 32


@dataclass(frozen=True)
class Inputs:
    """The arrays of a case. A backward pass has its gradient as `grad` and the forward result as `x`."""

    x: Array
    grad: Array
    mask: Array | None
    address: Address

    def astype(self, dtype: np.dtype[Any]) -> Inputs:
        """The same numbers in another dtype."""
        return replace(self, x=self.x.astype(dtype, order="C"), grad=self.grad.astype(dtype))


def inputs(case: Case, dtype: np.dtype[Any]) -> Inputs:
    """Arrays that depend on the name of the case alone."""
    rng = np.random.default_rng(zlib.crc32(str(case).encode()))
    blocks = {"viterbi": case.k, "sinkhorn": case.columns, "sinkhorn_backward": case.columns}
    shape = case.rows * blocks.get(case.kernel, 1), case.columns
    x = _logits(case.logits, rng, shape)
    if case.kernel.endswith("softmax_backward"):
        x = x - np.logaddexp.reduce(x, axis=-1, keepdims=True)
        x = x if case.kernel.startswith("log") else np.exp(x)
    if case.kernel == "race":  # weights, that float16 has numbers for
        x = np.where(np.isneginf(x), 0, np.exp(np.clip(x, -9, np.where(np.isposinf(x), np.inf, 9))))
    masks = {"none": None, "row": rng.random(shape[1]) < 0.6, "all": rng.random(shape) < 0.6}
    grad = rng.normal(size=shape).astype(dtype)
    return Inputs(x.astype(dtype, order="C"), grad, masks[case.mask], address(case))


def condition(case: Case, x: Array) -> tuple[Array | None, Array | None]:
    """The bound and the index of each row for conditional_gumbel: the last finite logit wins."""
    bound = np.linspace(-3, 6, case.rows)
    if case.known == "upper":
        bound[1:2], bound[2:3] = np.inf, -np.inf
    index = case.columns - 1 - np.isfinite(x.astype(np.float64))[:, ::-1].argmax(axis=-1)
    return None if case.known == "index" else bound, None if case.known == "upper" else index


def _logits(kind: str, rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    x = 2 * rng.normal(size=shape)
    some = rng.random(shape) < 0.3
    special = rng.choice([np.nan, np.inf, -np.inf, 0.0], size=shape)
    first = np.arange(shape[0])[:, None] == 0
    match kind:
        case "normal":
            return x
        case "wide":
            return 20 * x
        case "equal":
            return np.ones(shape)
        case "ascending":
            return np.broadcast_to(np.linspace(-9, 9, shape[1]), shape)
        case "holes":
            return np.where(some, -np.inf, x)
        case "empty":
            return np.where(first, -np.inf, x)
        case "nan":
            return np.where(some & first, np.nan, x)
        case "special":
            return np.where(rng.random(shape) < 2 / shape[1], special, x)
    raise ValueError(kind)


def tree(case: Case, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Pairwise potentials and parents for `viterbi`: a chain, or a forest with potentials of every edge."""
    nodes, labels = case.k, case.columns
    rng = np.random.default_rng(nodes * labels)
    if case.place == "flat":
        return _logits(case.logits, rng, (labels, labels)).astype(dtype), np.arange(-1, nodes - 1)
    pairwise = np.where(
        rng.random((nodes - 1, labels, labels)) < 0.1, -np.inf, rng.normal(size=(nodes - 1, labels, labels))
    )
    return pairwise.astype(dtype), rng.integers(-1, np.arange(nodes))


def address(case: Case) -> Address:
    """Where the noise of the rows lies, in the ways that a call may say so."""
    rows = case.rows * case.draws
    many = np.random.default_rng(rows).integers(0, 2**64, size=(2, rows), dtype=np.uint64)
    seeds, starts = many[0], many[1] >> np.uint64(4)
    if case.place == "seeds":
        seeds[-1] = 2**64 - 1
        return 0, 0, 0, seeds, (many[1] >> np.uint64(40)) * np.uint64(case.columns + -case.columns % TILE)
    if case.place == "offsets":
        return KEY, 0, 0, None, starts
    return KEY, case.offset, case.columns + (3 if case.place == "spread" else 0), None, None
