"""softmax and its kin on chunked arrays: NumPy's bytes where rows are whole, the exact values where they are cut."""

import sys
from typing import Any

import dask.array as da
import numpy as np
import pytest
from dask_cases import logits
from helpers import assert_same_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import gumbelfast as gf
import gumbelfast.dask as gfd

FUNCTIONS = ["softmax", "log_softmax", "logsumexp"]


def exact(name: str, x: Any, axis: Any, temperature: Any) -> Any:
    """SciPy's in extended precision."""
    wide = x.astype(np.longdouble) / np.asarray(temperature, np.longdouble)
    return getattr(special, name)(wide, axis=axis)


@settings(max_examples=40)
@given(st.data(), logits(), st.sampled_from(FUNCTIONS))
def test_values(data: Any, case: Any, name: str) -> None:
    x, chunked, axis = case
    axes = data.draw(st.sampled_from([axis, None, tuple(range(x.ndim))]))
    among = range(x.ndim) if axes is None else axes if isinstance(axes, tuple) else (axes,)
    kept = [1 if i in [a % x.ndim for a in among] else n for i, n in enumerate(x.shape)]
    temperature = data.draw(st.sampled_from([1.0, 0.25, "one per row"]))
    if temperature == "one per row":
        temperature = 0.5 + np.random.default_rng(1).random(gf.logsumexp(x, axis=axes).shape)
    lazy = getattr(gfd, name)(chunked, axis=axes, temperature=temperature)
    wanted = getattr(gf, name)(x, axis=axes, temperature=temperature)
    assert (lazy.shape, lazy.dtype) == (wanted.shape, wanted.dtype)
    assert lazy._meta.dtype == wanted.dtype
    found = lazy.compute(scheduler="sync")
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    if all(chunked.numblocks[a] == 1 for a in among):
        assert_same_bytes(found, wanted)
    spread = np.reshape(temperature, kept) if np.ndim(temperature) else temperature
    truth = exact(name, x, axes, spread)
    eps = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}[x.dtype.name]
    largest = np.abs(x.astype(np.longdouble) / spread).max() + 6
    # In float64 x - max is rounded, and an exponent's error is the exponential's relative one.
    ulps = 2 + 2 * largest if x.dtype == np.float64 else 2
    unit = np.abs(truth) * eps if name == "softmax" else np.maximum(np.abs(truth), largest) * eps
    if x.dtype == np.float16:
        unit = np.maximum(unit, 2.0**-24)
    if not all(chunked.numblocks[a] == 1 for a in among):
        assert (np.abs(found.astype(np.longdouble) - truth) <= ulps * unit).all()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_chunks_of_float32_hardly_matter(name: str, dtype: str) -> None:
    x = np.random.default_rng(0).normal(size=(3, 5000)).astype(dtype) * 10
    found = [getattr(gfd, name)(da.from_array(x, chunks=(3, n))).compute() for n in (7, 999, 2500)]
    eps = np.finfo(dtype).eps
    for other in found[1:]:
        unit = eps * np.maximum(np.abs(other), 0 if name == "softmax" else np.abs(x).max() + 9)
        assert (np.abs(found[0] - other) <= (1 if dtype == "float32" else 8) * unit).all()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("chunks", [1, 2, 5])
def test_infinities_and_nan_pass_through_as_in_scipy(name: str, chunks: int) -> None:
    inf, nan = np.inf, np.nan
    x = np.array([
        [0, -inf, 1, 2, -inf], [-inf] * 5, [0, inf, 1, -inf, 2], [inf, inf, 0, 0, 0], [0, nan, 1, 2, 3],
        [nan, inf, 0, 0, -inf], [1e308, -1e308, 1e308, 0, 0], [-inf, -inf, -inf, 0, -inf],
    ])  # fmt: skip
    with np.errstate(all="ignore"):
        wanted = getattr(gf, name)(x, axis=-1)
    found = getattr(gfd, name)(da.from_array(x, chunks=(3, chunks))).compute()
    np.testing.assert_allclose(found, wanted, rtol=1e-14, equal_nan=True)


def test_large_logits_lose_nothing() -> None:
    x = np.array([1e8, 1e8 + 1, 1e8 - 3, -1e300])
    found = gfd.softmax(da.from_array(x, chunks=1)).compute()
    np.testing.assert_allclose(found, special.softmax(np.array([0.0, 1, -3, -np.inf])), rtol=1e-15)


def test_keepdims() -> None:
    x = da.from_array(np.random.default_rng(0).normal(size=(4, 6, 8)), chunks=(2, 5, 3))
    assert gfd.logsumexp(x, axis=(0, 2), keepdims=True).compute().shape == (1, 6, 1)
    assert gfd.logsumexp(x, axis=1, keepdims=True).compute().shape == (4, 1, 8)


def test_unknown_chunk_sizes_work() -> None:
    x = np.random.default_rng(0).normal(size=(30, 40))
    chunked = da.from_array(x, chunks=(7, 9))
    kept, wanted_rows = chunked[chunked[:, 0] > 0], x[x[:, 0] > 0]
    assert np.isnan(kept.shape[0])
    for name in FUNCTIONS:
        wanted = getattr(gf, name)(wanted_rows)
        np.testing.assert_allclose(getattr(gfd, name)(kept).compute(), wanted, rtol=1e-13)
        wanted = getattr(gf, name)(wanted_rows, axis=0)
        np.testing.assert_allclose(getattr(gfd, name)(kept, axis=0).compute(), wanted, rtol=1e-13)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_long_blocks_are_summed_a_piece_at_a_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["gumbelfast.dask.softmax"], "_PIECE", 64)
    x = np.random.default_rng(0).normal(size=(3, 1000)) * 10
    temperature = np.array([0.5, 1, 2])
    wanted = exact(name, x, -1, temperature[:, None])
    found = getattr(gfd, name)(da.from_array(x, chunks=(2, 700)), temperature=temperature).compute()
    np.testing.assert_allclose(found, wanted.astype(np.float64), rtol=1e-13, atol=1e-13)
    both = getattr(gfd, name)(da.from_array(x, chunks=(2, 700)), axis=None).compute()
    np.testing.assert_allclose(both, exact(name, x, None, 1.0).astype(np.float64), rtol=1e-13, atol=1e-13)
