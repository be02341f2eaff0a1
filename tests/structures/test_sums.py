"""Sums over labellings against looking at every labelling, gradients against differences, samples against the law."""

import doctest
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, OLD_NUMPY, Array, assert_refused, assert_same_bytes, normal, work_of
from hypothesis import given
from structure_cases import INF, Tree, assert_counts, enumerated, forward_backward, marginals_of, trees

import gumbelfast as gf
from gumbelfast.structures import (
    label_marginals,
    label_marginals_backward,
    log_partition,
    log_partition_backward,
    sample_labellings,
    sums,
)

PARENTS = np.array([-1, 0, 0, -1, 1, 3])
RNG = np.random.default_rng(7)
FOREST = Tree(RNG.normal(size=(2, 6, 3)), RNG.normal(size=(5, 3, 3)), PARENTS)
SHARED = FOREST._replace(pairwise=FOREST.pairwise[0])
HOLES = FOREST._replace(unary=np.where(RNG.random((2, 6, 3)) < 0.2, -INF, FOREST.unary))


def pairs_of(every: Array, p: Array, tree: Tree) -> Array:
    labels, wanted = tree.unary.shape[-1], np.zeros((len(tree.parents) - 1, *2 * tree.unary.shape[-1:]))
    for t, parent in enumerate(tree.parents):
        if parent >= 0:
            for i in range(labels):
                for j in range(labels):
                    wanted[t - 1, i, j] = p[(every[:, parent] == i) & (every[:, t] == j)].sum()
    return wanted


@given(tree=trees())
def test_every_labelling(tree: Tree) -> None:
    unary = tree.unary.reshape(-1, *tree.unary.shape[-2:]).astype(float)
    with np.errstate(invalid="ignore"):
        exact = [enumerated(each, tree.interaction) for each in unary]
    if any(log_z == -INF for _, _, log_z in exact):
        with pytest.raises(ValueError, match=r"^every labelling of row .* scores -inf$"):
            log_partition(tree.unary, tree.pairwise, parents=tree.parents)
        return
    rtol = 4 * np.finfo(tree.unary.dtype).eps
    found = log_partition(tree.unary, tree.pairwise, parents=tree.parents)
    assert found.dtype == tree.unary.dtype
    np.testing.assert_allclose(np.ravel(found), [log_z for _, _, log_z in exact], rtol=rtol, atol=1e-14)
    nodes, edges = label_marginals(tree.unary, tree.pairwise, parents=tree.parents)
    assert (nodes.shape, edges.shape[-3:]) == (tree.unary.shape, (len(tree.parents) - 1, *2 * unary.shape[-1:]))
    assert nodes.dtype == edges.dtype == tree.unary.dtype
    for i, (every, p, _) in enumerate(exact):
        wanted = marginals_of(every, p, unary.shape[-1])
        np.testing.assert_allclose(nodes.reshape(unary.shape)[i], wanted, rtol=1e-6, atol=1e-14)
        pairs = edges.reshape(len(unary), *edges.shape[-3:])[i]
        np.testing.assert_allclose(pairs, pairs_of(every, p, tree), rtol=1e-6, atol=1e-14)


def test_long_chains() -> None:
    unary, pairwise = normal("float64", (300, 4), 1, 30.0), normal("float64", (4, 4), 2, 30.0)
    wanted, log_z = forward_backward(unary, pairwise)
    assert log_partition(unary, pairwise) == pytest.approx(log_z, rel=1e-14)
    np.testing.assert_allclose(label_marginals(unary, pairwise).nodes, wanted, rtol=1e-9, atol=1e-300)


def test_a_homogeneous_chain_is_a_power_of_its_matrix() -> None:
    pairwise = RNG.normal(size=(3, 3))
    wanted = np.log(np.linalg.matrix_power(np.exp(pairwise), 49).sum())
    assert log_partition(np.zeros((50, 3)), pairwise) == pytest.approx(wanted, rel=1e-14)


def differences(function: Any, x: Array, h: float = 1e-5) -> Array:
    """Central differences of a function of one array, with a real value."""
    wanted = np.zeros(x.shape)
    for place in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[place] = h
        wanted[place] = (function(x + step) - function(x - step)) / (2 * h)
    return wanted


