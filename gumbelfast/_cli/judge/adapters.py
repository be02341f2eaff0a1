"""Samplers of this package and of others under the calling convention of docs/judge.md: examples of adapters."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._sampling.argmax import categorical
from ..._sampling.tokens import sample_tokens

Array = NDArray[Any]


def gumbelfast(logits: Array, seed: int, *, seeds: Array | None = None) -> Array:
    """``gumbelfast.categorical``."""
    index: Array = categorical(logits, rng=seed) if seeds is None else categorical(logits, seeds=seeds)
    return index


def tokens(
    logits: Array,
    seed: int,
    *,
    seeds: Array | None = None,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
) -> Array:
    """``gumbelfast.sample_tokens``."""
    noise: dict[str, Any] = {"rng": seed} if seeds is None else {"seeds": seeds}
    index: Array = sample_tokens(logits, top_k=top_k, top_p=top_p, min_p=min_p, **noise)
    return index


def _speculate(draft: Array, target: Array, seed: int) -> Array:
    """Leviathan, Kalman and Matias (2023): a drafted token stays with probability min(1, p/q), else one of (p - q)+."""
    q, p = (np.exp(x - x.max(-1, keepdims=True), dtype=np.float64) for x in (draft, target))
    q, p = q / q.sum(-1, keepdims=True), p / p.sum(-1, keepdims=True)
    # The draft, the verdict and the replacement are drawn from independent streams.
    first, verdict, second = (np.random.SeedSequence((seed, purpose)) for purpose in range(3))
    drafted: Array = categorical(draft, rng=first)
    rows = np.arange(len(drafted))
    kept = np.random.default_rng(verdict).random(len(drafted)) * q[rows, drafted] < p[rows, drafted]
    with np.errstate(divide="ignore"):
        left = np.log(np.maximum(p - q, 0))
    left[kept] = 0  # rows whose draft is kept may have no weight left
    return np.where(kept, drafted, categorical(left, rng=second))


for function in (gumbelfast, tokens):
    vars(function).update(one_noise=True, speculate=_speculate)


def numpy(logits: Array, seed: int) -> Array:
    """The largest of the logits and NumPy's Gumbel noise, in float64."""
    index: Array = (logits + np.random.default_rng(seed).gumbel(size=logits.shape)).argmax(axis=-1)
    return index


def torch(logits: Array, seed: int) -> Array:
    """``torch.multinomial`` of the softmax."""
    t: Any = importlib.import_module("torch")
    chances = t.softmax(t.from_numpy(logits), -1)
    return np.asarray(t.multinomial(chances, 1, generator=t.Generator().manual_seed(seed))[:, 0])


def jax(logits: Array, seed: int) -> Array:
    """``jax.random.categorical`` with its defaults."""
    random: Any = importlib.import_module("jax.random")
    return np.asarray(random.categorical(random.key(seed), logits))


KNOWN = {function.__name__: function for function in (gumbelfast, tokens, numpy, torch, jax)}
