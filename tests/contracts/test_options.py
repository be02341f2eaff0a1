"""Options that only ask for more change no draw, one or two at a time; fewer draws are the first of more."""

from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers import DTYPES, assert_same_bytes, normal, work_of

import gumbelfast as gf
from gumbelfast import distributions, estimators

Array = np.ndarray[Any, Any]
CHAIN = np.log([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])


def step(tokens: Any, state: Any) -> tuple[Any, Any]:
    return CHAIN[[0, 1] if tokens is None else tokens], None


class Case(NamedTuple):
    """A function of logits and options, what it draws taken out of its result, and options that must not change that.

    An option may be a function of the logits.
    """

    call: Callable[..., Any]
    drawn: Callable[[Any], Any]
    options: list[dict[str, Any]]


def first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def mask_of(x: Array) -> Array:
    return np.ones(x.shape, bool)


def ones_of(x: Array) -> Array:
    return np.ones(x.shape[:-1])


THREADS = [{"num_threads": 1}, {"num_threads": 3}]
PLAIN = [{"mask": mask_of}, {"temperature": 1.0}, {"temperature": 1}, {"temperature": ones_of}, *THREADS]
OUT = {"out": np.empty_like}


def samples_of_score_function(x: Array, **given: Any) -> Array:
    """What the function is asked for first: the samples."""
    asked: list[Array] = []

    def f(z: Array) -> Array:
        asked.append(z)
        return np.asarray(z @ np.arange(z.shape[-1]))

    estimators.score_function(x[0, 0].astype(float), f, num_samples=8, **given)
    return asked[0]


CASES: dict[str, Case] = {
    "categorical": Case(
        gf.categorical, first, [*PLAIN, {"return_perturbed": True}, {"empty": -1}, {"method": "gumbel"}, {"size": ()}]
    ),
    "categorical by tables": Case(
        lambda x, **g: gf.categorical(x, **({"size": 300, "method": "alias"} | g)), first, [*PLAIN, {"empty": -1}]
    ),
    "gumbel_top_k": Case(lambda x, **g: gf.gumbel_top_k(x, 3, **g), tuple, PLAIN),
    "weighted_sample": Case(lambda x, **g: gf.weighted_sample(np.exp(x.astype(np.float32)), 3, **g), tuple, THREADS),
    "gumbel_softmax": Case(gf.gumbel_softmax, first, [OUT, {"return_soft": True}, {"tau": ones_of}, *THREADS]),
    "hard gumbel_softmax": Case(
        lambda x, **g: gf.gumbel_softmax(x, hard=True, **g),
        first,
        [OUT, {"return_soft": True}, {"tau": 0.1}, {"tau": ones_of}, *THREADS],
    ),
    "conditional_gumbel": Case(
        lambda x, **g: gf.conditional_gumbel(x, 2, **g),
        first,
        [{"out": lambda x: np.empty(x.shape, work(x))}, *THREADS],
    ),
    "sample_tokens": Case(
        gf.sample_tokens,
        first,
        [*PLAIN, {"top_k": 0}, {"top_k": 10**6}, {"top_p": 1.0}, {"top_p": ones_of}, {"min_p": 0}],
    ),
    "gumbel": Case(lambda x, **g: gf.gumbel(size=x.shape, dtype=x.dtype, **g), first, [OUT, {"loc": 0}, {"scale": 1}]),
    "exponential": Case(lambda x, **g: gf.exponential(size=x.shape, dtype=x.dtype, **g), first, [OUT, *THREADS]),
    "Categorical": Case(
        lambda x, **g: gf.Categorical(x).sample(300, **g), first, [*THREADS, {"method": "alias"}]
    ),
    "Concrete": Case(lambda x, **g: distributions.Concrete(x, 0.5).sample(**g), first, THREADS),
    "stochastic_beam_search": Case(
        lambda x, **g: gf.sequences.stochastic_beam_search(step, None, 2, 3, **g),
        lambda found: found[:5],
        [{"return_all": True}, {"dead_ends": "drop"}],
    ),
    "ancestral_sample": Case(
        lambda x, **g: gf.sequences.ancestral_sample(step, None, 2, 3, **g),
        lambda found: found[:3],
        [{"dead_ends": "drop"}],
    ),
    "score_function": Case(samples_of_score_function, first, [{"baseline": None}, {"baseline": "leave_one_out"}]),
}  # fmt: skip


def work(x: Array) -> np.dtype[Any]:
    return work_of(x.dtype.name)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_options_never_change_a_draw(backend: str, name: str, dtype: str) -> None:
    case = CASES[name]
    for columns in (7, 500) if name != "categorical by tables" else (7,):
        x = normal(dtype, (2, 3, columns))

        def drawn(given: dict[str, Any], x: Array = x) -> Any:
            made = {key: value(x) if callable(value) else value for key, value in given.items()}
            return case.drawn(case.call(x, rng=gf.Generator(5, 7), **made))

        wanted = drawn({})
        pairs = [a | b for a, b in combinations(case.options, 2) if not a.keys() & b.keys()]
        for given in [*case.options, *pairs]:
            found = drawn(given)
            parts = zip(found, wanted, strict=True) if isinstance(wanted, tuple) else [(found, wanted)]
            for part, other in parts:
                assert_same_bytes(part, other)


@pytest.mark.parametrize("dtype", DTYPES)
def test_fewer_draws_are_the_first_of_more(backend: str, dtype: str) -> None:
    for shape in ((7,), (2, 3, 7), (2, 300)):
        x = normal(dtype, shape)
        for given in ({}, {"method": "alias"}, {"return_perturbed": True}, {"temperature": 0.5}, {"offset": 9}):
            many = first(gf.categorical(x, size=300, rng=5, **given))
            for size in (0, 1, 2, 255, 256, 257):
                assert_same_bytes(first(gf.categorical(x, size=size, rng=5, **given)), many[:size])
            nested = first(gf.categorical(x, size=(150, 2), rng=5, **given))
            assert_same_bytes(nested.reshape(many.shape), many)
        five = gf.gumbel_top_k(x, 5, rng=5)
        for k in range(5):
            assert_same_bytes(gf.gumbel_top_k(x, k, rng=5).indices, five.indices[..., :k])
            assert_same_bytes(gf.weighted_sample(np.exp(x.astype(float)), k, rng=5).indices,
                              gf.weighted_sample(np.exp(x.astype(float)), 5, rng=5).indices[..., :k])  # fmt: skip
    whole = gf.gumbel(size=300, rng=5, dtype=normal(dtype, 1).dtype)
    assert_same_bytes(gf.gumbel(size=64, rng=5, dtype=whole.dtype), whole[:64])


def test_hard_samples_are_where_soft_ones_are_largest(backend: str) -> None:
    x = normal("float32", (40, 30))
    for hard, soft in (gf.gumbel_softmax(x, 0.5, hard=True, rng=3, return_soft=True),):
        assert np.array_equal(hard.argmax(-1), gf.categorical(x, rng=3))
        assert np.array_equal(soft, gf.gumbel_softmax(x, 0.5, rng=3))


def test_draws_of_torch_are_the_first_of_more() -> None:
    torch = pytest.importorskip("torch")
    import gumbelfast.torch as gt

    x = torch.from_numpy(normal("float32", (3, 40)))
    many = gt.categorical(x, 300, generator=gf.Generator(5))
    for size in (1, 255, 256):
        assert torch.equal(gt.categorical(x, size, generator=gf.Generator(5)), many[:size])
    assert np.array_equal(many.numpy(), gf.categorical(x.numpy(), size=300, rng=gf.Generator(5)))
