"""Loops compiled by Numba over NumPy's SFC64 and ziggurat, with no array in between."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from peers import Call, contender

numba: Any = importlib.import_module("numba")


def _gumbel_loop(rng: Any, out: Any) -> Any:
    for i in range(out.size):
        out[i] = -np.log(out.dtype.type(rng.standard_exponential()))
    return out


def _categorical_loop(rng: Any, logits: Any, out: Any) -> Any:
    for i in range(logits.shape[0]):
        best, place = -np.inf, 0
        for j in range(logits.shape[1]):
            value = logits[i, j] - np.log(logits.dtype.type(rng.standard_exponential()))
            if value > best:
                best, place = value, j
        out[i] = place
    return out


def _inverse_cdf_loop(rng: Any, logits: Any, cdf: Any, out: Any) -> Any:
    for i in range(logits.shape[0]):
        top, total = logits[i].max(), 0.0
        for j in range(logits.shape[1]):
            total += np.exp(logits[i, j] - top)
            cdf[j] = total
        out[i] = np.searchsorted(cdf, rng.random() * total, "right")
    return out


_gumbel: Any = numba.njit(_gumbel_loop)
_categorical: Any = numba.njit(_categorical_loop)
_inverse_cdf: Any = numba.njit(_inverse_cdf_loop)


def _rng() -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(0))


def _masked(logits: Any, mask: Any) -> Any:
    return logits if mask is None else np.where(mask, logits, -np.inf).astype(logits.dtype)


@contender("gumbel", "numba")
def gumbel(n: int, dtype: Any) -> Call:
    rng, out = _rng(), np.empty(n, dtype)
    _gumbel(rng, out[:1])
    return lambda: _gumbel(rng, out)


@contender("categorical", "numba")
def categorical(logits: Any, mask: Any = None) -> Call:
    rng, x, out = _rng(), _masked(logits, mask), np.empty(len(logits), np.int64)
    _categorical(rng, x[:1], out)
    return lambda: _categorical(rng, x, out)


@contender("categorical", "numba inverse CDF", tail="no perturbed logits: an index and nothing to merge or rank")
def inverse_cdf(logits: Any, mask: Any = None) -> Call:
    rng, x, out = _rng(), _masked(logits, mask), np.empty(len(logits), np.int64)
    cdf = np.empty(x.shape[-1])
    _inverse_cdf(rng, x[:1], cdf, out)
    return lambda: _inverse_cdf(rng, x, cdf, out)
