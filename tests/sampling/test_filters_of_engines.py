"""Filters as engines have them: temperature last, a least number of tokens, packed masks; against plain statements."""

from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, Array, assert_refused, assert_same_bytes, dtype_of, normal, work_of
from test_tokens import filtered, near_the_edge

import gumbelfast as gf

ROWS = 5


def logits_of(dtype: str, columns: int, ties: bool) -> Array:
    x = normal(dtype, (ROWS, columns), seed=columns)
    return np.round(x.astype(np.float32)).astype(dtype_of(dtype)) if ties else x


def plainly(x: Array, temperature: float, last: bool, least: int, k: int, p: float, m: float) -> Array:
    """What stays of one row, by a sort."""
    if temperature == 0:
        return np.arange(x.size) == x.argmax()
    wide = x.astype(work_of(x.dtype.name))
    kept = np.isfinite(filtered(wide, 1.0 if last else temperature, max(k, least) if k else 0, p, m))
    kept[np.argsort(-wide, kind="stable")[:least]] = True
    return kept


@pytest.mark.parametrize("columns", [3, 40, 700, 5000])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_order_and_least_number_against_a_sort(backend: str, dtype: str, ties: bool, columns: int) -> None:
    x = logits_of(dtype, columns, ties)
    temperature, least = [0.5, 1.0, 0.0, 1.7, 0.5], [1, 3, 2, 0, 7]
    for last in (False, True):
        for k, p, m in ((0, 0.7, 0.0), (4, 0.3, 0.0), (0, 1.0, 0.4), (20, 0.9, 0.1), (2, 1.0, 0.0)):
            filters = {"top_k": k, "top_p": p, "min_p": m}
            given = {"temperature": temperature, "temperature_last": last, "min_tokens_to_keep": least, **filters}
            wanted = np.stack([plainly(x[i], temperature[i], last, least[i], k, p, m) for i in range(ROWS)])
            assert_same_bytes(gf.filter_tokens(x, **given), wanted)
            seeds = np.arange(3 * ROWS).reshape(3, ROWS)
            drawn = gf.sample_tokens(x, seeds=seeds, size=3, **given)
            # The noise is the column's: a draw from what stays, whatever took the rest away.
            assert_same_bytes(drawn, gf.sample_tokens(x, temperature=temperature, mask=wanted, seeds=seeds, size=3))


def test_the_order_decides_what_stays(backend: str) -> None:
    x = np.array([3, 2, 1], np.float32)
    given: dict[str, Any] = {"temperature": 0.5, "top_p": 0.8}
    assert gf.filter_tokens(x, **given).tolist() == [True, False, False]  # 0.867 of all
    assert gf.filter_tokens(x, temperature_last=True, **given).tolist() == [True, True, False]  # 0.665, 0.910
    drawn = gf.sample_tokens(x, size=20_000, rng=3, temperature_last=True, **given)
    share = 1 / (1 + np.exp(-2))  # of two logits that differ by 1 / 0.5
    assert set(drawn.tolist()) == {0, 1}
    assert abs((drawn == 0).mean() - share) < 6 * np.sqrt(share * (1 - share) / 20_000)


def test_logprobs_are_of_what_was_drawn_from(backend: str) -> None:
    x, temperature = np.array([[3, 2, 1, -np.inf], [0, 1, 0.5, 4]], np.float32), np.array([0.5, 2])
    for given in ({"temperature_last": True, "top_p": 0.8}, {"min_tokens_to_keep": [2, 3], "top_p": 0.1}):
        found = gf.sample_tokens(x, temperature=temperature, seeds=[1, 2], return_logprobs=True, **given)
        kept = gf.filter_tokens(x, temperature=temperature, **given)
        for i, row in enumerate(x.astype(float)):
            cooled = np.exp(row / temperature[i])
            left, plain = cooled * kept[i], np.exp(row)
            token = found.tokens[i]
            np.testing.assert_allclose(found.logprobs[i], np.log(left[token] / left.sum()), rtol=2e-6, atol=2e-6)
            np.testing.assert_allclose(found.raw_logprobs[i], np.log(plain[token] / plain.sum()), rtol=2e-6)
            np.testing.assert_allclose(found.log_kept[i], np.log(left.sum() / cooled.sum()), rtol=2e-6, atol=2e-6)


