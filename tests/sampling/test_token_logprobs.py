"""What tokens were drawn from: the kept set, and log-probabilities of the drawn and of the best tokens."""

from typing import Any

import numpy as np
import pytest
from helpers import COMPILED, DTYPES, Array, assert_refused, assert_same_bytes, normal
from hypothesis import given, settings
from sampling_cases import make_logits
from test_tokens import HARD, calls, filtered

import gumbelfast as gf

SETTINGS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.6},
    {"temperature": 0},
    {"top_k": 5},
    {"top_p": 0.7},
    {"min_p": 0.1},
    {"temperature": 1.7, "top_k": 30, "top_p": 0.8, "min_p": 0.02},
    {"top_p": 0},
    {"temperature": 0.8, "typical_p": 0.6},
    {"temperature": 1.3, "top_p": 0.9, "temperature_last": True},
    {"top_n_sigma": 1.5, "eta_cutoff": 0.01, "min_tokens_to_keep": 3},
]


def plainly_kept(
    x: Array,
    temperature: float = 1,
    top_k: int = 0,
    top_p: float = 1,
    min_p: float = 0,
    temperature_last: bool = False,
    **others: float,
) -> Array:
    """By a sort, in float64 but for the products; what other filters leave is tested beside them."""
    if others:
        return gf.filter_tokens(x, temperature=temperature, **others)
    seen = 1.0 if temperature_last else temperature
    return np.isfinite(filtered(x, seen, top_k, top_p or 1e-9, min_p).astype(np.float64))


def log_softmax(x: Array) -> Array:
    wide = x.astype(np.longdouble)
    return wide - wide.max() - np.log(np.exp(wide - wide.max()).sum())


@pytest.mark.parametrize("columns", [3, 40, 700, 5000])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_kept_set_and_the_logprobs_against_a_sort(backend: str, dtype: str, columns: int) -> None:
    x = normal(dtype, (5, columns), seed=columns)
    wide = x.astype(np.float64 if dtype == "float64" else np.float32)
    for given_ in SETTINGS:
        kept = np.stack([plainly_kept(row, **given_) for row in wide])
        assert_same_bytes(gf.filter_tokens(x, **given_), kept)
        found = gf.sample_tokens(x, seeds=np.arange(5), return_logprobs=True, top_logprobs=4, **given_)
        assert_same_bytes(found.tokens, gf.sample_tokens(x, seeds=np.arange(5), **given_))
        temperature = given_.get("temperature", 1)
        for i, row in enumerate(wide):
            raw = log_softmax(row)
            drawn = found.tokens[i]
            assert kept[i, drawn]
            np.testing.assert_allclose(found.raw_logprobs[i], float(raw[drawn]), rtol=2e-6, atol=2e-6)
            order = np.argsort(-row, kind="stable")[: min(4, columns)]
            assert found.top_tokens[i].tolist() == order.tolist()
            np.testing.assert_allclose(found.top_logprobs[i], raw[order].astype(float), rtol=2e-6, atol=2e-6)
            if temperature == 0:
                assert found.logprobs[i] == found.log_kept[i] == 0
                continue
            cooled = log_softmax(row.astype(np.float64) / temperature)
            left = log_softmax(np.where(kept[i], row.astype(np.float64) / temperature, -np.inf))
            np.testing.assert_allclose(found.logprobs[i], float(left[drawn]), rtol=3e-6, atol=3e-6)
            share = float(np.log(np.exp(cooled[kept[i]]).sum()))
            np.testing.assert_allclose(found.log_kept[i], share, rtol=1e-5, atol=3e-7)


@settings(max_examples=60)
@given(call=calls())
def test_the_kept_set_draws_the_same_tokens(compiled: str, call: tuple[Array, dict[str, Any], Any]) -> None:
    x, given_, mask = call
    kept = gf.filter_tokens(x, mask=mask, **given_)
    seeds = np.arange(len(x))
    temperature = given_.get("temperature", 1.0)
    wanted = gf.sample_tokens(x, mask=mask, seeds=seeds, **given_)
    assert_same_bytes(gf.sample_tokens(x, mask=kept, temperature=temperature, seeds=seeds), wanted)
    for other in (name for name in COMPILED if name != compiled):
        with gf.use_backend(other):
            assert_same_bytes(gf.filter_tokens(x, mask=mask, **given_), kept)


@pytest.mark.parametrize("kind", HARD)
def test_logits_of_every_shape(compiled: str, kind: str) -> None:
    rng = np.random.default_rng(3)
    for dtype in ("float32", "float64"):
        x = np.stack([HARD[kind](rng, 3000) for _ in range(6)]).astype(dtype)
        for given_ in ({"top_p": [1e-9, 0.01, 0.2, 0.5, 0.9, 0.999]}, {"top_k": 77, "top_p": 0.6}, {"min_p": 0.3}):
            found = gf.filter_tokens(x, temperature=0.8, **given_)
            assert_same_bytes(found, gf.reference.filter_tokens(x, temperature=0.8, **given_))


