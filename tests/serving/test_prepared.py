"""The prepared sampler draws what `sample_tokens` draws, while requests come and go."""

import pickle
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, Array, dtype_of
from hypothesis import given
from hypothesis import strategies as st

import gumbelfast as gf
from gumbelfast.serving import TokenSampler

V = 70
SETTINGS: dict[str, Any] = {
    "temperature": [0.0, 0.7, 1.0, 1.3],
    "top_k": [0, 5, None, 40],
    "top_p": [None, 0.9, 0.0, 1.0],
    "min_p": [0.1, None, None, 0.02],
    "temperature_last": True,
    "min_tokens_to_keep": [None, 3, 0, 1],
    "top_n_sigma": [None, None, 2, None],
    "typical_p": [None, 0.8, None, 0.6],
    "epsilon_cutoff": [0.01, None, 0.01, None],
    "eta_cutoff": [None, None, None, 0.1],
}


def logits_of(rows: int, step: int, dtype: Any = np.float32) -> Array:
    return np.random.default_rng([rows, step]).normal(0, 2, (rows, V)).astype(dtype)


@pytest.mark.parametrize("name", DTYPES)
def test_steps_are_draws_of_tokens(backend: str, name: str) -> None:
    dtype = dtype_of(name)
    sampler = TokenSampler(V, dtype)
    np.testing.assert_array_equal(sampler.add(4, **SETTINGS, seeds=[3, 1, 4, 1], positions=[0, 5, 0, 9]), np.arange(4))
    for step in range(3):
        x = logits_of(4, step, dtype)
        wanted = gf.sample_tokens(x, **SETTINGS, seeds=[3, 1, 4, 1], positions=np.array([0, 5, 0, 9]) + step)
        np.testing.assert_array_equal(sampler.step(x), wanted)
    np.testing.assert_array_equal(sampler.positions, [3, 8, 3, 12])


def test_rows_without_a_seed_draw_from_the_generator() -> None:
    sampler, rng = TokenSampler(V, rng=gf.Generator(5)), gf.Generator(5)
    sampler.add(2, seeds=[7, None], temperature=0.9)
    sampler.add()
    for step in range(3):
        x = logits_of(3, step)
        wanted = gf.sample_tokens(x, temperature=[0.9, 0.9, 1], seeds=[7, None, None], positions=[step, 0, 0], rng=rng)
        np.testing.assert_array_equal(sampler.step(x), wanted)
    sampler.remove([0])
    x = logits_of(2, 9)
    np.testing.assert_array_equal(sampler.step(x), gf.sample_tokens(x, temperature=[0.9, 1], rng=rng))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=8))
def test_a_request_does_not_see_others(changes: list[tuple[bool, int]]) -> None:
    """Its tokens depend on its seed, its settings and its logits, whoever comes and goes."""
    sampler = TokenSampler(V)
    alive: list[tuple[int, int]] = []  # seed, steps taken
    seed = 0
    for step, (grows, where) in enumerate(changes):
        if grows or not alive:
            sampler.add(seeds=[seed], top_p=0.8)
            alive.append((seed, 0))
            seed += 1
        else:
            sampler.remove([where % len(alive)])
            del alive[where % (len(alive))]
        if alive:
            x = logits_of(len(alive), step)
            found = sampler.step(x)
            for row, (own, taken) in enumerate(alive):
                assert found[row] == gf.sample_tokens(x[row], top_p=0.8, seeds=own, positions=taken)
            alive = [(own, taken + 1) for own, taken in alive]
        assert len(sampler) == len(alive)


def test_it_goes_on_from_a_pickle() -> None:
    sampler = TokenSampler(V, rng=3)
    sampler.add(3, seeds=[1, None, 2], top_k=[3, None, 7])
    sampler.step(logits_of(3, 0))
    copy = pickle.loads(pickle.dumps(sampler))
    for step in (1, 2):
        x = logits_of(3, step)
        np.testing.assert_array_equal(copy.step(x), sampler.step(x))


def test_masks_and_rows_that_cannot_be_drawn_from() -> None:
    x, mask = logits_of(2, 0), np.zeros(V, bool)
    mask[[4, 60]] = True
    sampler = TokenSampler(V, invalid=-1)
    sampler.add(2, seeds=[8, 9])
    assert set(sampler.step(x, mask).tolist()) <= {4, 60}
    x[1, 4] = np.nan
    found = sampler.step(x, mask)
    assert found[1] == -1
    assert found[0] == gf.sample_tokens(x[0], mask=mask, seeds=8, positions=1)


def test_a_step_that_fails_can_be_taken_again() -> None:
    for seeds in ([1, 2], None):
        sampler, other = TokenSampler(V, rng=gf.Generator(1)), TokenSampler(V, rng=gf.Generator(1))
        sampler.add(2, seeds=seeds)
        other.add(2, seeds=seeds)
        x = logits_of(2, 0)
        bad = x.copy()
        bad[1, 3] = np.nan
        with pytest.raises(ValueError, match=r"^logits contain NaN at index \(1, 3\)$"):
            sampler.step(bad)
        for _ in range(2):
            np.testing.assert_array_equal(sampler.step(x), other.step(x))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda s: s.step(np.zeros((3, V), np.float32)), ValueError, f"logits must have shape (2, {V}), got (3, {V})"),
        (
            lambda s: s.step(np.zeros((2, V))),
            TypeError,
            "logits must be float32, as the sampler was made for, got float64",
        ),
        (lambda s: s.add(2, top_k=[1, -2]), ValueError, "top_k must be >= 0, or -1 for no filter, got -2 in row 1"),
        (lambda s: s.add(2, seeds=5), ValueError, "seeds of shape () and positions of shape () give all 2 rows"),
        (lambda s: s.add(-1), ValueError, "count must be >= 0, got -1"),
        (lambda s: s.remove([2]), ValueError, "rows must lie in [0, 2), got 2"),
        (lambda s: s.remove([0.5]), TypeError, "rows must be integers, got float64"),
        (lambda s: TokenSampler(0), ValueError, "columns must be >= 1, got 0"),
    ],
    ids=range(8),
)
def test_bad_input(call: Any, error: type[Exception], text: str) -> None:
    sampler = TokenSampler(V)
    sampler.add(2, seeds=[1, 2])
    with pytest.raises(error) as caught:
        call(sampler)
    assert str(caught.value).startswith(text)
    np.testing.assert_array_equal(sampler.positions, [0, 0])
