"""What `verify` runs: one list of cases, as data."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np


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
    seen_scale: float | None = None  # of the probabilities that filters of tokens see
    least: int = 0
    sigmas: float = 0.0
    typical_p: float = 1.0
    epsilon: float = 0.0
    eta: float = 0.0
    known: str = "index"  # of conditional_gumbel: the index, its value too, or an upper bound
    in_place: bool = False

    def __str__(self) -> str:
        options = [f"{f.name}={getattr(self, f.name)}" for f in fields(self)[3:] if getattr(self, f.name) != f.default]
        return " ".join([self.kernel, f"{self.rows}x{self.columns}", *options])


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

NAMED: list[dict[str, Any]] = [{}, {"offset": 5}, {"offset": 2**40 + 17, "place": "spread"}]

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

RACES: list[dict[str, Any]] = [
    {},
    {"offset": 5, "k": 5},
    {"logits": "wide", "offset": 2**40 + 17, "k": 2},
    {"logits": "ascending", "place": "spread", "offset": 96, "k": LAST},
    {"logits": "equal", "place": "offsets", "draws": 3, "k": 40},
    {"logits": "holes", "place": "seeds", "k": LAST},
    {"logits": "empty", "draws": 2, "k": 3},
    {"logits": "nan", "k": 3},
    {"logits": "special", "k": 2},
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
    {"k": 0, "top_p": 0.8, "temperature": 0.5, "seen_scale": 1.0, "mask": "row"},
    {"k": 0, "top_p": 0.1, "min_p": 0.5, "least": 7, "logits": "equal"},
    {"k": 0, "sigmas": 1.0, "temperature": 0.8, "mask": "all", "place": "seeds"},
    {"k": 0, "typical_p": 0.6, "min_p": 0.01, "offset": 5},
    {"k": 60, "typical_p": 0.9, "top_p": 0.95, "least": 3, "logits": "wide"},
    {"k": 0, "epsilon": 0.004, "temperature": 1.5, "mask": "row"},
    {"k": 40, "eta": 0.01, "sigmas": 2.0, "place": "offsets"},
    {"k": 0, "typical_p": 0.5, "epsilon": 0.01, "eta": 0.05, "seen_scale": 1.25, "logits": "holes"},
    {"k": 2, "top_p": 0.5, "eta": 0.5, "logits": "empty"},
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

# rows, and columns of each row or of each square matrix; k is the number of steps, and of items in a subset.
LANES = [(1, 1), (40, 5), (3, 17), (17, 33), (8, 9), (16, 2), (1, 64)]

STEPS: list[dict[str, Any]] = [
    {"k": 2},
    {"k": 1, "temperature": 0.5},
    {"k": 4, "temperature": 3.0},
    {"k": 2, "temperature": 0.5, "logits": "wide"},
    {"k": 2, "logits": "equal"},
    {"k": 3, "logits": "ascending", "temperature": 2.0},
]

SUBSETS: list[dict[str, Any]] = [{"k": 1}, {"k": 5}, {"k": 2, "logits": "wide"}, {"k": 3, "logits": "equal"}]

OPTIONS = {
    "philox": PHILOX,
    "gumbel": NOISE,
    "exponential": NOISE,
    "gumbel_at": NAMED,
    "exponential_at": NAMED,
    "gumbel_max_at": SELECTION,
    "gumbel_top_k_at": SELECTION,
    "gumbel_max": SELECTION,
    "gumbel_top_k": SELECTION,
    "race": RACES,
    "gumbel_softmax": RELAXED,
    "conditional_gumbel": CONDITIONAL,
    "softmax": SMOOTH + SPECIAL,
    "log_softmax": SMOOTH + SPECIAL,
    "logsumexp": SMOOTH[:-1] + SPECIAL,
    "softmax_backward": SMOOTH,
    "log_softmax_backward": SMOOTH,
    "sample_tokens": TOKENS,
    "token_edges": TOKENS,
    "draw_alias": TABLES,
    "draw_inverse": TABLES,
    "draw_integers": TABLES,
    "draw_weights": TABLES,
    "viterbi": LABELLINGS,
    "relaxed_top_k": STEPS,
    "relaxed_top_k_backward": STEPS,
    "sinkhorn": STEPS,
    "sinkhorn_backward": STEPS,
    "subset_marginals": SUBSETS,
    "subset_marginals_backward": SUBSETS,
}


def in_lanes(kernel: str) -> bool:
    """Whether rows, or square matrices, take a lane each; such kernels know float32 and float64."""
    return kernel.startswith(("relaxed_top_k", "sinkhorn", "subset_marginals"))


# Large enough for three threads, and for the parts that long rows are cut into.
LARGE = [
    Case("gumbel", 1, 150_011, offset=77),
    Case("exponential", 1, 150_011, offset=77),
    Case("gumbel_at", 3, 50_011, offset=77),
    Case("exponential_at", 3, 50_011, offset=77),
    Case("gumbel_max_at", 120, 2001, temperature=0.7, offset=77),
    Case("gumbel_top_k_at", 120, 2001, k=30, offset=77),
    Case("gumbel_max", 1, 400_009, offset=77),
    Case("gumbel_max", 120, 4099, temperature=0.7, mask="all", offset=77),
    Case("gumbel_top_k", 1, 400_009, k=50, offset=77),
    Case("gumbel_top_k", 120, 4099, k=3, offset=77),
    Case("race", 1, 400_009, k=50, offset=77),
    Case("race", 120, 4099, k=3, offset=77),
    Case("gumbel_softmax", 30, 4099, temperature=0.5, offset=77),
    Case("conditional_gumbel", 30, 4099, offset=77),
    Case("softmax", 64, 4099, temperature=0.5),
    Case("log_softmax", 64, 4099, temperature=0.5),
    Case("logsumexp", 64, 4099, temperature=0.5),
    Case("softmax_backward", 90, 4099, temperature=0.5),
    Case("log_softmax_backward", 90, 4099, temperature=0.5),
    Case("sample_tokens", 60, 4099, k=50, top_p=0.9, temperature=0.8, offset=77),
    Case("sample_tokens", 60, 4099, k=0, top_p=0.9, temperature=0.8, offset=77),
    Case("sample_tokens", 60, 4099, k=0, typical_p=0.9, temperature=0.8, offset=77),
    Case("sample_tokens", 60, 4099, k=0, eta=0.002, temperature=0.8, offset=77),
    Case("token_edges", 60, 4099, k=50, top_p=0.9, temperature=0.8),
    Case("token_edges", 60, 4099, k=0, typical_p=0.9, temperature=0.8),
    Case("token_edges", 60, 4099, k=0, top_p=0.9, temperature=0.8),
    Case("draw_alias", 3, 1000, draws=50_000, offset=77),
    Case("draw_inverse", 3, 1000, draws=50_000, offset=77),
    Case("draw_integers", 3, 1000, draws=50_000, offset=77),
    Case("draw_weights", 3, 40_009, draws=30_000, offset=77),
    Case("viterbi", 200, 20, k=30),
    *(Case(kernel, 200, 20, k=5) for kernel in OPTIONS if in_lanes(kernel)),
]


def _shapes(kernel: str) -> list[tuple[int, int]]:
    return TREES if kernel == "viterbi" else LANES if in_lanes(kernel) else SHAPES


def _fits(kernel: str, options: dict[str, Any], columns: int) -> dict[str, Any]:
    """The options that a kernel knows, with k no larger than the row."""
    if kernel.startswith(("gumbel_top_k", "race")) or in_lanes(kernel):
        return options | {"k": min(options.get("k", 1), columns)}
    if kernel in ("sample_tokens", "token_edges", "viterbi"):
        return options
    return {name: value for name, value in options.items() if name != "k"}


def cases(quick: bool = False) -> list[Case]:
    """All cases, or a few seconds' worth: without most shapes and all that is large."""
    listed = [
        Case(kernel, rows, columns, **_fits(kernel, options, columns))
        for kernel, choices in OPTIONS.items()
        for rows, columns in _shapes(kernel)[:: 4 if quick else 1]
        for options in choices
    ]
    small = list(dict.fromkeys(listed))  # in rows of one column several k are the same
    return small if quick else small + LARGE


def dtypes(case: Case, half: tuple[np.dtype[Any], ...]) -> list[np.dtype[Any]]:
    """The dtypes that a case runs in: words are words, and everything else comes in all of them."""
    if case.kernel == "philox":
        return [np.dtype(np.uint32)]
    if case.kernel.startswith("draw"):
        return [np.dtype(np.float64)]
    if case.kernel == "viterbi" or in_lanes(case.kernel):
        return [np.dtype(np.float32), np.dtype(np.float64)]
    return [*half, np.dtype(np.float32), np.dtype(np.float64)]
