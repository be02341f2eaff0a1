"""Which of transformers' logits processors are settings of `sample_tokens`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import Tensor
from transformers.generation import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

# The argument of `sample_tokens`, and the attribute with its value; in the order in which `sample_tokens` applies them.
_SETTINGS = {
    TemperatureLogitsWarper: ("temperature", "temperature"),
    TopKLogitsWarper: ("top_k", "top_k"),
    TopPLogitsWarper: ("top_p", "top_p"),
    MinPLogitsWarper: ("min_p", "min_p"),
    TypicalLogitsWarper: ("typical_p", "mass"),
    EpsilonLogitsWarper: ("epsilon_cutoff", "epsilon"),
    EtaLogitsWarper: ("eta_cutoff", "epsilon"),
}
_ORDER = list(_SETTINGS)


class Split(NamedTuple):
    """Processors of `generate` in their order, cut in two."""

    kept: Any
    """A list of those that must run."""
    warpers: Any
    """A list of those behind them, which `sample_tokens` stands for."""
    settings: dict[str, Any]
    """The arguments that it takes instead."""


def split_processors(processors: Iterable[Any]) -> Split:
    """`warpers` follow the order of `sample_tokens`, each kind once: filters do not commute."""
    kept, later, settings = list(processors), len(_ORDER), {}
    while kept and (place := _place(kept[-1])) is not None and place < later:
        warper, later = kept.pop(), place
        argument, attribute = _SETTINGS[type(warper)]
        value = getattr(warper, attribute)
        settings[argument] = value.item() if isinstance(value, Tensor) else value
    return Split(LogitsProcessorList(kept), LogitsProcessorList(list(processors)[len(kept) :]), settings)


def _place(processor: Any) -> int | None:
    """Where in the order a processor stands; nowhere if it does more than `sample_tokens`."""
    kind = type(processor)
    own = (
        kind in _SETTINGS
        and getattr(processor, "filter_value", -math.inf) == -math.inf
        # That of top-k is in its k.
        and (kind is TopKLogitsWarper or getattr(processor, "min_tokens_to_keep", 1) == 1)
    )
    return _ORDER.index(kind) if own else None
