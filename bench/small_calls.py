"""The cost of small calls beside NumPy's cheapest: a maximum of the same array, and exponentials of its shape.

``python bench/small_calls.py`` prints a table; all calls take turns, so that a machine that drifts slows all of them.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import pin

gf: Any = importlib.import_module("gumbelfast")
gf.set_num_threads(pin.THREADS)

SHAPE = (8, 10)
LEAST = "x.max(-1)"
Calls = dict[str, Callable[[], Any]]


def numpy_calls() -> Calls:
    """Functions for NumPy, with what NumPy itself has of the kind."""
    x = np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32)
    row, mask = x[0].copy(), np.ones(SHAPE, bool)
    seeds, positions, p = np.arange(8, dtype=np.uint64), np.arange(8), [0.1] * 10
    rng, theirs = gf.default_rng(1), np.random.default_rng(1)
    return {
        LEAST: lambda: x.max(-1),
        "numpy standard_exponential(x.shape)": lambda: theirs.standard_exponential(SHAPE),
        "categorical(x, rng=rng)": lambda: gf.categorical(x, rng=rng),
        "categorical(x[0], rng=rng)": lambda: gf.categorical(row, rng=rng),
        "categorical(x, rng=1)": lambda: gf.categorical(x, rng=1),
        "categorical(x, seeds=..., positions=...)": lambda: gf.categorical(x, seeds=seeds, positions=positions),
        "categorical(x, mask=..., rng=rng)": lambda: gf.categorical(x, mask=mask, rng=rng),
        "gumbel_softmax(x, rng=rng)": lambda: gf.gumbel_softmax(x, rng=rng),
        "gumbel_top_k(x, 3, rng=rng)": lambda: gf.gumbel_top_k(x, 3, rng=rng),
        "softmax(x)": lambda: gf.softmax(x),
        "sample_tokens(x, rng=rng)": lambda: gf.sample_tokens(x, rng=rng),
        "sample_tokens(x, top_k=3, top_p=0.9, rng=rng)": lambda: gf.sample_tokens(x, top_k=3, top_p=0.9, rng=rng),
        "numpy gumbel()": lambda: theirs.gumbel(),
        "rng.gumbel()": lambda: rng.gumbel(),
        "numpy standard_exponential()": lambda: theirs.standard_exponential(),
        "rng.standard_exponential()": lambda: rng.standard_exponential(),
        "numpy choice(10, p=list)": lambda: theirs.choice(10, p=p),
        "rng.choice(10, p=list)": lambda: rng.choice(10, p=p),
    }


def torch_calls() -> Calls:
    """Functions for PyTorch's tensors and their counterparts there; none where it is missing."""
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError:
        return {}
    gt: Any = importlib.import_module("gumbelfast.torch")
    torch.set_num_threads(pin.THREADS)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32))
    weights, leaf = x.softmax(-1), x.clone().requires_grad_()
    theirs = torch.nn.functional.gumbel_softmax
    return {
        "gt.categorical(x)": lambda: gt.categorical(x),
        "torch.multinomial(w, 1)": lambda: torch.multinomial(weights, 1),
        "gt.multinomial(w, 1)": lambda: gt.multinomial(weights, 1),
        "torch gumbel_softmax(x)": lambda: theirs(x),
        "gt.gumbel_softmax(x)": lambda: gt.gumbel_softmax(x),
        "torch gumbel_softmax(x), with a gradient to come": lambda: theirs(leaf),
        "gt.gumbel_softmax(x), with a gradient to come": lambda: gt.gumbel_softmax(leaf),
    }


def measure(calls: Calls, rounds: int, block: int) -> dict[str, float]:
    """Seconds of each call: the fifth percentile over the rounds, since other programs can only add to them."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    gc.disable()
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            begin = time.perf_counter()
            for _ in range(block):
                call()
            taken[name].append((time.perf_counter() - begin) / block)
    gc.enable()
    return {name: float(np.quantile(seconds, 0.05)) for name, seconds in taken.items()}


def table(quick: bool) -> str:
    """The figures in Markdown, each beside the maximum."""
    rounds, block = (3, 2) if quick else (1000, 50)
    lines = ["| call | µs | × maximum |", "| --- | --- | --- |"]
    for calls in (numpy_calls(), torch_calls()):
        least = {LEAST: numpy_calls()[LEAST]}
        found = measure(least | calls, rounds, block) if calls else {}
        lines += [f"| {name} | {seconds * 1e6:.3g} | {seconds / found[LEAST]:.2f} |" for name, seconds in found.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few rounds: only shows that everything runs")
    parser.add_argument("--output", type=Path, help="write the table there instead of printing it")
    options = parser.parse_args()
    text = table(options.quick)
    print(text) if options.output is None else options.output.write_text(text, encoding="utf-8")
