"""Seeds one per row: rows without one draw from the generator, and no two rows get the same noise by broadcasting."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import assert_refused, assert_same_bytes, normal

import gumbelfast as gf

X = normal("float32", (5, 40))
MIXED: list[Any] = [42, None, 7, None, None]
MASKED = np.ma.MaskedArray([42, 9, 7, 8, 8], [False, True, False, True, True])
DRAWS: dict[str, Callable[..., Any]] = {
    "categorical": lambda x, **g: gf.categorical(x, return_perturbed=True, **g),
    "gumbel_top_k": lambda x, **g: gf.gumbel_top_k(x, 3, **g),
    "weighted_sample": lambda x, **g: gf.weighted_sample(np.exp(x), 3, **g),
    "gumbel_softmax": lambda x, **g: (gf.gumbel_softmax(x, 0.5, **g),),
    "sample_tokens": lambda x, **g: (gf.sample_tokens(x, top_k=20, **g),),
    "conditional_gumbel": lambda x, **g: (gf.conditional_gumbel(x, 3, **g),),
    "conditional_gumbel, place": lambda x, **g: (gf.conditional_gumbel(x, maximum=1, **g),),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize(
    "seeds", [MIXED, tuple(MIXED), np.array(MIXED), MASKED], ids=["list", "tuple", "object", "masked"]
)
def test_rows_without_a_seed_draw_from_the_generator(backend: str, name: str, seeds: Any) -> None:
    draw = DRAWS[name]
    rng = gf.Generator(5, 7)
    found = draw(X, seeds=seeds, positions=[0, 1, 2, 3, 4], rng=rng)
    seeded = draw(X[[0, 2]], seeds=[42, 7], positions=[0, 2])
    other = gf.Generator(5, 7)
    unseeded = draw(X[[1, 3, 4]], rng=other)
    assert rng.offset == other.offset
    for part, with_seed, without in zip(found, seeded, unseeded, strict=True):
        assert_same_bytes(part[[0, 2]], with_seed)
        assert_same_bytes(part[[1, 3, 4]], without)


@pytest.mark.parametrize("name", DRAWS)
def test_generators_move_for_rows_without_a_seed_alone(name: str) -> None:
    draw = DRAWS[name]
    rng = gf.Generator(5, 7)
    for seeds in ([1, 2, 3, 4, 5], np.arange(5, dtype=np.uint8), np.ma.MaskedArray(np.arange(5), [False] * 5)):
        found = draw(X, seeds=seeds, rng=rng)
        assert rng.offset == 7
        for part, other in zip(found, draw(X, seeds=seeds), strict=True):
            assert_same_bytes(part, other)
    theirs, same = np.random.default_rng(3), np.random.default_rng(3)
    found = draw(X, seeds=MIXED, rng=theirs)
    for part, other in zip(found, draw(X[[1, 3, 4]], rng=same), strict=True):
        assert_same_bytes(part[[1, 3, 4]], other)
    assert str(theirs.bit_generator.state) == str(same.bit_generator.state)
    # Without any generator the process's own serves: two calls differ, seeded rows do not.
    once, again = (draw(X, seeds=MIXED) for _ in range(2))
    assert np.array_equal(once[0][[0, 2]], again[0][[0, 2]])
    assert draw(X, seeds=[None] * 5, rng=gf.Generator(5))[0].tobytes() == draw(X, rng=gf.Generator(5))[0].tobytes()


@pytest.mark.parametrize("name", DRAWS)
def test_one_seed_does_not_serve_several_rows(name: str) -> None:
    draw = DRAWS[name]
    way = "give one seed per row, shape {}, or positions that differ"
    for seeds, positions, rows in ((42, None, 5), ([42], 3, 5), (np.array([[42]])[0], [3], 5)):
        shapes = (
            f"seeds of shape {np.shape(seeds)} and positions of shape {np.shape(0 if positions is None else positions)}"
        )
        text = f"{shapes} give all {rows} rows along an axis the same noise: {way.format((5,))}"
        assert_refused(lambda rng, s=seeds, p=positions: draw(X, seeds=s, positions=p), ValueError, text)
    found = draw(X, seeds=42, positions=np.arange(5))
    for i in range(5):
        for part, other in zip(found, draw(X[i : i + 1], seeds=42, positions=i), strict=True):
            assert_same_bytes(part[i : i + 1], other)
    # Equal seeds given row by row are the caller's choice, and a single row is always good.
    equal = draw(np.repeat(X[:1], 5, 0), seeds=[42] * 5)
    assert np.all(equal[0] == equal[0][:1])
    draw(X[:1], seeds=42)
    draw(X[0], seeds=42)


def test_sizes_need_noise_of_their_own() -> None:
    text = "seeds of shape (5,) and positions of shape () give all 9 rows along an axis the same noise: "
    text += "give one seed per row, shape (9, 5), or positions that differ"
    assert_refused(lambda rng: gf.categorical(X, size=9, seeds=np.arange(5)), ValueError, text)
    found = gf.categorical(X, size=9, seeds=np.arange(5), positions=np.arange(9)[:, None])
    for n in range(9):
        assert np.array_equal(found[n], gf.categorical(X, seeds=np.arange(5), positions=n))
    cube = normal("float32", (2, 3, 40))
    gf.categorical(cube, seeds=[[1], [2]], positions=[0, 1, 2])
    with pytest.raises(
        ValueError, match=r"^seeds of shape \(2, 1\) and positions of shape \(\) give all 3 rows along an axis"
    ):
        gf.categorical(cube, seeds=[[1], [2]])


def test_bad_seeds_among_missing_ones(backend: str) -> None:
    assert_refused(
        lambda rng: gf.categorical(X, seeds=[1, None, -3, 4, 5], rng=rng),
        ValueError,
        "seeds must lie in [0, 2**64), got -3 at index 2",
    )
    assert_refused(
        lambda rng: gf.categorical(X, seeds=[1, None, 2.5, 4, 5], rng=rng), TypeError, "seeds must be integers, got 2.5"
    )
    bad = X.copy()
    bad[1, 3] = np.nan
    assert_refused(
        lambda rng: gf.categorical(bad, seeds=MIXED, rng=rng), ValueError, "logits contain NaN at index (1, 3)"
    )
    assert_refused(
        lambda rng: gf.categorical(X, seeds=MIXED, offset=3),
        ValueError,
        "seeds addresses rows by itself: offset must be None",
    )


def test_seeds_of_64_bits_keep_them_all(backend: str) -> None:
    big = [2**64 - 1, None, 2**63, 0, 1]
    found = gf.categorical(X, seeds=big, rng=1)
    for i in (0, 2):
        assert found[i] == gf.categorical(X[i], seeds=np.uint64(big[i]))


CHAIN = np.log([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])


def chain(tokens: Any, state: Any) -> tuple[Any, Any]:
    return CHAIN[[0, 1, 2] if tokens is None else tokens], None


@pytest.mark.parametrize("search", [gf.sequences.stochastic_beam_search, gf.sequences.ancestral_sample])
def test_prompts_without_a_seed_draw_from_the_generator(backend: str, search: Any) -> None:
    rng = gf.Generator(5)
    found = search(chain, None, 2, 4, seeds=[3, None, 9], rng=rng)
    alone = search(chain, None, 2, 4, seeds=[3, 4, 9])
    for i in (0, 2):
        assert np.array_equal(found.sequences[i], alone.sequences[i])
        assert np.array_equal(found.log_probs[i], alone.log_probs[i])

    def second(tokens: Any, state: Any) -> tuple[Any, Any]:
        return CHAIN[[1] if tokens is None else tokens], None

    other = gf.Generator(5)
    unseeded = search(second, None, 2, 4, rng=other)
    assert np.array_equal(found.sequences[1], unseeded.sequences[0])
    assert rng.offset == other.offset
    text = "seeds of shape () and positions of shape () give all 3 rows along an axis the same noise"
    with pytest.raises(ValueError, match=f"^{text.replace('(', '.').replace(')', '.')}"):
        search(chain, None, 2, 4, seeds=3)
