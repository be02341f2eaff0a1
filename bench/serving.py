"""Cases of a server of a language model: every filter, seeds per request, logits in float32 and bfloat16.

`cases.cases` calls `table`. Rows ``serve1``, ``serve16``, ``serve64`` and ``serve256`` are named for the requests at
once; row ``transformers`` is one request beside Hugging Face's processors.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

import cases

# What `gumbelfast.sample_tokens` calls them. A setting that it does not have leaves the row out.
FILTERS: dict[str, dict[str, Any]] = {
    "temperature": {},
    "top-k=50,top-p=0.9": {"top_k": 50, "top_p": 0.9},
    "top-p=0.9": {"top_p": 0.9},
    "min-p=0.05": {"min_p": 0.05},
    "top-n-sigma=1": {"top_n_sigma": 1.0},
    "epsilon=3e-4": {"epsilon_cutoff": 3e-4},
    "eta=3e-4": {"eta_cutoff": 3e-4},
    "typical-p=0.9": {"typical_p": 0.9},
    "temperature-last": {"top_k": 50, "top_p": 0.9, "temperature_last": True},
}
OF_TRANSFORMERS = {
    "top-k=50": {"top_k": 50},
    **{name: FILTERS[name] for name in ("temperature", "top-k=50,top-p=0.9", "top-p=0.9", "min-p=0.05")},
    "typical-p=0.9": FILTERS["typical-p=0.9"],
}
SORTED = ("top_p", "typical_p")  # filters that the peers sort a row for, unless top-k comes first
REQUESTS = (1, 16, 64, 256)
KINDS = ("normal", "trained")
DTYPES = ("float32", "bfloat16")


def trained_logits(shape: tuple[int, int], seed: int = 2024) -> Any:
    r"""Logits as a trained model gives them: a few tokens dominate, a tail falls by Zipf's law.

    The token of rank r has the logit :math:`-s \log r` and a normal jitter of deviation 0.3, and one to five tokens
    stand up to 4 above that; their places are random and the mean of a row is zero. The exponent s is that of the row,
    uniform from 1.2 to 1.8. So the nucleus, the fewest tokens with nine tenths of the probability, has from one to
    about a thousand tokens, as Holtzman et al. 2020 (section 1) report of a trained model.
    """
    rng = np.random.default_rng(seed)
    ranks = np.log(np.arange(1, shape[1] + 1, dtype=np.float32))
    x = np.empty(shape, np.float32)
    for row in x:
        y = -rng.uniform(1.2, 1.8) * ranks + 0.3 * rng.standard_normal(shape[1], dtype=np.float32)
        y[: rng.integers(1, 6)] += rng.uniform(0, 4)
        row[rng.permutation(shape[1])] = y - y.mean()
    return x


def table(quick: bool) -> list[cases.Case]:
    """Every filter at every number of requests; slow peers only where they end in time."""
    found = []
    for requests in REQUESTS:
        shape = (min(requests, 3), 1500) if quick else (requests, 128256)
        for name, settings in FILTERS.items():
            by_sort = "top_k" not in settings and any(key in settings for key in SORTED)
            for kind in KINDS[1:] if by_sort and requests > 64 else KINDS:
                for dtype in DTYPES:
                    rounds = 3 if by_sort and requests > 16 else 15
                    peers = ("vllm blocks", "vllm blocks after torch", "llama.cpp chain") + ("torch by hand",) * (
                        not by_sort or requests == 1
                    )
                    row = f"serve{requests}"
                    found.append(_case(row, name, kind, dtype, shape, settings, "serving", peers, rounds))
    if find_spec("torch") is not None:
        shape = (1, 1500) if quick else (1, 151936)
        for name, settings in OF_TRANSFORMERS.items():
            for kind in KINDS:
                for dtype in DTYPES:
                    found.append(_case("transformers", name, kind, dtype, shape, settings, "transformers", (), 15))
    return found


def _case(
    row: str,
    name: str,
    kind: str,
    dtype: str,
    shape: tuple[int, int],
    settings: dict[str, Any],
    operation: str,
    peers: tuple[str, ...],
    rounds: int,
) -> cases.Case:
    work = f"tokens at temperature 0.8, {name}, {shape[0]}×{shape[1]} {dtype}, {kind} logits"
    inputs = partial(_inputs, kind, dtype, shape, settings)
    variant = f"{name}:{kind}:{dtype}"
    return cases.Case(row, variant, operation, work, inputs, shape[0] * shape[1], "logit", peers, False, rounds=rounds)


def _inputs(kind: str, dtype: str, shape: tuple[int, int], settings: dict[str, Any]) -> tuple[Any, ...]:
    x = trained_logits(shape) if kind == "trained" else cases.normal(shape)
    if dtype == "bfloat16":
        import ml_dtypes

        x = x.astype(ml_dtypes.bfloat16)
    return x, {"temperature": 0.8, **settings}
