"""Results depend on nothing but the address and the input: not on backend, threads, chunks, memory layout or batch."""

import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import COMPILED, DTYPES, KEY, Array, assert_same_bytes, dtype_of, normal

import gumbelfast as gf

SIZES = [0, 1, 15, 16, 17, 31, 32, 33, 127, 128, 129, 511, 513, 4095, 4097, 100_003]
THREADS = [1, 2, 3, 7, 16]
LONG = 3_000_003  # enough work for several threads in every kernel
START = 77


def two(x: Array) -> tuple[Array, Array]:
    """Something like a gradient and a softmax, both of the dtype of x."""
    return x[::-1], np.abs(x) / x.dtype.type(8)


def rng() -> gf.Generator:
    return gf.Generator(KEY, START)


KERNELS: dict[str, Callable[..., Any]] = {
    "gumbel": lambda x, **t: gf.gumbel(0.5, 2.0, x.shape, dtype=x.dtype, rng=rng(), **t),
    "standard gumbel": lambda x, **t: gf.gumbel(size=x.shape, dtype=x.dtype, rng=rng(), **t),
    "categorical": lambda x, **t: gf.categorical(x, temperature=0.8, return_perturbed=True, rng=rng(), **t),
    "masked": lambda x, **t: gf.categorical(x, mask=x < 2, empty=-1, return_perturbed=True, rng=rng(), **t),
    "gumbel_top_k": lambda x, **t: gf.gumbel_top_k(x, min(5, x.shape[-1]), rng=rng(), **t),
    "many of top k": lambda x, **t: gf.gumbel_top_k(x, (x.shape[-1] + 1) // 2, rng=rng(), **t),
    "tokens": lambda x, **t: gf.sample_tokens(x, temperature=0.8, top_p=0.9, min_p=0.01, rng=rng(), **t),
    "tokens of top k": lambda x, **t: gf.sample_tokens(x, top_k=40, top_p=0.9, rng=rng(), **t),
    "gumbel_softmax": lambda x, **t: gf.gumbel_softmax(x, 0.7, rng=rng(), **t),
    "hard": lambda x, **t: gf.gumbel_softmax(x, 0.7, hard=True, rng=rng(), **t),
    "hard and soft": lambda x, **t: gf.gumbel_softmax(x, 0.7, hard=True, return_soft=True, rng=rng(), **t),
    "winner known": lambda x, **t: gf.conditional_gumbel(x, x.argmin(-1), rng=rng(), **t),
    "maximum known": lambda x, **t: gf.conditional_gumbel(x, maximum=1.5, rng=rng(), **t),
    "bound known": lambda x, **t: gf.conditional_gumbel(x, upper=0.25, rng=rng(), **t),
    "softmax": lambda x, **t: gf.softmax(x, temperature=0.8, **t),
    "log_softmax": lambda x, **t: gf.log_softmax(x, temperature=0.8, **t),
    "logsumexp": lambda x, **t: gf.logsumexp(x, temperature=0.8, **t),
    "softmax_backward": lambda x, **t: gf.softmax_backward(*two(x), temperature=0.8, **t),
    "log_softmax_backward": lambda x, **t: gf.log_softmax_backward(*two(-np.abs(x)), temperature=0.8, **t),
    "gumbel_softmax_backward": lambda x, **t: gf.gumbel_softmax_backward(*two(x), 0.7, **t),
}


def content(result: Any) -> bytes:
    parts = result if isinstance(result, tuple) else (result,)
    return b"".join(np.asarray(part).tobytes() for part in parts)


@cache
def logits(dtype: str, size: int) -> Array:
    """Rows of `size`; or no rows, where there would be no columns."""
    shape = (0, 7) if size == 0 else (size,) if size > 50_000 else (3, size)
    x = normal(dtype, shape, size)
    x.flags.writeable = False
    return x


@cache
def wanted(name: str, dtype: str, size: int) -> bytes:
    with gf.use_backend(COMPILED[-1]):
        return content(KERNELS[name](logits(dtype, size), num_threads=1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KERNELS)
def test_backends_threads_and_sizes(compiled: str, name: str, dtype: str) -> None:
    for size in SIZES:
        for threads in THREADS:
            found = content(KERNELS[name](logits(dtype, size), num_threads=threads))
            assert found == wanted(name, dtype, size), (size, threads)


@pytest.mark.parametrize("name", ["standard gumbel", "categorical", "gumbel_top_k", "softmax"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_long_row(compiled: str, name: str, dtype: str) -> None:
    for threads in THREADS:
        found = content(KERNELS[name](logits(dtype, LONG), num_threads=threads))
        assert found == wanted(name, dtype, LONG), threads


@pytest.mark.parametrize("name", KERNELS)
def test_many_rows(compiled: str, name: str) -> None:
    x = normal("float32", (3003, 333))
    with gf.use_backend(COMPILED[0]):
        first = content(KERNELS[name](x, num_threads=1))
    for threads in THREADS:
        assert content(KERNELS[name](x, num_threads=threads)) == first, threads


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("chunk", [1, 17, 64, 4096])
def test_noise_in_chunks(compiled: str, dtype: str, chunk: int) -> None:
    size = 1025 if chunk == 1 else 9001
    given = {"dtype": dtype_of(dtype), "rng": rng()}
    whole = gf.gumbel(size=size, offset=START, **given)
    parts = [gf.gumbel(size=min(chunk, size - a), offset=START + a, **given) for a in range(0, size, chunk)]
    assert_same_bytes(np.concatenate(parts), whole)


@pytest.mark.parametrize("chunk", [1, 17, 64, 4096])
@pytest.mark.parametrize("columns", [5, 32, 300])
def test_rows_in_chunks(compiled: str, chunk: int, columns: int) -> None:
    x = normal("float32", (60 if chunk == 1 else 5000, columns))
    starts = range(0, len(x), chunk)
    offsets = {"rng": rng(), "offset": START}
    index = gf.categorical(x, **offsets)
    top = gf.gumbel_top_k(x, 3, **offsets)
    soft = gf.gumbel_softmax(x, **offsets)
    plain = gf.softmax(x)
    for a in starts:
        rows = slice(a, a + chunk)
        part = {"rng": rng(), "offset": START + a * columns}
        assert_same_bytes(gf.categorical(x[rows], **part), index[rows])
        assert_same_bytes(gf.gumbel_top_k(x[rows], 3, **part).perturbed, top.perturbed[rows])
        assert_same_bytes(gf.gumbel_softmax(x[rows], **part), soft[rows])
        assert_same_bytes(gf.softmax(x[rows]), plain[rows])


def test_calls_follow_each_other_at_whole_tiles(compiled: str) -> None:
    one = gf.Generator(KEY)
    parts = [one.gumbel(size=n, dtype=np.float32) for n in (64, 32, 5, 40)]
    assert one.offset == 168
    whole = gf.gumbel(size=168, rng=gf.Generator(KEY))
    assert_same_bytes(np.concatenate([*parts[:2], parts[2], parts[3]]), whole[[*range(101), *range(128, 168)]])


def test_split_and_resumed(compiled: str) -> None:
    x = normal("float32", (3, 700))
    steps = [
        lambda r: gf.gumbel(size=1001, rng=r),
        lambda r: gf.categorical(x, rng=r),
        lambda r: gf.gumbel_top_k(x, 9, rng=r).perturbed,
        lambda r: gf.gumbel_softmax(x, rng=r),
        lambda r: gf.Categorical(x[0]).sample(1000, rng=r),
        lambda r: r.standard_normal(7),
    ]
    straight = rng()
    wanted = [step(straight) for step in steps]
    for stop in range(len(steps)):
        first = rng()
        for step in steps[:stop]:
            step(first)
        resumed = pickle.loads(pickle.dumps(first))
        for step, result in zip(steps[stop:], wanted[stop:], strict=True):
            assert_same_bytes(step(resumed), result)


def misaligned(x: Array) -> Array:
    return np.frombuffer(b"." + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)


def read_only(x: Array) -> Array:
    x = x.copy()
    x.flags.writeable = False
    return x


def strided(x: Array) -> Array:
    big = np.full([3 * n for n in x.shape], np.nan, x.dtype)
    big[1::3, 2::3] = x
    return big[1::3, 2::3]


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "strided": strided,
    "reversed": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "transposed": np.asfortranarray,
    "misaligned": misaligned,
    "read-only": read_only,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "list": lambda x: x.astype(float).tolist(),
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
}


# Lists of floats are float64, and NumPy knows no big-endian bfloat16.
LAID_OUT = [
    (layout, dtype)
    for layout in LAYOUTS
    for dtype in DTYPES
    if (layout != "list" or dtype == "float64") and (layout, dtype) != ("big-endian", "bfloat16")
]


@pytest.mark.parametrize(("layout", "dtype"), LAID_OUT)
def test_memory_layouts(compiled: str, layout: str, dtype: str) -> None:
    x = normal(dtype, (7, 45))
    laid = LAYOUTS[layout](x)
    x = np.array(laid, x.dtype)
    assert content(gf.categorical(laid, rng=1)) == content(gf.categorical(x, rng=1))
    assert content(gf.gumbel_top_k(laid, 4, rng=1)) == content(gf.gumbel_top_k(x, 4, rng=1))
    assert content(gf.gumbel_softmax(laid, rng=1)) == content(gf.gumbel_softmax(x, rng=1))
    for function in (gf.softmax, gf.log_softmax, gf.logsumexp):
        assert_same_bytes(function(laid), function(x))
        assert_same_bytes(function(laid, axis=0), function(x, axis=0))
    for backward in (gf.softmax_backward, gf.log_softmax_backward, gf.gumbel_softmax_backward):
        assert_same_bytes(backward(laid, laid), backward(x, x))


def test_memory_map(compiled: str, tmp_path: Path) -> None:
    x = normal("float32", (7, 45))
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert content(gf.categorical(mapped, rng=1)) == content(gf.categorical(x, rng=1))
    assert content(gf.gumbel_softmax(mapped, rng=1)) == content(gf.gumbel_softmax(x, rng=1))
    assert type(gf.softmax(mapped)) is np.ndarray
    assert_same_bytes(gf.softmax(mapped), gf.softmax(x))


@pytest.mark.parametrize("layout", ["strided", "reversed", "transposed"])
def test_masks_of_any_layout(compiled: str, layout: str) -> None:
    x, mask = normal("float32", (7, 45)), normal("float32", (7, 45), 1) > 0
    laid = np.empty((21, 135), bool)[1::3, 2::3] if layout == "strided" else LAYOUTS[layout](mask)
    laid[...] = mask
    wanted_index = gf.categorical(x, mask=mask, rng=1)
    assert_same_bytes(gf.categorical(x, mask=laid, rng=1), wanted_index)
    assert_same_bytes(gf.categorical(np.asfortranarray(x), mask=laid.tolist(), rng=1), wanted_index)


@pytest.mark.parametrize("dtype", DTYPES)
def test_out_of_any_layout(compiled: str, dtype: str) -> None:
    x = normal(dtype, (7, 45))
    raw = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    for out in (np.empty((14, 90), x.dtype)[::2, ::-2], np.empty((45, 7), x.dtype).T, raw):
        for function in (gf.softmax, gf.log_softmax, lambda x, out: gf.gumbel_softmax(x, rng=1, out=out)):
            assert function(x, out=out) is out
            assert_same_bytes(np.ascontiguousarray(out), function(x, out=np.empty_like(x)))
