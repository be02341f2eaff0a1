"""Hugging Face transformers' own processors, and `gumbelfast.torch.sample_tokens` on the same tensors."""

from __future__ import annotations

import importlib
from itertools import count
from typing import Any

import pin
from peers import Call, contender, refuse_missing_settings
from peers.with_torch import as_tensor

torch: Any = importlib.import_module("torch")
generation: Any = importlib.import_module("transformers.generation")
gt: Any = importlib.import_module("gumbelfast.torch")
torch.set_num_threads(pin.THREADS)
importlib.import_module("gumbelfast").set_num_threads(pin.THREADS)

WARPERS = {
    "temperature": generation.TemperatureLogitsWarper,
    "top_k": generation.TopKLogitsWarper,
    "top_p": generation.TopPLogitsWarper,
    "min_p": generation.MinPLogitsWarper,
    "typical_p": generation.TypicalLogitsWarper,
}


@contender("transformers", "gumbelfast", role="ours")
def sample_tokens(logits: Any, settings: dict[str, Any]) -> Call:
    refuse_missing_settings(gt.sample_tokens, settings)
    x, positions = as_tensor(logits), count()
    return lambda: gt.sample_tokens(x, **settings, seeds=[7], positions=[next(positions)])


@contender("transformers", "transformers", tail="one generator for all requests")
def processors(logits: Any, settings: dict[str, Any]) -> Call:
    x, rng = as_tensor(logits), torch.Generator().manual_seed(0)
    ids = torch.zeros(len(logits), 1, dtype=torch.int64)
    chain = generation.LogitsProcessorList([WARPERS[name](value) for name, value in settings.items()])

    def call() -> Any:
        with torch.no_grad():
            scores = chain(ids, x.to(copy=True, dtype=torch.float32))
            return torch.multinomial(torch.softmax(scores, -1), 1, generator=rng).squeeze(1)

    return call
