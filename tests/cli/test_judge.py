"""The judge: its bounds against exact tails, the package's samplers, and the faults of others, each caught."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from helpers import Array
from scipy import stats

from gumbelfast.__main__ import main
from gumbelfast._cli import text
from gumbelfast._cli.judge import findings, questions, run
from gumbelfast._cli.judge.adapters import KNOWN
from gumbelfast._cli.judge.sampler import as_sampler

TITLES = [question.title for question in questions.QUESTIONS]


def asked(function: Callable[..., Any], title: str) -> tuple[str, str, str]:
    return run.judge(as_sampler(function), questions=[q for q in questions.QUESTIONS if q.title == title])[title]


def test_bounds_hold() -> None:
    for n, p in [(10, 0.5), (1000, 0.01), (12288, 0.004), (131072, 1 / 16)]:
        count = np.unique(np.rint(np.linspace(0, n, 400)).astype(int))
        exact = np.where(count > n * p, stats.binom.sf(count - 1, n, p), stats.binom.cdf(count, n, p))
        bound = findings.count_bound(count, n, p)
        assert (bound >= np.minimum(1, 2 * exact) * (1 - 1e-9)).all()
        # Chernoff's bound is tight in its exponent: what it gives away is a factor of about sqrt(n).
        near = exact > 1e-200
        assert (np.log(bound[near]) <= np.log(2 * exact[near]) + math.log(math.sqrt(8 * n))).all()
    assert findings.count_bound(1, 10, 0.0) == findings.count_bound(9, 10, 1.0) == 0
    assert findings.count_bound(0, 10, 0.0) == findings.count_bound(10, 10, 1.0) == 1


def test_right_counts_raise_no_alarm() -> None:
    rng = np.random.default_rng(0)
    for columns in (2, 5, 16, 300):
        p = findings.law_of(questions.normal(columns, columns))
        found = np.array([findings.fit(rng.choice(columns, 2000, p=p), p) for _ in range(300)])
        # At most 5 % are below 0.05: of 300, more than 33 would be a chance of 1e-5.
        assert (found < 0.05).sum() <= 33
        off = p * np.where(np.arange(columns) % 2, 1.1, 0.9)
        assert findings.fit(rng.choice(columns, 10**6, p=off / off.sum()), p) < 1e-12


def test_resemblance_counts_every_lag() -> None:
    a, b = np.random.default_rng(0).integers(4, size=(2, 60))
    for other in (a, b):
        own = other is a
        lags = range(1, 31) if own else range(-30, 31)
        bounds, n = [], 60
        for lag in lags:
            pairs = [(a[i], other[i + lag]) for i in range(n) if 0 <= i + lag < n]
            counts = np.bincount([(y - x) % 4 for x, y in pairs], minlength=4)
            assert len(pairs) == n - abs(lag)
            bounds += [float(findings.count_bound(c, len(pairs), 0.25)) for c in counts]
        found, _ = findings.resemblance(a, None if own else b, 4, 30)
        assert found == pytest.approx(min(1, min(bounds) * len(bounds)))


def test_a_shift_by_another_name_is_found() -> None:
    drawn = np.random.default_rng(1).integers(16, size=4096)
    assert findings.resemblance(drawn, None, 16, 2048)[0] > 1e-3
    drawn[3000:] = (drawn[1000:2096] + 3) % 16
    p, seen = findings.resemblance(drawn, None, 16, 2048)
    assert p < 1e-100
    assert seen.startswith("lag 2000: ")
    assert seen.endswith("differ by 3")


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("name", ["gumbelfast", "tokens"])
def test_ours_pass(name: str, title: str) -> None:
    kind, _, seen = asked(KNOWN[name], title)
    lacks = name == "gumbelfast" and title.startswith(("top_", "min_p", "filters"))
    assert kind == (run.NOT_ASKED if lacks else text.GOOD), seen


def right(
    logits: Array,
    seed: int,
    *,
    seeds: Array | None = None,
    top_k: int | None = None,
    top_p: float = 1.0,
    min_p: float = 0.0,
) -> Array:
    """A right sampler, in NumPy and float64, which the faults below are made of."""
    if not np.isfinite(logits.max(axis=-1)).all():
        raise ValueError("nothing to draw from")
    x = logits - logits.max(axis=-1, keepdims=True).astype(np.float64)
    if top_k:
        x[x < np.sort(x, axis=-1)[:, [-top_k]]] = -np.inf
    if top_p < 1:
        order = np.argsort(-x, axis=-1, kind="stable")
        w = np.take_along_axis(np.exp(x), order, -1)
        before = np.cumsum(w, axis=-1) - w
        cut = np.empty(x.shape, bool)
        np.put_along_axis(cut, order, before >= top_p * w.sum(axis=-1, keepdims=True), -1)
        x[cut] = -np.inf
    if min_p:
        x[np.exp(x) < min_p] = -np.inf
    index: Array = (x + noise_of(x.shape, seed, seeds)).argmax(axis=-1)
    return index


def noise_of(shape: tuple[int, ...], seed: int, seeds: Array | None = None) -> Array:
    if seeds is None:
        return np.random.default_rng(seed).gumbel(size=shape)
    return np.stack([np.random.default_rng(int(s)).gumbel(size=shape[1:]) for s in seeds])


def speculate(draft: Array, target: Array, seed: int, shared: bool = False) -> Array:
    """Speculative decoding, with one noise for the draft and for what takes its place if `shared`."""
    q, p = (np.stack([findings.law_of(row) for row in x[:1]]) for x in (draft, target))
    first = noise_of(draft.shape, 2 * seed)
    drafted = (np.log(q) + first).argmax(-1)
    kept = np.random.default_rng(seed + 10**6).random(len(drafted)) < (p / q)[0, drafted]
    left = np.maximum(p - q, 0)
    with np.errstate(divide="ignore"):
        again = (np.log(left) + (first if shared else noise_of(draft.shape, 2 * seed + 1))).argmax(-1)
    return np.where(kept, drafted, again)


vars(right).update(one_noise=True, speculate=speculate)


@pytest.mark.parametrize("title", [q.title for q in questions.QUESTIONS if not q.slow])
def test_a_right_one_passes(title: str) -> None:
    kind, _, seen = asked(right, title)
    assert kind == text.GOOD, seen


def of_24_bits(logits: Array, seed: int) -> Array:
    u = np.random.default_rng(seed).random(logits.shape, np.float32)
    np.maximum(u, np.float32(2**-24), out=u)
    for _ in range(2):
        np.negative(np.log(u, out=u), out=u)
    u += logits
    return u.argmax(-1)


def largest_of_24_bits(logits: Array, seed: int) -> Array:
    """The same law for rows of few values, all alike: of n uniforms the largest is the n-th root of one."""
    rng, values = np.random.default_rng(seed), np.unique(logits[0])
    places = [np.flatnonzero(logits[0] == value) for value in values]
    count = np.array([len(place) for place in places])
    u = np.floor(2.0**24 * rng.random((len(logits), len(values))) ** (1 / count)) / 2.0**24
    best = (values - np.log(-np.log(np.maximum(u, 2.0**-24)))).argmax(-1)
    return np.array([rng.choice(places[b]) if len(places[b]) < 9 else places[b][-1] for b in best.tolist()])


TABLE = np.random.default_rng(99).gumbel(size=1 << 16).astype(np.float32)


def rows_of_a_table(logits: Array, seed: int) -> Array:
    start = int(np.random.default_rng(seed).integers(TABLE.size))
    return (logits + TABLE[(start + np.arange(logits.size).reshape(logits.shape)) % TABLE.size]).argmax(-1)


def table_of_an_odd_size(logits: Array, seed: int) -> Array:
    start = int(np.random.default_rng(seed).integers(TABLE.size))
    return (logits + TABLE[(start + np.arange(logits.size).reshape(logits.shape)) % 65521]).argmax(-1)


def table_within_the_row(logits: Array, seed: int) -> Array:
    table = np.roll(TABLE, int(np.random.default_rng(seed).integers(TABLE.size)))
    return (logits + np.resize(table, logits.shape[1])).argmax(-1)


def one_stream_for_all_seeds(logits: Array, seed: int) -> Array:
    noise = np.random.default_rng(5).gumbel(size=(len(logits) + seed % 1000, logits.shape[1]))
    return (logits + noise[seed % 1000 :]).argmax(-1)


def seeds_of_16_bits(logits: Array, seed: int) -> Array:
    return right(logits, seed & 0xFFFF)


def place_in_the_batch(logits: Array, seed: int, *, seeds: Array | None = None) -> Array:
    mixed = None if seeds is None else seeds ^ np.arange(len(seeds), dtype=np.uint64)
    return right(logits, seed, seeds=mixed)


def shape_of_the_batch(logits: Array, seed: int, *, seeds: Array | None = None) -> Array:
    return right(logits, seed, seeds=None if seeds is None else seeds + np.uint64(len(seeds) > 32))


def noise_by_rank(logits: Array, seed: int) -> Array:
    order = np.argsort(-logits, axis=-1, kind="stable")
    best = (np.take_along_axis(logits, order, -1) + noise_of(logits.shape, seed)).argmax(-1)
    return order[np.arange(len(order)), best]


def noise_by_rank_among_kept(logits: Array, seed: int, *, top_k: int = 0) -> Array:
    if not top_k:
        return right(logits, seed)
    order = np.argsort(-logits, axis=-1, kind="stable")[:, :top_k]
    best = (np.take_along_axis(logits, order, -1) + noise_of(order.shape, seed)).argmax(-1)
    return order[np.arange(len(order)), best]


for ranked in (noise_by_rank, noise_by_rank_among_kept):
    vars(ranked)["one_noise"] = True


def draft_and_target_under_one_noise(logits: Array, seed: int) -> Array:
    return right(logits, seed)


vars(draft_and_target_under_one_noise)["speculate"] = lambda draft, target, seed: speculate(draft, target, seed, True)


def target_alone_from_the_draft(logits: Array, seed: int) -> Array:
    return right(logits, seed)


vars(target_alone_from_the_draft)["speculate"] = lambda draft, target, seed: right(draft, seed)


def masked_by_a_number(logits: Array, seed: int) -> Array:
    return right(np.maximum(logits, np.float32(-1e4)), seed)


def epsilon(logits: Array, seed: int) -> Array:
    w = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (np.log(w + np.float32(1e-5)) + noise_of(w.shape, seed)).argmax(-1)


def without_a_maximum(logits: Array, seed: int) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        w = np.exp(logits)
        return (w.cumsum(-1) <= np.random.default_rng(seed).random((len(w), 1)) * w.sum(-1, keepdims=True)).sum(-1)


def noise_rounded_away(logits: Array, seed: int) -> Array:
    return (logits + noise_of(logits.shape, seed).astype(np.float32)).argmax(-1)


def float32_indices(logits: Array, seed: int) -> Array:
    return right(logits, seed).astype(np.float32).astype(np.int64)


def ties_are_dropped(logits: Array, seed: int, *, top_k: int = 0) -> Array:
    kth = np.sort(logits, axis=-1)[:, [-top_k]] if top_k else -np.inf
    return right(np.where(logits > kth, logits, -np.inf).astype(np.float32), seed)


def one_more_than_k(logits: Array, seed: int, *, top_k: int = 0) -> Array:
    return right(logits, seed, top_k=min(top_k + 1, logits.shape[1]) if top_k else None)


def last_of_the_nucleus_is_dropped(logits: Array, seed: int, *, top_p: float = 1.0) -> Array:
    x = np.sort(findings.law_of(logits[0]))[::-1]
    kept = max(1, int((np.cumsum(x) <= top_p).sum()))
    return right(logits, seed, top_k=kept)


def min_p_of_the_whole(logits: Array, seed: int, *, min_p: float = 0.0) -> Array:
    p = findings.law_of(logits[0])
    return right(np.where(p >= min_p, logits, -np.inf).astype(np.float32), seed)


def nan_is_a_number(logits: Array, seed: int) -> Array:
    return (logits + noise_of(logits.shape, seed)).argmax(-1)


def a_float_for_nan(logits: Array, seed: int) -> Array:
    found = nan_is_a_number(logits, seed)
    return np.where(np.isfinite(logits).any(axis=-1), np.where(np.isnan(logits).any(axis=-1), np.nan, found), np.nan)


def min_p_has_a_floor(logits: Array, seed: int, *, min_p: float = 0.0) -> Array:
    return right(logits, seed, min_p=max(min_p, 0.05))


def without_a_seed(logits: Array, seed: int) -> Array:
    return (logits + np.random.default_rng().gumbel(size=logits.shape)).argmax(-1)


def one_too_far(logits: Array, seed: int) -> Array:
    return right(logits, seed) + 1


def a_column_of_indices(logits: Array, seed: int) -> Array:
    return right(logits, seed)[:, None]


MUTANTS: list[tuple[Callable[..., Any], str]] = [
    (largest_of_24_bits, "rare categories, 18 below one"),
    (rows_of_a_table, "noise that repeats"),
    (rows_of_a_table, "seeds that share bits"),
    (table_of_an_odd_size, "noise that repeats"),
    (table_within_the_row, "2^24 + 4 categories"),
    (one_stream_for_all_seeds, "seeds that share bits"),
    (one_stream_for_all_seeds, "seeds one after the other"),
    (seeds_of_16_bits, "seeds that share bits"),
    (place_in_the_batch, "a row with its seed, alone and in batches"),
    (shape_of_the_batch, "a row with its seed, alone and in batches"),
    (noise_by_rank, "one noise for each category"),
    (noise_by_rank_among_kept, "one noise for each category"),
    (draft_and_target_under_one_noise, "speculative decoding"),
    (target_alone_from_the_draft, "speculative decoding"),
    (masked_by_a_number, "logits of -inf"),
    (epsilon, "logits of -inf"),
    (without_a_maximum, "all logits shifted by 1000"),
    (without_a_maximum, "all logits shifted by -1000"),
    (noise_rounded_away, "all logits shifted by 1e+07"),
    (noise_rounded_away, "all logits shifted by -1e+07"),
    (float32_indices, "the last of 2^24 + 4 categories"),
    (ties_are_dropped, "top_k where logits tie"),
    (one_more_than_k, "top_k where logits tie"),
    (last_of_the_nucleus_is_dropped, "top_p at its edge"),
    (min_p_of_the_whole, "min_p at its edge"),
    (nan_is_a_number, "NaN in a row"),
    (a_float_for_nan, "NaN in a row"),
    (a_float_for_nan, "a row of -inf alone"),
    (min_p_has_a_floor, "filters that leave everything"),
    (nan_is_a_number, "a row of -inf alone"),
    (without_a_seed, "the same call twice"),
    (one_too_far, "the law of 16 categories"),
    (a_column_of_indices, "the law of 16 categories"),
]


@pytest.mark.parametrize(("mutant", "title"), MUTANTS, ids=lambda x: getattr(x, "__name__", x))
def test_faults_are_caught(mutant: Callable[..., Any], title: str) -> None:
    kind, _, seen = asked(mutant, title)
    assert kind == text.BAD, seen


@pytest.mark.battery
def test_uniforms_of_24_bits_are_caught() -> None:
    kind, _, seen = asked(of_24_bits, "rare categories, 18 below one")
    assert kind == text.BAD, seen


@pytest.mark.parametrize("title", ["the same call twice", "the law of 1,000 categories", "speculative decoding"])
def test_a_sampler_may_write_to_its_logits(title: str) -> None:
    """As engines do that scale logits where they lie."""

    def in_place(logits: Array, seed: int) -> Array:
        index = right(logits, seed)
        logits *= np.float32(0.5)
        return index

    def speculated(draft: Array, target: Array, seed: int) -> Array:
        index = speculate(draft, target, seed)
        draft[...], target[...] = target, draft
        return index

    vars(in_place)["speculate"] = speculated
    kind, _, seen = asked(in_place, title)
    assert kind == text.GOOD, seen


def test_an_error_is_refused_or_a_fault() -> None:
    def fails(logits: Array, seed: int) -> Array:
        raise RuntimeError("number of categories\ncannot exceed 2^24")

    assert asked(fails, "logits of -inf") == (run.REFUSED, "", "RuntimeError: number of categories cannot exceed 2^24")
    assert asked(fails, "the law of 2 categories")[0] == text.BAD
    assert asked(fails, "noise that repeats")[0] == text.BAD


def test_what_is_lacking_is_not_asked() -> None:
    def plain(logits: Array, seed: int) -> Array:
        return np.zeros(len(logits), np.int64)

    for option in ("seeds", "top_k", "top_p", "min_p", "one_noise", "speculate"):
        titles = [q.title for q in questions.QUESTIONS if q.needs == (option,)]
        assert titles
        for title in titles:
            assert asked(plain, title) == (run.NOT_ASKED, "", f"the sampler has no {option}")
    leaving = "filters that leave everything"
    assert asked(plain, leaving) == (run.NOT_ASKED, "", "the sampler has no top_k or top_p or min_p")
    slow = {q.title for q in questions.QUESTIONS if q.slow}
    assert {t for t, v in run.judge(as_sampler(right), quick=True).items() if v[0] == run.NOT_ASKED} == slow


MODULE = """
import numpy as np

