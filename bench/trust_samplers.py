"""How each library draws Gumbel noise and categories, as its documentation shows it; what trust_peers.py asks."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any


@dataclass(frozen=True)
class Sampler:
    """A library under one of its ways to draw.

    Attributes
    ----------
    gumbel : callable
        ``(count, seed)`` to float32 noise.
    categorical : callable
        ``(logits, seed)`` to one index per row.
    row : callable, optional
        ``(logits, seed, first)`` to draws where row i has the randomness of row ``first + i``, in any batch.
    fresh : callable, optional
        Four values of the process's default stream.
    set_threads : callable, optional
        How many threads calls may use from now on.
    """

    library: str
    name: str
    version: str
    gumbel: Callable[[int, int], Array]
    categorical: Callable[[Array, int], Array]
    row: Callable[..., Array] | None = None
    fresh: Callable[[], list[float]] | None = None
    set_threads: Callable[[int], object] | None = None


def ours() -> list[Sampler]:
    """The library at hand, by its own generator."""
    import gumbelfast as gf

    def row(logits: Array, seed: int, first: int = 0) -> Array:
        seeds = np.arange(first, first + len(logits), dtype=np.uint64) + np.uint64(1000 * seed)
        return gf.categorical(logits, seeds=seeds)

    return [
        Sampler(
            "gumbelfast",
            "gumbelfast",
            gf.__version__,
            gumbel=lambda count, seed: gf.gumbel(size=count, rng=seed),
            categorical=lambda logits, seed: gf.categorical(logits, rng=seed),
            row=row,
            fresh=lambda: gf.gumbel(size=4).tolist(),
            set_threads=gf.set_num_threads,
        )
    ]


def numpy() -> list[Sampler]:
    """Generator.gumbel, and its argmax; NumPy has no categorical over rows of logits."""

    def noise(shape: Any, seed: int) -> Array:
        return np.random.default_rng(seed).gumbel(size=shape)

    return [
        Sampler(
            "numpy",
            "NumPy gumbel (float64), argmax",
            np.__version__,
            gumbel=noise,
            categorical=lambda logits, seed: (logits + noise(logits.shape, seed)).argmax(axis=-1),
            fresh=lambda: np.random.gumbel(size=4).tolist(),  # noqa: NPY002  (the only default stream it has)
        )
    ]


def torch() -> list[Sampler]:
    """torch.distributions.Gumbel with torch.multinomial, and the exponential race that gumbel_softmax is made of."""
    import torch as t

    def seeded(seed: int) -> Any:
        return t.Generator().manual_seed(seed)

    def distribution(count: int, seed: int) -> Array:
        t.manual_seed(seed)
        return t.distributions.Gumbel(t.tensor(0.0), t.tensor(1.0)).sample((count,)).numpy()

    def multinomial(logits: Array, seed: int) -> Array:
        probs = t.softmax(t.tensor(logits), -1)
        return t.multinomial(probs, 1, generator=seeded(seed))[:, 0].numpy()

    def exponential(shape: Any, seed: int) -> Any:
        return -t.empty(shape).exponential_(generator=seeded(seed)).log()

    common: dict[str, Any] = {
        "library": "torch",
        "version": t.__version__,
        "fresh": lambda: t.rand(4).tolist(),
        "set_threads": t.set_num_threads,
    }
    return [
        Sampler(name="torch Gumbel, multinomial", gumbel=distribution, categorical=multinomial, **common),
        Sampler(
            name="torch exponential_, argmax",
            gumbel=lambda count, seed: exponential(count, seed).numpy(),
            categorical=lambda x, seed: (t.tensor(x) + exponential(x.shape, seed)).argmax(-1).numpy(),
            **common,
        ),
    ]


def jax() -> list[Sampler]:
    """jax.random with its defaults, and with the mode that spends more bits on the noise."""
    import jax as j
    import jax.numpy as jnp

    def sampler(name: str, mode: str) -> Sampler:
        def row(logits: Array, seed: int, first: int = 0) -> Array:
            keys = j.vmap(lambda i: j.random.fold_in(j.random.key(seed), i))(jnp.arange(first, first + len(logits)))
            return np.asarray(j.vmap(lambda key, x: j.random.categorical(key, x, mode=mode))(keys, jnp.asarray(logits)))

        return Sampler(
            "jax",
            name,
            j.__version__,
            gumbel=lambda count, seed: np.asarray(j.random.gumbel(j.random.key(seed), (count,), mode=mode)),
            categorical=lambda x, seed: np.asarray(j.random.categorical(j.random.key(seed), jnp.asarray(x), mode=mode)),
            row=row,
        )

    return [sampler("jax.random", "low"), sampler('jax.random, mode="high"', "high")]


LIBRARIES = {"gumbelfast": ours, "numpy": numpy, "torch": torch, "jax": jax}


def installed() -> list[Sampler]:
    """The samplers of all libraries that this Python has."""
    return [s for name, samplers in LIBRARIES.items() if importlib.util.find_spec(name) for s in samplers()]
