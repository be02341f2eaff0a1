"""Equal work: every contender's result is compared with the same truth before anything is timed.

Statistics are compared at six standard deviations, and all seeds are fixed: a check does not fail by chance.
"""

from __future__ import annotations

from typing import Any

import numpy as np

EULER = 0.5772156649015329


def noise(result: Any, n: int, dtype: Any) -> None:
    """Standard Gumbel noise of the right shape and dtype: Kolmogorov-Smirnov distance and mean."""
    x = np.asarray(result)
    assert x.shape == (n,) and x.dtype == dtype, (x.shape, x.dtype)
    x = x[:100_000].astype(np.float64)
    assert not np.isnan(x).any()
    cdf = np.exp(-np.exp(-np.sort(x)))
    distance = np.abs(cdf - (np.arange(x.size) + 0.5) / x.size).max()
    assert distance < 3 / np.sqrt(x.size), f"Kolmogorov-Smirnov distance {distance}"
    mean = x[np.isfinite(x)].mean()
    assert abs(mean - EULER) < 6 * np.pi / np.sqrt(6 * x.size), f"mean {mean}"


def one_draw(result: Any, logits: Any, mask: Any = None) -> None:
    """One index per row, drawn from softmax(logits)."""
    index = np.asarray(result)
    assert index.shape == logits.shape[:-1], index.shape
    ordered_draws(index[:, None], logits if mask is None else np.where(mask, logits, -np.inf), 1)


