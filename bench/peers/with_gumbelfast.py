"""gumbelfast itself, and its threads against each other."""

from __future__ import annotations

import importlib
import os
from itertools import count
from typing import Any

import numpy as np

import pin
from peers import CONTENDERS, Call, Unavailable, contender, refuse_missing_settings

gf: Any = importlib.import_module("gumbelfast")
gf.set_num_threads(pin.THREADS)


@contender("gumbel", "gumbelfast", role="ours")
def gumbel(n: int, dtype: Any) -> Call:
    rng, out = gf.default_rng(0), np.empty(n, dtype)
    return lambda: gf.gumbel(size=n, dtype=dtype, out=out, rng=rng)


@contender("categorical", "gumbelfast", role="ours")
def categorical(logits: Any, mask: Any = None) -> Call:
    rng = gf.default_rng(0)
    return lambda: gf.categorical(logits, mask=mask, rng=rng)


@contender("top_k", "gumbelfast", role="ours")
def top_k(logits: Any, k: int) -> Call:
    rng = gf.default_rng(0)
    return lambda: gf.gumbel_top_k(logits, k, rng=rng).indices


@contender("tokens", "gumbelfast", role="ours")
def tokens(logits: Any, temperature: float, top_k: int, top_p: float) -> Call:
    rng = gf.default_rng(0)
    return lambda: gf.sample_tokens(logits, temperature=temperature, top_k=top_k, top_p=top_p, rng=rng)


@contender("serving", "gumbelfast", role="ours")
def serving(logits: Any, settings: dict[str, Any]) -> Call:
    refuse_missing_settings(gf.sample_tokens, settings)
    seeds, positions = np.arange(len(logits), dtype=np.uint64), count()
    return lambda: gf.sample_tokens(logits, **settings, seeds=seeds, positions=next(positions))


@contender("serving", "gumbelfast TokenSampler", role="ours", tail="settings checked once, as the engines' are")
def prepared(logits: Any, settings: dict[str, Any]) -> Call:
    serving: Any = importlib.import_module("gumbelfast.serving")
    refuse_missing_settings(serving.TokenSampler.add, settings)
    sampler = serving.TokenSampler(columns=logits.shape[1], dtype=logits.dtype)
    sampler.add(len(logits), **settings, seeds=np.arange(len(logits)))
    return lambda: sampler.step(logits)


@contender("viterbi", "gumbelfast", role="ours")
def viterbi(unary: Any, pairwise: Any) -> Call:
    structures: Any = importlib.import_module("gumbelfast.structures")
    return lambda: structures.viterbi(unary, pairwise).labels


@contender("relaxed_top_k", "gumbelfast", role="ours")
def relaxed_top_k(z: Any, grad: Any, k: int) -> Call:
    relaxed: Any = importlib.import_module("gumbelfast.subsets.relaxed")
    return lambda: (relaxed.relax(z, k, 1.0, False), relaxed.relax_backward(grad, z, k, 1.0))


@contender("sinkhorn", "gumbelfast", role="ours")
def sinkhorn(z: Any, grad: Any, rounds: int) -> Call:
    relaxed: Any = importlib.import_module("gumbelfast.permutations.sinkhorn")
    return lambda: (relaxed.relax(z, 1.0, rounds, False), relaxed.relax_backward(grad, z, 1.0, rounds))


@contender("subset_marginals", "gumbelfast", role="ours")
def subset_marginals(x: Any, grad: Any, k: int) -> Call:
    subsets: Any = importlib.import_module("gumbelfast.subsets")
    return lambda: (subsets.subset_marginals(x, k), subsets.subset_marginals_backward(grad, x, k))


@contender("weighted", "gumbelfast", role="ours", tail="float32 weights")
def weighted(weights: Any, k: int) -> Call:
    w, rng = weights.astype(np.float32), gf.default_rng(0)
    return lambda: gf.weighted_sample(w, k, rng=rng).indices


@contender("weighted", "gumbelfast gumbel_top_k", role="reference", tail="of logarithms computed beforehand")
def weighted_logarithms(weights: Any, k: int) -> Call:
    return top_k(np.log(weights).astype(np.float32), k)


@contender("prepared", "gumbelfast", role="ours")
def prepared_weights(weights: Any, k: int) -> Call:
    urn, rng = gf.distributions.PlackettLuce(weights), gf.default_rng(0)
    return lambda: urn.sample(k, rng=rng).indices


@contender("prepared", "gumbelfast weighted_sample", role="reference", tail="reads all weights")
def unprepared(weights: Any, k: int) -> Call:
    rng = gf.default_rng(0)
    return lambda: gf.weighted_sample(weights, k, rng=rng).indices


@contender("distinct choice", "gumbelfast", role="ours")
def distinct_choice(probabilities: Any, k: int) -> Call:
    rng = gf.default_rng(0)
    return lambda: rng.choice(probabilities.size, k, replace=False, p=probabilities)


