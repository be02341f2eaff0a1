"""What JAX's own tests expect of jax.random and jax.nn, restated for `gumbelfast.jax`; cases that peers fail."""

from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, assert_same_bytes, eps_of, normal
from scipy import stats

import gumbelfast as gf

jax = pytest.importorskip("jax")
jnp = jax.numpy
from gumbelfast import jax as gj  # noqa: E402

KEY = jax.random.key(2026)
INF = np.inf
# Chance that a correct sampler fails a statistical test; seeds are fixed, so that it never changes.
ERROR = 1e-6
DRAWS = 20_000


@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("dtype", DTYPES[:3])
@pytest.mark.parametrize("p", [[0.25] * 4, [0.1, 0.2, 0.3, 0.4], [[0.5, 0.5], [0.1, 0.9]], [0.0, 0.3, 0.0, 0.7]])
def test_categorical_fits(route: str, p: Any, dtype: str, axis: int) -> None:
    weights = np.array(p).T if axis == 0 else np.array(p)
    with np.errstate(divide="ignore"):
        logits = jnp.log(jnp.asarray(weights)).astype(dtype)
    batch = tuple(np.delete(logits.shape, axis))
    draw = jax.jit(lambda key: gj.categorical(key, logits, axis=axis, shape=(DRAWS, *batch)))
    drawn = np.asarray(draw(KEY)).reshape(DRAWS, -1)
    assert drawn.dtype == np.int32
    exact = np.asarray(gf.softmax(np.moveaxis(np.asarray(logits), axis, -1).astype(float))).reshape(
        -1, len(p[-1]) if np.ndim(p) > 1 else len(p)
    )
    for row, expected in zip(drawn.T, exact, strict=True):
        counts = np.bincount(row, minlength=len(expected))
        assert not counts[expected == 0].any()
        kept = expected > 0
        assert stats.chisquare(counts[kept], DRAWS * expected[kept] / expected[kept].sum()).pvalue > ERROR


@pytest.mark.parametrize(
    ("dtype", "call", "law"),
    [
        (dtype, call, law)
        for dtype in ("float32", "float16", "bfloat16")
        for call, law in ((gj.gumbel, stats.gumbel_r), (gj.exponential, stats.expon))
    ],
)
def test_noise_fits(route: str, dtype: str, call: Any, law: Any) -> None:
    found = np.asarray(jax.jit(lambda key: call(key, (DRAWS,), dtype))(KEY))
    assert found.dtype == jnp.dtype(dtype)
    # Rounding moves a value by half a unit: compared at cell edges that are far apart beside it.
    edges = law.ppf(np.linspace(0, 1, 17))
    counts = np.histogram(found.astype(float), edges)[0]
    shift = law.pdf(edges[1:-1]) * np.maximum(np.abs(edges[1:-1]), 1) * eps_of(dtype)
    slack = np.append(shift, 0) + np.append(0, shift)
    expected = np.diff(law.cdf(edges))
    bound = stats.norm.isf(ERROR / (2 * 16)) * np.sqrt(DRAWS * expected * (1 - expected)) + DRAWS * slack + 1
    assert (np.abs(counts - DRAWS * expected) <= bound).all()


@pytest.mark.parametrize("shape", [None, (3, 4), (7, 3, 4), (2, 7, 3, 4)])
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_categorical_shapes_are_those_of_jax(route: str, shape: Any, axis: int) -> None:
    logits = np.moveaxis(normal("float32", (3, 4, 9)), -1, axis)
    for replace in (True, False):
        if shape is not None and not replace and len(shape) == 4:
            continue
        ours = gj.categorical(KEY, logits, axis=axis, shape=shape, replace=replace)
        theirs = jax.random.categorical(KEY, logits, axis=axis, shape=shape, replace=replace)
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)


@pytest.mark.usefixtures("x64")
def test_dtypes_with_x64(route: str) -> None:
    logits = np.zeros((3, 4))
    assert gj.categorical(KEY, logits).dtype == jax.random.categorical(KEY, logits).dtype == np.int64
    assert gj.gumbel(KEY, (3,)).dtype == jax.random.gumbel(KEY, (3,)).dtype == np.float64
    assert gj.exponential(KEY).shape == jax.random.exponential(KEY).shape == ()
    assert gj.softmax(logits.astype(np.float32)).dtype == np.float32


def test_without_replacement_there_are_no_duplicates(route: str) -> None:
    logits = np.zeros((50, 10), np.float32)
    drawn = np.asarray(gj.categorical(KEY, logits, shape=(10, 50), replace=False))
    assert np.array_equal(np.sort(drawn, axis=0), np.broadcast_to(np.arange(10)[:, None], (10, 50)))
    few = np.asarray(gj.categorical(KEY, np.zeros((DRAWS, 4), np.float32), shape=(2, DRAWS), replace=False))
    pairs = np.bincount(4 * few[0] + few[1], minlength=16).reshape(4, 4)
    assert not pairs.diagonal().any()
    assert stats.chisquare(pairs[~np.eye(4, dtype=bool)]).pvalue > ERROR


