"""`gumbelfast.jax`: the draws of a key are those of gumbelfast at the same address, on either route to the kernels."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, assert_same_bytes, normal, perturb, run_python, work_of

import gumbelfast as gf

jax = pytest.importorskip("jax")
jnp = jax.numpy
from gumbelfast import jax as gj  # noqa: E402
from gumbelfast.jax import _calls  # noqa: E402

HIGH, LOW = 0x12345678, 0x9ABCDEF0
KEY = jax.random.wrap_key_data(np.array([HIGH, LOW], np.uint32), impl="threefry2x32")
SHAPES = [(7,), (1, 1), (5, 70), (2, 3, 33), (3, 1000)]


def rng() -> gf.Generator:
    """The noise that `KEY` names."""
    return gf.Generator(HIGH << 32 | LOW)


def arrays(dtype: str, shape: tuple[int, ...]) -> Any:
    return normal(dtype, shape, 3)


@pytest.fixture(params=DTYPES)
def dtype(request: pytest.FixtureRequest) -> str:
    """All four dtypes; float64 with x64 enabled."""
    if request.param == "float64":
        request.getfixturevalue("x64")
    return str(request.param)


def test_the_route_is_the_one_asked_for(route: str) -> None:
    assert gj.route() == route
    with gf.use_backend("reference"):
        assert gj.route() == "callback"


def test_refused_handlers_leave_the_callback(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("the handler's API version (0.3) is incompatible with the framework's API version (0.1)")

    monkeypatch.setattr(jax.ffi, "register_ffi_target", refuse)
    assert not _calls._registered.__wrapped__()


@pytest.mark.parametrize("shape", SHAPES)
def test_draws_are_those_of_gumbelfast(route: str, dtype: str, shape: tuple[int, ...]) -> None:
    x = arrays(dtype, shape)
    at: Any = {"rng": rng(), "offset": 0}
    index = np.asarray(gj.categorical(KEY, x))
    assert index.dtype == (np.int64 if dtype == "float64" else np.int32)
    assert np.array_equal(index, gf.categorical(x, **at))
    found = gj.gumbel_softmax(KEY, x, 0.7)
    assert_same_bytes(found, gf.gumbel_softmax(x, 0.7, **at))
    assert_same_bytes(gj.gumbel_softmax(KEY, x, 0.7, hard=True), gf.gumbel_softmax(x, 0.7, hard=True, **at))
    assert_same_bytes(gj.gumbel(KEY, shape, x.dtype), gf.gumbel(size=shape, dtype=x.dtype, **at))
    assert_same_bytes(gj.exponential(KEY, shape, x.dtype), gf.exponential(size=shape, dtype=x.dtype, **at))
    assert_same_bytes(gj.softmax(x), gf.softmax(x))
    assert_same_bytes(gj.log_softmax(x), gf.log_softmax(x))
    for k in (0, 1, min(5, shape[-1]), shape[-1]):
        drawn, wanted = gj.gumbel_top_k(KEY, x, k), gf.gumbel_top_k(x, k, **at)
        assert drawn.indices.dtype == index.dtype
        assert np.array_equal(drawn.indices, wanted.indices)
        assert_same_bytes(drawn.perturbed, wanted.perturbed.astype(drawn.perturbed.dtype))
        assert drawn.perturbed.dtype == work_of(x.dtype.name)


def test_draws_are_perturbed_logits(route: str, dtype: str) -> None:
    x = arrays(dtype, (6, 300))
    noise = np.asarray(gj.gumbel(KEY, x.shape, work_of(dtype)))
    perturbed = perturb(x, noise)
    assert np.array_equal(gj.categorical(KEY, x), perturbed.argmax(axis=-1))
    assert np.array_equal(gj.gumbel_top_k(KEY, x, 4).indices, np.argsort(-perturbed, axis=-1)[:, :4])
    assert np.array_equal(gj.gumbel_softmax(KEY, x, hard=True).argmax(axis=-1), perturbed.argmax(axis=-1))


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_axes(route: str, axis: int) -> None:
    x = arrays("float32", (4, 5, 6))
    at: Any = {"rng": rng(), "offset": 0, "axis": axis}
    assert np.array_equal(gj.categorical(KEY, x, axis), gf.categorical(x, **at))
    assert_same_bytes(gj.gumbel_softmax(KEY, x, 0.5, axis=axis), gf.gumbel_softmax(x, 0.5, **at))
    assert np.array_equal(gj.gumbel_top_k(KEY, x, 2, axis).indices, gf.gumbel_top_k(x, 2, **at).indices)
    assert_same_bytes(gj.softmax(x, axis), gf.softmax(x, axis=axis))
    assert_same_bytes(gj.log_softmax(x, axis=axis), gf.log_softmax(x, axis=axis))


@pytest.mark.parametrize("draws", [(), (1,), (4,), (2, 3)])
def test_shapes_of_draws(route: str, draws: tuple[int, ...]) -> None:
    x = arrays("float32", (5, 70))
    found = gj.categorical(KEY, x, shape=(*draws, 5))
    wanted = gf.categorical(x, size=draws, rng=rng(), offset=0, method="gumbel")
    assert found.shape == (*draws, 5)
    assert np.array_equal(found, wanted)
    assert np.array_equal(
        gj.categorical(KEY, x[:1], shape=(*draws, 5)), gj.categorical(KEY, np.tile(x[:1], (5, 1)), shape=(*draws, 5))
    )
    without = np.asarray(gj.categorical(KEY, x, shape=(*draws, 5), replace=False))
    count = int(np.prod(draws))
    top = gf.gumbel_top_k(x, count, rng=rng(), offset=0).indices
    assert np.array_equal(without, top.T.reshape(*draws, 5))


def test_every_backend_draws_the_same(compiled: str, route: str) -> None:
    x = arrays("float32", (3, 200))
    assert_same_bytes(gj.gumbel_softmax(KEY, x), gf.gumbel_softmax(x, rng=rng(), offset=0))


def test_the_reference_serves_too() -> None:
    x = arrays("float32", (3, 200))
    fast = np.asarray(gj.gumbel_softmax(KEY, x)), np.asarray(gj.categorical(KEY, x))
    with gf.use_backend("reference"):
        assert_same_bytes(gj.gumbel_softmax(KEY, x), gf.gumbel_softmax(x, rng=rng(), offset=0))
        slow = np.asarray(gj.gumbel_softmax(KEY, x)), np.asarray(gj.categorical(KEY, x))
    assert not np.array_equal(fast[0], slow[0])  # so it was the reference
    np.testing.assert_allclose(*(pair[0] for pair in (fast, slow)), rtol=1e-5)
    assert np.array_equal(fast[1], slow[1])


def test_keys() -> None:
    x = arrays("float32", (3, 20))
    drawn = np.asarray(gj.gumbel(KEY, (40,)))
    assert_same_bytes(gj.gumbel(np.array([HIGH, LOW], np.uint32), (40,)), drawn)
    assert_same_bytes(gj.gumbel(jax.random.PRNGKey(7), (40,)), gj.gumbel(jax.random.key(7), (40,)))
    assert_same_bytes(gj.gumbel(jax.random.key(7), (40,)), gf.gumbel(size=40, rng=gf.Generator(7), offset=0))
    other = gj.categorical(jax.random.split(KEY)[0], np.zeros((50, 20), np.float32))
    assert not np.array_equal(other, gj.categorical(KEY, np.zeros((50, 20), np.float32)))
    assert gj.categorical(KEY, x).shape == (3,)


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_keys_of_four_words(impl: str) -> None:
    folded = jax.random.wrap_key_data(np.array([1, 2], np.uint32), impl="threefry2x32")
    for word in (3, 4):
        folded = jax.random.fold_in(folded, word)
    key = jax.random.wrap_key_data(np.array([1, 2, 3, 4], np.uint32), impl=impl)
    assert_same_bytes(gj.gumbel(key, (40,)), gj.gumbel(folded, (40,)))
    keys = jax.random.split(jax.random.key(0, impl=impl), 20)
    firsts = np.asarray(jax.vmap(gj.gumbel)(keys))
    assert len(np.unique(firsts)) == 20
    assert_same_bytes(firsts, np.stack([gj.gumbel(key) for key in keys]))


def test_traced_tau_is_the_same_as_a_number(route: str) -> None:
    x = arrays("float32", (3, 50))
    call = jax.jit(lambda tau: gj.gumbel_softmax(KEY, x, tau))
    for tau in (0.5, 2.0, 1e-30, 1e30, np.float32(0.7)):
        assert_same_bytes(call(tau), gj.gumbel_softmax(KEY, x, tau))


@pytest.mark.parametrize("shape", [(0, 5), (3, 0, 5), (0, 3, 5)])
def test_empty_batches(route: str, shape: tuple[int, ...]) -> None:
    x = np.zeros(shape, np.float32)
    assert gj.categorical(KEY, x).shape == shape[:-1]
    assert gj.categorical(KEY, x, shape=(2, *shape[:-1])).shape == (2, *shape[:-1])
    assert gj.gumbel_top_k(KEY, x, 2).indices.shape == (*shape[:-1], 2)
    for call in (
        partial(gj.gumbel_softmax, KEY),
        partial(gj.gumbel_softmax, KEY, hard=True),
        gj.softmax,
        gj.log_softmax,
    ):
        assert call(x).shape == shape
        assert jax.grad(lambda x, call=call: call(x).sum())(x).shape == shape
    assert gj.gumbel(KEY, (0, 3)).shape == (0, 3)
    assert gj.categorical(KEY, np.zeros((2, 3)), shape=(0, 2)).shape == (0, 2)
    assert gj.categorical(KEY, np.zeros((2, 3)), shape=(0, 2), replace=False).shape == (0, 2)
    assert jax.vmap(gj.categorical, (None, 0))(KEY, np.zeros((0, 2, 3), np.float32)).shape == (0, 2)


def test_threads_draw_at_once(route: str) -> None:
    x = arrays("float32", (64, 3000))
    jitted = jax.jit(lambda key, x: gj.gumbel_softmax(key, x, 0.5))
    wanted = [np.asarray(jitted(jax.random.key(i), x)) for i in range(4)]

    def work(i: int) -> bool:
        direct = gf.gumbel_softmax(x, 0.5, rng=gf.Generator(i), offset=0)
        return all(
            np.array_equal(jitted(jax.random.key(i), x), wanted[i]) and np.array_equal(direct, wanted[i])
            for _ in range(10)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


def test_importing_gumbelfast_does_not_import_jax() -> None:
    assert run_python("import sys, gumbelfast; assert 'jax' not in sys.modules").returncode == 0
