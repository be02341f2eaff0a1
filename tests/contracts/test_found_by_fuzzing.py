"""What the fuzzer has found, each as a test of its own; more in test_found_among_models.py."""

import pickle

import numpy as np
import pytest
from helpers import COMPILED, assert_refused

import gumbelfast as gf

ZEROS = np.zeros((2, 3), np.float32)


def test_arrays_that_were_pickled_have_dtypes_of_their_own() -> None:
    seeds = pickle.loads(pickle.dumps(np.array([3, 4], np.uint64)))
    assert seeds.dtype is not np.dtype(np.uint64)
    assert gf.categorical(ZEROS, seeds=seeds).tolist() == gf.categorical(ZEROS, seeds=[3, 4]).tolist()
    index = np.array([1, 2], ">i8").astype(np.dtype(">i8").newbyteorder("="))
    assert (gf.conditional_gumbel(ZEROS, index, rng=0).argmax(-1) == [1, 2]).all()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("value", [800.0, np.inf, 90.0, 60000.0])
def test_log_softmax_backward_of_what_is_no_log_probability(dtype: str, value: float) -> None:
    y, grad = np.full((2, 10), value, dtype), np.ones((2, 10), dtype)
    found = []
    for name in COMPILED:
        with gf.use_backend(name):
            found.append(gf.log_softmax_backward(grad, y))
    assert all(other.tobytes() == found[0].tobytes() for other in found)
    wanted = -10 * np.exp(90) if dtype == "f8" and value == 90 else -np.inf
    assert np.allclose(found[0].astype(float), wanted, rtol=1e-12)


@pytest.mark.parametrize("text", ["2", b"2"])
def test_temperatures_are_not_read_from_text(text: object) -> None:
    assert_refused(lambda rng: gf.categorical(ZEROS, temperature=text, rng=rng), TypeError,
                   f"temperature must be a real number, got {text!r}")  # fmt: skip


def test_a_temperature_above_all_floats() -> None:
    text = f"temperature must be finite and > 0, got {10**400}"
    assert_refused(lambda rng: gf.categorical(ZEROS, temperature=10**400, rng=rng), ValueError, text)


def test_empty_is_an_integer() -> None:
    for empty, error, text in (
        (0.5, TypeError, "empty must be an integer, got 0.5"),
        (2**63, ValueError, f"empty must fit int64, got {2**63}"),
    ):
        assert_refused(lambda rng, e=empty: gf.categorical(ZEROS, empty=e, rng=rng), error, text)
    assert gf.categorical(ZEROS - np.inf, empty=-(2**63), rng=0).tolist() == [-(2**63)] * 2


@pytest.mark.parametrize("name", ["loc", "scale"])
def test_noise_is_real(name: str) -> None:
    for value in (1j, np.zeros(3, complex)):
        text = f"{name} must be real, got {value!r}"
        assert_refused(lambda rng, v=value: gf.gumbel(**{name: v}, size=3, rng=rng), TypeError, text)


def test_a_state_that_is_an_array() -> None:
    bits = gf.Philox4x32(1)
    with pytest.raises(ValueError, match="state must hold state"):
        bits.state = {**bits.state, "state": np.ones(4)}


def test_one_bernoulli_variable_that_is_nan() -> None:
    assert_refused(lambda rng: gf.estimators.score_function(np.array(np.nan), np.sum, family="bernoulli", rng=rng),
                   ValueError, "logits contain NaN at index ()")  # fmt: skip


@pytest.mark.parametrize("columns", [16, 100, 5000])
def test_nan_behind_a_row_that_top_k_has_filtered(backend: str, columns: int) -> None:
    """What was left of the row before it was taken for its own, and memory written to: sanitizers see that."""
    x = np.random.default_rng(2).standard_normal((5, columns)).astype(np.float16)
    x[3, columns - 3] = np.nan
    text = f"logits contain NaN at index (3, {columns - 3})"
    for k in (1, 3):
        assert_refused(lambda rng, k=k: gf.sample_tokens(x, top_k=k, rng=rng), ValueError, text)
    x[3] = x[2]
    assert gf.sample_tokens(x, top_k=1, rng=1).tolist() == x.argmax(-1).tolist()