@pytest.mark.parametrize("tree", [FOREST, SHARED, FOREST._replace(parents=np.arange(-1, 5))], ids=range(3))
def test_gradients(tree: Tree) -> None:
    parents, outer = tree.parents, np.array([1.5, -0.5])
    g_nodes, g_edges = RNG.normal(size=(2, 6, 3)), RNG.normal(size=(2, 5, 3, 3))
    g_edges[:, parents[1:] < 0] = 0

    def summed(unary: Array, pairwise: Array) -> float:
        return float((outer * log_partition(unary, pairwise, parents=parents)).sum())

    def weighed(unary: Array, pairwise: Array) -> float:
        nodes, edges = label_marginals(unary, pairwise, parents=parents)
        return float((g_nodes * nodes).sum() + (g_edges * edges).sum())

    x, w = tree.unary, tree.pairwise
    for function, found in (
        (summed, log_partition_backward(outer, x, w, parents=parents)),
        (weighed, label_marginals_backward(g_nodes, g_edges, x, w, parents=parents)),
    ):
        assert (found[0].shape, found[1].shape) == (x.shape, w.shape)
        np.testing.assert_allclose(found[0], differences(lambda u, f=function: f(u, w), x), atol=1e-8)
        np.testing.assert_allclose(found[1], differences(lambda p, f=function: f(x, p), w), atol=1e-8)


def test_gradients_of_what_is_forbidden_are_zero() -> None:
    holes = HOLES.unary
    found = label_marginals_backward(np.ones((6, 3)) * [1, 2, 3], 1.0, holes, HOLES.pairwise, parents=PARENTS)[0]
    assert np.isfinite(found).all()
    assert not found[np.isneginf(holes)].any()
    assert not log_partition_backward(1.0, holes, HOLES.pairwise, parents=PARENTS)[0][np.isneginf(holes)].any()