class Own:
    @staticmethod
    def draw(logits, seed, *, top_k=0):
        return (logits + np.random.default_rng(seed).gumbel(size=logits.shape)).argmax(-1)

def bad(logits, seed):
    return np.full(len(logits), np.nan)

number = 3
"""


def test_the_command(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own_sampler.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main(["judge", "own_sampler:Own.draw", "--only", "law of 2 c"]) == 0
    shown = capsys.readouterr().out
    assert "1 ok, 0 FAILED, 0 refused, 0 not asked" in shown
    assert "at most 1e-06" in shown
    # It takes top_k and ignores it.
    assert main(["judge", "own_sampler:Own.draw", "--only", "top_"]) == 1
    assert "1 FAILED, 0 refused, 2 not asked" in capsys.readouterr().out
    assert main(["judge", "own_sampler:bad", "--quick", "--only", "same call"]) == 1
    assert "returned float64 of shape (64,), expected (64,) of integers" in " ".join(capsys.readouterr().out.split())
    for wrong, said in {
        "own_sampler": "expected MODULE:FUNCTION, got 'own_sampler'",
        "own_sampler:Own.other": "own_sampler:Own.other: 'other' is not there",
        "own_sampler:number": "own_sampler:number is int, expected a function",
        "builtins:max": "no signature found for builtin",
        "no_such_module:f": "No module named 'no_such_module'",
    }.items():
        assert main(["judge", wrong]) == 2
        assert said in capsys.readouterr().err
    assert main(["judge", "numpy", "--only", "no such question"]) == 2
    assert "no question has 'no such question' in its title" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_samplers_that_are_known(name: str) -> None:
    if name != "numpy":
        pytest.importorskip(name)
    assert asked(KNOWN[name], "the law of 16 categories")[0] == text.GOOD
