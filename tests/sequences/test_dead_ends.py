"""Prefixes that nothing may follow: what is drawn when they are dropped."""

import math
from collections import Counter
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from helpers import assert_same_bytes
from hypothesis import given
from hypothesis import strategies as st
from sequence_cases import Tree, g_test, unpadded

import gumbelfast as gf
from gumbelfast import estimators
from gumbelfast.reference.beam_search import stochastic_beam_search as textbook

INF = np.inf
SEARCHES = [gf.sequences.stochastic_beam_search, gf.sequences.ancestral_sample, gf.sequences.beam_search]
Prefix = tuple[int, ...]


def with_dead_ends(tree: Tree, *prefixes: Prefix) -> Tree:
    for prefix in prefixes:
        tree.logits(prefix)[:] = -INF
    return tree


def small_tree(prompts: int = 1) -> Tree:
    """Three dead ends, at lengths 1, 1 and 2, and four sequences that can be completed."""
    tree = with_dead_ends(Tree(4, 3, seed=21, prompts=prompts, deviation=0.7), (0,), (3,), (1, 2))
    for prefix, tokens in {(1,): [0, 3], (2,): [1, 2, 3], (1, 1): [1, 2], (2, 0): [0, 3]}.items():
        tree.logits(prefix)[tokens] = -INF
    return tree


def dead_mass(tree: Tree) -> float:
    return 1 - float(np.exp(list(tree.leaves().values())).sum())


def ends(tree: Tree) -> dict[Prefix, float]:
    """The probabilities of all ways down: completed sequences, and dead ends as if they were sequences too."""
    found, open_ends = {}, {(): 1.0}
    while open_ends:
        prefix, p = open_ends.popitem()
        x = tree.logits(prefix) if len(prefix) < tree.depth else np.array([-INF])
        weights = np.exp(x)
        if not weights.sum():
            found[prefix] = p
        open_ends |= {(*prefix, c): p * w / weights.sum() for c, w in enumerate(weights.tolist()) if w}
    return found


def drawn_from(order: tuple[Prefix, ...], tree: Tree, k: int) -> tuple[Prefix, ...]:
    """What a search returns where `order` is that of the perturbed values of all ends, the largest first."""

    def rank(prefix: Prefix) -> int:  # of the best end below a prefix
        return next(i for i, end in enumerate(order) if end[: len(prefix)] == prefix)

    beams: list[Prefix] = [()]
    lost = len(order)
    for length in range(tree.depth):
        children = {end[: length + 1] for end in order if len(end) > length and end[:length] in beams}
        ranked = sorted(children, key=rank)
        beams = ranked[: k + 1]
        lost = min([lost, *(rank(child) for child in ranked[k + 1 :])])
    returned = tuple(beam for beam in beams if rank(beam) < lost)[:k]
    # They are the first of the completed sequences in this order.
    assert returned == tuple(end for end in order if len(end) == tree.depth)[: len(returned)]
    return returned


@pytest.mark.parametrize("k", [1, 2, 3])
def test_law_by_enumeration(k: int) -> None:
    """Every order of seven ends, with its Plackett-Luce probability, and what the search would return in it."""
    tree = small_tree()
    p = ends(tree)
    assert len(p) == 7
    wanted: Counter[tuple[Prefix, ...]] = Counter()
    for order in permutations(p):
        left, probability = 1.0, 1.0
        for end in order[:-1]:
            probability *= p[end] / left
            left -= p[end]
        wanted[drawn_from(order, tree, k)] += probability  # type: ignore[assignment]
    assert math.isclose(math.fsum(wanted.values()), 1)
    tree.prompts = 400_000
    found = gf.sequences.stochastic_beam_search(tree.step, None, k, 3, rng=k, dead_ends="drop")
    counts = Counter(map(tuple, (filter(None, map(tuple, unpadded(row))) for row in found.sequences)))
    assert counts.keys() <= wanted.keys()
    assert g_test(np.array([counts[o] for o in wanted]), np.array(list(wanted.values()))) > 1e-6
    # From none to all, but with four beams none has to give way to a dead end.
    assert set(map(len, counts)) == ({3} if k == 3 else set(range(k + 1)))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_kappa_keeps_estimates_unbiased(compiled: str, k: int) -> None:
    tree = small_tree(prompts=200_000)
    leaves = tree.leaves()
    values = dict(zip(leaves, [3.0, -1.0, 10.0, 0.5], strict=True))
    truth = sum(math.exp(log_p) * values[leaf] for leaf, log_p in leaves.items())
    found = gf.sequences.stochastic_beam_search(tree.step, None, k, 3, rng=10 + k, dead_ends="drop")
    f = np.array(list(values.values()))[
        tree.numbers(np.where(found.lengths[..., None] > 0, found.sequences, next(iter(leaves))))
    ]
    there = found.lengths > 0
    # q(y) of docs/sequences.md, written out: an absent sequence adds nothing.
    q = -np.expm1(-np.exp(found.log_probs - found.kappa[:, None]))
    each = np.where(there, np.exp(found.log_probs) / np.where(there, q, 1) * f, 0).sum(1)
    assert abs(each.mean() - truth) < 5 * each.std() / math.sqrt(len(each))
    np.testing.assert_allclose(
        estimators.without_replacement(found.log_probs, found.perturbed, found.kappa, f), each, rtol=1e-9, atol=1e-9
    )


