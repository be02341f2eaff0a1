"""The kernels of subsets and permutations, a row in each lane: the reference's values, whatever runs beside a row."""

from typing import Any

import numpy as np
import pytest
from helpers import COMPILED, Array, assert_same_bytes

import gumbelfast as gf
from gumbelfast._engine.backend import active

# Rows, columns, steps; a block is sixteen rows of float32, eight of float64.
SHAPES = [(1, 1, 1), (3, 5, 2), (8, 12, 12), (17, 33, 4), (40, 7, 3), (129, 9, 1), (5, 6, 0)]
KERNELS = [
    "relaxed_top_k", "relaxed_top_k_backward", "sinkhorn", "sinkhorn_backward", "subset_marginals",
    "subset_marginals_backward",
]  # fmt: skip


def inputs(kernel: str, dtype: str, shape: tuple[int, int, int]) -> tuple[Array, Array, Array]:
    """Numbers, gradients and 1/tau of each row; some logits are -inf where that is allowed."""
    rows, cols, steps = shape
    rng = np.random.default_rng(rows)
    square = kernel.startswith("sinkhorn")
    of = (rows, min(cols, 9), min(cols, 9)) if square else (rows, cols)
    z, grad = (rng.normal(size=of).astype(dtype) for _ in range(2))
    if not square and cols > steps + 2:
        z[::2, 1] = -np.inf
    return z, grad, rng.uniform(0.3, 3, rows)


def result_of(kernel: str, steps: int, z: Array, grad: Array, scale: Any, threads: int = 1) -> Array:
    out = np.empty_like(z)
    given = (grad, z, steps) if kernel.endswith("backward") else (z, steps)
    if kernel == "subset_marginals":
        log_sum, alone = np.empty(len(z), z.dtype), np.empty(len(z), z.dtype)
        active().subset_marginals(*given, out, log_sum, threads)
        active().subset_marginals(*given, None, alone, threads)
        assert_same_bytes(alone, log_sum)
        return np.column_stack([out, log_sum])
    getattr(active(), kernel)(*given, *(() if kernel.startswith("subset") else (scale,)), out, threads)
    return out


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bytes_and_near_the_reference(compiled: str, dtype: str, kernel: str) -> None:
    for shape in SHAPES:
        steps = max(shape[2], kernel.startswith("sinkhorn"))  # which has no result without iterations
        given = steps, *inputs(kernel, dtype, shape)
        found = result_of(kernel, *given)
        for threads in (2, 7):
            assert_same_bytes(result_of(kernel, *given, threads), found)
        with gf.use_backend(COMPILED[-1]):
            assert_same_bytes(result_of(kernel, *given), found)
        with gf.use_backend("reference"):
            wanted = result_of(kernel, *given)
        # Steps follow each other, and 1/tau is up to 3: what a rounding of the first may grow to.
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(found, wanted, rtol=300 * eps, atol=300 * eps * max(1, np.abs(wanted).max()))


@pytest.mark.parametrize("kernel", KERNELS)
def test_rows_do_not_depend_on_their_neighbours(compiled: str, kernel: str) -> None:
    z, grad, scale = inputs(kernel, "float32", (40, 7, 3))
    whole = result_of(kernel, 3, z, grad, scale)
    part = slice(17, 20)
    assert_same_bytes(result_of(kernel, 3, z[part].copy(), grad[part].copy(), scale[part].copy()), whole[part])


@pytest.mark.parametrize("kernel", [kernel for kernel in KERNELS if kernel.endswith("backward")])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_are_linear_however_small_or_large(backend: str, dtype: str, kernel: str) -> None:
    """Numbers too small to be multiplied are told by the largest of their row, and not by themselves."""
    z, grad, scale = inputs(kernel, dtype, (11, 7, 3))
    found = result_of(kernel, 3, z, grad, scale)
    for power in (2.0**-60, 2.0**70):
        assert_same_bytes(
            result_of(kernel, 3, z, grad * np.asarray(power, dtype), scale) / np.asarray(power, dtype), found
        )
    grad[4, ...] = 0
    assert not result_of(kernel, 3, z, grad, scale)[4].any()
    grad[4, 2] = np.nan
    found = result_of(kernel, 3, z, grad, scale)
    assert np.isnan(found[4][np.isfinite(z[4])]).any()
    assert np.isfinite(found[np.arange(11) != 4]).all()
