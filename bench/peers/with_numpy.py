"""NumPy as a careful user writes it: SFC64, ziggurat exponentials, everything in place.

Also the reference points: a plain fill, maximum and copy of the same arrays, which show the machine's limit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from peers import Call, Unavailable, contender

np.seterr(divide="ignore", invalid="ignore")  # the float32 ziggurat returns exact zeros, see TAIL

TAIL = (
    "about once in 2**23 draws the exponential is 0 and the noise +inf (its softmax NaN); finite values end near 17.3"
)


def _rng() -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(0))


def _masked(logits: Any, mask: Any) -> Any:
    return logits if mask is None else np.where(mask, logits, -np.inf).astype(logits.dtype)


def _log_exponential(rng: np.random.Generator, out: Any) -> Any:
    rng.standard_exponential(dtype=out.dtype, out=out)
    return np.log(out, out=out)


@contender("gumbel", "numpy", tail=TAIL)
def gumbel(n: int, dtype: Any) -> Call:
    rng, out = _rng(), np.empty(n, dtype)
    return lambda: np.negative(_log_exponential(rng, out), out=out)


@contender("gumbel", "numpy Generator.gumbel")
def generator_gumbel(n: int, dtype: Any) -> Call:
    if dtype != np.float64:
        raise Unavailable("float64 only")
    rng = _rng()
    return lambda: rng.gumbel(size=n)


@contender("categorical", "numpy", tail=TAIL)
def categorical(logits: Any, mask: Any = None) -> Call:
    rng, logits = _rng(), _masked(logits, mask)
    work = np.empty_like(logits)
    return lambda: np.subtract(logits, _log_exponential(rng, work), out=work).argmax(-1)


@contender("categorical", "numpy inverse CDF", tail="no perturbed logits: an index and nothing to merge or rank")
def inverse_cdf(logits: Any, mask: Any = None) -> Call:
    rng, logits = _rng(), _masked(logits, mask)
    work, cdf = np.empty_like(logits), np.empty(logits.shape)
    rows, columns = logits.shape

    def call() -> Any:
        np.subtract(logits, logits.max(-1, keepdims=True), out=work)
        np.cumsum(np.exp(work, out=work), axis=-1, dtype=np.float64, out=cdf)
        u = rng.random(rows) * cdf[:, -1]
        if columns < 1000:  # many short rows: counting beats a Python loop
            return (cdf <= u[:, None]).sum(-1)
        return np.array([row.searchsorted(v, "right") for row, v in zip(cdf, u, strict=True)])

    return call


@contender("top_k", "numpy", tail=TAIL)
def top_k(logits: Any, k: int) -> Call:
    rng, work = _rng(), np.empty_like(logits)

    def call() -> Any:
        keys = np.subtract(_log_exponential(rng, work), logits, out=work)
        best = np.argpartition(keys, k - 1, axis=-1)[..., :k]
        return np.take_along_axis(best, np.take_along_axis(keys, best, -1).argsort(-1), -1)

    return call


@contender("weighted", "numpy choice")
def weighted(weights: Any, k: int) -> Call:
    rng, p = _rng(), weights / weights.sum()
    return lambda: rng.choice(p.size, k, replace=False, p=p)


contender("prepared", "numpy choice")(weighted)


@contender("distinct choice", "numpy choice")
def distinct_choice(probabilities: Any, k: int) -> Call:
    rng = _rng()
    return lambda: rng.choice(probabilities.size, k, replace=False, p=probabilities)


@contender("neighbours", "numpy argpartition", tail="rows of one length, noise by place")
def neighbours(logits: Any, ends: Any, space: int) -> Call:
    draw = top_k(logits, 5)
    return lambda: np.take_along_axis(ends, draw(), -1)


@contender("draws", "numpy choice")
def draws(probabilities: Any, n: int) -> Call:
    rng = _rng()
    return lambda: rng.choice(probabilities.size, n, p=probabilities)


@contender("draws", "numpy searchsorted")
def draws_searchsorted(probabilities: Any, n: int) -> Call:
    rng = _rng()

    def call() -> Any:
        cdf = np.cumsum(probabilities)
        return cdf.searchsorted(rng.random(n) * cdf[-1], "right")

    return call


def _softmax(x: Any, out: Any) -> Any:
    np.exp(np.subtract(x, x.max(-1, keepdims=True), out=out), out=out)
    return np.divide(out, out.sum(-1, keepdims=True), out=out)


def _softmax_backward(grad: Any, y: Any, out: Any) -> Any:
    dot = np.multiply(grad, y, out=out).sum(-1, keepdims=True)
    return np.multiply(np.subtract(grad, dot, out=out), y, out=out)


@contender("softmax", "numpy")
def softmax(x: Any) -> Call:
    out = np.empty_like(x)
    return lambda: _softmax(x, out)


@contender("softmax_backward", "numpy")
def softmax_backward(grad: Any, y: Any) -> Call:
    out = np.empty_like(y)
    return lambda: _softmax_backward(grad, y, out)


@contender("relaxed", "numpy", tail=TAIL)
def relaxed(logits: Any, tau: float) -> Call:
    rng, y = _rng(), np.empty_like(logits)
    scale = logits.dtype.type(1 / tau)

    def call() -> Any:
        np.subtract(logits, _log_exponential(rng, y), out=y)
        return _softmax(np.multiply(y, scale, out=y), y)

    return call


@contender("gumbel_softmax", "numpy", tail=TAIL)
def gumbel_softmax(logits: Any, grad: Any, tau: float, hard: bool) -> Call:
    rng, y, dx = _rng(), np.empty_like(logits), np.empty_like(logits)
    scale = logits.dtype.type(1 / tau)

    def call() -> Any:
        np.subtract(logits, _log_exponential(rng, y), out=y)
        _softmax(np.multiply(y, scale, out=y), y)
        np.multiply(_softmax_backward(grad, y, dx), scale, out=dx)
        if hard:
            index = y.argmax(-1)[..., None]
            y.fill(0)
            np.put_along_axis(y, index, 1, -1)
        return y, dx

    return call


@contender("viterbi", "numpy")
def viterbi(unary: Any, pairwise: Any) -> Call:
    chains, nodes, labels = unary.shape
    score, best = np.empty((nodes, labels, chains), unary.dtype), np.empty((labels, chains), unary.dtype)
    every, found = np.empty((labels, labels, chains), unary.dtype), np.empty((nodes, chains), np.int64)
    across, before = pairwise[:, :, None], pairwise.T.copy()

    def call() -> Any:
        score[...] = unary.transpose(1, 2, 0)
        for t in range(1, nodes):
            score[t] += np.add(score[t - 1][:, None], across, out=every).max(0, out=best)
        found[-1] = score[-1].argmax(0)
        for t in range(nodes - 1, 0, -1):  # maxima are cheaper than arguments, and few of these are needed
            found[t - 1] = (score[t - 1].T + before[found[t]]).argmax(1)
        return found.T

    return call


@contender("gumbel", "numpy fill", role="reference")
def fill(n: int, dtype: Any) -> Call:
    out = np.empty(n, dtype)
    return lambda: out.fill(1)


@contender("categorical", "numpy maximum", role="reference")
def maximum(logits: Any, mask: Any = None) -> Call:
    return lambda: logits.max(-1)


@contender("top_k", "numpy maximum", role="reference")
def top_k_maximum(logits: Any, k: int) -> Call:
    return maximum(logits)


@contender("softmax", "numpy copy", role="reference")
def copy(x: Any) -> Call:
    out = np.empty_like(x)
    return lambda: np.copyto(out, x)
