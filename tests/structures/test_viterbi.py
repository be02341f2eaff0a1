"""`viterbi` and `viterbi_tree` against looking at every labelling, and against the reference byte by byte."""

from typing import Any

import numpy as np
import pytest
from helpers import COMPILED, DTYPES, Array, assert_same_bytes, normal, work_of
from hypothesis import given
from structure_cases import INF, Tree, trees

import gumbelfast as gf
from gumbelfast.structures import Labelling, brute_force, viterbi, viterbi_tree

THREADS = [1, 2, 3, 7, 16]


def result_of(call: Any) -> Labelling | str:
    try:
        found: Labelling = call()
        return found
    except ValueError as error:
        return str(error)


@given(tree=trees())
def test_first_of_the_best_labellings(compiled: str, tree: Tree) -> None:
    found = result_of(lambda: viterbi_tree(*tree))
    wanted = result_of(lambda: brute_force(tree.unary, tree.interaction))
    if isinstance(wanted, str) or isinstance(found, str):
        assert found == wanted
    else:
        assert np.array_equal(found.labels, wanted.labels)
        assert_same_bytes(found.score, wanted.score)


def random_tree(dtype: str, rows: int, nodes: int, labels: int, kind: str) -> Tree:
    rng = np.random.default_rng(rows * nodes + labels)
    parents = np.arange(-1, nodes - 1) if kind == "chain" else rng.integers(-1, np.arange(nodes))
    edges = (labels, labels) if kind == "chain" else (nodes - 1, labels, labels)
    return Tree(normal(dtype, (rows, nodes, labels), 1), normal(dtype, edges, 2), parents)


SHAPES = [(1, 1, 1), (7, 2, 2), (8, 9, 3), (9, 9, 4), (15, 5, 5), (16, 30, 6), (17, 4, 7), (33, 3, 9), (2, 3, 65)]