@pytest.mark.parametrize("size", [0, 1, 2, 7])
def test_what_is_told_of_rows_depends_on_no_number_of_draws(backend: str, size: int) -> None:
    x = normal("float32", (3, 900))
    seeds = np.arange(max(size, 1) * 3).reshape(-1, 3)
    for given_ in SETTINGS:
        one = gf.sample_tokens(x, seeds=seeds[0], return_logprobs=True, top_logprobs=2, **given_)
        several = gf.sample_tokens(x, size=size, seeds=seeds[:size], return_logprobs=True, top_logprobs=2, **given_)
        for part, other in zip(one[3:], several[3:], strict=True):
            assert_same_bytes(part, other)
        if size:
            for part, other in zip(one[:3], several[:3], strict=True):
                assert_same_bytes(part, other[0])
        assert several.logprobs.shape == (size, 3)
        for threads in (2, 5):
            again = gf.sample_tokens(x, seeds=seeds[0], return_logprobs=True, num_threads=threads, **given_)
            for part, other in zip(one[:4], again[:4], strict=True):
                assert_same_bytes(part, other)


def test_the_edge_is_exact(backend: str) -> None:
    equal = np.zeros(64, np.float32)
    for stay in (1, 20, 63):
        assert gf.filter_tokens(equal, top_p=stay / 64).sum() == stay
        assert gf.filter_tokens(equal, top_p=np.nextafter(stay / 64, 1)).sum() == stay + 1


def test_shapes_and_masks(backend: str) -> None:
    x = np.array(make_logits("normal", (2, 3, 40), "float32", np.random.default_rng(1)))
    mask = np.random.default_rng(2).random(x.shape) < 0.5
    mask[..., 0] = True
    x[~mask] = np.nan
    found = gf.sample_tokens(x, size=5, mask=mask, top_k=3, rng=0, return_logprobs=True, top_logprobs=50)
    assert [part.shape for part in found] == [(5, 2, 3), (5, 2, 3), (5, 2, 3), (2, 3), (2, 3, 40), (2, 3, 40)]
    allowed = np.where(mask, x, -np.inf)
    for i in np.ndindex(2, 3):
        raw = log_softmax(allowed[i])
        np.testing.assert_allclose(
            found.raw_logprobs[(slice(None), *i)], raw[found.tokens[(slice(None), *i)]], atol=2e-6
        )
        assert (found.top_tokens[i] >= 0).sum() == mask[i].sum()
        assert np.exp(found.top_logprobs[i]).sum() == pytest.approx(1, abs=1e-6)
    assert not (gf.filter_tokens(x, mask=mask, top_p=0.9) & ~mask).any()
    one = gf.sample_tokens(np.log([0.25, 0.75]), top_k=1, rng=0, return_logprobs=True)
    assert (one.tokens, one.logprobs, one.top_tokens) == (1, 0, None)
    assert one.raw_logprobs == pytest.approx(np.log(0.75), abs=1e-12)
    assert one.log_kept == pytest.approx(np.log(0.75), abs=1e-12)


def test_rows_that_cannot_be_drawn_from(backend: str) -> None:
    x = normal("float32", (4, 30))
    whole = gf.sample_tokens(x, seeds=[1, 2, 3, 4], top_p=0.8, return_logprobs=True, top_logprobs=2)
    x[1, 4], x[2] = np.nan, -np.inf
    found = gf.sample_tokens(x, seeds=[1, 2, 3, 4], top_p=0.8, invalid=-5, return_logprobs=True, top_logprobs=2)
    for part, other in zip(found, whole, strict=True):
        assert_same_bytes(part[[0, 3]], other[[0, 3]])
    assert found.tokens[1:3].tolist() == [-5, -5]
    for part in found[1:4]:
        assert np.isnan(part[1:3]).all()
    assert (found.top_tokens[1:3] == -1).all()


def test_errors(compiled: str) -> None:
    x = np.zeros((3, 4), np.float32)
    text = "top_logprobs needs return_logprobs=True"
    assert_refused(lambda rng: gf.sample_tokens(x, rng=rng, top_logprobs=2), ValueError, text)
    for value, error, text in (
        (-1, ValueError, "must be >= 0, got -1"),
        (0.5, TypeError, "must be an integer, got 0.5"),
    ):
        text = f"top_logprobs {text}"
        assert_refused(
            lambda rng, v=value: gf.sample_tokens(x, rng=rng, return_logprobs=True, top_logprobs=v), error, text
        )
    with pytest.raises(ValueError, match="top_p must lie in"):
        gf.filter_tokens(x, top_p=2)
    x[1, 2] = np.nan
    with pytest.raises(ValueError, match=r"logits contain NaN at index \(1, 2\)"):
        gf.filter_tokens(x)
    x[1] = -np.inf
    with pytest.raises(ValueError, match="row 1 has no finite logit"):
        gf.filter_tokens(x, top_k=2)