def test_ancestral_samples_are_not_renormalised(compiled: str) -> None:
    tree = small_tree(prompts=100_000)
    leaves = tree.leaves()
    found = gf.sequences.ancestral_sample(tree.step, None, 2, 3, rng=5, dead_ends="drop")
    absent = found.lengths == 0
    assert np.array_equal(absent, np.isneginf(found.log_probs))
    assert (found.sequences[absent] == -1).all()
    number = np.full(absent.shape, len(leaves))
    number[~absent] = tree.numbers(found.sequences[~absent])
    p = np.append(np.exp(list(leaves.values())), dead_mass(tree))
    np.testing.assert_allclose(found.log_probs[~absent], np.log(p)[number[~absent]], rtol=0, atol=1e-12)
    pairs = np.bincount(number[:, 0] * len(p) + number[:, 1], minlength=len(p) ** 2)
    assert g_test(pairs, np.outer(p, p).ravel()) > 1e-6


@pytest.mark.parametrize("width", [1, 2, 3, 9])
def test_beam_search_goes_on_with_the_best(compiled: str, width: int) -> None:
    tree = small_tree()
    leaves = tree.leaves()
    beams = {(): 0.0}
    for _ in range(3):
        grown = {}
        for prefix, log_prob in beams.items():
            x = tree.logits(prefix)
            grown |= {
                (*prefix, c): log_prob + float(x[c] - np.log(np.exp(x).sum()))
                for c in np.flatnonzero(x > -INF).tolist()
            }
        beams = dict(sorted(grown.items(), key=lambda item: -item[1])[:width])
    found = gf.sequences.beam_search(tree.step, None, width, 3, dead_ends="drop")
    absent = width - len(beams)
    assert unpadded(found.sequences[0]) == [*beams, *[()] * absent]
    np.testing.assert_allclose(found.log_probs[0], [*beams.values(), *[-INF] * absent], rtol=1e-12)
    if width == 9:
        assert list(beams) == sorted(leaves, key=lambda s: -leaves[s])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("eos", [None, 0])
def test_draws_what_the_reference_draws(compiled: str, dtype: str, eos: int | None) -> None:
    short = 0
    for columns, depth, k in ((3, 4, 5), (3, 5, 1), (40, 3, 4), (2, 6, 2), (2, 4, 40)):
        tree = Tree(columns, depth, seed=columns, dtype=dtype, prompts=3)
        rng = np.random.default_rng(depth)
        for table in tree.tables[1:]:
            table[rng.random(len(table)) < 0.4] = -INF
        seeds = [7, 2**64 - 1, 12345]
        found = gf.sequences.stochastic_beam_search(tree.step, None, k, depth, eos=eos, seeds=seeds, dead_ends="drop")
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        for b, seed in enumerate(seeds):
            beams, kappa = textbook(tree.logits, k, depth, seed, eos)
            missing = k - len(beams)
            assert unpadded(found.sequences[b]) == [beam.prefix for beam in beams] + [()] * missing
            for values, wanted in (
                (found.log_probs[b], [beam.log_prob for beam in beams] + [-INF] * missing),
                (found.perturbed[b], [beam.perturbed for beam in beams] + [-INF] * missing),
                (found.kappa[b], kappa),
            ):
                np.testing.assert_allclose(values, wanted, rtol=tolerance, atol=tolerance)
            short += missing > 0 and kappa > -INF
    assert short > 0