def tokens(result: Any, logits: Any, temperature: float, top_k: int, top_p: float) -> None:
    """One token per row, drawn from what top-k and then top-p leave, softmax at that temperature."""
    scaled = logits.astype(np.float64) / temperature
    if top_k:
        scaled[scaled < np.sort(scaled, -1)[:, [-min(top_k, scaled.shape[1])]]] = -np.inf
    if top_p < 1:
        order = np.argsort(-scaled, -1)
        weights = np.exp(np.take_along_axis(scaled, order, -1) - scaled.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        # Sums in float32 may put the edge a little elsewhere.
        out = weights.cumsum(-1) - weights >= top_p + 1e-4
        np.put_along_axis(scaled, order, np.where(out, -np.inf, np.take_along_axis(scaled, order, -1)), -1)
    one_draw(result, scaled)


def serving(result: Any, logits: Any, settings: dict[str, Any]) -> None:
    """One token per row; those of the first rows, drawn from what the filters leave."""
    index = np.asarray(result)
    assert index.shape == logits.shape[:1] and index.dtype.kind == "i", (index.shape, index.dtype)
    assert index.min() >= 0 and index.max() < logits.shape[1]
    x, temperature = logits[:4].astype(np.float64), settings["temperature"]
    scores = x if settings.get("temperature_last") else x / temperature
    one_draw(index[:4], np.where(_kept(scores, settings), x / temperature, -np.inf))


def _kept(scores: Any, settings: dict[str, Any]) -> Any:
    """What the filters leave, by their formulas; equals of a token at an edge stay, and sums in float32 may err."""
    most = scores.max(-1, keepdims=True)
    limit = np.full_like(most, -np.inf)
    if "top_n_sigma" in settings:
        limit = most - settings["top_n_sigma"] * scores.std(-1, keepdims=True)
    if "top_k" in settings:
        limit = np.sort(scores, -1)[:, [-min(settings["top_k"], scores.shape[1])]]
    log_p = np.where(scores >= limit, scores - most, -np.inf)
    p = np.exp(log_p)
    log_p -= np.log(p.sum(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    entropy = -(p * np.where(p > 0, log_p, 0)).sum(-1, keepdims=True)
    eta = settings.get("eta_cutoff", 0)
    for least in (
        settings.get("min_p", 0) * p.max(-1, keepdims=True),
        settings.get("epsilon_cutoff", 0),
        np.minimum(eta, np.sqrt(eta) * np.exp(-entropy)),
    ):
        log_p = np.where(p >= np.minimum(least * (1 - 1e-4), p.max(-1, keepdims=True)), log_p, -np.inf)
    for mass, badness in (
        (settings.get("typical_p", 1), np.abs(log_p + entropy)),
        (settings.get("top_p", 1), -log_p),
    ):
        if mass < 1:
            order = np.argsort(badness, -1)
            places = (np.take_along_axis(p, order, -1).cumsum(-1) < mass + 1e-4).sum(-1, keepdims=True)
            edge = np.take_along_axis(badness, np.take_along_axis(order, np.minimum(places, p.shape[1] - 1), -1), -1)
            log_p = np.where(badness <= edge + 1e-4, log_p, -np.inf)
    return log_p > -np.inf


def viterbi(result: Any, unary: Any, pairwise: Any) -> None:
    """Labellings whose scores, in float64, are the largest that dynamic programming finds."""
    labels = np.asarray(result)
    assert labels.shape == unary.shape[:-1], labels.shape
    x, w = unary.astype(np.float64), pairwise.astype(np.float64)
    best = x[:, 0]
    for t in range(1, x.shape[1]):
        best = (best[:, :, None] + w).max(1) + x[:, t]
    score = np.take_along_axis(x, labels[..., None], -1).sum((1, 2)) + w[labels[:, :-1], labels[:, 1:]].sum(1)
    size = np.abs(x).max() + np.abs(w).max()
    assert np.all(score >= best.max(-1) - x.shape[1] ** 2 * size * np.finfo(unary.dtype).eps), (score, best)


def _near(result: Any, pages: Any, *wanted: Any) -> None:
    for found, right in zip(result, wanted, strict=True):
        assert np.allclose(found, right, rtol=1e-3, atol=1e-4 * np.abs(right).max()), pages


def relaxed_top_k(result: Any, z: Any, grad: Any, k: int) -> None:
    """The sum of k softmaxes and its gradient, by the formulas in float64."""
    from gumbelfast.reference import relaxed_top_k as page

    x, g, one = z.astype(np.float64), grad.astype(np.float64), np.ones((len(z), 1))
    _near(result, "relaxed_top_k", page.relaxed_top_k(x, k, one), page.relaxed_top_k_backward(g, x, k, one))


def sinkhorn(result: Any, z: Any, grad: Any, rounds: int) -> None:
    """Normalised matrices and the gradient."""
    from gumbelfast.reference import sinkhorn as page

    x, g, one = z.astype(np.float64), grad.astype(np.float64), np.ones((len(z), 1, 1))
    _near(result, "sinkhorn", page.sinkhorn(x, one, rounds), page.sinkhorn_backward(g, x, one, rounds))


def subset_marginals(result: Any, x: Any, grad: Any, k: int) -> None:
    """Marginals and their gradient."""
    from gumbelfast.reference import k_subsets as page

    _near(result, "subset_marginals", page.marginals(x, k), page.derivatives(x, k, grad))


def ordered_draws(result: Any, logits: Any, k: int) -> None:
    """`k` distinct indices per row, in order of a draw without replacement (Plackett-Luce).

    Given the first picks, the next is categorical over what is left. Any function f of the pick, less its
    conditional mean, is thus a martingale difference: their sum over picks and rows is compared with the
    sum of the conditional variances. The functions are the logit and the column number, each summed plainly
    and as the first half of the picks against the second: the latter sees, for one, picks sorted by index.
    """
    picks = np.asarray(result)
    rows, columns = logits.shape
    assert picks.shape == (rows, k) and picks.dtype.kind == "i", (picks.shape, picks.dtype)
    assert picks.min() >= 0 and picks.max() < columns
    total = np.zeros((4, 2))  # per function and sign: sum of differences, sum of variances
    step = max(1, (1 << 20) // columns)
    for start in range(0, rows, step):
        total += _differences(picks[start : start + step], logits[start : start + step].astype(np.float64))
    for difference, variance in total:
        assert abs(difference) <= 6 * np.sqrt(variance) + 1e-6, (difference, variance)


def _differences(picks: Any, logits: Any) -> Any:
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    picked = np.take_along_axis(weights, picks, -1)
    assert (picked > 0).all(), "a category of probability zero was drawn"
    rest = weights.copy()
    np.put_along_axis(rest, picks, 0, -1)
    assert ((rest > 0).sum(-1) + picks.shape[1] == (weights > 0).sum(-1)).all(), "an index was drawn twice"

    def left(values: Any) -> Any:  # sums of `values` over what is left before each pick, without cancellation
        tail = (picked * np.take_along_axis(values, picks, -1))[:, ::-1].cumsum(-1)[:, ::-1]
        return tail + (rest * values).sum(-1, keepdims=True)

    columns = np.broadcast_to(np.arange(logits.shape[1]) / logits.shape[1], logits.shape)
    mass, sums = left(np.ones_like(weights)), []
    for values in (np.where(weights > 0, logits, 0), columns):
        mean = left(values) / mass
        variance = np.maximum(left(values**2) / mass - mean**2, 0)
        difference = (np.take_along_axis(values, picks, -1) - mean).sum(0)
        for sign in (1, np.where(np.arange(picks.shape[1]) < (picks.shape[1] + 1) // 2, 1, -1)):
            sums.append((np.sum(sign * difference), np.sum(variance)))
    return np.array(sums)


def weighted_draws(result: Any, weights: Any, k: int) -> None:
    """`k` distinct items, in order of a draw without replacement with these weights."""
    ordered_draws(np.asarray(result)[None], np.log(weights)[None], k)


def neighbours(result: Any, logits: Any, ends: Any, space: int) -> None:
    """Five different nodes per row, in order of a draw without replacement by the logits of the edges."""
    place = np.array([np.searchsorted(row, named) for row, named in zip(ends, result, strict=True)])
    assert np.array_equal(np.take_along_axis(ends, place, -1), result), "a node that is no neighbour"
    ordered_draws(place, logits, 5)


def one_weighted_draw(result: Any, weights: Any) -> None:
    """One index per row, in proportion to weights."""
    one_draw(result, np.log(weights))


def many_draws(result: Any, probabilities: Any, n: int) -> None:
    """`n` draws with replacement from one distribution: chi-square."""
    index = np.asarray(result)
    assert index.shape == (n,) and index.dtype.kind == "i", (index.shape, index.dtype)
    expected = n * probabilities
    counts = np.bincount(index, minlength=probabilities.size)
    assert counts.size == probabilities.size
    freedom = probabilities.size - 1
    excess = ((counts - expected) ** 2 / expected).sum() - freedom
    assert excess < 6 * np.sqrt(np.sum(2 + 1 / expected)), f"chi-square exceeds {freedom} by {excess}"


def softmax(result: Any, x: Any) -> None:
    """The value of softmax over the last axis."""
    wide = x.astype(np.float64)
    truth = np.exp(wide - wide.max(-1, keepdims=True))
    _same(result, truth / truth.sum(-1, keepdims=True), x)


def log_softmax(result: Any, x: Any) -> None:
    """The value of log_softmax over the last axis."""
    wide = x.astype(np.float64)
    _same(result, wide - _log_sum(wide), x)


def logsumexp(result: Any, x: Any) -> None:
    """The value of logsumexp over the last axis."""
    _same(result, _log_sum(x.astype(np.float64))[:, 0], x[:, 0])


def _log_sum(x: Any) -> Any:
    most = x.max(-1, keepdims=True)
    return most + np.log(np.exp(x - most).sum(-1, keepdims=True))


def log_softmax_backward(result: Any, grad: Any, y: Any) -> None:
    """The value of the vector-Jacobian product of log_softmax."""
    g = grad.astype(np.float64)
    # A sum may be wrong by a few units in the last place of the sum of magnitudes.
    _same(result, g - np.exp(y.astype(np.float64)) * g.sum(-1, keepdims=True), y, np.abs(g).sum(-1).max() / 16)


def softmax_backward(result: Any, grad: Any, y: Any) -> None:
    """The value of the vector-Jacobian product of softmax."""
    _same(result, _pull(grad, y), y)


def relaxed(result: Any, logits: Any, tau: float) -> None:
    """A relaxed sample: rows of the simplex, and the distribution of the argmax."""
    y = np.asarray(result)
    assert y.shape == logits.shape and y.dtype == logits.dtype, (y.shape, y.dtype)
    one_draw(y.argmax(-1), logits)
    assert np.allclose(y.sum(-1), 1, atol=1e-4)


def gumbel_softmax(result: Any, logits: Any, grad: Any, tau: float, hard: bool) -> None:
    """A relaxed (or one-hot) sample with its gradient: distribution of the argmax, value of the gradient."""
    y, dx = (np.asarray(part) for part in result)
    assert y.shape == dx.shape == logits.shape and y.dtype == dx.dtype == logits.dtype
    one_draw(y.argmax(-1), logits)
    assert np.allclose(y.sum(-1), 1, atol=1e-4)
    if hard:  # the soft sample stays hidden: only what every softmax gradient obeys can be checked
        assert np.allclose(y, y.round(), atol=1e-6)
        assert np.abs(dx).max() > 0 and np.allclose(dx.sum(-1), 0, atol=1e-4)
    else:
        _same(dx, _pull(grad, y) / tau, logits)


def _pull(grad: Any, y: Any) -> Any:
    g, p = grad.astype(np.float64), y.astype(np.float64)
    return p * (g - (g * p).sum(-1, keepdims=True))


def _same(result: Any, truth: Any, like: Any, size: float = 1) -> None:
    array = np.asarray(result)
    assert array.shape == like.shape and array.dtype == like.dtype, (array.shape, array.dtype)
    tolerance = 64 * np.finfo(like.dtype).eps
    assert np.allclose(array, truth, rtol=tolerance, atol=tolerance * size)


def beams(result: Any, first: Any, later: Any, k: int, steps: int) -> None:
    """`k` distinct sequences per prompt and the perturbed values of these and the next, from tokens that are all alike.

    The exp(-G) arrive at rate 1 at first, then at the rate of what is left: gaps times rates are exponentials.
    """
    sequences, lengths, log_probs, perturbed, kappa = result
    assert sequences.shape == (len(first), k, steps) and (lengths == steps).all()
    assert all(len(np.unique(rows, axis=0)) == k for rows in sequences), "a sequence was drawn twice"
    x = later[0].astype(np.float64)
    log_p = x - x.max() - np.log(np.exp(x - x.max()).sum())
    assert np.allclose(log_p[sequences].sum(-1), log_probs, rtol=1e-4)
    order = np.column_stack([perturbed, kappa]).astype(np.float64)
    assert (np.diff(order) <= 0).all()
    rate = 1 - np.cumsum(np.exp(np.column_stack([np.full(len(first), -np.inf), log_probs])), -1)
    gaps = np.diff(np.exp(-order), prepend=0) * rate
    assert abs(gaps.mean() - 1) < 6 / np.sqrt(gaps.size), f"mean gap {gaps.mean()}"


def threads(result: Any, operation: str, *inputs: Any) -> None:
    """The check of the operation itself."""
    CHECKS[operation](result, *inputs)


CHECKS: dict[str, Any] = {
    "gumbel": noise,
    "categorical": one_draw,
    "top_k": ordered_draws,
    "tokens": tokens,
    "serving": serving,
    "transformers": serving,
    "viterbi": viterbi,
    "relaxed_top_k": relaxed_top_k,
    "sinkhorn": sinkhorn,
    "subset_marginals": subset_marginals,
    "beams": beams,
    "weighted": weighted_draws,
    "prepared": weighted_draws,
    "distinct choice": weighted_draws,
    "neighbours": neighbours,
    "draws": many_draws,
    "softmax": softmax,
    "softmax_backward": softmax_backward,
    "log_softmax": log_softmax,
    "logsumexp": logsumexp,
    "log_softmax_backward": log_softmax_backward,
    "relaxed": relaxed,
    "gumbel_softmax": gumbel_softmax,
    "jax_categorical": one_draw,
    "jax_gumbel_softmax": gumbel_softmax,
    "threads": threads,
    "torch gumbel_softmax": gumbel_softmax,
    "torch categorical": one_draw,
    "torch multinomial": one_weighted_draw,
}
