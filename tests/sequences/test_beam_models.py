"""Searches and the models they ask: whose rows, in which order, from which noise; and `beam_search`."""

from typing import Any

import numpy as np
import pytest
from helpers import assert_same_bytes
from sequence_cases import Tree, unpadded

import gumbelfast as gf


def test_a_prompt_depends_on_itself_alone(compiled: str) -> None:
    trees = [Tree(30, 4, seed=i, deviation=2) for i in range(3)]

    def step_of(chosen: list[int]) -> Any:
        def step(tokens: Any, state: Any) -> tuple[Any, Any]:
            if tokens is None:
                state = [np.array(chosen), np.zeros(len(chosen), np.int64), np.zeros(len(chosen), np.int64)]
            else:
                state = [state[0], state[1] * 30 + tokens, state[2] + 1]
            which, node, depth = state
            return np.stack([trees[w].tables[d][n] for w, n, d in zip(which, node, depth, strict=True)]), state

        return step

    for search in (gf.sequences.stochastic_beam_search, gf.sequences.ancestral_sample):
        together = search(step_of([0, 1, 2]), None, 4, 4, eos=3, seeds=[10, 11, 12])
        swapped = search(step_of([2, 0]), None, 4, 4, eos=3, seeds=[12, 10])
        for b, other in ((0, 1), (2, 0)):
            assert unpadded(together.sequences[b]) == unpadded(swapped.sequences[other])
            assert_same_bytes(together.log_probs[b], swapped.log_probs[other])
        alone = search(step_of([1]), None, 4, 4, eos=3, seeds=11)
        assert unpadded(alone.sequences[0]) == unpadded(together.sequences[1])
        other_seed = search(step_of([1]), None, 4, 4, eos=3, seeds=13)
        assert unpadded(other_seed.sequences[0]) != unpadded(together.sequences[1])


def test_generators(compiled: str) -> None:
    tree = Tree(50, 3, deviation=2, prompts=2)
    first = gf.sequences.stochastic_beam_search(tree.step, None, 4, 3, rng=5)
    rng = gf.default_rng(5)
    again = gf.sequences.stochastic_beam_search(tree.step, None, 4, 3, rng=rng)
    assert_same_bytes(first.sequences, again.sequences)
    # Rows of 50 for 2 prompts, then for 5 beams of each; every call begins at a multiple of 32.
    assert rng.offset == 128 + 512 + 500
    assert_same_bytes(again.sequences[:, 0, 0], gf.categorical(tree.tables[0][[0, 0]], rng=gf.default_rng(5)))
    more = gf.sequences.stochastic_beam_search(tree.step, None, 4, 3, rng=rng)
    assert not np.array_equal(more.sequences, first.sequences)
    for make in (lambda: np.random.default_rng(3), lambda: np.random.PCG64(3)):
        assert_same_bytes(
            gf.sequences.stochastic_beam_search(tree.step, None, 4, 3, rng=make()).sequences,
            gf.sequences.stochastic_beam_search(tree.step, None, 4, 3, rng=make()).sequences,
        )
    gf.sequences.stochastic_beam_search(tree.step, None, 4, 3)


def test_only_beams_that_grow_are_asked(compiled: str) -> None:
    tree = Tree(3, 4, seed=3, prompts=5)
    found = gf.sequences.stochastic_beam_search(tree.step, None, 2, 4, eos=0, rng=1, return_all=True)
    assert found.trace is not None
    growing = (found.trace.tokens > 0).sum(axis=(1, 2))
    assert tree.calls == [5, *growing[:-1]]
    ended = Tree(2, 6, seed=3)
    ended.tables[0][:] = [0, -np.inf]
    assert gf.sequences.stochastic_beam_search(ended.step, None, 3, 6, eos=0, rng=1).sequences.tolist() == [
        [[0], [-1], [-1]]
    ]
    assert ended.calls == [1]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_beam_search_of_full_width_sorts_all(dtype: str) -> None:
    tree = Tree(3, 3, seed=2, prompts=2, dtype=dtype)
    leaves = tree.leaves(eos=1)
    wanted = sorted(leaves, key=lambda s: -leaves[s])
    found = gf.sequences.beam_search(tree.step, None, len(leaves) + 2, 3, eos=1)
    for b in range(2):
        assert unpadded(found.sequences[b]) == [*wanted, (), ()]
        np.testing.assert_allclose(found.log_probs[b, :-2], [leaves[s] for s in wanted], rtol=1e-5)
    assert np.all(found.log_probs[:, -2:] == -np.inf)
    assert found.trace is None


