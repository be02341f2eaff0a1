"""The questions. Each makes its own calls with fixed seeds, and answers with one `Finding`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .findings import Array, Finding, count_bound, fit, law_of, resemblance, worst
from .sampler import OutOfConventionError, Sampler

Answer = Callable[[Sampler], Finding]
BEYOND_FLOAT32 = (1 << 24) + 4  # more categories than float32 has consecutive integers


@dataclass(frozen=True)
class Question:
    """A question to a sampler.

    Attributes
    ----------
    title : str
        The question in a few words.
    ask : callable
        Makes the calls, and returns the finding.
    needs : tuple of str
        Options or attributes, of which the sampler must have one; empty if it can always be asked.
    may_refuse : bool
        Whether an error is an acceptable answer.
    slow : bool
        Left out by ``--quick``.
    """

    title: str
    ask: Answer
    needs: tuple[str, ...] = ()
    may_refuse: bool = False
    slow: bool = False

    def put(self, sampler: Sampler) -> bool:
        """Whether this sampler can be asked."""
        has = (name in sampler.options or bool(getattr(sampler, name, None)) for name in self.needs)
        return not self.needs or any(has)


def normal(shape: int | tuple[int, ...], seed: int = 0) -> Array:
    """Normal logits with a deviation of 2."""
    x: Array = 2 * np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return x


def repeats(sampler: Sampler) -> Finding:
    """The same call twice."""
    x = normal((64, 100))
    different = int((sampler.draw(x, 7) != sampler.draw(x, 7)).sum())
    return Finding(f"{different} of 64 rows differ from call to call", fault=different > 0)


def probabilities(columns: int, draws: int, sampler: Sampler) -> Finding:
    """Draws from one row of normal logits, against its softmax."""
    x = normal(columns, columns)
    return Finding(f"{draws:,} draws", fit(sampler.repeat(x, draws), law_of(x)))


def tail(sampler: Sampler) -> Finding:
    """One category at 0 against 2**18 at -18, in 3 * 2**12 rows.

    Rare ones are expected 48.9 times. To win, their noise must exceed that of the likely one by 18. With uniforms of 24
    bits, whose noise ends at 16.64 = log(2**24), only the fraction (1 + w) exp(-w) of that remains, w = exp(18 -
    16.64): 4.8 times.
    """
    others, rows = 1 << 18, 3 << 12
    x = np.full(others + 1, -18, np.float32)
    x[0] = 0
    p = others * math.exp(-18) / (1 + others * math.exp(-18))
    rare = int((sampler.repeat(x, rows) != 0).sum())
    return Finding(f"{rare} drawn where {rows * p:.1f} are expected", float(count_bound(rare, rows, p)))


def weights_of_zero(sampler: Sampler) -> Finding:
    """Rows where some, or all but one, of the logits are -inf; the others have their law."""
    wrong, rows = 0, 1 << 14
    for seed, columns in enumerate((2, 17, 64, 1000)):
        x = np.full((1000, columns), -np.inf, np.float32)
        kept = np.random.default_rng(seed).integers(columns, size=1000)
        # A finite logit below the number that stands in for -inf shows that one is used.
        x[np.arange(1000), kept] = (0, -1e5)[seed % 2]
        wrong += int((sampler.draw(x, seed) != kept).sum())
    x = normal(64)
    x[np.random.default_rng(0).random(64) < 0.5] = -np.inf
    drawn = sampler.repeat(x, rows)
    wrong += int(np.isneginf(x[drawn]).sum())
    if wrong:
        return Finding(f"{wrong} draws of categories that cannot be", fault=True)
    return Finding(f"{4000 + rows:,} draws", fit(drawn, law_of(x)))


def shift(constant: float, sampler: Sampler) -> Finding:
    """Integer logits plus an integer that float32 holds: the same law."""
    x, draws = -np.arange(8, dtype=np.float32), 1 << 17
    moved = x + np.float32(constant)
    assert (moved - np.float32(constant) == x).all()
    return Finding(f"{draws:,} draws", fit(sampler.repeat(moved, draws), law_of(x)))


def last_of_many(sampler: Sampler) -> Finding:
    """A row of 2**24 + 4 categories of which only the last has a weight."""
    x = np.full((1, BEYOND_FLOAT32), -np.inf, np.float32)
    x[0, -1] = 0
    drawn = int(sampler.draw(x)[0])
    return Finding(f"drew {drawn:,}", fault=drawn != BEYOND_FLOAT32 - 1)


def ends_of_many(sampler: Sampler) -> Finding:
    """As many categories, of which only the last four have a weight, an equal one; then all have equal weight."""
    x = np.full(BEYOND_FLOAT32, -np.inf, np.float32)
    x[-4:] = 0
    ends = sampler.repeat(x, 48) - (BEYOND_FLOAT32 - 4)
    if (ends < 0).any():
        return Finding("draws of categories that cannot be", fault=True)
    flat = sampler.repeat(np.zeros_like(x), 32)
    sixteenths = flat // (1 << 20)
    shares = np.array([1 << 20] * 16 + [4]) / BEYOND_FLOAT32
    bound = worst([[fit(ends, np.full(4, 0.25))], [fit(sixteenths, shares)]])
    return Finding("48 and 32 draws", bound)


def repetition(sampler: Sampler) -> Finding:
    """2**17 rows of 16 equal logits: whether the draws are repeated, at any of 2**16 lags."""
    n = 1 << 17
    p, seen = resemblance(sampler.draw(np.zeros((n, 16), np.float32), 1), None, 16, n // 2)
    return Finding(seen, p)


def seeds_apart(sampler: Sampler) -> Finding:
    """2**13 rows of 16 equal logits under seeds that share bits or follow each other: whether one repeats the other."""
    x, n = np.zeros((1 << 13, 16), np.float32), 1 << 13
    found, pairs = [], ((0, 1), (1, 2), (0, 1 << 16), (3, 3 + (1 << 20)), (5, 5 + (1 << 31)))
    for a, b in pairs:
        p, seen = resemblance(sampler.draw(x, a), sampler.draw(x, b), 16, n // 2)
        found.append((p, f"seeds {a} and {b}, {seen}"))
    return Finding(min(found)[1], worst([p for p, _ in found]))


def seed_by_seed(sampler: Sampler) -> Finding:
    """The first draws under the seeds 0 to 4095, as a sequence."""
    n, x = 1 << 12, np.zeros((1, 16), np.float32)
    drawn = np.concatenate([sampler.draw(x, seed) for seed in range(n)])
    p, seen = resemblance(drawn, None, 16, n // 2)
    return Finding(seen, worst([p, fit(drawn, np.full(16, 1 / 16))]))


def rows_alone(sampler: Sampler) -> Finding:
    """Rows with seeds of their own: in a batch, alone, reversed, beside other rows, under another seed of the call."""
    x = normal((32, 3000))
    seeds = np.random.default_rng(1).integers(1 << 63, size=32).astype(np.uint64)
    whole = sampler.draw(x, 0, seeds=seeds)
    ways = {
        "alone": np.concatenate([sampler.draw(x[i : i + 1], 0, seeds=seeds[i : i + 1]) for i in range(32)]),
        "reversed": sampler.draw(x[::-1].copy(), 0, seeds=seeds[::-1].copy())[::-1],
        "under another seed of the call": sampler.draw(x, 1, seeds=seeds),
        "beside other rows": sampler.draw(np.concatenate([normal((32, 3000), 2), x]), 0, seeds=np.tile(seeds, 2))[32:],
    }
    for way, drawn in ways.items():
        if (drawn != whole).any():
            return Finding(f"{int((drawn != whole).sum())} of 32 rows differ {way}", fault=True)
    return Finding("32 rows")


def seeds_of_rows(sampler: Sampler) -> Finding:
    """Equal rows under the seeds 0, 1, 2, ...: their draws as a sequence."""
    n = 1 << 14
    drawn = sampler.draw(np.zeros((n, 16), np.float32), 0, seeds=np.arange(n, dtype=np.uint64))
    p, seen = resemblance(drawn, None, 16, n // 2)
    return Finding(seen, worst([p, fit(drawn, np.full(16, 1 / 16))]))


# One logit, then four that tie for the second to the fifth place, then five below.
TIED = np.array([0, 2, 1, 2, 0, 3, 2, 0, 2, 0], np.float32)


def top_k_ties(sampler: Sampler) -> Finding:
    """The k-th place is tied: nothing below it is drawn, and the rest has the law of one way to treat the tie.

    Either all four that tie stay (as in transformers), or so many that k stay in total.
    """
    draws, order = 1 << 16, np.sort(TIED)[::-1]
    bounds = []
    for k in (2, 4, 5):
        drawn = sampler.repeat(TIED, draws, top_k=k)
        if (TIED[drawn] < 2).any():
            return Finding(f"top_k={k} drew a logit below the {k}-th largest", fault=True)
        ways = []
        for kept in (5, k):
            w = np.exp(order[:kept], dtype=np.float64)
            p = w / w.sum()
            ways.append(
                worst([count_bound((TIED[drawn] == v).sum(), draws, p[order[:kept] == v].sum()) for v in (3, 2)])
            )
        # The larger p-value of the two laws: a bound under either of them.
        bounds.append(max(ways))
    return Finding(f"{draws:,} draws with each of 3 k", worst(bounds))


def top_p_ties(sampler: Sampler) -> Finding:
    """Eight equal logits: top_p=0.5 leaves at least four of them, each as likely as the others that stay."""
    draws, x = 1 << 14, np.zeros(8, np.float32)
    drawn = sampler.repeat(x, draws, top_p=0.5)
    counts = np.bincount(drawn, minlength=8)
    kept = np.flatnonzero(counts)
    # A category that stays with probability 1/8 is missed by all draws with probability (7/8)**16384.
    if kept.size < 4:
        return Finding(f"top_p=0.5 left {kept.size} of 8 equal categories", fault=True)
    return Finding(f"{kept.size} of 8 stay", fit(np.searchsorted(kept, drawn), np.full(kept.size, 1 / kept.size)))


def top_p_edge(sampler: Sampler) -> Finding:
    """Weights 8, 4, 2, 1, 1 of 16 in some order: top_p=0.7 leaves the first two, whatever the rounding."""
    fault = "top_p=0.7 drew what is behind three quarters"
    return _filtered_law(sampler, np.array([1, 4, 2, 8, 1]), 4, fault, top_p=0.7)


def min_p_edge(sampler: Sampler) -> Finding:
    """Weights 16, 8, 8, 2, 1: min_p=0.25 leaves three, whatever the rounding."""
    fault = "min_p=0.25 drew what weighs an eighth of the largest"
    return _filtered_law(sampler, np.array([8, 2, 16, 1, 8]), 8, fault, min_p=0.25)


def _filtered_law(sampler: Sampler, w: Array, least: int, fault: str, **filters: Any) -> Finding:
    """Only weights of at least `least` are drawn, in proportion."""
    draws = 1 << 16
    drawn = sampler.repeat(np.log(w, dtype=np.float32), draws, **filters)
    if (w[drawn] < least).any():
        return Finding(fault, fault=True)
    kept = np.where(w >= least, w, 0)
    return Finding(f"{draws:,} draws", fit(drawn, kept / kept.sum()))


def filters_that_leave_all(sampler: Sampler) -> Finding:
    """top_k of all categories, or top_p=1, on a row with -inf: the law of the row."""
    x, draws, bounds = normal(32, 5), 1 << 16, []
    x[::3] = -np.inf
    neutral: dict[str, Any] = {"top_k": 32, "top_p": 1.0, "min_p": 0.0}
    for option, value in neutral.items():
        if option in sampler.options:
            bounds.append(fit(sampler.repeat(x, draws, **{option: value}), law_of(x)))
    return Finding(f"{draws:,} draws with each of {len(bounds)} filters", worst(bounds))


def silent(row: Sequence[float], sampler: Sampler) -> Finding:
    """A row without a law, between valid ones: the answer must be an error, or an index that no column has."""
    good = np.tile(np.array([0, 3, 1, 2], np.float32), (3, 1))
    bad = good.copy()
    bad[1] = row
    try:
        drawn = sampler.call(bad)
    except OutOfConventionError:
        raise
    except Exception as error:
        return Finding(f"raises {type(error).__name__}")
    if 0 <= drawn[1] < 4:
        return Finding(f"draws {drawn[1]} as if nothing were wrong", fault=True)
    return Finding(f"returns {drawn[1]}")


def one_noise(sampler: Sampler) -> Finding:
    """Where calls with one seed share noise: a draw stays the same when its logit rises, or others fall or vanish.

    Noise that depends on the rank of a logit, or on its place among those that a filter leaves, fails this.
    """
    x, lost = normal((256, 500)), np.random.default_rng(3)
    drawn = sampler.draw(x, 5)
    rows = np.arange(256)
    changed = {"others lose": x - lost.exponential(size=x.shape).astype(np.float32)}
    changed["others go"] = np.where(lost.random(x.shape) < 0.5, np.float32(-np.inf), x)
    changed["it gains"] = x.copy()
    for name, y in changed.items():
        y[rows, drawn] = x[rows, drawn] + (0.5 if name == "it gains" else 0)
        moved = int((sampler.draw(y, 5) != drawn).sum())
        if moved:
            return Finding(f"{moved} of 256 draws change where {name}", fault=True)
    if "top_k" in sampler.options:
        stays = (x > x[rows, drawn][:, None]).sum(axis=1) < 50
        moved = int((sampler.draw(x, 5, top_k=50) != drawn)[stays].sum())
        if moved:
            return Finding(f"top_k=50 changes {moved} of {int(stays.sum())} draws that it leaves", fault=True)
    return Finding("256 rows")


def speculation(sampler: Sampler) -> Finding:
    """Speculative decoding returns tokens with the law of the target, whatever the draft."""
    draws, bounds = 1 << 16, []
    for seed, distance in enumerate((0.0, 0.3, 1.0, 3.0)):
        target = normal(12, 20)
        draft = (1 - min(distance, 1)) * target + np.float32(distance) * normal(12, 21)
        rows = [np.tile(row.astype(np.float32), (draws, 1)) for row in (draft, target)]
        bounds.append(fit(sampler.speculated(rows[0], rows[1], seed), law_of(target)))
    return Finding(f"{draws:,} tokens for each of {len(bounds)} drafts", worst(bounds))


def _law(columns: int, draws: int) -> Question:
    return Question(f"the law of {columns:,} categories", partial(probabilities, columns, draws))


NAN, EMPTY = (0.0, math.nan, 1.0, 2.0), (-math.inf,) * 4

QUESTIONS: tuple[Question, ...] = (
    Question("the same call twice", repeats),
    _law(2, 1 << 20),
    _law(16, 1 << 20),
    _law(1000, 1 << 16),
    _law(1 << 17, 1 << 10),
    Question("rare categories, 18 below one", tail, slow=True),
    Question("logits of -inf", weights_of_zero, may_refuse=True),
    *(Question(f"all logits shifted by {c:g}", partial(shift, c)) for c in (1e3, -1e3, 1e7, -1e7)),
    Question("the last of 2^24 + 4 categories", last_of_many, may_refuse=True),
    Question("2^24 + 4 categories", ends_of_many, may_refuse=True, slow=True),
    Question("noise that repeats", repetition),
    Question("seeds that share bits", seeds_apart),
    Question("seeds one after the other", seed_by_seed),
    Question("a row with its seed, alone and in batches", rows_alone, ("seeds",)),
    Question("rows with seeds one after the other", seeds_of_rows, ("seeds",)),
    Question("top_k where logits tie", top_k_ties, ("top_k",)),
    Question("top_p where logits tie", top_p_ties, ("top_p",)),
    Question("top_p at its edge", top_p_edge, ("top_p",)),
    Question("min_p at its edge", min_p_edge, ("min_p",)),
    Question("filters that leave everything", filters_that_leave_all, ("top_k", "top_p", "min_p")),
    Question("NaN in a row", partial(silent, NAN), may_refuse=True),
    Question("a row of -inf alone", partial(silent, EMPTY), may_refuse=True),
    Question("one noise for each category", one_noise, ("one_noise",)),
    Question("speculative decoding", speculation, ("speculate",)),
)


def by_title(text: str) -> list[Question]:
    """The questions whose title contains `text`."""
    return [question for question in QUESTIONS if text in question.title]
