"""What the reference lets the results of each kernel be.

A judge is made once for a case and looks at the results of every backend. `BOUNDS` states the bounds in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ...reference import kernels
from ...reference.gumbel_max import gumbel_max, perturb
from ...reference.gumbel_softmax import gumbel_softmax, relaxed_logits
from ...reference.k_subsets import derivatives, marginals, sums
from ...reference.noise import exact_exponential, exact_gumbel
from ...reference.race import race
from ...reference.relaxed_top_k import relaxed_top_k, relaxed_top_k_backward
from ...reference.rows import addresses, load_logits, repeat_rows
from ...reference.sinkhorn import sinkhorn, sinkhorn_backward
from ...reference.softmax import log_softmax, log_softmax_backward, logsumexp, softmax, softmax_backward, times, widen
from ...reference.top_k import gumbel_top_k
from .cases import Case, in_lanes
from .inputs import Array, Inputs, address

Results = tuple[Array, ...]  # empty where the kernel refused its input


@dataclass(frozen=True)
class Verdict:
    """The worst error (noise: in ulp; else as a share of its bound), near-ties among indices, and what is wrong."""

    error: float = 0.0
    near_ties: int = 0
    fault: str = ""


Judge = Callable[[Results], Verdict]

BACKWARD_EPS = 4.0
CONDITIONAL_ULP = 2.0
REFUSED = "refused, but the reference draws"
BOUNDS = {
    "philox": "the words of the reference",
    "gumbel": "2 ulp of max(1, |g|)",
    "exponential": "2 ulp of E",
    "gumbel_max": "the index of the reference; its value as noise allows",
    **dict.fromkeys(("gumbel_top_k", "race"), "the indices of the reference in order; their values as noise allows"),
    **dict.fromkeys(("gumbel_at", "exponential_at"), "the bytes of a whole row there"),
    **dict.fromkeys(("gumbel_max_at", "gumbel_top_k_at"), "the bytes of whole rows with all else at -inf"),
    "gumbel_softmax": "soft: as softmax, and what noise within its bound can move; hard: as gumbel_max",
    "conditional_gumbel": f"{CONDITIONAL_ULP:g} ulp of max(1, |z|), and what noise and logsumexp can move",
    "softmax": "eps y (4 + |t| + log n), t = (x - max) / T, n columns",
    "log_softmax": "eps (4 + 1.5 |t| + log n)",
    "logsumexp": "eps (4 + |max / T| + log n)",
    "softmax_backward": f"{BACKWARD_EPS:g} eps |y| (|grad| + sum |grad y|) / T",
    "log_softmax_backward": f"{BACKWARD_EPS:g} eps (|grad| + y (1 + |log y|) sum |grad|) / T",
    "sample_tokens": "the tokens of the reference",
    "token_edges": "the edges of the reference",
    "draw_alias": "the draws of the reference",
    "draw_inverse": "the draws of the reference",
    "draw_integers": "the draws of the reference",
    "draw_weights": "the draws of the reference",
    "viterbi": "the labels and scores of the reference",
    "relaxed_top_k": "eps k a (1 + 1/T)^k, a = 4 + log n + 2 max |x| / T, n columns",
    "relaxed_top_k_backward": "8 eps a (1 + 1/T)^k sum |grad|",
    "sinkhorn": "eps y a (1 + 2 rounds); below 1e-37 (float64: 1e-307) y may be 0",
    "sinkhorn_backward": "4 eps a (1 + 2 rounds) sum |grad| / T",
    "subset_marginals": "as sinkhorn with p and a = (n + 3) (1 + k (max |x| + log n)), and eps a for the sum",
    "subset_marginals_backward": "2 eps a sum |grad|",
}


def judge(case: Case, given: Inputs) -> Judge:
    """What looks at the results of a case; `given` is float32 or float64, or words for philox."""
    judges = dict.fromkeys(("gumbel_max", "gumbel_top_k"), _selection)
    judges |= dict.fromkeys(filter(in_lanes, BOUNDS), _lanes)
    judges |= {"race": _race, "philox": _philox, "gumbel": _noise, "exponential": _noise, "gumbel_softmax": _relaxed}
    return judges.get(case.kernel, _smooth)(case, given)


def same(expected: Results) -> Judge:
    """For what must be as the reference has it: integers."""

    def look(got: Results) -> Verdict:
        if len(got) != len(expected):
            return Verdict(fault=REFUSED if expected else "drawn, but the reference refuses")
        return Verdict(fault="".join(_where(g != e, g, e) for g, e in zip(got, expected, strict=True)))

    return look


def _where(wrong: Array, got: Array, expected: Array) -> str:
    """The first place where something is wrong, or nothing."""
    if not wrong.any():
        return ""
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"{got[place]!r} at {place}, expected {expected[place]!r} ({int(wrong.sum())} of {wrong.size} wrong)"


def _refused(got: Results) -> Verdict:
    return Verdict(fault="drawn, but the reference refuses" if got else "")


def _philox(case: Case, given: Inputs) -> Judge:
    words = np.empty((given.x.size, 4), np.uint32)
    kernels.philox(given.address[0], case.domain, case.offset, words)
    return lambda got: Verdict(fault=_where(got[0] != words, got[0], words))


@lru_cache(maxsize=256)
def _exact(exponential: bool, rows: int, columns: int, place: str, offset: int, law: np.dtype[Any]) -> Array:
    elements, keys = addresses(rows, columns, address(Case("gumbel", rows, columns, place=place, offset=offset)))
    return (exact_exponential if exponential else exact_gumbel)(keys, elements, law)


def noise_bounds(case: Case, law: np.dtype[Any]) -> tuple[Array, Array, Array, Array]:
    """The exact noise of a case, the least and the largest number that may stand for it, and its ulp."""
    exponential = case.kernel in ("exponential", "race")
    exact = _exact(exponential, case.rows * case.draws, case.columns, case.place, case.offset, law)
    size = exact if exponential else np.maximum(1, np.abs(exact))
    ulp = np.spacing(size.astype(law)).astype(np.longdouble)
    # The second term counts only where longdouble is no wider than float64 and "exact" is good to a few units.
    off = 2 * ulp + 8 * np.finfo(np.longdouble).eps * size
    low, high = (exact - off).astype(law), (exact + off).astype(law)
    low = np.where(low < exact - off, np.nextafter(low, law.type(np.inf)), low)
    high = np.where(high > exact + off, np.nextafter(high, law.type(-np.inf)), high)
    return exact, low, high, ulp


def _noise(case: Case, given: Inputs) -> Judge:
    exact, low, high, ulp = noise_bounds(case, given.x.dtype)
    loc, scale = given.x.dtype.type(case.loc), given.x.dtype.type(case.scale)
    plain = loc == 0 and scale == 1
    # Product and sum round monotonically: noise between its bounds gives a result between those of the bounds.
    low, high = loc + scale * low, loc + scale * high

    def look(got: Results) -> Verdict:
        (g,) = got
        error = float(np.max(np.abs(g - exact) / ulp)) if plain else 0.0
        return Verdict(error, fault=_where(~((low <= g) & (g <= high)), g, loc + scale * exact))

    return look


def is_order(picks: Array, least: Array, most: Array) -> bool:
    """Whether perturbed logits somewhere in [least, most] have just these largest, the lower index first of equals."""
    picks = picks[picks >= 0]
    rest = np.setdiff1d(np.arange(len(least)), picks)
    before, after = np.append(picks[:-1], np.full(rest.size, picks[-1])), np.append(picks[1:], rest)
    ordered = (most[before] > least[after]) | ((most[before] == least[after]) & (before < after))
    ordered |= np.isneginf(most[after])
    return len(np.unique(picks)) == len(picks) and bool(ordered.all())


def _picks(picks: Array, index: Array, least: Array, most: Array) -> Verdict:
    """Holds picks, one row per row of the reference's `index`, against it."""
    differ = picks != index
    wrong = differ & ((picks < 0) | (index < 0) | (picks >= least.shape[-1]))
    for row in () if wrong.any() else np.flatnonzero(differ.any(axis=-1)):
        if not is_order(picks[row], least[row], most[row]):
            wrong[row] = differ[row]
    return Verdict(near_ties=int(differ.sum()), fault=_where(wrong, picks, index))