def test_beam_search_keeps_the_best_prefixes() -> None:
    tree = Tree(5, 4, seed=9)
    found = gf.sequences.beam_search(tree.step, None, 3, 4, eos=4, return_all=True)
    beams = {(): 0.0}
    for depth in range(4):
        grown = {}
        for prefix, log_prob in beams.items():
            if prefix[-1:] == (4,):
                grown[prefix] = log_prob
                continue
            x = tree.logits(prefix)
            grown |= {(*prefix, c): log_prob + float(v) for c, v in enumerate(x - np.log(np.exp(x).sum()))}
        beams = dict(sorted(grown.items(), key=lambda item: -item[1])[:3])
        assert found.trace is not None
        np.testing.assert_allclose(found.trace.perturbed[depth, 0], list(beams.values()), rtol=1e-12)
    assert unpadded(found.sequences[0]) == list(beams)


def test_length_penalty_sorts_what_was_drawn(compiled: str) -> None:
    tree = Tree(3, 5, seed=4, prompts=20)
    plain = gf.sequences.stochastic_beam_search(tree.step, None, 5, 5, eos=0, rng=6)
    assert np.unique(plain.lengths).size > 2
    for alpha in (0.0, 1.0, -2.0):
        found = gf.sequences.stochastic_beam_search(tree.step, None, 5, 5, eos=0, rng=6, length_penalty=alpha)
        assert_same_bytes(found.kappa, plain.kappa)
        for b in range(20):
            score = plain.log_probs[b] / ((5 + plain.lengths[b]) / 6) ** alpha
            order = sorted(range(5), key=lambda i: -score[i])
            for name in ("sequences", "lengths", "log_probs", "perturbed"):
                assert_same_bytes(getattr(found, name)[b], getattr(plain, name)[b][order])
    longest = gf.sequences.beam_search(tree.step, None, 5, 5, eos=0, length_penalty=50.0)
    assert longest.lengths[0, 0] == longest.lengths.max()


def test_no_prompts_and_no_beams(compiled: str) -> None:
    tree = Tree(3, 2, prompts=0)
    for search in (gf.sequences.stochastic_beam_search, gf.sequences.ancestral_sample, gf.sequences.beam_search):
        found = search(tree.step, None, 4, 2)
        assert found.sequences.shape == (0, 4, 0)
        assert found.log_probs.shape == (0, 4)
    tree = Tree(3, 2, prompts=2)
    for search in (gf.sequences.stochastic_beam_search, gf.sequences.ancestral_sample, gf.sequences.beam_search):
        assert search(tree.step, None, 0, 2).sequences.shape == (2, 0, 0)


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_models_of_other_libraries(compiled: str, library: str) -> None:
    module = pytest.importorskip(library)
    asarray = module.from_numpy if library == "torch" else module.numpy.asarray
    tree = Tree(6, 3, seed=8, prompts=2, dtype=np.float32)
    tables = [asarray(table) for table in tree.tables]

    def step(tokens: Any, state: Any) -> tuple[Any, Any]:
        if tokens is None:
            state = (asarray(np.zeros(2, np.int32)), 0 * asarray(np.zeros(2, np.int32)))
        else:
            state = (state[0] * 6 + asarray(tokens.astype(np.int32)), state[1] + 1)
        return tables[int(state[1][0])][state[0]], state

    wanted = gf.sequences.stochastic_beam_search(tree.step, None, 5, 3, seeds=[1, 2])
    assert_same_bytes(gf.sequences.stochastic_beam_search(step, None, 5, 3, seeds=[1, 2]).sequences, wanted.sequences)


def test_rows_in_any_layout(compiled: str) -> None:
    """Half types, another byte order, strides and misaligned memory give what their contiguous float32 values give."""
    tree = Tree(20, 3, seed=6, prompts=2, dtype=np.float16)
    values = Tree(20, 3, seed=6, prompts=2, dtype=np.float16)
    values.tables = [table.astype(np.float32) for table in values.tables]
    wanted = gf.sequences.stochastic_beam_search(values.step, None, 6, 3, seeds=[3, 4])

    def misaligned(x: Any) -> Any:
        room = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
        room[...] = x
        return room

    for source, change in (
        (tree, np.asarray),
        (values, lambda x: x.astype(">f4")),
        (values, np.asfortranarray),
        (values, misaligned),
    ):

        def step(tokens: Any, state: Any, source: Tree = source, change: Any = change) -> tuple[Any, Any]:
            logits, state = source.step(tokens, state)
            return change(logits), state

        found = gf.sequences.stochastic_beam_search(step, None, 6, 3, seeds=[3, 4])
        assert_same_bytes(found.sequences, wanted.sequences)
        assert_same_bytes(found.perturbed, wanted.perturbed)