@given(
    columns=st.integers(1, 4),
    depth=st.integers(1, 4),
    k=st.integers(0, 6),
    eos=st.none() | st.integers(0, 3),
    seed=st.integers(0, 2**32),
    share=st.sampled_from([0.0, 0.3, 0.9]),
)
def test_what_comes_was_completed(columns: int, depth: int, k: int, eos: int | None, seed: int, share: float) -> None:
    eos = None if eos is None else eos % columns
    tree = Tree(columns, depth, seed, prompts=2)
    rng = np.random.default_rng(seed)
    for table in tree.tables:
        table[rng.random(table.shape) < share / 2] = -INF
        table[rng.random(len(table)) < share] = -INF
    leaves = tree.leaves(eos)
    for search in SEARCHES:
        sampling = {} if search is gf.sequences.beam_search else {"rng": seed}
        found: Any = search(tree.step, None, k, depth, eos=eos, dead_ends="drop", **sampling)
        for b in range(2):
            sequences = unpadded(found.sequences[b])
            assert found.lengths[b].tolist() == [len(s) for s in sequences]
            there = [s for s in sequences if s]
            assert set(there) <= leaves.keys()
            wanted = [leaves[s] if s else -INF for s in sequences]
            np.testing.assert_allclose(found.log_probs[b], wanted, rtol=1e-12, atol=1e-12)
            if search is not gf.sequences.ancestral_sample:
                assert len(set(there)) == len(there)
                assert sequences == there + [()] * (k - len(there))
        if search is gf.sequences.stochastic_beam_search:
            assert np.all((found.perturbed > found.kappa[:, None]) == (found.lengths > 0))
    # Nothing gives way to anything where there is room for all.
    room = columns**depth
    for found in (
        gf.sequences.stochastic_beam_search(tree.step, None, room, depth, eos=eos, rng=seed, dead_ends="drop"),
        gf.sequences.beam_search(tree.step, None, room, depth, eos=eos, dead_ends="drop"),
    ):
        assert {s for s in unpadded(found.sequences[1]) if s} == leaves.keys()


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("columns", [1, 3, 50])
def test_nothing_changes_without_dead_ends(compiled: str, search: Any, columns: int) -> None:
    tree = Tree(columns, 4, seed=columns, prompts=3)
    for length_penalty in (None, 0.7):
        given = (
            {} if search is gf.sequences.ancestral_sample else {"length_penalty": length_penalty, "return_all": True}
        )
        for address in ("rng", "seeds"):
            both = []
            for how in ("raise", "drop"):
                rng = gf.default_rng(3)
                noise = {} if search is gf.sequences.beam_search else {address: rng if address == "rng" else [4, 5, 6]}
                found = search(tree.step, None, 4, 4, eos=0, dead_ends=how, **given, **noise)
                both.append((*found[:-1], *(found.trace or ()), np.array(rng.offset)))
            for one, other in zip(*both, strict=True):
                assert_same_bytes(one, other)


@pytest.mark.parametrize("search", SEARCHES)
def test_a_prompt_that_dies_leaves_the_others_alone(compiled: str, search: Any) -> None:
    trees = [Tree(3, 3, seed=1), with_dead_ends(Tree(3, 3, seed=2), ()), Tree(3, 3, seed=3), Tree(3, 3, seed=4)]
    with_dead_ends(trees[2], *((a, b) for a in range(3) for b in range(3)))

    def step_of(*chosen: int) -> Any:
        def step(tokens: Any, state: Any) -> tuple[Any, Any]:
            if tokens is None:
                state = [np.array(chosen), np.zeros(len(chosen), int), np.zeros(len(chosen), int)]
            else:
                state = [state[0], state[1] * 3 + tokens, state[2] + 1]
            return np.stack([trees[w].tables[d][n] for w, n, d in zip(*state, strict=True)]), state

        return step

    def run(*chosen: int) -> Any:
        noise = {} if search is gf.sequences.beam_search else {"seeds": [30 + c for c in chosen]}
        return search(step_of(*chosen), None, 3, 3, dead_ends="drop", **noise)

    together = run(0, 1, 2, 3)
    for b in (0, 3):
        alone = run(b)
        for one, other in zip(together[:-1], alone[:-1], strict=True):
            assert_same_bytes(one[b], other[0])
        assert (together.lengths[b] == 3).all()
    for b in (1, 2):
        assert (together.sequences[b] == -1).all()
        assert (together.lengths[b] == 0).all()
        assert (together.log_probs[b] == -INF).all()
    if search is gf.sequences.stochastic_beam_search:
        assert (together.perturbed[1:3] == -INF).all()
        # Nothing was to be had from prompt 1; of prompt 2 nine beams were there, and five of them gave way.
        assert together.kappa[1] == -INF
        assert np.isfinite(together.kappa[2])
    assert run(1).sequences.shape == (1, 3, 0)


def test_trace_of_dead_ends(compiled: str) -> None:
    tree = with_dead_ends(Tree(2, 3, seed=0), (0,), (1, 0))
    tree.tables[0][:] = [5, 0]  # the dead end comes first
    found = gf.sequences.beam_search(tree.step, None, 2, 3, dead_ends="drop", return_all=True)
    assert found.trace is not None
    first, second, third = found.trace.tokens[:, 0].tolist()
    assert first == [0, 1]
    assert sorted(second) == [0, 1]
    assert sorted(third) == [0, 1]
    assert found.trace.parents[:, 0].tolist() == [[0, 0], [1, 1], [second.index(1)] * 2]