def _selection(case: Case, given: Inputs) -> Judge:
    x = load_logits((given.x, given.mask, 1.0))
    if x is None:
        return _refused
    x, scale = repeat_rows(x, case.rows * case.draws), 1 / case.temperature
    exact, low, high, _ = noise_bounds(case, x.dtype)
    if case.kernel == "gumbel_top_k":
        index, best = gumbel_top_k(x, exact.astype(x.dtype), scale, case.k)
    else:
        index, best = (a[:, None] for a in gumbel_max(x, exact.astype(x.dtype), scale))
    least, most = (perturb(x, end, scale).sum for end in (low, high))
    return _draws_in_order(index, best, least, most)


def _race(case: Case, given: Inputs) -> Judge:
    w = given.x
    if not ((w >= 0) & (w < np.inf)).all():
        return _refused
    w = repeat_rows(w, case.rows * case.draws)
    exact, low, high, _ = noise_bounds(case, w.dtype)
    index, best = race(w, exact.astype(w.dtype), case.k)
    with np.errstate(divide="ignore"):
        log_w = np.log(w.astype(np.float64))
    # Logarithms are taken of the quotient: a few units of rounding more.
    slack = 4 * np.spacing(np.maximum(1, np.abs(log_w) + 64))
    slack[np.isneginf(log_w)] = 0
    least, most = (log_w - np.log(end.astype(np.float64)) for end in (high, low))
    return _draws_in_order(index, best, least - slack, most + slack)