@pytest.mark.parametrize("tree", [FOREST, HOLES], ids=["all", "holes"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples_follow_the_law(backend: str, dtype: str, tree: Tree) -> None:
    count = 2000 if backend == "reference" else 40_000
    found = sample_labellings(tree.unary.astype(dtype), tree.pairwise, count, parents=tree.parents, rng=3)
    assert found.shape == (count, 2, 6)
    assert found.dtype == np.int64
    for i in range(2):
        _, p, _ = enumerated(tree.unary[i], tree.interaction)
        assert_counts(found[:, i] @ 3 ** np.arange(6)[::-1], p)


def test_samples_are_argmaxes_under_noise_that_is_known(backend: str) -> None:
    """Node by node from the same noise, with sums over all labellings of what lies below."""
    tree, n = FOREST, 30
    found = sample_labellings(tree.unary, tree.pairwise, n, parents=tree.parents, rng=5)
    noise = gf.gumbel(size=(n, 2, 6, 3), dtype=np.float64, rng=5)
    for i in range(2):
        every, p, _ = enumerated(tree.unary[i], tree.interaction)
        for draw in range(n):
            fits = np.ones(len(every), bool)
            for t in range(6):
                shares = np.array([p[fits & (every[:, t] == j)].sum() for j in range(3)])
                assert found[draw, i, t] == (np.log(shares) + noise[draw, i, t]).argmax()
                fits &= every[:, t] == found[draw, i, t]


def test_sizes_and_addresses(backend: str) -> None:
    unary, pairwise = FOREST.unary.astype(np.float32), FOREST.pairwise
    many = sample_labellings(unary, pairwise, (2, 3), parents=PARENTS, rng=1)
    assert many.shape == (2, 3, 2, 6)
    assert np.array_equal(many.reshape(6, 2, 6)[:4], sample_labellings(unary, pairwise, 4, parents=PARENTS, rng=1))
    assert np.array_equal(many[0, 0], sample_labellings(unary, pairwise, parents=PARENTS, rng=1))
    rng = gf.default_rng(1)
    first, second = (sample_labellings(unary, pairwise, parents=PARENTS, rng=rng) for _ in range(2))
    assert np.array_equal(first, many[0, 0])
    assert not np.array_equal(second, first)
    assert sample_labellings(np.zeros((0, 4, 2)), np.zeros((2, 2)), 3, rng=1).shape == (3, 0, 4)
    assert sample_labellings(unary[0], pairwise, 0, rng=1).shape == (0, 6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype: str) -> None:
    x, w = normal(dtype, (4, 5, 3), 1), normal(dtype, (3, 3), 2)
    wide = x.astype(np.float64), w.astype(np.float64)
    for found, wanted in zip(label_marginals(x, w), label_marginals(*wide), strict=True):
        assert_same_bytes(found, wanted.astype(work_of(dtype)))
    assert_same_bytes(log_partition(x, w), log_partition(*wide).astype(work_of(dtype)))


W = np.zeros((2, 2))
FAULTS: list[tuple[tuple[Any, ...], Any, type[Exception], str]] = [
    ((np.array([[0, 0], [0, np.nan]]), W), None, ValueError, "unary contains NaN at index (1, 1)"),
    ((np.array([[0, 0], [0, INF]]), W), None, ValueError, "unary contains +inf at index (1, 1)"),
    ((np.zeros((3, 2)), W + np.nan), None, ValueError, "pairwise contains NaN at index (0, 0)"),
    ((np.zeros((3, 2)), np.zeros(2)), None, ValueError, "pairwise must have shape (2, 2) or (2, 2, 2), got (2,)"),
    ((np.zeros(3), W), None, ValueError, "unary must have axes (..., nodes, labels), got shape (3,)"),
    ((np.zeros((3, 2), int), W), None, TypeError, "expected float16, bfloat16, float32 or float64, got int64"),
    ((np.full((2, 2), 3e38, np.float32), W), None, ValueError, "potentials overflow float32 when added up"),
    ((np.full((2, 2), 1.5e308), W), None, ValueError, "potentials overflow float64 when added up"),
    ((np.zeros((2, 3, 2)), W - INF), None, ValueError, "every labelling of row 0 scores -inf"),
    ((np.zeros((3, 2)), W), [-1, 1, 0], ValueError, "parents[1] must lie in [-1, 1), got 1"),
    ((np.zeros((3, 2)), W), [-1, 0], ValueError, "parents must have shape (3,), one a node, got (2,)"),
]


@pytest.mark.parametrize(("given_", "parents", "error", "text"), FAULTS, ids=range(len(FAULTS)))
def test_bad_input(given_: tuple[Any, ...], parents: Any, error: type[Exception], text: str) -> None:
    for function in (
        lambda: log_partition(*given_, parents=parents),
        lambda: label_marginals(*given_, parents=parents),
        lambda: log_partition_backward(1.0, *given_, parents=parents),
        lambda: label_marginals_backward(1.0, 0.0, *given_, parents=parents),
    ):
        with pytest.raises(error) as caught:
            function()
        assert str(caught.value) == text
    assert_refused(lambda rng: sample_labellings(*given_, 3, parents=parents, rng=rng), error, text)


def test_bad_gradients_and_sizes() -> None:
    x = np.zeros((5, 3, 2))
    for call, error, text in (
        (lambda: log_partition_backward(np.ones(4), x, W), ValueError, "grad of shape (4,) does not broadcast to"),
        (lambda: log_partition_backward(1j, x, W), TypeError, "grad must be real numbers, got complex128"),
        (lambda: label_marginals_backward(np.ones(3), 0.0, x, W), ValueError, "grad_nodes of shape (3,) does not"),
        (lambda: label_marginals_backward(0.0, np.ones(3), x, W), ValueError, "grad_edges of shape (3,) does not"),
    ):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value).startswith(text)
    assert_refused(lambda rng: sample_labellings(x, W, -1, rng=rng), ValueError, "size must be >= 0, got -1")


@pytest.mark.skipif(OLD_NUMPY, reason="NumPy 1 prints numbers otherwise")
def test_docstrings() -> None:
    found = doctest.testmod(sums)
    assert found.failed == 0
    assert found.attempted > 0