@pytest.mark.parametrize(
    "x", [np.array([1.0, 2, 3]), np.array([[0.0, INF, 1]]), np.array([-INF, 0]), np.array([1e4, -1e4, 1e38])]
)
def test_softmax_is_that_of_jax(route: str, x: Any) -> None:
    x = x.astype(np.float32)
    np.testing.assert_allclose(gj.softmax(x), jax.nn.softmax(x), rtol=1e-6)
    if not np.isposinf(x).any():  # where JAX has NaN for the whole row, SciPy and we have -inf beside it
        np.testing.assert_allclose(gj.log_softmax(x), jax.nn.log_softmax(x), rtol=1e-6)
    some = np.nan_to_num(x, posinf=0, neginf=-1e30)
    for ours, theirs in ((gj.softmax, jax.nn.softmax), (gj.log_softmax, jax.nn.log_softmax)):
        found, wanted = (jax.jacobian(f)(some) for f in (ours, theirs))
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)


def test_jit_and_eager_agree_and_keys_may_be_reused(route: str) -> None:
    x = normal("float32", (20, 130))
    eager = gj.gumbel_softmax(KEY, x, 0.5)
    assert_same_bytes(jax.jit(lambda key, x: gj.gumbel_softmax(key, x, 0.5))(KEY, x), eager)
    assert_same_bytes(gj.gumbel_softmax(KEY, x, 0.5), eager)
    with jax.disable_jit():
        assert_same_bytes(gj.gumbel_softmax(KEY, x, 0.5), eager)
    donated = jax.jit(lambda x: gj.softmax(x), donate_argnums=0)(jnp.asarray(x))
    assert_same_bytes(donated, gj.softmax(x))


def test_the_tail_of_the_noise_is_full() -> None:
    # The largest of n Gumbels is a Gumbel shifted by log(n). The noise of jax.random.gumbel ends at 15.94 in float32.
    keys, each = jax.random.split(KEY, 8), 1 << 25
    shift = np.log(len(keys) * each)
    largest = float(jax.jit(lambda keys: jax.lax.map(lambda key: gj.gumbel(key, (each,)).max(), keys).max())(keys))
    assert 16 < stats.gumbel_r.ppf(ERROR) + shift < largest < stats.gumbel_r.isf(ERROR) + shift


def test_more_categories_than_float32_counts(route: str) -> None:
    columns = (1 << 24) + 9
    x = np.full((1, columns), -100, np.float32)
    x[0, -1] = 100
    assert gj.categorical(KEY, x).tolist() == [columns - 1]
    flat = gj.categorical(KEY, np.zeros((1, columns), np.float32), shape=(4, 1))
    assert len(np.unique(flat)) == 4
    hard = gj.gumbel_softmax(KEY, x, hard=True)
    assert (int(hard.argmax()), float(hard.sum())) == (columns - 1, 1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_logits_are_perturbed_in_float32(route: str, dtype: str) -> None:
    # Noise that is rounded to the spacing of the logits lets equals decide, for the lower index.
    x = np.full((DRAWS, 2), 512, jnp.dtype(dtype))
    second = int(np.asarray(gj.categorical(KEY, x)).sum())
    assert stats.binomtest(second, DRAWS).pvalue > ERROR
    assert np.isfinite(np.asarray(gj.gumbel_softmax(KEY, x * 100, 0.1)).astype(float)).all() or dtype == "float16"


def test_rows_draw_the_same_in_any_batch(route: str) -> None:
    x = normal("float32", (8, 64))
    whole = gj.gumbel_softmax(KEY, x)
    assert_same_bytes(gj.gumbel_softmax(KEY, x[:3]), whole[:3])
    keys = jax.random.split(KEY, 8)
    mapped = jax.vmap(gj.gumbel_softmax)(keys, x)
    assert_same_bytes(jax.vmap(gj.gumbel_softmax)(keys[5:], x[5:]), mapped[5:])


def test_minus_infinity_is_never_drawn(route: str) -> None:
    x = np.where(np.arange(64) % 3 == 0, normal("float32", (500, 64)), -INF).astype(np.float32)
    assert (np.asarray(gj.categorical(KEY, x, shape=(20, 500))) % 3 == 0).all()
    assert (np.asarray(gj.gumbel_top_k(KEY, x, 22).indices) % 3 == 0).all()
    assert not np.asarray(gj.gumbel_softmax(KEY, x))[:, np.arange(64) % 3 != 0].any()