def _draws_in_order(index: Array, best: Array, least: Array, most: Array) -> Judge:
    """Holds indices and perturbed values against the reference's, where these may lie between `least` and `most`."""

    def look(got: Results) -> Verdict:
        if not got:
            return Verdict(fault=REFUSED)
        picks, values = (a.reshape(index.shape) for a in got[:2])
        verdict = _picks(picks, index, least, most)
        if verdict.fault or got[2] != (index < 0).any():
            return verdict if verdict.fault else Verdict(fault=f"said that draws are missing: {got[2].item()}")
        low, high = (
            np.where(picks < 0, -np.inf, np.take_along_axis(end, np.maximum(picks, 0), axis=-1))
            for end in (least, most)
        )
        return Verdict(near_ties=verdict.near_ties, fault=_where(~((low <= values) & (values <= high)), values, best))

    return look


def _relaxed(case: Case, given: Inputs) -> Judge:
    x, scale = load_logits((given.x, None, 1.0)), 1 / case.temperature
    if x is None or np.isneginf(x).all(axis=-1).any():
        return _refused
    exact, low, high, _ = noise_bounds(case, x.dtype)
    noise = exact.astype(x.dtype)
    y, one_hot = gumbel_softmax(x, noise, scale)
    p, least, most = (relaxed_logits(x, g) for g in (noise, low, high))
    wide, s = widen(p, scale)
    t = _exponent(wide, s)
    # Noise within its bounds moves log y_i by that of its exponent, and by that of the logarithm of the sum.
    moves = np.where(np.isneginf(p), 0, s * (most.astype(wide.dtype) - least))
    moves = moves + np.log((y * np.exp(moves)).sum(axis=-1, keepdims=True))
    bound = y * np.expm1(np.finfo(x.dtype).eps * (4 + np.abs(t) + np.log(case.columns)) + moves)
    index = one_hot.argmax(axis=-1)[:, None]

    def look(got: Results) -> Verdict:
        if not got:
            return Verdict(fault=REFUSED)
        soft = _close(got[0], y, bound) if case.want != "hard" else Verdict()
        if soft.fault or case.want == "soft":
            return soft
        picks = got[-1].argmax(axis=-1)[:, None]
        exact_one_hot = np.arange(case.columns) == picks
        hard = _picks(picks, index, *(perturb(x, end, 1).sum for end in (low, high)))
        return Verdict(
            soft.error, hard.near_ties, hard.fault or _where(got[-1] != exact_one_hot, got[-1], exact_one_hot)
        )

    return look