def test_a_bad_row_yields_invalid(backend: str) -> None:
    x = normal("float32", (4, 50))
    x[1, 3], x[2] = np.nan, -np.inf
    for given in (
        {"temperature": 0.5, "temperature_last": True, "top_p": 0.8},
        {"min_tokens_to_keep": 3, "min_p": 1},
        {"eta_cutoff": 0.1, "top_n_sigma": 2},
        {"typical_p": 0.5},
    ):
        found = gf.sample_tokens(x, seeds=[1, 2, 3, 4], invalid=-7, **given)
        good = gf.sample_tokens(x[[0, 3]], seeds=[1, 4], **given)
        assert found.tolist() == [good[0], -7, -7, good[1]]
        texts = {1: "logits contain NaN at index (1, 3)", 2: "row 2 has no finite logit"}
        for bad, text in texts.items():
            one = np.where(np.arange(4)[:, None] == bad, x, 0)
            assert_refused(lambda rng, one=one, given=given: gf.sample_tokens(one, rng=rng, **given), ValueError, text)


@pytest.mark.parametrize("p", [0.1, 0.9])
@pytest.mark.parametrize("m", [0.0, 0.3])
@pytest.mark.parametrize("least", [1, 4, 30])
def test_the_least_number_is_that_of_transformers(p: float, m: float, least: int) -> None:
    torch = pytest.importorskip("torch")
    process = pytest.importorskip("transformers.generation.logits_process")
    x = normal("float32", 1000)
    warpers = [process.TemperatureLogitsWarper(0.8), process.TopPLogitsWarper(p, min_tokens_to_keep=least)]
    warpers += [process.MinPLogitsWarper(m, min_tokens_to_keep=least)] * (m > 0)
    scores = torch.from_numpy(x)[None]
    for warper in warpers:
        scores = warper(None, scores)
    theirs = np.isfinite(scores[0].numpy())
    ours = gf.filter_tokens(x, temperature=0.8, top_p=p, min_p=m, min_tokens_to_keep=least)
    assert not ((theirs != ours) & ~near_the_edge(x, 0.8, p)).any()


