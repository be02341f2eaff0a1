"""What this package does, as a careful user of NumPy writes it: in place, in float32, by its quickest noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def noise(rng: np.random.Generator, shape: int | tuple[int, ...]) -> Array:
    """Gumbel noise in float32: minus the logarithm of exponential noise, NumPy's quickest way to it."""
    e = rng.standard_exponential(shape, dtype=np.float32)
    np.maximum(e, np.finfo(np.float32).tiny, out=e)  # some are 0, which would make infinite noise, and NaN after that
    np.log(e, out=e)
    return np.negative(e, out=e)


def categorical(rng: np.random.Generator, logits: Array, size: int | None = None) -> Array:
    """Gumbel-max: of each row, or `size` draws of one."""
    perturbed = noise(rng, logits.shape if size is None else (size, *logits.shape))
    perturbed += logits
    index: Array = perturbed.argmax(axis=-1)
    return index


def top_k(rng: np.random.Generator, logits: Array, k: int) -> Array:
    """The k largest perturbed logits in order, without sorting the others."""
    perturbed = noise(rng, logits.shape)
    perturbed += logits
    return largest(perturbed, k)


def largest(x: Array, k: int) -> Array:
    """The places of the k largest entries of each row, in order."""
    index = np.argpartition(x, -k)[..., -k:]
    order = np.argsort(-np.take_along_axis(x, index, -1))
    ordered: Array = np.take_along_axis(index, order, -1)
    return ordered


def choice(rng: np.random.Generator, p: Array, k: int) -> Array:
    """Different items, by NumPy's own function."""
    return rng.choice(p.size, k, replace=False, p=p)


def race(rng: np.random.Generator, p: Array, k: int) -> Array:
    """Different items: the k largest of weights over exponentials."""
    return largest(p / rng.standard_exponential(p.size), k)


def draws(rng: np.random.Generator, p: Array, n: int) -> Array:
    """Items with replacement, by NumPy's own function, which inverts the distribution."""
    return rng.choice(p.size, n, p=p)


def tokens(rng: np.random.Generator, logits: Array, temperature: float, k: int, share: float) -> Array:
    """Of each row: top-k, then top-p of what it leaves, then one of these."""
    index = largest(logits, k)
    p = softmax(np.take_along_axis(logits, index, -1) / np.float32(temperature))
    p[p.cumsum(-1) - p >= share] = 0
    p /= rng.standard_exponential(p.shape, dtype=np.float32)
    token: Array = np.take_along_axis(index, p.argmax(-1)[:, None], -1)[:, 0]
    return token


def softmax(x: Array) -> Array:
    """Softmax in as few passes as NumPy has."""
    y: Array = x - x.max(axis=-1, keepdims=True)
    np.exp(y, out=y)
    y /= y.sum(axis=-1, keepdims=True)
    return y


def gumbel_softmax(rng: np.random.Generator, logits: Array, tau: float) -> Array:
    """A relaxed draw of each row."""
    x = noise(rng, logits.shape)
    x += logits
    x /= np.float32(tau)
    return softmax(x)


def relaxed(rng: np.random.Generator, logits: Array, grad: Array, tau: float) -> tuple[Array, Array]:
    """Gumbel-softmax, and the gradient by its logits."""
    y = gumbel_softmax(rng, logits, tau)
    result: Array = grad - np.einsum("ij,ij->i", grad, y)[:, None]
    result *= y
    result /= np.float32(tau)
    return y, result
