"""Stochastic beam search: the law of what it draws, by tests of it and by the reference."""

from itertools import permutations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sequence_cases import Tree, g_test, unpadded

import gumbelfast as gf
from gumbelfast.reference.beam_search import stochastic_beam_search as textbook
from gumbelfast.sequences._expand import conditioned

RUNS = 250_000  # prompts per call, so that four calls make 10**6 runs


def runs(tree: Tree, k: int, eos: int | None, seed: int) -> list[gf.sequences.StochasticBeams]:
    rng = gf.default_rng(seed)
    tree.prompts = RUNS
    return [gf.sequences.stochastic_beam_search(tree.step, None, k, tree.depth, eos=eos, rng=rng) for _ in range(4)]


@pytest.mark.parametrize(("depth", "k", "eos"), [(4, 2, None), (3, 3, 2)])
def test_orders_are_plackett_luce(depth: int, k: int, eos: int | None) -> None:
    """Pairs of 81 sequences, and triples of 15 of unequal length, 10**6 runs each."""
    tree = Tree(3, depth, seed=depth)
    p = np.exp(list(tree.leaves(eos).values()))
    assert len(p) == (81 if eos is None else 15)
    counts = np.zeros(len(p) ** k, np.int64)
    for found in runs(tree, k, eos, 100 + depth):
        number = tree.numbers(found.sequences, eos)
        counts += np.bincount(number @ len(p) ** np.arange(k)[::-1], minlength=counts.size)
    orders = np.array(list(permutations(range(len(p)), k)))
    wanted = np.zeros(counts.size)
    wanted[orders @ len(p) ** np.arange(k)[::-1]] = np.exp(
        gf.distributions.plackett_luce_log_prob(np.broadcast_to(np.log(p), (len(orders), len(p))), orders)
    )
    assert wanted.sum() == pytest.approx(1)
    assert g_test(counts, wanted) > 1e-6


def test_perturbed_values_and_kappa(compiled: str) -> None:
    """exp(-G) are the arrivals of a race: the first at rate 1, the next at the rate that is left, kappa the last."""
    tree = Tree(3, 3, seed=5, prompts=50_000)
    found = gf.sequences.stochastic_beam_search(tree.step, None, 3, 3, eos=1, rng=8)
    arrivals = np.exp(-np.column_stack([found.perturbed, found.kappa]))
    gaps = np.diff(arrivals, axis=1, prepend=0)
    left = 1 - np.cumsum(np.exp(found.log_probs), axis=1)
    for place in range(4):
        rate = left[:, place - 1] if place else 1
        assert stats.kstest(gaps[:, place] * rate, "expon").pvalue > 1e-6


def test_one_is_ancestral(compiled: str) -> None:
    tree = Tree(3, 3, seed=1, prompts=100_000)
    leaves = tree.leaves(eos=2)
    p = np.exp(list(leaves.values()))
    drawn = gf.sequences.stochastic_beam_search(tree.step, None, 1, 3, eos=2, rng=2)
    ancestral = gf.sequences.ancestral_sample(tree.step, None, 3, 3, eos=2, rng=3)
    for found in (drawn, ancestral):
        number = tree.numbers(found.sequences, eos=2)
        np.testing.assert_allclose(found.log_probs, np.log(p)[number], rtol=0, atol=1e-12)
        assert np.array_equal(found.lengths, np.array([len(leaf) for leaf in leaves])[number])
        for j in range(number.shape[1]):
            assert g_test(np.bincount(number[:, j], minlength=len(p)), p) > 1e-6
    # The sequences of a prompt are independent.
    number = tree.numbers(ancestral.sequences, eos=2)
    pairs = np.bincount(number[:, 0] * len(p) + number[:, 1], minlength=len(p) ** 2)
    assert g_test(pairs, np.outer(p, p).ravel()) > 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("eos", [None, 0])