@pytest.mark.parametrize("kind", ["chain", "tree"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bytes_of_the_reference(compiled: str, dtype: str, kind: str) -> None:
    for shape in SHAPES:
        tree = random_tree(dtype, *shape, kind)
        found = viterbi_tree(*tree)
        with gf.use_backend("reference"):
            wanted = viterbi_tree(*tree)
        assert found.score.dtype == np.dtype(dtype)
        for a, b in zip(found, wanted, strict=True):
            assert_same_bytes(a, b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_and_batch_mates_change_nothing(compiled: str, dtype: str) -> None:
    tree = random_tree(dtype, 1003, 40, 6, "tree")
    with gf.use_backend(COMPILED[-1]):
        wanted = viterbi_tree(*tree, num_threads=1)
    for threads in THREADS:
        found = viterbi_tree(*tree, num_threads=threads)
        assert_same_bytes(found.labels, wanted.labels)
        assert_same_bytes(found.score, wanted.score)
    for part in (slice(5, 6), slice(990, 1003), slice(3, 20)):
        alone = viterbi_tree(tree.unary[part], *tree[1:])
        assert_same_bytes(alone.labels, wanted.labels[part])
        assert_same_bytes(alone.score, wanted.score[part])


def test_a_chain_is_a_tree(compiled: str) -> None:
    tree = random_tree("float64", 20, 12, 4, "chain")
    found = viterbi(tree.unary.reshape(4, 5, 12, 4), tree.pairwise)
    assert found.labels.shape == (4, 5, 12)
    assert found.score.shape == (4, 5)
    for other in (
        viterbi_tree(*tree),
        viterbi(tree.unary, np.broadcast_to(tree.pairwise, (11, 4, 4))),
        viterbi_tree(tree.unary, tree.pairwise, tree.parents.tolist()),
    ):
        assert_same_bytes(other.labels, found.labels.reshape(20, 12))
        assert_same_bytes(other.score, found.score.reshape(20))


def test_score_is_that_of_the_labels(compiled: str) -> None:
    tree = random_tree("float64", 50, 30, 8, "tree")
    found = viterbi_tree(*tree)
    unary = np.take_along_axis(tree.unary, found.labels[..., None], -1)[..., 0].sum(-1)
    np.testing.assert_allclose(found.score, unary + tree.interaction(found.labels), rtol=1e-13)


def test_ties_take_the_lowest_label_from_the_first_node_on(compiled: str) -> None:
    assert viterbi(np.zeros((3, 5, 4)), np.zeros((4, 4))).labels.tolist() == [[0] * 5] * 3
    # 0 1 1 and 1 0 0 and 1 0 1 are equally good: the first node decides, whatever the last would like.
    unary = np.zeros((3, 2))
    pairwise = np.array([[[0.0, 1.0], [1.0, 0.0]], [[1.0, 1.0], [0.0, 1.0]]])
    assert viterbi(unary, pairwise).labels.tolist() == [0, 1, 1]
    assert viterbi(unary + np.array([[-1.0, 0.0], [0, 0], [0, 0]]), pairwise).labels.tolist() == [1, 0, 0]


def test_edges_have_a_direction(compiled: str) -> None:
    pairwise = np.array([[0.0, 9.0, 0.0], [0.0, 0.0, 9.0], [0.0, 0.0, 0.0]])
    assert viterbi(np.zeros((3, 3)), pairwise).labels.tolist() == [0, 1, 2]
    # Node 0 is the parent of both others.
    assert viterbi_tree(np.zeros((3, 3)), pairwise, [-1, 0, 0]).labels.tolist() == [0, 1, 1]
    assert viterbi_tree(np.zeros((3, 3)), pairwise, [-1, -1, -1]).labels.tolist() == [0, 0, 0]


def test_forbidden_labels_and_pairs(compiled: str) -> None:
    never = np.array([[0.0, -INF], [-INF, 0.0]])
    unary = np.array([[5.0, 0.0], [-INF, 0.0], [5.0, 0.0]], np.float32)
    found = viterbi(unary, never)
    assert found.labels.tolist() == [1, 1, 1]
    assert found.score == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_half_types_are_computed_in_float32(compiled: str, dtype: str) -> None:
    tree = random_tree(dtype, 20, 6, 3, "tree")
    wide = Tree(tree.unary.astype(work_of(dtype)), tree.pairwise.astype(work_of(dtype)), tree.parents)
    for a, b in zip(viterbi_tree(*tree), viterbi_tree(*wide), strict=True):
        assert_same_bytes(a, b)


def test_memory_layouts(compiled: str) -> None:
    tree = random_tree("float32", 20, 6, 3, "chain")
    wanted = viterbi(tree.unary, tree.pairwise)
    big = np.full((40, 6, 6), np.nan, np.float32)
    big[::2, :, ::2] = tree.unary
    for unary in (big[::2, :, ::2], tree.unary.astype(">f4"), np.asfortranarray(tree.unary)):
        found = viterbi(unary, np.asfortranarray(tree.pairwise).astype(float))
        assert_same_bytes(found.labels, wanted.labels)
        assert_same_bytes(found.score, wanted.score)
    single = viterbi(tree.unary[0], tree.pairwise)
    assert single.labels.shape == (6,)
    assert type(single.score) is np.float32
    assert viterbi(np.zeros((0, 4, 2)), np.zeros((2, 2))).labels.shape == (0, 4)
    assert viterbi(np.zeros((5, 1, 2)), np.zeros((0, 2, 2))).labels.shape == (5, 1)


NAN_INSIDE = np.zeros((2, 3, 2))
NAN_INSIDE[1, 2, 0] = np.nan
OVER = np.full((2, 2), 3e38, np.float32)
W = np.zeros((2, 2))
FAULTS: list[tuple[tuple[Any, ...], type[Exception], str]] = [
    ((NAN_INSIDE, W), ValueError, "unary contains NaN at index (1, 2, 0)"),
    ((np.where(np.isnan(NAN_INSIDE), INF, 0), W), ValueError, "unary contains +inf at index (1, 2, 0)"),
    ((np.zeros((3, 2)), np.array([[0, 0], [np.nan, 0]])), ValueError, "pairwise contains NaN at index (1, 0)"),
    ((np.zeros((3, 2)), np.array([[0, 0], [INF, 0]])), ValueError, "pairwise contains +inf at index (1, 0)"),
    ((np.zeros((3, 2), np.float32), W + 1e39), ValueError, "pairwise contains +inf at index (0, 0)"),
    ((OVER, OVER), ValueError, "potentials overflow float32 when added up"),
    ((np.repeat([[[0.0]], [[-INF]]], 6).reshape(2, 3, 2), W), ValueError, "every labelling of row 1 scores -inf"),
    ((np.zeros((2, 2, 3, 2)), W - INF), ValueError, "every labelling of row (0, 0) scores -inf"),
    (
        (np.zeros((3, 2)), np.zeros((3, 2, 2))),
        ValueError,
        "pairwise must have shape (2, 2) or (2, 2, 2), got (3, 2, 2)",
    ),
    ((np.zeros(3), W), ValueError, "unary must have axes (..., nodes, labels), got shape (3,)"),
    ((np.zeros((4, 0, 2)), W), ValueError, "unary must have at least 1 nodes, got 0 in shape (4, 0, 2)"),
    ((np.zeros((4, 3, 0)), W), ValueError, "unary must have at least 1 labels, got 0 in shape (4, 3, 0)"),
    ((np.zeros((3, 2), int), W), TypeError, "expected float16, bfloat16, float32 or float64, got int64"),
    ((np.zeros((3, 2)), W.astype(int)), TypeError, "expected float16, bfloat16, float32 or float64, got int64"),
]
TREE_FAULTS: list[tuple[Any, type[Exception], str]] = [
    ([-1, 0], ValueError, "parents must have shape (3,), one a node, got (2,)"),
    ([-1, 1, 0], ValueError, "parents[1] must lie in [-1, 1), got 1"),
    ([-1, 0, -2], ValueError, "parents[2] must lie in [-1, 2), got -2"),
    ([0, 0, 0], ValueError, "parents[0] must lie in [-1, 0), got 0"),
    ([-1.0, 0.0, 1.0], TypeError, "parents must be integers, got float64"),
]


@pytest.mark.parametrize("backend", gf.backends())
def test_bad_input(backend: str) -> None:
    with gf.use_backend(backend):
        for given_, error, text in FAULTS:
            with pytest.raises(error) as caught:
                viterbi(*given_)
            assert str(caught.value) == text
        for parents, error, text in TREE_FAULTS:
            with pytest.raises(error) as caught:
                viterbi_tree(np.zeros((3, 2)), W, parents)
            assert str(caught.value) == text


def test_an_overflow_of_several_roots(compiled: str) -> None:
    unary: Array = np.full((2, 1), 3e38, np.float32)
    with pytest.raises(ValueError, match=r"^potentials overflow float32 when added up$"):
        viterbi_tree(unary, np.zeros((1, 1)), [-1, -1])
