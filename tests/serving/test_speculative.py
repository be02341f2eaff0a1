"""Speculative decoding has the law of the target model, whatever was drafted."""

from typing import Any

import numpy as np
import pytest
from helpers import Array
from scipy.stats import chisquare

import gumbelfast as gf
from gumbelfast.serving import accept_drafts, match_drafts

B, N, V = 60_000, 2, 4
Q = np.log([[0.7, 0.1, 0.1, 0.1], [0.25, 0.25, 0.4, 0.1]])
P = np.log([[0.3, 0.4, 0.2, 0.1], [0.1, 0.6, 0.1, 0.2], [0.2, 0.2, 0.3, 0.3]])
SETTINGS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.7},
    {"top_k": 3, "top_p": 0.9},
    {"min_p": 0.3, "temperature": 1.5},
]


def law(logits: Array, settings: dict[str, Any]) -> Array:
    """Probabilities of what the filters leave, by the formula."""
    kept = gf.filter_tokens(logits, **settings)
    weights = np.where(kept, np.exp(logits / settings.get("temperature", 1.0)), 0)
    return weights / weights.sum(-1, keepdims=True)


def drafts_of(settings: dict[str, Any], seeds: Array) -> Array:
    x = np.broadcast_to(Q, (B, N, V))
    return gf.sample_tokens(x, **settings, seeds=np.broadcast_to(seeds[:, None], (B, N)), positions=np.arange(N))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("way", [accept_drafts, match_drafts])
def test_tokens_have_the_law_of_the_target(way: Any, settings: dict[str, Any]) -> None:
    seeds = np.arange(B, dtype=np.uint64) + 10**9
    drafts, target = drafts_of(settings, seeds), np.broadcast_to(P, (B, N + 1, V))
    given = (drafts, np.broadcast_to(Q, (B, N, V)), target) if way is accept_drafts else (drafts, target)
    found = way(*given, seeds=seeds, **settings)
    p, q = law(P, settings), law(Q, settings)
    for place in range(N + 1):
        # Places are reached or not by what came before, which is independent of what comes.
        reached = found.lengths > place
        counts = np.bincount(found.tokens[reached, place], minlength=V)
        wanted = p[place] * counts.sum()
        assert (counts[wanted == 0] == 0).all()
        assert chisquare(counts[wanted > 0], wanted[wanted > 0]).pvalue > 1e-5
    distance = np.abs(p[0] - q[0]).sum() / 2
    kept = np.mean(found.lengths > 1)
    error = 5 / np.sqrt(B)
    if way is accept_drafts:
        assert abs(kept - (1 - distance)) < error
    else:
        assert (1 - distance) / (1 + distance) - error < kept <= 1 - distance + error
    behind = np.arange(N + 1) >= found.lengths[:, None]
    assert (found.tokens[behind] == -1).all()
    assert (found.tokens[~behind] >= 0).all()


def test_pairs_of_tokens_are_independent_of_the_drafts_noise() -> None:
    """All ordered pairs of a round that kept its first draft: the seeds are those of the drafts."""
    seeds = np.arange(B, dtype=np.uint64)
    found = accept_drafts(
        drafts_of({}, seeds), np.broadcast_to(Q, (B, N, V)), np.broadcast_to(P, (B, N + 1, V)), seeds=seeds
    )
    p, q = np.exp(P), np.exp(Q)
    both = found.lengths > 1
    # The first of them is a draft that was kept, so that its law is min(p, q).
    wanted = np.minimum(p[0], q[0])[:, None] * p[1] * B
    counts = np.bincount(found.tokens[both, 0] * V + found.tokens[both, 1], minlength=V * V)
    assert chisquare(counts, wanted.ravel() * (counts.sum() / wanted.sum())).pvalue > 1e-5


def test_matched_tokens_do_not_depend_on_the_drafts() -> None:
    rng = np.random.default_rng(0)
    seeds, positions = np.arange(50), np.arange(50) * 3
    target = rng.normal(size=(50, N + 1, V))
    plain = gf.sample_tokens(
        target, seeds=np.broadcast_to(seeds[:, None], (50, N + 1)), positions=positions[:, None] + np.arange(N + 1)
    )
    for drafts in (plain[:, :N], rng.integers(0, V, (50, N))):
        found = match_drafts(drafts, target, seeds=seeds, positions=positions)
        shown = np.arange(N + 1) < found.lengths[:, None]
        np.testing.assert_array_equal(found.tokens[shown], plain[shown])
    assert (match_drafts(plain[:, :N], target, seeds=seeds, positions=positions).lengths == N + 1).all()


def test_greedy_rows() -> None:
    target = np.log([[[0.1, 0.9], [0.8, 0.2]]] * 2)
    found = accept_drafts([[1], [0]], target[:, :1] * [[[1]], [[-1]]], target, seeds=[1, 2], temperature=0.0)
    np.testing.assert_array_equal(found.tokens, [[1, 0], [1, -1]])


X = np.zeros((2, 2, 3))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: accept_drafts([0], X, X, seeds=[1, 2]), "draft_tokens must have shape (B, n), got (1,)"),
        (
            lambda: accept_drafts([[0], [3]], X[:, :1], X, seeds=[1, 2]),
            "draft_tokens must lie in [0, 3), got 3 at index (1, 0)",
        ),
        (
            lambda: accept_drafts([[0], [1]], X, X, seeds=[1, 2]),
            "draft_logits must have shape (2, 1, 3), got (2, 2, 3)",
        ),
        (
            lambda: match_drafts([[0, 0], [1, 1]], X, seeds=[1, 2]),
            "target_logits must have shape (2, 3, V), got (2, 2, 3)",
        ),
        (lambda: match_drafts([[0], [1]], X, seeds=[1, None]), "seeds must be integers, got None at index 1"),
        (
            lambda: accept_drafts([[0], [1]], X[:, :1], X, seeds=1),
            "seeds of shape () and positions of shape () give all 2",
        ),
        (
            lambda: accept_drafts([[0], [1]], X[:, :1] - [0, np.inf, 0], X, seeds=[1, 2]),
            "draft_tokens hold 1 at index (1, 0), which its logits exclude",
        ),
    ],
    ids=range(7),
)
def test_bad_input(call: Any, text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        call()
    assert str(caught.value).startswith(text)