def _lanes(case: Case, given: Inputs) -> Judge:
    """The pages of the reference in a wider format, and bounds that grow with the steps that follow each other."""
    eps, scale, n, k = np.finfo(given.x.dtype).eps, 1 / case.temperature, case.columns, case.k
    wide = np.dtype(np.longdouble if given.x.dtype == np.float64 else np.float64)
    x, grad = given.x.astype(wide), given.grad.astype(wide)
    size, total = np.abs(x).max(axis=-1, keepdims=True), np.abs(grad).sum(axis=-1, keepdims=True)
    a = 4 + np.log(n) + 2 * size * scale
    vanishing = (1e-37 if given.x.dtype == np.float32 else 1e-307) / eps  # what counts as 0 (docs/subsets.md)
    if case.kernel.startswith("relaxed"):
        column, growth = np.full((len(x), 1), scale, wide), (1 + scale) ** k
        if case.kernel == "relaxed_top_k":
            return _near(eps, (relaxed_top_k(x, k, column), k * a * growth))
        return _near(eps, (relaxed_top_k_backward(grad, x, k, column), 8 * a * growth * total))
    if case.kernel.startswith("sinkhorn"):
        stack = (case.rows, n, n)
        z, g, inverse = x.reshape(stack), grad.reshape(stack), np.full((case.rows, 1, 1), scale, wide)
        a = a.reshape(case.rows, n, 1).max(axis=1, keepdims=True) * (1 + 2 * k)
        if case.kernel == "sinkhorn":
            y = sinkhorn(z, inverse, k)
            return _near(eps, (y, y * a + vanishing))
        most = total.reshape(case.rows, n, 1).sum(axis=1, keepdims=True)
        return _near(eps, (sinkhorn_backward(g, z, inverse, k), 4 * a * scale * most))
    a = (n + 3) * (1 + k * (size + np.log(n)))
    if case.kernel == "subset_marginals_backward":
        return _near(eps, (derivatives(x, k, grad), 2 * a * total))
    p = marginals(x, k)
    return _near(eps, (p, p * a + vanishing), (sums(x, k)[-1, :, k], a[:, 0]))


def _near(eps: Any, *expected: tuple[Array, Array]) -> Judge:
    """Each result within so many eps."""

    def look(got: Results) -> Verdict:
        found = [_close(g, wanted, eps * units) for g, (wanted, units) in zip(got, expected, strict=True)]
        return Verdict(max(each.error for each in found), fault="".join(each.fault for each in found))

    return look


def _exponent(x: Array, s: Any) -> Array:
    """(x - max) * s, and 0 where that is not finite."""
    t = times(x - x.max(axis=-1, keepdims=True), s)
    return np.where(np.isfinite(t), t, 0)


def _smooth(case: Case, given: Inputs) -> Judge:
    expected, units = (_backward if case.kernel.endswith("backward") else _forward)(case, given)
    bound = np.finfo(given.x.dtype).eps * units
    return lambda got: _close(got[0], expected, bound)


def _forward(case: Case, given: Inputs) -> tuple[Array, Array]:
    scale = 1 / case.temperature
    x, s = widen(given.x, scale)
    # Difference, product and, for the logarithm, the sum round by eps / 2 each; a long sum by about log n in all.
    t, rest = np.abs(_exponent(x, s)), 4 + np.log(case.columns)
    if case.kernel == "softmax":
        y = softmax(given.x, scale)
        return y, y * (t + rest)
    if case.kernel == "log_softmax":
        return log_softmax(given.x, scale), 1.5 * t + rest
    return logsumexp(given.x, scale), np.abs(x.max(axis=-1) * s) + rest


def _backward(case: Case, given: Inputs) -> tuple[Array, Array]:
    scale = 1 / case.temperature
    x, s = widen(given.x, scale)
    size = np.abs(widen(given.grad)[0])
    if case.kernel == "softmax_backward":
        total = (size * np.abs(x)).sum(axis=-1, keepdims=True)
        return softmax_backward(given.grad, given.x, scale), BACKWARD_EPS * s * np.abs(x) * (size + total)
    y = np.exp(x) * (1 + np.where(np.isfinite(x), np.abs(x), 0))
    total = size.sum(axis=-1, keepdims=True)
    return log_softmax_backward(given.grad, given.x, scale), BACKWARD_EPS * s * (size + y * total)


def _close(got: Array, expected: Array, bound: Array) -> Verdict:
    """Within the bound; gradual underflow is forgiven, and what is not finite must be equal."""
    finite = np.isfinite(expected)
    off = np.abs(got - expected)
    tiny = 4 * float(np.finfo(got.dtype).smallest_subnormal)
    good = np.where(finite, off <= bound + tiny, (got == expected) | (np.isnan(got) & np.isnan(expected)))
    shares = np.where(finite & (off > tiny), off / np.where(bound > 0, bound, 1), 0)
    return Verdict(float(shares.max(initial=0)), fault=_where(~good, got, expected))
