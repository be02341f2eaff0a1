"""`Categorical` and `inverse_transform`: routes, addresses, distributions' own functions and bad input."""

import copy
import pickle
import re
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, assert_refused, dtype_of, normal

import gumbelfast as gf
from gumbelfast.reference.tables import uniforms

INF = np.inf
METHODS = ["alias", "inverse", "gumbel"]


@pytest.mark.parametrize("method", METHODS)
def test_fewer_draws_are_the_first_of_more(compiled: str, method: str) -> None:
    found = gf.Categorical(normal("float32", (2, 2049)))
    many = found.sample(300, rng=1, method=method)
    for size in (1, 3, 63, 64, 255, 256):
        assert np.array_equal(found.sample(size, rng=1, method=method), many[:size])
    assert np.array_equal(found.sample(rng=1, method=method), many[0])
    assert np.array_equal(found.sample(300, rng=1), found.sample(300, rng=1, method="alias"))


def test_routes_agree_with_what_they_are_made_of(compiled: str) -> None:
    x = normal("float32", (3, 5, 40))
    found = gf.Categorical(x, axis=1)
    assert np.array_equal(
        found.sample((4, 2), rng=5, method="gumbel"), gf.categorical(x, axis=1, size=(4, 2), rng=5, method="gumbel")
    )
    w = np.array([0.5, 0.0, 0.25, 3.0])
    key = gf.default_rng(8).key
    # Uniforms of 53 bits or fewer are floats as they are.
    drawn = uniforms(key, np.arange(4000, dtype=np.uint64))
    index = gf.Categorical(probs=w).sample(4000, rng=8, method="inverse")
    assert np.array_equal(index, gf.distributions.inverse_transform(w, (drawn >> np.uint64(11)) * 2.0**-53))


@pytest.mark.parametrize("method", ["alias", "inverse"])
def test_the_reference_draws_the_same(compiled: str, method: str) -> None:
    w = np.random.default_rng(2).random((3, 70)).astype(np.float32)
    w[:, ::4] = 0
    wanted = gf.Categorical(probs=w).sample(1500, rng=6, method=method)
    with gf.use_backend("reference"):
        assert np.array_equal(gf.Categorical(probs=w).sample(1500, rng=6, method=method), wanted)


