"""What `verify` runs: one list of cases, as data, and the arrays that each of them stands for."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

KEY = 0x243F6A8885A308D3  # digits of pi
TILE = 32


@dataclass(frozen=True)
class Case:
    """One call of a kernel, but for its dtype; the name that it prints as tells how to repeat it."""

    kernel: str
    rows: int
    columns: int
    k: int = 1
    draws: int = 1  # rows of the result per row of logits
    temperature: float = 1.0
    logits: str = "normal"
    mask: str = "none"
    place: str = "flat"
    offset: int = 0
    loc: float = 0.0
    scale: float = 1.0
    domain: int = 0
    want: str = "both"  # of the soft and the hard result
    top_p: float = 1.0
    min_p: float = 0.0
    known: str = "index"  # of conditional_gumbel: the index, its value too, or an upper bound
    in_place: bool = False

    def __str__(self) -> str:
        options = [f"{f.name}={getattr(self, f.name)}" for f in fields(self)[3:] if getattr(self, f.name) != f.default]
        return " ".join([self.kernel, f"{self.rows}x{self.columns}", *options])


@dataclass(frozen=True)
class Inputs:
    """The arrays of a case. A backward pass has its gradient as `grad` and the forward result as `x`."""

    x: Array
    grad: Array
    mask: Array | None
    address: tuple[int, int, int, Array | None, Array | None]  # key, offset, row_stride, seeds, offsets

    def astype(self, dtype: np.dtype[Any]) -> Inputs:
        """The same numbers in another dtype."""
        return replace(self, x=self.x.astype(dtype, order="C"), grad=self.grad.astype(dtype))


def inputs(case: Case, dtype: np.dtype[Any]) -> Inputs:
    """Arrays that depend on the name of the case alone."""
    rng = np.random.default_rng(zlib.crc32(str(case).encode()))
    shape = case.rows * (case.k if case.kernel == "viterbi" else 1), case.columns
    x = _logits(case.logits, rng, shape)
    if case.kernel.endswith("backward"):
        x = x - np.logaddexp.reduce(x, axis=-1, keepdims=True)
        x = x if case.kernel.startswith("log") else np.exp(x)
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


def address(case: Case) -> tuple[int, int, int, Array | None, Array | None]:
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


SHAPES = [
    (1, 1), (300, 5), (3, 17), (2, 2), (3, 15), (2, 16), (5, 31), (4, 32), (3, 33), (2, 127), (2, 128), (2, 129),
    (40, 64), (1, 511), (1, 513), (2, 1000), (1, 4095), (2, 4097),
]  # fmt: skip

LAST = 2**62  # addresses of elements end here

PHILOX = [{"domain": domain, "offset": block} for domain in (0, 1, 2, 15) for block in (0, 5, 2**32 - 3, 2**59 + 1)]

NOISE: list[dict[str, Any]] = [
    {}, {"offset": 32}, {"offset": 5}, {"offset": 2**32 - 7}, {"offset": LAST - 2**14}, {"loc": -2.5, "scale": 0.75},
    {"scale": 0.0, "loc": 1.0, "offset": 481},
]  # fmt: skip

SELECTION: list[dict[str, Any]] = [
    {},
    {"offset": 5, "temperature": 0.7, "k": 5},
    {"logits": "wide", "mask": "row", "offset": 2**40 + 17, "k": 2},
    {"mask": "all", "place": "seeds", "temperature": 3.0, "k": 20},
    {"logits": "ascending", "place": "spread", "offset": 96, "k": LAST},
    {"logits": "equal", "place": "offsets", "draws": 3, "k": 40},
    {"logits": "equal", "mask": "row", "temperature": 1e-25, "k": 7},  # nothing but ties: the lowest index first
    {"logits": "holes", "temperature": 1e30, "k": LAST},
    {"logits": "empty", "mask": "all", "draws": 2, "k": 3},
    {"logits": "nan", "k": 3},
    {"logits": "nan", "mask": "all", "k": 3},  # refused only where the mask lets it through
]

RELAXED: list[dict[str, Any]] = [
    {},
    {"temperature": 0.1, "offset": 5},
    {"temperature": 5.0, "logits": "wide", "offset": 2**40 + 17, "want": "soft"},
    {"temperature": 0.5, "place": "seeds", "want": "hard"},
    {"logits": "ascending", "place": "spread", "temperature": 1e-3},
    {"logits": "equal", "place": "offsets", "temperature": 2.0},
    {"logits": "holes", "temperature": 0.66},
    {"logits": "empty"},
    {"logits": "nan", "want": "hard"},
]

CONDITIONAL: list[dict[str, Any]] = [
    {},
    {"known": "value", "offset": 5},
    {"known": "upper", "place": "seeds"},
    {"logits": "wide", "offset": 2**40 + 17},
    {"known": "value", "logits": "wide", "place": "offsets"},
    {"known": "upper", "logits": "holes", "place": "spread"},
    {"known": "value", "logits": "equal"},
    {"logits": "empty"},
    {"known": "upper", "logits": "nan"},
]

SMOOTH: list[dict[str, Any]] = [
    {}, {"temperature": 0.1}, {"temperature": 7.0, "logits": "wide"}, {"logits": "ascending"}, {"logits": "holes"},
    {"logits": "equal", "temperature": 1e-25}, {"logits": "wide", "in_place": True},
]  # fmt: skip

SPECIAL: list[dict[str, Any]] = [{"logits": "special"}, {"logits": "empty", "temperature": 2.0}]

# k is top-k here, and 0 for none.
TOKENS: list[dict[str, Any]] = [
    {"k": 0},
    {"k": 5, "offset": 5, "temperature": 0.7},
    {"k": 0, "top_p": 0.9, "mask": "row", "temperature": 0.8},
    {"k": 50, "top_p": 0.5, "min_p": 0.05, "place": "seeds", "mask": "all"},
    {"k": 0, "min_p": 0.3, "logits": "wide", "place": "spread"},
    {"k": 3, "top_p": 0.7, "logits": "equal", "place": "offsets"},
    {"k": 2, "logits": "holes", "temperature": 1e30},
    {"k": 2, "top_p": 0.5, "logits": "empty"},
    {"k": 2, "logits": "nan"},
]

TABLES: list[dict[str, Any]] = [
    {"draws": 300}, {"draws": 7, "offset": 5, "logits": "wide"}, {"draws": 64, "logits": "holes", "offset": 2**40 + 17},
    {"draws": 33, "logits": "equal", "offset": LAST - 2**17},
]  # fmt: skip

# rows, labels; k is the number of nodes.
TREES = [(1, 1), (3, 2), (17, 3), (40, 5), (9, 8), (16, 17), (2, 64)]

LABELLINGS: list[dict[str, Any]] = [
    {"k": 30},
    {"k": 30, "place": "forest"},
    {"k": 1},
    {"k": 7, "logits": "equal"},
    {"k": 7, "logits": "equal", "place": "forest"},
    {"k": 9, "logits": "holes", "place": "forest"},
    {"k": 5, "logits": "empty", "place": "forest"},
    {"k": 5, "logits": "nan", "place": "forest"},
]

OPTIONS = {
    "philox": PHILOX,
    "gumbel": NOISE,
    "exponential": NOISE,
    "gumbel_max": SELECTION,
    "gumbel_top_k": SELECTION,
    "gumbel_softmax": RELAXED,
    "conditional_gumbel": CONDITIONAL,
    "softmax": SMOOTH + SPECIAL,
    "log_softmax": SMOOTH + SPECIAL,
    "logsumexp": SMOOTH[:-1] + SPECIAL,
    "softmax_backward": SMOOTH,
    "log_softmax_backward": SMOOTH,
    "sample_tokens": TOKENS,
    "draw_alias": TABLES,
    "draw_inverse": TABLES,
    "viterbi": LABELLINGS,
}

# Large enough for three threads, and for the parts that long rows are cut into.
LARGE = [
    Case("gumbel", 1, 150_011, offset=77),
    Case("exponential", 1, 150_011, offset=77),
    Case("gumbel_max", 1, 400_009, offset=77),
    Case("gumbel_max", 120, 4099, temperature=0.7, mask="all", offset=77),
    Case("gumbel_top_k", 1, 400_009, k=50, offset=77),
    Case("gumbel_top_k", 120, 4099, k=3, offset=77),
    Case("gumbel_softmax", 30, 4099, temperature=0.5, offset=77),
    Case("conditional_gumbel", 30, 4099, offset=77),
    Case("softmax", 64, 4099, temperature=0.5),
    Case("log_softmax", 64, 4099, temperature=0.5),
    Case("logsumexp", 64, 4099, temperature=0.5),
    Case("softmax_backward", 90, 4099, temperature=0.5),
    Case("log_softmax_backward", 90, 4099, temperature=0.5),
    Case("sample_tokens", 60, 4099, k=50, top_p=0.9, temperature=0.8, offset=77),
    Case("sample_tokens", 60, 4099, k=0, top_p=0.9, temperature=0.8, offset=77),
    Case("draw_alias", 3, 1000, draws=50_000, offset=77),
    Case("draw_inverse", 3, 1000, draws=50_000, offset=77),
    Case("viterbi", 200, 20, k=30),
]


def _fits(kernel: str, options: dict[str, Any], columns: int) -> dict[str, Any]:
    """The options that a kernel knows, with k no larger than the row."""
    if kernel == "gumbel_top_k":
        return options | {"k": min(options.get("k", 1), columns)}
    if kernel in ("sample_tokens", "viterbi"):
        return options
    return {name: value for name, value in options.items() if name != "k"}


def cases(quick: bool = False) -> list[Case]:
    """All cases, or a few seconds' worth: without most shapes and all that is large."""
    small = [
        Case(kernel, rows, columns, **_fits(kernel, options, columns))
        for kernel, choices in OPTIONS.items()
        for rows, columns in (TREES if kernel == "viterbi" else SHAPES)[:: 4 if quick else 1]
        for options in choices
    ]
    return small if quick else small + LARGE


def dtypes(case: Case, half: tuple[np.dtype[Any], ...]) -> list[np.dtype[Any]]:
    """The dtypes that a case runs in: words are words, and everything else comes in all of them."""
    if case.kernel == "philox":
        return [np.dtype(np.uint32)]
    if case.kernel.startswith("draw"):
        return [np.dtype(np.float64)]
    if case.kernel == "viterbi":
        return [np.dtype(np.float32), np.dtype(np.float64)]
    return [*half, np.dtype(np.float32), np.dtype(np.float64)]
