"""`graph_cut` against looking at everything, and what it and `brute_force` refuse."""

import sys
from typing import Any

import numpy as np
import pytest
from helpers import DTYPES, assert_same_bytes, dtype_of, work_of
from hypothesis import given
from hypothesis import strategies as st
from structure_cases import INF, grid_interaction, needs_maxflow

from gumbelfast.structures import brute_force, graph_cut


@needs_maxflow
@given(
    height=st.integers(1, 3),
    width=st.integers(1, 3),
    batch=st.sampled_from([(), (4,), (2, 2)]),
    seed=st.integers(0, 2**32),
    holes=st.booleans(),
    one=st.booleans(),
)
def test_the_best_of_all(height: int, width: int, batch: tuple[int, ...], seed: int, holes: bool, one: bool) -> None:
    rng = np.random.default_rng(seed)
    unary = 2 * rng.normal(size=(*batch, height, width, 2))
    if holes:
        label, some = rng.integers(2, size=unary.shape[:-1]), rng.random(unary.shape[:-1]) < 0.3
        unary = np.where(some[..., None] & (label[..., None] == np.arange(2)), -INF, unary)
    shapes = [(2, 2)] * 2 if one else [(height - 1, width, 2, 2), (height, width - 1, 2, 2)]
    down, right = (rng.normal(size=shape) for shape in shapes)
    for w in (down, right):  # asymmetric, and just submodular now and then
        w[..., 0, 0] += np.maximum(0, w[..., 0, 1] + w[..., 1, 0] - w[..., 0, 0] - w[..., 1, 1])
    right = down if one else right
    found = graph_cut(unary, down if one else (down, right))
    wanted = brute_force(unary, grid_interaction(down, right), site_ndim=2)
    assert np.array_equal(found.labels, wanted.labels)
    np.testing.assert_allclose(found.score, wanted.score, rtol=1e-12, atol=1e-12)


@needs_maxflow
def test_forced_labels() -> None:
    unary = np.zeros((2, 3, 3, 2), np.float32)
    unary[0, 0, 0, 0] = unary[1, 2, 2, 1] = -INF
    found = graph_cut(unary, 0.1 * np.eye(2))
    assert found.labels.tolist() == [[[1] * 3] * 3, [[0] * 3] * 3]
    np.testing.assert_allclose(found.score, 1.2, rtol=1e-6)
    checkers = np.where(np.indices((3, 3)).sum(axis=0)[..., None] % 2 == np.arange(2), 0, -INF)
    assert graph_cut(checkers, 100 * np.eye(2)).labels.tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]


@needs_maxflow
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype: str) -> None:
    unary = np.random.default_rng(0).normal(size=(2, 4, 4, 2)).astype(dtype_of(dtype))
    found = graph_cut(unary, np.eye(2, dtype=np.float32))
    assert found.score.dtype == work_of(dtype)
    wide = graph_cut(unary.astype(float), np.eye(2))
    assert_same_bytes(found.labels, wide.labels)
    assert_same_bytes(found.score, wide.score.astype(work_of(dtype)))
    assert brute_force(unary[0, 0]).score.dtype == work_of(dtype)


@needs_maxflow
def test_modular_edges_that_do_not_add_up_evenly() -> None:
    assert 0.1 + 0.2 > 0.3
    graph_cut(np.zeros((2, 2, 2)), [[0.3, 0.1], [0.2, 0.0]])