@pytest.mark.parametrize("method", ["alias", "inverse"])
def test_draws_have_addresses(compiled: str, method: str) -> None:
    found = gf.Categorical(probs=[[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]])
    rng = gf.Generator(5)
    whole = found.sample(100, rng=rng, method=method)
    assert whole.shape == (100, 2)
    assert rng.offset == 200
    found.sample(3, rng=rng, method=method)
    assert rng.offset == 230
    assert np.array_equal(found.sample((30,), rng, offset=20, method=method), whole[10:40])
    assert rng.offset == 230
    assert found.sample(0, rng=rng, method=method).shape == (0, 2)
    assert found.sample(rng=0, method=method).shape == (2,)
    one = gf.Categorical(probs=[0.0, 2.0])
    assert type(one.sample(rng=0, method=method)) is np.int64
    assert one.sample((2, 0), rng=0, method=method).shape == (2, 0)
    assert gf.Categorical(np.zeros((0, 3))).sample(5, rng=0, method=method).shape == (5, 0)
    numpy_rng, same = np.random.default_rng(1), np.random.default_rng(1)
    found.sample(9, numpy_rng, method=method)
    same.integers(2**64 - 1, dtype=np.uint64, endpoint=True)
    assert numpy_rng.bit_generator.state == same.bit_generator.state


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("zeros", [[0], [0, 1], [3], [5], [4, 5], [0, 2, 3, 5], [0, 1, 2, 3, 4]])
def test_zeros_are_never_drawn(compiled: str, method: str, zeros: list[int]) -> None:
    w = np.array([1e-3, 5, 2, 1, 1e-3, 3])
    w[zeros] = 0
    for found in (gf.Categorical(probs=w), gf.Categorical(np.log(w, out=np.full(6, -INF), where=w > 0))):
        assert not np.isin(found.sample(20_000, rng=0, method=method), zeros).any()
        assert np.isneginf(found.log_prob(zeros)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_its_own_functions(compiled: str, dtype: str) -> None:
    x = normal(dtype, (4, 3, 50), deviation=3)
    x[0, 0, :7] = -INF
    wide = x.astype(np.float64)
    p = np.exp(wide - wide.max(axis=-1, keepdims=True))
    total = p.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        log_p = np.log(p / total)
    probs = (p * 7).astype(dtype_of(dtype))
    given = probs.astype(np.float64) / probs.astype(np.float64).sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        log_given = np.log(given)
    for found, want, log_want in (
        (gf.Categorical(x), p / total, log_p),
        (gf.Categorical(probs=probs), given, log_given),
        (gf.Categorical(np.moveaxis(x, -1, 0), axis=0), p / total, log_p),
    ):
        axis = 0 if found.probs.shape[0] == 50 else -1
        np.testing.assert_allclose(np.moveaxis(found.probs, axis, -1), want, rtol=1e-13)
        np.testing.assert_allclose(np.moveaxis(found.logits, axis, -1), log_want, rtol=1e-12, atol=1e-13)
        entropy = -(want * np.where(want > 0, log_want, 0)).sum(axis=-1)
        np.testing.assert_allclose(found.entropy(), entropy, rtol=1e-12)
        assert np.array_equal(found.mode(), want.argmax(axis=-1))
        assert found.mode().dtype == np.int64
        value = found.sample(9, rng=0)
        picked = np.take_along_axis(np.broadcast_to(log_want, (9, 4, 3, 50)), value[..., None], axis=-1)[..., 0]
        np.testing.assert_allclose(found.log_prob(value), picked, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(found.log_prob(3), log_want[..., 3], rtol=1e-12, atol=1e-13)
    assert gf.Categorical(probs=[0, 3.0, 3.0]).mode() == 1
    assert gf.Categorical(probs=[0, 3.0]).entropy() == 0
    assert gf.Categorical(probs=[1e-320, 1e-320]).log_prob(1) == pytest.approx(np.log(0.5))


def test_input_is_copied_and_objects_travel() -> None:
    w = np.array([1.0, 0.0, 3.0])
    found = gf.Categorical(probs=w)
    assert repr(found) == "gumbelfast.Categorical(categories=3, batch_shape=())"
    w[:] = 1
    assert found.probs.tolist() == [0.25, 0, 0.75]
    found.probs[:] = 0
    found.logits[:] = 0
    wanted = found.sample(100, rng=0)
    assert not (wanted == 1).any()
    for other in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert np.array_equal(other.sample(100, rng=0), wanted)


@pytest.mark.parametrize("method", METHODS)
def test_bad_addresses_leave_generators_alone(method: str) -> None:
    found = gf.Categorical(probs=[[1.0, 2.0]])

    def sample(**given: Any) -> Any:
        return lambda rng: found.sample(**({"rng": rng, "method": method} | given))

    assert_refused(sample(size=-1), ValueError, "size must be >= 0, got -1")
    text = "method must be 'alias', 'inverse' or 'gumbel', got 'vose'"
    assert_refused(sample(method="vose"), ValueError, text)
    rng = gf.Generator(1, 2**62 - 40)
    with pytest.raises(ValueError, match=r"ends at element 2\*\*62"):
        found.sample(100, rng, method=method)
    assert rng.offset == 2**62 - 40
    with pytest.raises(ValueError, match="rng must be given"):
        found.sample(3, offset=0, method=method)


NAN = np.nan
BAD = {
    "nan": (lambda: gf.Categorical([[0.0, NAN]]), "logits contain NaN at index (0, 1)"),
    "inf": (lambda: gf.Categorical([0.0, INF]), "logits contain +inf at index (1,)"),
    "inf by axis": (
        lambda: gf.Categorical([[0.0, 1], [0, INF], [0, 0]], axis=0),
        "logits contain +inf at index (1, 1)",
    ),
    "no logit": (lambda: gf.Categorical([[0.0, 0], [-INF, -INF]]), "row 1 has no finite logit"),
    "empty": (lambda: gf.Categorical(np.zeros((2, 0))), "axis -1 has size 0"),
    "negative": (lambda: gf.Categorical(probs=[0.5, -0.25]), "probs must be finite and >= 0, got -0.25 at index (1,)"),
    "nan probs": (lambda: gf.Categorical(probs=[[NAN, 1.0]]), "probs must be finite and >= 0, got nan at index (0, 0)"),
    "inf probs": (lambda: gf.Categorical(probs=[1.0, INF]), "probs must be finite and >= 0, got inf at index (1,)"),
    "sum 0": (lambda: gf.Categorical(probs=[[1.0, 0.0], [0.0, 0.0]]), "probs of row 1 sum to 0.0"),
    "overflow": (lambda: gf.Categorical(probs=[1e308, 1e308]), "probs of row 0 sum to inf"),
    "value": (lambda: gf.Categorical([0.0, 0.0]).log_prob([0, 2]), "value must lie in [0, 2), got 2 at index (1,)"),
    "value -1": (lambda: gf.Categorical([0.0, 0.0]).log_prob(-1), "value must lie in [0, 2), got -1"),
    "value shape": (
        lambda: gf.Categorical(np.zeros((3, 2))).log_prob([0, 1]),
        "value of shape (2,) does not broadcast to rows of shape (3,)",
    ),
    "u": (lambda: gf.distributions.inverse_transform([1.0, 1.0], 1.0), "u must lie in [0, 1), got 1.0"),
    "u below": (
        lambda: gf.distributions.inverse_transform([1.0], [[0.0, -1e-300]]),
        "u must lie in [0, 1), got -1e-300 at index (0, 1)",
    ),
    "u nan": (lambda: gf.distributions.inverse_transform([1.0], [NAN]), "u must lie in [0, 1), got nan at index (0,)"),
    "falls": (
        lambda: gf.distributions.inverse_transform([[0.1, 0.5, 0.4]], 0.0, cdf=True),
        "cdf must not decrease, got 0.4 at index (0, 2)",
    ),
    "below 0": (
        lambda: gf.distributions.inverse_transform([-0.1, 1.0], 0.0, cdf=True),
        "cdf must be finite and >= 0, got -0.1 at index (0,)",
    ),
    "ends at 0": (lambda: gf.distributions.inverse_transform([0.0, 0.0], 0.0, cdf=True), "cdf of row 0 ends at 0"),
    "u shape": (
        lambda: gf.distributions.inverse_transform(np.ones((3, 2)), [0.5, 0.5]),
        "u of shape (2,) does not broadcast to rows of shape (3,)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, text = BAD[name]
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        call()


def test_bad_types() -> None:
    with pytest.raises(TypeError, match="give logits or probs, got neither"):
        gf.Categorical()
    with pytest.raises(TypeError, match="give logits or probs, got both"):
        gf.Categorical([0.0], probs=[1.0])
    with pytest.raises(TypeError, match="expected float16, bfloat16, float32 or float64, got int64"):
        gf.Categorical([1, 2])
    assert gf.Categorical(probs=[1, 3]).probs.tolist() == [0.25, 0.75]
    with pytest.raises(TypeError, match="value must be integers, got float64"):
        gf.Categorical([0.0, 1.0]).log_prob(0.5)


@pytest.mark.parametrize("shape", [(7,), (3, 7), (2, 3, 7)])
def test_inverse_transform_is_the_textbook(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    w = rng.random(shape) * (rng.random(shape) < 0.7)
    w[..., 3] += 0.1
    u = rng.random((50, *shape[:-1]))
    found = gf.distributions.inverse_transform(w, u)
    sums = np.cumsum(w, axis=-1)
    function = sums / sums[..., -1:]
    assert np.array_equal(found, (function > u[..., None]).argmax(axis=-1))
    assert np.array_equal(found, gf.distributions.inverse_transform(sums, u, cdf=True))
    assert np.array_equal(found, gf.distributions.inverse_transform(np.moveaxis(w, -1, 0), u, axis=0))
    assert (np.take_along_axis(np.broadcast_to(w, (50, *shape)), found[..., None], axis=-1) > 0).all()
    # At an edge the next category begins.
    row = function.reshape(-1, 7)[0]
    edges = row[row < 1]
    one = gf.distributions.inverse_transform(
        w.reshape(-1, 7)[0], np.concatenate([edges, np.nextafter(edges, 0, where=edges > 0, out=edges * 0)])
    )
    assert np.array_equal(one[: len(edges)], [(row > e).argmax() for e in edges])
    assert (w.reshape(-1, 7)[0][one] > 0).all()
    assert gf.distributions.inverse_transform(np.ones((2, 4), np.float16), np.float32(0.5)).tolist() == [2, 2]
    assert type(gf.distributions.inverse_transform([1.0, 1.0], 0.75)) is np.int64


@pytest.mark.parametrize("columns", [1, 2, 7, 64, 300])
@pytest.mark.parametrize("power", [0, 1, 60])
def test_inverse_transform_of_many_uniforms(columns: int, power: int) -> None:
    rng = np.random.default_rng(columns)
    w = rng.random(columns) ** power * (rng.random(columns) < 0.8)
    w[columns // 2] = 1
    function = np.cumsum(w) / np.cumsum(w)[-1]
    edges = function[(function > 0) & (function < 1)]
    u = np.concatenate([rng.random(2000), [0, 5e-324, np.nextafter(1, 0)], edges, np.nextafter(edges, 0)])
    found = gf.distributions.inverse_transform(w, u)
    assert np.array_equal(found, np.searchsorted(function, u, side="right"))
    assert (w[found] > 0).all()
