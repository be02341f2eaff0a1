"""Random calls for hypothesis: logits of every shape, dtype and kind, masks, temperatures and axes."""

from typing import Any, NamedTuple

import numpy as np
from helpers import DTYPES, Array, dtype_of, largest_first, perturb, work_of
from hypothesis import strategies as st

import gumbelfast as gf

KINDS = ["normal", "wide", "constant", "huge", "few values", "minus infinity", "one finite", "ascending", "descending"]
MASKS = ["none", "full", "row", "one allowed"]
COLUMNS = st.one_of(
    st.integers(1, 40),
    st.sampled_from([63, 64, 65, 127, 128, 129, 511, 512, 513, 1023, 1025, 2500]),
    st.integers(1, 700),
)


class Case(NamedTuple):
    """Arguments of a call, its logits as rows with noise added by the law, and their order."""

    logits: Array
    given: dict[str, Any]
    perturbed: Array
    order: Array

    @property
    def eps(self) -> float:
        return float(np.finfo(np.float64 if self.logits.dtype == np.float64 else np.float32).eps)


def make_logits(kind: str, shape: tuple[int, ...], dtype: str, rng: np.random.Generator) -> Array:
    x = rng.normal(size=shape)
    if kind == "wide":
        return x * 50
    if kind == "constant":
        return x * 0 + 3
    if kind == "huge":
        # Noise drowns in the spacing of such numbers, so that equals decide.
        return np.clip(np.round(x), -3, 3) * {"float16": 2e4, "float64": 1e18}.get(dtype, 1e9)
    if kind == "few values":
        return np.round(x)
    if kind == "minus infinity":
        return np.where(rng.random(shape) < 0.5, -np.inf, x)
    if kind == "one finite":
        return np.where(np.arange(shape[-1]) == rng.integers(shape[-1]), x, -np.inf)
    if kind == "ascending":
        return np.broadcast_to(np.linspace(-20, 20, shape[-1]), shape)
    if kind == "descending":
        return np.broadcast_to(np.linspace(5, -5, shape[-1]), shape)
    return x


def make_mask(kind: str, x: Array, rng: np.random.Generator) -> Array | None:
    """A mask for rows x that leaves something to draw."""
    if kind == "none":
        return None
    best = np.arange(x.shape[-1]) == x.argmax(axis=-1)[..., None]
    if kind == "one allowed":
        return best
    if kind == "row":
        return best.any(axis=tuple(range(x.ndim - 1))) | (rng.random(x.shape[-1]) < 0.5)
    return best | (rng.random(x.shape) < rng.random())


@st.composite
def cases(draw: Any, dtypes: tuple[str, ...] = tuple(DTYPES)) -> Case:
    """A call with `rng`; the noise comes from `gumbel` under the same seed."""
    dtype = draw(st.sampled_from(dtypes))
    batch = draw(st.lists(st.integers(1, 4), max_size=3))
    columns = draw(COLUMNS)
    seed = draw(st.integers(0, 2**32))
    temperature = draw(st.sampled_from([1.0, 0.7, 3.0, 1e-3, 1e4, 0.1]))
    axis = draw(st.integers(-len(batch) - 1, len(batch)))
    rng = np.random.default_rng(seed)
    x = make_logits(draw(st.sampled_from(KINDS)), (*batch, columns), dtype, rng).astype(dtype_of(dtype))
    x[np.isneginf(x.astype(float)).all(axis=-1), 0] = 0
    mask = make_mask(draw(st.sampled_from(MASKS)), x, rng)
    allowed = x if mask is None else np.where(mask, x, -np.inf).astype(x.dtype)
    noise = gf.gumbel(size=x.shape, dtype=work_of(dtype), rng=seed)
    given = {"axis": axis, "temperature": temperature, "rng": seed}
    if mask is not None:
        given["mask"] = np.moveaxis(np.broadcast_to(mask, x.shape), -1, axis)
        if mask.ndim == 1 and axis in (-1, x.ndim - 1):
            given["mask"] = mask
    return Case(
        np.moveaxis(x, -1, axis),
        given,
        perturb(allowed, noise, temperature),
        largest_first(allowed, noise, temperature),
    )