@pytest.mark.parametrize("columns", [1, 31, 32, 33, 64, 1000])
def test_packed_masks_are_the_bits_of_words(backend: str, columns: int) -> None:
    x = normal("float32", (3, columns))
    packed = np.random.default_rng(columns).integers(-(2**31), 2**31, (3, (columns + 31) // 32)).astype(np.int32)
    packed[:, 0] |= 1
    token = np.arange(columns)
    allowed = ((packed[:, token // 32].view(np.uint32) >> (token % 32).astype(np.uint32)) & 1).astype(bool)
    for mine, plain in ((packed, allowed), (packed[1], allowed[1]), (packed[::-1], allowed[::-1])):
        assert_same_bytes(gf.filter_tokens(x, mask=mine), np.broadcast_to(plain, x.shape).copy())
        found = gf.sample_tokens(x, mask=mine, seeds=[1, 2, 3], top_p=0.9)
        assert_same_bytes(found, gf.sample_tokens(x, mask=plain, seeds=[1, 2, 3], top_p=0.9))


def test_tokens_behind_a_packed_mask_are_forbidden(backend: str) -> None:
    kept = gf.filter_tokens(np.zeros(100, np.float32), mask=np.full(2, -1, np.int32))
    assert kept.tolist() == [True] * 64 + [False] * 36
    assert gf.filter_tokens(np.zeros((2, 40), np.float32), mask=np.full((1, 1), 5, ">i4")).sum() == 4


def cut_plainly(
    x: Array, temperature: float, first: int, sigmas: float, typical: float, epsilon: float, eta: float
) -> tuple[Array, Array]:
    """What stays of one row, and what is too near a threshold to be told: in float64."""
    scaled = x.astype(np.float64) / temperature
    order = np.argsort(-scaled, kind="stable")
    kept, near = np.ones(x.size, bool), np.zeros(x.size, bool)

    def keep(value: Array, least: float) -> None:
        near[:] |= np.abs(value - least) < 1e-5 * max(1, np.abs(x.astype(float)).max() / temperature)
        stays = kept & ((value >= least) | (scaled == scaled[kept].max()))
        stays[[i for i in order if kept[i]][:first]] = True
        kept[:] = stays

    if sigmas:
        keep(scaled, scaled.max() - sigmas * scaled.std())
    if typical < 1:
        log_p = np.where(kept, scaled - np.log(np.exp(scaled[kept]).sum()), -np.inf)
        p = np.exp(log_p)
        rank = np.abs(log_p - (p[kept] * log_p[kept]).sum())
        order_of_ranks = np.argsort(rank, kind="stable")
        up_to = np.cumsum(p[order_of_ranks])
        edge = rank[order_of_ranks[max((up_to < typical).sum(), first - 1)]] if kept.sum() > first else rank[kept].max()
        # A sum that meets p to rounding says nothing of the logit that it ends with.
        near |= (np.abs(np.where(kept, rank, np.inf) - edge) < 1e-5 * max(1, np.abs(scaled).max())) | (
            np.abs(up_to - typical).min() < 1e-5
        )
        kept &= rank <= edge
    for cutoff, by_entropy in ((epsilon, False), (eta, True)):
        if cutoff:
            log_p = scaled - np.log(np.exp(scaled[kept]).sum())
            entropy = -(np.exp(log_p) * log_p)[kept].sum()
            keep(log_p, np.log(min(cutoff, np.sqrt(cutoff) * np.exp(-entropy)) if by_entropy else cutoff))
    return kept, near


@pytest.mark.parametrize("columns", [3, 700, 5000])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_cutoffs_against_the_formulas(backend: str, dtype: str, ties: bool, columns: int) -> None:
    x, seeds = logits_of(dtype, columns, ties), np.arange(ROWS)
    temperature = np.array([0.5, 1.0, 0.7, 1.7, 0.5])
    wide, told = x.astype(np.float64), 0
    for first in (1, 6):
        for sigmas, typical, epsilon, eta in (
            (1.0, 1, 0, 0), (0, 1, 0.002, 0), (0, 1, 0, 0.01), (2.5, 1, 3e-4, 0.002), (0, 1, 1.0, 0), (0, 0.2, 0, 0),
            (0, 0.9, 0, 0), (1.5, 0.7, 0, 0), (0, 0.6, 0.004, 0.02), (3.0, 0.3, 0, 0.1),
        ):  # fmt: skip
            given: dict[str, Any] = {"top_n_sigma": [sigmas] * 4 + [None], "epsilon_cutoff": epsilon, "eta_cutoff": eta}
            given |= {"temperature": temperature, "min_tokens_to_keep": first, "typical_p": typical}
            found = gf.filter_tokens(x, **given)
            for i in range(ROWS):
                own = sigmas if i < 4 else 0, typical, epsilon, eta
                kept, near = cut_plainly(wide[i], temperature[i], first, *own)
                assert not ((found[i] != kept) & ~near).any()
                told += np.count_nonzero(~near)
            drawn = gf.sample_tokens(x, seeds=seeds, **given)
            assert_same_bytes(drawn, gf.sample_tokens(x, mask=found, temperature=temperature, seeds=seeds))
    assert told > 0.75 * 20 * x.size


def test_top_n_sigma_by_hand(backend: str) -> None:
    x = np.array([4, 0, 2, 2, -np.inf, 9], np.float32)  # 4, 0, 2, 2: a deviation of the root of 2
    mask = np.arange(6) != 5
    for temperature in (0.3, 1.0, 5.0):
        for n, stay in ((1.0, [0]), (1.42, [0, 2, 3]), (2.82, [0, 2, 3]), (2.83, [0, 1, 2, 3]), (0, [0, 1, 2, 3])):
            kept = gf.filter_tokens(x, mask=mask, top_n_sigma=n, temperature=temperature)
            assert np.flatnonzero(kept).tolist() == stay


def test_typical_by_hand(backend: str) -> None:
    # Probabilities 0.5, 0.25, 0.125, 0.125: an entropy of 1.75 bits, from which they are 0.75, 0.25, 1.25 and 1.25 off.
    x = np.log2([0.125, 0.5, 0.25, 0.125]).astype(np.float32) * np.float32(np.log(2))
    for p, stay in ((0.0, [2]), (0.2, [2]), (0.3, [1, 2]), (0.7, [1, 2]), (0.8, [0, 1, 2, 3]), (1.0, [0, 1, 2, 3])):
        assert np.flatnonzero(gf.filter_tokens(x, typical_p=p)).tolist() == stay
        drawn = gf.sample_tokens(x, typical_p=p, size=400, rng=1)
        assert np.unique(drawn).tolist() == stay
    found = gf.sample_tokens(x, typical_p=0.2, rng=1, return_logprobs=True)
    assert found.tokens == 2
    assert found.logprobs == pytest.approx(0, abs=1e-7)
    assert found.log_kept == pytest.approx(np.log(0.25), abs=1e-6)
    assert gf.filter_tokens(x, typical_p=0.2, min_tokens_to_keep=2).tolist() == [False, True, True, False]


@pytest.mark.parametrize("p", [0.2, 0.95])
@pytest.mark.parametrize("least", [1, 4])
@pytest.mark.parametrize("kind", [0.3, 2.0, 6.0])
def test_typical_is_that_of_transformers(p: float, least: int, kind: float) -> None:
    torch = pytest.importorskip("torch")
    process = pytest.importorskip("transformers.generation.logits_process")
    x = normal("float32", (20, 1000), seed=5) * np.float32(kind)
    theirs = torch.from_numpy(x)
    warpers = [process.TopKLogitsWarper(400), process.TypicalLogitsWarper(p, min_tokens_to_keep=least)]
    for warper in [*warpers, process.EtaLogitsWarper(0.003, min_tokens_to_keep=least)]:
        theirs = warper(None, theirs)
    ours = gf.filter_tokens(x, top_k=400, typical_p=p, eta_cutoff=0.003, min_tokens_to_keep=least)
    # Sums in float32 may end a logit earlier or later.
    assert (ours != np.isfinite(theirs.numpy())).sum() <= 2
    assert ours.sum() < 0.9 * x.size


@pytest.mark.parametrize("k", [0, 50])
@pytest.mark.parametrize("p", [0.9, 1.0])
@pytest.mark.parametrize("cut", [0.0, 0.002, 0.3])
@pytest.mark.parametrize("by_entropy", [False, True])
@pytest.mark.parametrize("least", [1, 4])
def test_cutoffs_are_those_of_transformers(k: int, p: float, cut: float, by_entropy: bool, least: int) -> None:
    torch = pytest.importorskip("torch")
    process = pytest.importorskip("transformers.generation.logits_process")
    x = normal("float32", 1000, seed=4)
    warpers = [process.TemperatureLogitsWarper(0.8)]
    warpers += [process.TopKLogitsWarper(k, min_tokens_to_keep=least)] if k else []
    warpers += [process.TopPLogitsWarper(p, min_tokens_to_keep=least)] * (p < 1)
    kind = process.EtaLogitsWarper if by_entropy else process.EpsilonLogitsWarper
    warpers += [kind(cut, min_tokens_to_keep=least)] if cut else []
    scores = torch.from_numpy(x)[None]
    for warper in warpers:
        scores = warper(None, scores)
    given = {"top_k": k, "top_p": p, "eta_cutoff" if by_entropy else "epsilon_cutoff": cut}
    ours = gf.filter_tokens(x, temperature=0.8, min_tokens_to_keep=least, **given)
    assert (ours == np.isfinite(scores[0].numpy())).all()


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"temperature_last": 1}, TypeError, "temperature_last must be True or False, got 1"),
    ({"temperature_last": None}, TypeError, "temperature_last must be True or False, got None"),
    ({"min_tokens_to_keep": 1.5}, TypeError, "min_tokens_to_keep must be integers, got 1.5"),
    (
        {"min_tokens_to_keep": [1, -2]},
        ValueError,
        "min_tokens_to_keep must be >= 0, or -1 for no filter, got -2 in row 1",
    ),
    (
        {"min_tokens_to_keep": [1, 2, 3]},
        ValueError,
        "min_tokens_to_keep of shape (3,) does not broadcast to one per row, shape (2,)",
    ),
    (
        {"mask": np.ones((3, 2), np.int32)},
        ValueError,
        "packed mask of shape (3, 2) does not broadcast to logits of shape (2, 40)",
    ),
    (
        {"mask": np.ones((1, 2, 2), np.int32)},
        ValueError,
        "packed mask of shape (1, 2, 2) does not broadcast to logits of shape (2, 40)",
    ),
    ({"top_n_sigma": [1, -2]}, ValueError, "top_n_sigma must be finite and >= 0, got -2.0 in row 1"),
    ({"top_n_sigma": np.inf}, ValueError, "top_n_sigma must be finite and >= 0, got inf in row 0"),
    ({"epsilon_cutoff": [0.5, 1.5]}, ValueError, "epsilon_cutoff must lie in [0, 1], got 1.5 in row 1"),
    ({"eta_cutoff": np.nan}, ValueError, "eta_cutoff must lie in [0, 1], got nan in row 0"),
    ({"typical_p": [0.5, -0.5]}, ValueError, "typical_p must lie in [0, 1], got -0.5 in row 1"),
    ({"eta_cutoff": "a"}, TypeError, "eta_cutoff must be real numbers, got 'a'"),
    ({"mask": np.int32(1)}, TypeError, "mask must be boolean (True: allowed), got int32"),
]


@pytest.mark.parametrize(("given", "error", "text"), BAD)
def test_bad_input_is_quoted_before_anything_moves(given: dict[str, Any], error: type[Exception], text: str) -> None:
    x = np.zeros((2, 40), np.float32)
    assert_refused(lambda rng: gf.sample_tokens(x, rng=rng, top_p=0.5, **given), error, text)
    with pytest.raises(error) as caught:
        gf.filter_tokens(x, top_p=0.5, **given)
    assert str(caught.value) == text