def test_draws_what_the_reference_draws(compiled: str, dtype: str, eos: int | None) -> None:
    for columns, depth, k in ((3, 4, 5), (40, 3, 4), (3, 2, 12), (2, 5, 1), (700, 2, 9)):
        tree = Tree(columns, depth, seed=columns, dtype=dtype, deviation=2, prompts=3)
        seeds = [7, 2**64 - 1, 12345]
        found = gf.sequences.stochastic_beam_search(tree.step, None, k, depth, eos=eos, seeds=seeds)
        same = gf.reference.stochastic_beam_search(tree.step, None, k, depth, eos=eos, seeds=seeds)
        assert np.array_equal(found.sequences, same.sequences)
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        for b, seed in enumerate(seeds):
            beams, kappa = textbook(tree.logits, k, depth, seed, eos)
            assert unpadded(found.sequences[b])[: len(beams)] == [beam.prefix for beam in beams]
            assert (found.lengths[b, len(beams) :] == 0).all()
            missing = [-np.inf] * (k - len(beams))
            for values, wanted in (
                (found.log_probs[b], [beam.log_prob for beam in beams] + missing),
                (found.perturbed[b], [beam.perturbed for beam in beams] + missing),
                (found.kappa[b], kappa),
            ):
                np.testing.assert_allclose(values, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("maximum", [-700.0, -3.0, 0.5, 40.0])
@pytest.mark.parametrize("top", [-700.0, 0.0, 40.0])
def test_conditioning_keeps_all_digits(maximum: float, top: float) -> None:
    z = top - np.array([0.0, 2.0**-40, 1e-3, 1.0, 30.0, 800.0, 1e5, np.inf])
    found = conditioned(z[None], np.array([[maximum]]))[0]
    assert found[0] == maximum
    assert found[-1] == -np.inf
    with mpmath.workdps(800):
        e = [mpmath.exp(-mpmath.mpf(v)) for v in z[:-1]]
        wanted = [float(-mpmath.log(mpmath.exp(-mpmath.mpf(maximum)) - e[0] + each)) for each in e]
    np.testing.assert_allclose(found[:-1], wanted, rtol=1e-15, atol=1e-15)


@given(
    columns=st.integers(1, 5),
    depth=st.integers(1, 4),
    k=st.integers(0, 12),
    eos=st.none() | st.integers(0, 4),
    seed=st.integers(0, 2**32),
    deviation=st.sampled_from([0.0, 1.0, 30.0, 400.0]),
    holes=st.sampled_from([0.0, 0.5]),
)
def test_no_sequence_comes_twice(
    columns: int, depth: int, k: int, eos: int | None, seed: int, deviation: float, holes: float
) -> None:
    eos = None if eos is None else eos % columns
    tree = Tree(columns, depth, seed, prompts=2, deviation=deviation)
    rng = np.random.default_rng(seed)
    for table in tree.tables:
        hole = rng.random(table.shape) < holes
        hole[:, rng.integers(columns)] = False
        table[hole] = -np.inf
    leaves = tree.leaves(eos)
    found = gf.sequences.stochastic_beam_search(tree.step, None, k, depth, eos=eos, rng=seed, return_all=True)
    assert found.sequences.shape[:2] == found.lengths.shape == found.log_probs.shape == found.perturbed.shape == (2, k)
    number = min(k, len(leaves))
    for b in range(2):
        sequences = unpadded(found.sequences[b])
        assert len(set(sequences[:number])) == number
        assert set(sequences[:number]) <= leaves.keys()
        assert sequences[number:] == [()] * (k - number)
        assert found.lengths[b].tolist() == [len(s) for s in sequences]
        np.testing.assert_allclose(
            found.log_probs[b, :number], [leaves[s] for s in sequences[:number]], rtol=1e-12, atol=1e-13
        )
    assert np.all(found.log_probs[:, number:] == -np.inf)
    order = np.column_stack([found.perturbed, found.kappa])
    assert np.isfinite(order[:, : min(k + 1, len(leaves))]).all()
    assert np.all(order[:, len(leaves) :] == -np.inf)
    assert np.all(order[:, 1:] <= order[:, :-1])
    # What a beam becomes is never worth more than itself, and its best child as much.
    trace = found.trace
    assert trace is not None
    for before, after, parents in zip(trace.perturbed[:-1], trace.perturbed[1:], trace.parents[1:], strict=True):
        there = parents >= 0
        above = np.take_along_axis(before, np.maximum(parents, 0), -1)
        assert np.all(after[there] <= above[there])
        assert np.array_equal(after[:, 0], before[:, 0])