U = np.zeros((3, 4, 2))
REPULSIVE = np.zeros((3, 3, 2, 2))
REPULSIVE[1, 2, 0, 1] = 0.5
FAULTS: list[tuple[tuple[Any, ...], type[Exception], str]] = [
    (
        (U, [[-1.0, 0.0], [0.0, -1.0]]),
        ValueError,
        "pairwise of vertical edges is not submodular at index (0, 0): -2.0 for equal, 0.0 for unequal labels",
    ),
    (
        (U, (np.eye(2), REPULSIVE)),
        ValueError,
        "pairwise of horizontal edges is not submodular at index (1, 2): 0.0 for equal, 0.5 for unequal labels",
    ),
    (
        (U, (np.eye(2), np.zeros((2, 3, 2, 2)))),
        ValueError,
        "pairwise of horizontal edges has shape (2, 3, 2, 2), which does not broadcast to (3, 3, 2, 2)",
    ),
    ((U, [[0.0, -INF], [0.0, 0.0]]), ValueError, "pairwise of vertical edges contains -inf at index (0, 1)"),
    ((U, [[0.0, np.nan], [0.0, 0.0]]), ValueError, "pairwise of vertical edges contains NaN at index (0, 1)"),
    ((U, np.eye(2, dtype=int)), TypeError, "expected float16, bfloat16, float32 or float64, got int64"),
    (
        (U + np.where(np.arange(4) == 2, -INF, 0)[:, None], np.eye(2)),
        ValueError,
        "unary forbids all labels at index (0, 2)",
    ),
    ((np.where(np.arange(2) == 1, INF, U), np.eye(2)), ValueError, "unary contains +inf at index (0, 0, 1)"),
    ((np.zeros((3, 4, 3)), np.eye(2)), ValueError, "unary must have 2 labels, got 3 in shape (3, 4, 3)"),
    ((np.zeros((4, 2)), np.eye(2)), ValueError, "unary must have axes (..., rows, columns, labels), got shape (4, 2)"),
]


@pytest.mark.parametrize(("given_", "error", "text"), FAULTS, ids=range(len(FAULTS)))
def test_bad_input_of_graph_cut(given_: tuple[Any, ...], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        graph_cut(*given_)
    assert str(caught.value) == text


def test_without_pymaxflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "maxflow", None)
    with pytest.raises(ImportError) as caught:
        graph_cut(U, np.eye(2))
    assert str(caught.value) == 'graph_cut needs PyMaxflow: pip install "gumbelfast[maxflow]"'


BRUTE_FAULTS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"unary": np.zeros((17, 2))}, ValueError, "2 labels at 17 sites make more than 65536 labellings"),
    ({"unary": np.zeros((2, 2)), "site_ndim": 0}, ValueError, "site_ndim must be >= 1, got 0"),
    (
        {"unary": np.zeros((2, 2)), "site_ndim": 2},
        ValueError,
        "unary must have an axis of labels behind 2 axes of sites, got shape (2, 2)",
    ),
    ({"unary": [[0.0, np.nan]]}, ValueError, "unary contains NaN at index (0, 1)"),
    (
        {"unary": [[0.0, 1.0]], "interaction": lambda x: [0.0]},
        ValueError,
        "interaction returned shape (1,), expected (2,)",
    ),
    (
        {"unary": [[0.0, 1.0]], "interaction": lambda x: [0.0, INF]},
        ValueError,
        "interaction contains +inf at index (1,)",
    ),
    (
        {"unary": np.full((2, 2), 3e38, np.float32)},
        ValueError,
        "potentials overflow float32 when added up",
    ),
    ({"unary": np.zeros((2, 3, 2)) - [[[0]], [[INF]]]}, ValueError, "every labelling of row 1 scores -inf"),
]


@pytest.mark.parametrize(("given_", "error", "text"), BRUTE_FAULTS, ids=range(len(BRUTE_FAULTS)))
def test_bad_input_of_brute_force(given_: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        brute_force(**given_)
    assert str(caught.value) == text


def test_first_in_lexicographic_order() -> None:
    assert brute_force(np.zeros((2, 5, 3))).labels.tolist() == [[0] * 5] * 2
    found = brute_force(np.zeros((2, 3)), lambda x: 1.0 * (x.sum(axis=1) == 2))
    assert found.labels.tolist() == [0, 2]
    assert found.score == 1
    assert brute_force(np.zeros((70, 1))).labels.tolist() == [0] * 70