@contender("draws", "gumbelfast choice", role="ours")
def choice(probabilities: Any, n: int) -> Call:
    rng = gf.default_rng(0)
    return lambda: rng.choice(probabilities.size, n, p=probabilities)


@contender("neighbours", "gumbelfast", role="ours")
def neighbours(logits: Any, ends: Any, space: int) -> Call:
    rng, x, ids = gf.default_rng(0), logits.reshape(-1), ends.reshape(-1)
    bounds = np.arange(len(logits) + 1) * logits.shape[1]
    return lambda: gf.gumbel_top_k(x, 5, ids=ids, indptr=bounds, columns=space, rng=rng).indices


@contender("neighbours", "gumbelfast places", role="reference", tail="noise by place in the row")
def neighbours_by_place(logits: Any, ends: Any, space: int) -> Call:
    rng, x = gf.default_rng(0), logits.reshape(-1)
    bounds = np.arange(len(logits) + 1) * logits.shape[1]

    def call() -> Any:
        place = gf.gumbel_top_k(x, 5, indptr=bounds, columns=logits.shape[1], rng=rng).indices
        return np.take_along_axis(ends, place, -1)

    return call


@contender("neighbours", "gumbelfast dense", role="reference", tail="rows of one length, noise by place")
def neighbours_dense(logits: Any, ends: Any, space: int) -> Call:
    rng = gf.default_rng(0)
    return lambda: np.take_along_axis(ends, gf.gumbel_top_k(logits, 5, rng=rng).indices, -1)


@contender("draws", "gumbelfast", role="ours", tail="table built in the call")
def draws(probabilities: Any, n: int) -> Call:
    rng = gf.default_rng(0)
    return lambda: gf.Categorical(probs=probabilities).sample(n, rng)


@contender("beams", "gumbelfast", role="ours")
def beams(first: Any, later: Any, k: int, steps: int) -> Call:
    rng = gf.default_rng(0)

    def step(tokens: Any, state: Any) -> Any:
        return (first if tokens is None else later[: len(tokens)]), None

    return lambda: gf.sequences.stochastic_beam_search(step, None, k, steps, rng=rng)[:5]


@contender("softmax", "gumbelfast", role="ours")
def softmax(x: Any) -> Call:
    out = np.empty_like(x)
    return lambda: gf.softmax(x, out=out)


@contender("softmax_backward", "gumbelfast", role="ours")
def softmax_backward(grad: Any, y: Any) -> Call:
    out = np.empty_like(y)
    return lambda: gf.softmax_backward(grad, y, out=out)


@contender("log_softmax", "gumbelfast", role="ours")
def log_softmax(x: Any) -> Call:
    out = np.empty_like(x)
    return lambda: gf.log_softmax(x, out=out)


@contender("logsumexp", "gumbelfast", role="ours")
def logsumexp(x: Any) -> Call:
    out = np.empty(len(x), x.dtype)
    return lambda: gf.logsumexp(x, out=out)


@contender("log_softmax_backward", "gumbelfast", role="ours")
def log_softmax_backward(grad: Any, y: Any) -> Call:
    out = np.empty_like(y)
    return lambda: gf.log_softmax_backward(grad, y, out=out)


@contender("relaxed", "gumbelfast", role="ours")
def relaxed(logits: Any, tau: float) -> Call:
    rng = gf.default_rng(0)
    return lambda: gf.gumbel_softmax(logits, tau, rng=rng)


@contender("gumbel_softmax", "gumbelfast", role="ours")
def gumbel_softmax(logits: Any, grad: Any, tau: float, hard: bool) -> Call:
    rng, y, dx = gf.default_rng(0), np.empty_like(logits), np.empty_like(logits)

    def soft_call() -> Any:
        gf.gumbel_softmax(logits, tau, rng=rng, out=y)
        return y, gf.gumbel_softmax_backward(grad, y, tau, out=dx)

    def hard_call() -> Any:
        _, y_soft = gf.gumbel_softmax(logits, tau, True, rng=rng, out=y, return_soft=True)
        return y, gf.gumbel_softmax_backward(grad, y_soft, tau, out=dx)

    return hard_call if hard else soft_call


def _with_threads(count: int, operation: str, inputs: tuple[Any, ...]) -> Call:
    if (os.cpu_count() or 1) < 2:
        raise Unavailable("only one processor")
    call = next(c for c in CONTENDERS[operation] if c.role == "ours").prepare(*inputs)

    def run() -> Any:
        gf.set_num_threads(count)
        try:
            return call()
        finally:
            gf.set_num_threads(pin.THREADS)

    return run


@contender("threads", "gumbelfast two threads", role="ours")
def two_threads(operation: str, *inputs: Any) -> Call:
    return _with_threads(2, operation, inputs)


@contender("threads", "gumbelfast one thread")
def one_thread(operation: str, *inputs: Any) -> Call:
    return _with_threads(1, operation, inputs)
