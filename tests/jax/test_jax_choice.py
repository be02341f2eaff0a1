"""`gumbelfast.jax.choice`, and `categorical` by alias tables: the draws of gumbelfast's tables at the same key."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, assert_same_bytes, dtype_of, normal
from scipy import stats

import gumbelfast as gf
from gumbelfast.reference.tables import uniforms

jax = pytest.importorskip("jax")
jnp = jax.numpy
from gumbelfast import jax as gj  # noqa: E402

SEED = 2**31 + 5
KEY = jax.random.key(SEED)
AT: Any = {"rng": gf.Generator(SEED), "offset": 0}
P = np.array([0.1, 0.0, 0.5, 0.15, 0.25])
INF = np.inf
# Chance that a correct sampler fails a statistical test; seeds are fixed, so that it never changes.
ERROR = 1e-6


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("draws", [(), (1,), (2000,), (3, 40)])
@pytest.mark.parametrize(("shape", "axis"), [((7,), -1), ((5, 70), -1), ((70, 5), 0), ((2, 33, 3), 1), ((4, 1), 1)])
def test_tables_draw_what_those_of_gumbelfast_draw(
    request: pytest.FixtureRequest, route: str, dtype: str, draws: Any, shape: tuple[int, ...], axis: int
) -> None:
    if dtype == "float64":
        request.getfixturevalue("x64")
    x = normal(dtype, shape)
    batch = tuple(np.delete(shape, axis))
    wanted = gf.categorical(x, axis=axis, size=draws, method="alias", **AT)
    call = partial(gj.categorical, axis=axis, shape=(*draws, *batch), method="alias")
    for found in (call(KEY, x), jax.jit(call)(KEY, x)):
        assert found.dtype == jax.dtypes.canonicalize_dtype(int)
        assert np.array_equal(found, wanted)


def test_half_types_are_read_exactly(route: str) -> None:
    # Every finite float16, and bfloat16, as a weight: one that is read wrong moves bounds.
    for dtype in ("float16", "bfloat16"):
        whole = np.arange(0x7C00 if dtype == "float16" else 0x5000, dtype=np.uint16).view(dtype_of(dtype))
        found = gj.choice(KEY, whole.size, (20_000,), p=whole)
        assert np.array_equal(found, gf.Categorical(probs=whole).sample(20_000, **AT))
        x = np.where(np.arange(whole.size) % 3 == 0, -1, 1).astype(whole.dtype) * np.minimum(whole, 9)
        found = gj.categorical(KEY, x, shape=(20_000,), method="alias")
        assert np.array_equal(found, gf.categorical(x, size=20_000, method="alias", **AT))


@pytest.mark.parametrize("method", ["gumbel", "alias"])
def test_rows_that_serve_all_draws(route: str, method: str) -> None:
    x = normal("float32", (1, 4, 9))
    tiled = np.tile(x, (6, 1, 1))
    call = partial(gj.categorical, method=method)
    assert np.array_equal(call(KEY, x, shape=(2, 6, 4)), call(KEY, tiled, shape=(2, 6, 4)))
    assert np.array_equal(call(KEY, x[:, :1], shape=(6, 4)), call(KEY, np.tile(x[:, :1], (6, 4, 1))))
    inner = np.tile(x[:, :, None], (1, 1, 5, 1))
    assert np.array_equal(call(KEY, x[:, :, None], shape=(1, 4, 5)), call(KEY, inner))


def test_every_backend_draws_the_same(compiled: str) -> None:
    x, p = normal("float32", (3, 200)), np.arange(200.0, dtype=np.float32)
    found = gj.categorical(KEY, x, shape=(90, 3), method="alias")
    assert np.array_equal(found, gf.categorical(x, size=90, method="alias", **AT))
    assert np.array_equal(gj.choice(KEY, 200, (70,), False, p), gf.weighted_sample(p.astype(float), 70, **AT).indices)
    wanted = [u * 200 // 2**64 for u in uniforms(SEED, np.arange(99, dtype=np.uint64)).tolist()]
    assert gj.choice(KEY, 200, (99,)).tolist() == wanted


def test_first_draws_of_many_are_those_of_fewer(route: str) -> None:
    x = normal("float32", (70,))
    for method in ("gumbel", "alias"):
        many = np.asarray(gj.categorical(KEY, x, shape=(500,), method=method))
        assert np.array_equal(gj.categorical(KEY, x, shape=(3,), method=method), many[:3])


@pytest.mark.parametrize("mapped", [(0, 0), (0, None), (None, 0)])
def test_vmap_is_a_loop(route: str, mapped: Any) -> None:
    keys, x = jax.random.split(KEY, 4), normal("float32", (4, 3, 20))
    p, a = np.abs(x[:, 0]), normal("float32", (4, 20, 2), 3)
    calls: list[Any] = [
        (lambda key, x: gj.categorical(key, x, shape=(50, 3), method="alias"), x),
        (lambda key, p: gj.choice(key, 20, (50,), p=p), p),
        (lambda key, p: gj.choice(key, 20, (5,), replace=False, p=p), p),
        (lambda key, a: gj.choice(key, a, (5,)), a),
        (lambda key, a: gj.choice(key, a, (5,), replace=False), a),
    ]
    for call, data in calls:
        whole = [each if axis == 0 else each[1] for each, axis in zip((keys, data), mapped, strict=True)]
        found = jax.jit(jax.vmap(call, mapped))(*whole)
        wanted = [call(*(e[i] if axis == 0 else e for e, axis in zip(whole, mapped, strict=True))) for i in range(4)]
        assert_same_bytes(found, np.stack(wanted))


@pytest.mark.parametrize("shape", [(), (1,), (1000,), (3, 50)])
@pytest.mark.parametrize("p", [P, P * 7, np.array([0, 3, 0, 1, 9])])
def test_choices_by_weights_are_draws_from_tables(route: str, p: Any, shape: tuple[int, ...]) -> None:
    p = p.astype(np.float32) if p.dtype.kind == "f" else p
    wanted = gf.Categorical(probs=p.astype(np.float32)).sample(shape, **AT)
    call = partial(gj.choice, a=5, shape=shape)
    for found in (call(KEY, p=p), jax.jit(call)(KEY, p=p)):
        assert (found.shape, found.dtype) == (shape, np.int32)
        assert np.array_equal(found, wanted)
        assert (p[np.asarray(found)] > 0).all()


@pytest.mark.parametrize("n", [1, 2, 5, 1000, 2**31 - 1])
def test_uniform_choices_are_scaled_uniforms(route: str, n: int) -> None:
    found = np.asarray(jax.jit(lambda key: gj.choice(key, n, (5, 33)))(KEY))
    wanted = [u * n // 2**64 for u in uniforms(SEED, np.arange(165, dtype=np.uint64)).tolist()]
    assert found.reshape(-1).tolist() == wanted
    assert n < 2**31 - 1 or found.max() > 2**30


@pytest.mark.usefixtures("x64")
def test_uniform_choices_of_many(route: str) -> None:
    n = 2**40 + 3
    found = np.asarray(gj.choice(KEY, n, (40,)))
    wanted = [u * n // 2**64 for u in uniforms(SEED, np.arange(40, dtype=np.uint64)).tolist()]
    assert found.tolist() == wanted


@pytest.mark.parametrize("k", [1, 3, 4])
def test_choices_without_replacement_are_the_largest_perturbed(route: str, k: int) -> None:
    p = P.astype(np.float32)
    wanted = gf.weighted_sample(p.astype(float), k, **AT).indices
    for found in (gj.choice(KEY, 5, k, False, p), jax.jit(lambda key, p: gj.choice(key, 5, k, False, p))(KEY, p)):
        assert np.array_equal(found, wanted)
    even = gf.gumbel_top_k(np.zeros(100), 30, **AT).indices
    assert np.array_equal(gj.choice(KEY, 100, (5, 6), replace=False), even.reshape(5, 6))
    whole = np.asarray(gj.choice(KEY, 100, 100, replace=False))
    assert np.array_equal(np.sort(whole), np.arange(100))


def test_laws_of_choices(route: str) -> None:
    keys = jax.random.split(KEY, 3)
    drawn = np.asarray(gj.choice(keys[0], 5, (50_000,), p=P.astype(np.float32)))
    counts = np.bincount(drawn, minlength=5)
    kept = P > 0
    assert not counts[~kept].any()
    assert stats.chisquare(counts[kept], 50_000 * P[kept]).pvalue > ERROR
    # Successive sampling: the second is drawn by its weight among those left.
    q = np.array([0.5, 0.3, 0.2])
    pairs = np.asarray(
        jax.vmap(lambda key: gj.choice(key, 3, 2, False, q.astype(np.float32)))(jax.random.split(keys[1], 20_000))
    )
    counts2 = np.bincount(3 * pairs[:, 0] + pairs[:, 1], minlength=9).reshape(3, 3)
    law = q[:, None] * q / (1 - q[:, None])
    off = ~np.eye(3, dtype=bool)
    assert not counts2[~off].any()
    assert stats.chisquare(counts2[off], 20_000 * law[off]).pvalue > ERROR


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_elements_and_shapes_are_those_of_jax(axis: int, shape: Any, replace: bool, weighted: bool) -> None:
    a = np.arange(6 * 6 * 7).reshape(6, 6, 7).astype(np.int16)
    n = a.shape[axis]
    p = np.arange(1.0, n + 1, dtype=np.float32) if weighted else None
    found = gj.choice(KEY, a, shape, replace, p, axis)
    theirs = jax.random.choice(KEY, a, shape, replace, p, axis)
    assert (found.shape, found.dtype) == (theirs.shape, theirs.dtype)
    index = gj.choice(KEY, n, shape, replace, p)
    assert np.array_equal(found, np.take(a, index, axis))


def test_nothing_to_choose(route: str) -> None:
    for replace in (True, False):
        assert gj.choice(KEY, 0, (0, 2), replace).shape == (0, 2)
        assert gj.choice(KEY, np.zeros((3, 0, 2)), (4, 0), replace, axis=1).shape == (3, 4, 0, 2)
    assert gj.categorical(KEY, np.zeros((2, 3)), shape=(0, 2), method="alias").shape == (0, 2)
    assert gj.categorical(KEY, np.zeros((0, 3)), method="alias").shape == (0,)


@pytest.mark.parametrize("n", [np.int8(5), np.uint64(5), np.array(5, ">i2"), jnp.asarray(5)])
def test_integers_of_every_type(n: Any) -> None:
    assert np.array_equal(gj.choice(KEY, n, (20,)), gj.choice(KEY, 5, (20,)))


def test_keys_are_chosen_too() -> None:
    keys = jax.random.split(KEY, 5)
    found = gj.choice(jax.random.key(1), keys, (3,))
    index = gj.choice(jax.random.key(1), 5, (3,))
    assert np.array_equal(jax.random.key_data(found), jax.random.key_data(keys)[index])


def test_gradients_pass_to_what_is_chosen(route: str) -> None:
    a = normal("float32", (5, 2))
    found = jax.grad(lambda a: gj.choice(KEY, a, (40,), p=P.astype(np.float32)).sum())(a)
    counts = np.bincount(np.asarray(gj.choice(KEY, 5, (40,), p=P.astype(np.float32))), minlength=5)
    assert np.array_equal(found, np.broadcast_to(counts[:, None], (5, 2)))


def test_no_gradient_passes_to_weights(route: str) -> None:
    p = P.astype(np.float32)
    found = jax.grad(lambda p: jnp.log(p)[gj.choice(KEY, 5, (6,), p=p)].sum())(p)
    index = np.asarray(gj.choice(KEY, 5, (6,), p=p))
    counts = np.bincount(index, minlength=5)
    np.testing.assert_allclose(np.asarray(found)[p > 0], (counts / np.where(p > 0, p, 1))[p > 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: gj.categorical(KEY, P, method="table"), ValueError, "method must be 'gumbel' or 'alias', got 'table'"),
        (
            lambda: gj.categorical(KEY, P, replace=False, method="alias"),
            ValueError,
            "method='alias' takes no replace, got False",
        ),
        (lambda: gj.choice(KEY, 2.5), TypeError, "a must be an integer, got 2.5"),
        (lambda: gj.choice(KEY, True), TypeError, "a must be an integer, got True"),
        (lambda: gj.choice(KEY, np.float32(2)), TypeError, "a must be an integer, got np.float32(2.0)"),
        (lambda: gj.choice(KEY, "2"), TypeError, "a must be an integer, got '2'"),
        (lambda: gj.choice(KEY, None), TypeError, "a must be an integer, got None"),
        (lambda: gj.choice(KEY, 2**63), ValueError, "indices below 9223372036854775808 need 64 bits: enable x64"),
        (lambda: gj.choice(KEY, -1), ValueError, "a must be >= 0, got -1"),
        (lambda: gj.choice(KEY, 0), ValueError, "a must not be empty unless no samples are taken"),
        (
            lambda: gj.choice(KEY, np.zeros((2, 0)), axis=1),
            ValueError,
            "a must not be empty unless no samples are taken",
        ),
        (
            lambda: gj.choice(KEY, P, axis=1),
            np.exceptions.AxisError,
            "axis 1 is out of bounds for array of dimension 1",
        ),
        (lambda: gj.choice(KEY, P, 2.5), TypeError, "shape must be an integer, got 2.5"),
        (lambda: gj.choice(KEY, 5, (2, 3), False), ValueError, "6 draws without replacement exceed the 5 categories"),
        (
            lambda: gj.choice(KEY, 4, p=P),
            ValueError,
            "p must have shape (4,), one number for each thing to choose, got (5,)",
        ),
        (lambda: gj.choice(KEY, 5, p=P > 0), TypeError, "expected float16, bfloat16, float32 or float64, got bool"),
        (lambda: gj.choice(KEY, 2**31 + 1), ValueError, "indices below 2147483649 need 64 bits: enable x64"),
    ],
)
def test_bad_arguments(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("p", "k", "text"),
    [
        ([0.5, -0.5, 1], 0, "p must be finite and >= 0, got -0.5 at index (1,)"),
        ([0.5, 0.5, np.nan], 2, "p must be finite and >= 0, got nan at index (2,)"),
        ([INF, 0.5, 1], 0, "p must be finite and >= 0, got inf at index (0,)"),
        ([0, 0, 0], 0, "p sums to 0"),
        ([0, 0, 0], 1, "1 draws without replacement exceed the 0 positive entries of p"),
        ([0, 0.5, 0], 2, "2 draws without replacement exceed the 1 positive entries of p"),
    ],
)
def test_bad_weights_are_named_when_the_program_runs(route: str, p: Any, k: int, text: str) -> None:
    call = partial(gj.choice, KEY, 3, max(k, 1), k == 0)
    for run in (call, jax.jit(call)):
        with pytest.raises(jax.errors.JaxRuntimeError) as caught:
            jax.block_until_ready(run(p=np.array(p, np.float32)))
        assert text in str(caught.value)


def test_bad_weights_of_an_example_are_named() -> None:
    p = np.ones((4, 3), np.float32)
    for bad, text in (([0, 0, 0], "p sums to 0"), ([0, -1, 0], "p must be finite and >= 0, got -1")):
        p[2] = bad
        with pytest.raises(jax.errors.JaxRuntimeError) as caught:
            jax.block_until_ready(jax.vmap(lambda p: gj.choice(KEY, 3, p=p))(p))
        where = " in row 2" if text.endswith(" 0") else " at index (2, 1)"
        assert text + (where if gj.route() == "ffi" else "") in str(caught.value)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ([0, np.nan, 1], "logits contain NaN at index (1, 1)"),
        ([0, 1, INF], "logits contain +inf at index (1, 2)"),
        ([-INF] * 3, "row 1 has no finite logit"),
    ],
)
def test_bad_logits_of_tables_are_named(route: str, row: Any, text: str) -> None:
    x = np.zeros((3, 3), np.float32)
    x[1] = row
    with pytest.raises(jax.errors.JaxRuntimeError) as caught:
        jax.block_until_ready(gj.categorical(KEY, x, method="alias"))
    assert text in str(caught.value)
