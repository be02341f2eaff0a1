"""`perturb_and_map`: exact where theory says so, a bound on log Z everywhere, near the marginals elsewhere."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from helpers import Array, assert_refused, assert_same_bytes
from structure_cases import (
    INF,
    assert_counts,
    enumerated,
    forward_backward,
    grid_interaction,
    marginals_of,
    needs_maxflow,
)

import gumbelfast as gf
from gumbelfast.structures import brute_force, graph_cut, perturb, perturb_and_map, viterbi, viterbi_tree

RNG = np.random.default_rng(5)
CHAIN = RNG.normal(size=(8, 3))
EDGES = RNG.normal(size=(3, 3))
GRID = RNG.normal(size=(3, 3, 2))
ISING = 0.5 * np.eye(2)


def chain_solver(pairwise: Array) -> Any:
    return partial(viterbi, pairwise=pairwise)


def chain_interaction(pairwise: Array) -> Any:
    return lambda x: sum(pairwise[x[:, t], x[:, t + 1]] for t in range(x.shape[1] - 1))


def numbers(samples: Array, labels: int) -> Array:
    """Labellings, one per row, as their places in lexicographic order."""
    rows = samples.reshape(len(samples), -1)
    return rows @ labels ** np.arange(rows.shape[1])[::-1]


@pytest.mark.parametrize(("dtype", "shift"), [("float32", 1e8), ("float64", 1e15)])
def test_what_is_common_to_all_labels_of_a_site_changes_nothing(compiled: str, dtype: str, shift: float) -> None:
    x = np.round(CHAIN[:4]).astype(dtype) * 64  # numbers that the shift leaves as they are
    pairs = chain_solver(EDGES)
    near, far = (perturb_and_map(x + x.dtype.type(s), pairs, 200, rng=3) for s in (0, shift))
    assert np.array_equal(near.samples, far.samples)
    assert near.maxima is not None
    assert far.maxima is not None
    np.testing.assert_allclose(far.maxima - 4 * shift, near.maxima, atol=4 * np.spacing(4 * shift))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples_solve_the_perturbed_problem(compiled: str, dtype: str) -> None:
    x = CHAIN[:4].astype(dtype)
    found = perturb_and_map(x, chain_solver(EDGES), 200, rng=3)
    noise = gf.gumbel(-np.euler_gamma, size=(200, *x.shape), dtype=dtype, rng=3)
    wanted = brute_force(x + noise, chain_interaction(EDGES))
    assert np.array_equal(found.samples, wanted.labels)
    assert found.maxima is not None
    np.testing.assert_allclose(found.maxima, wanted.score, atol=30 * np.finfo(dtype).eps)
    assert_same_bytes(found.log_z_bound, found.maxima.astype(float).mean())
    np.testing.assert_allclose(found.log_z_stderr, np.std(found.maxima, ddof=1) / 200**0.5, rtol=1e-5)
    shares = [[np.mean(found.samples[:, t] == s) for s in range(3)] for t in range(4)]
    np.testing.assert_allclose(found.marginals, shares, rtol=1e-15)


def test_independent_sites_are_exact(compiled: str) -> None:
    x, n = CHAIN[:3], 20_000
    every, p, log_z = enumerated(x, lambda labels: np.zeros(len(labels)))
    found = perturb_and_map(x, chain_solver(np.zeros((3, 3))), n, rng=1)
    assert_counts(numbers(found.samples, 3), p)
    assert abs(found.log_z_bound - log_z) < 5 * found.log_z_stderr
    deviation = np.sqrt(p_of(x) * (1 - p_of(x)) / n)
    assert np.all(np.abs(found.marginals - marginals_of(every, p, 3)) < 6 * deviation)


def p_of(x: Array) -> Array:
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("edges", [EDGES, 3 * np.eye(3), np.where(np.eye(3) > 0, -INF, EDGES)])
def test_full_order_is_exact(compiled: str, edges: Array) -> None:
    x = np.where(np.eye(3) > 0, -INF, CHAIN[:3]) if edges[0, 0] == 3 else CHAIN[:3]
    _, p, log_z = enumerated(x, chain_interaction(edges))
    found = perturb_and_map(x, chain_solver(edges), 20_000, order="full", rng=2)
    assert_counts(numbers(found.samples, 3), p)
    assert abs(found.log_z_bound - log_z) < 5 * found.log_z_stderr
    # The maximum is Gumbel distributed around log Z.
    assert found.log_z_stderr == pytest.approx(np.pi / 6**0.5 / 20_000**0.5, rel=0.05)


@needs_maxflow
def test_full_order_of_grids_and_batches(compiled: str) -> None:
    x = np.stack([GRID[:2], -GRID[1:], 0 * GRID[:2]]).astype(np.float32)
    found = perturb_and_map(x, partial(graph_cut, pairwise=ISING), 8000, order="full", rng=2)
    assert found.samples.shape == (8000, 3, 2, 3)
    assert found.marginals.shape == (3, 2, 3, 2)
    for i in range(3):
        _, p, log_z = enumerated(x[i], grid_interaction(ISING, ISING))
        assert_counts(numbers(found.samples[:, i], 2), p)
        assert abs(found.log_z_bound[i] - log_z) < 5 * found.log_z_stderr[i]


# The largest biases of the marginals, measured with 10**6 samples: 0.025, 0.052 and 0.081.
@pytest.mark.parametrize(("strength", "bias"), [(0.5, 0.045), (1.0, 0.075), (2.0, 0.11)])
def test_chains_are_bounded_and_near(compiled: str, strength: float, bias: float) -> None:
    exact, log_z = forward_backward(CHAIN, strength * EDGES)
    found = perturb_and_map(CHAIN, chain_solver(strength * EDGES), 10_000, rng=4)
    assert found.log_z_bound > log_z - 5 * found.log_z_stderr
    assert np.abs(found.marginals - exact).max() < bias


# Likewise 0.008, 0.072 and 0.151: the stronger the coupling, the worse.
@needs_maxflow
@pytest.mark.parametrize(("coupling", "bias"), [(0.25, 0.03), (1.0, 0.1), (2.0, 0.18)])
def test_grids_are_bounded_and_near(compiled: str, coupling: float, bias: float) -> None:
    edges = coupling * np.eye(2)
    every, p, log_z = enumerated(GRID, grid_interaction(edges, edges))
    found = perturb_and_map(GRID, partial(graph_cut, pairwise=edges), 10_000, rng=4)
    assert found.log_z_bound > log_z - 5 * found.log_z_stderr
    assert np.abs(found.marginals - marginals_of(every, p, 2)).max() < bias


def test_trees_are_bounded(compiled: str) -> None:
    parents = [-1, 0, 0, 1, 1, 2]

    def interaction(labels: Array) -> Array:
        return sum((EDGES[labels[:, p], labels[:, t]] for t, p in enumerate(parents) if p >= 0), np.zeros(len(labels)))

    _, _, log_z = enumerated(CHAIN[:6], interaction)
    found = perturb_and_map(CHAIN[:6], partial(viterbi_tree, pairwise=EDGES, parents=parents), 10_000, rng=4)
    assert found.log_z_bound > log_z - 5 * found.log_z_stderr


def test_blocks_share_no_noise_and_change_nothing(compiled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = perturb_and_map(CHAIN, chain_solver(EDGES), 50, rng=8)
    for block in (7 * CHAIN.size, 1):
        monkeypatch.setattr(perturb, "_BLOCK", block)
        parts = perturb_and_map(CHAIN, chain_solver(EDGES), 50, rng=8)
        for a, b in zip(whole, parts, strict=True):
            assert_same_bytes(a, b)


def test_batches_have_noise_of_their_own(compiled: str) -> None:
    x = np.zeros((2, 30, 2))
    found = perturb_and_map(x, chain_solver(ISING), 100, rng=0)
    assert found.maxima is not None
    assert found.maxima.shape == (100, 2)
    assert found.log_z_bound.shape == found.log_z_stderr.shape == (2,)
    assert not np.array_equal(found.samples[:, 0], found.samples[:, 1])


def test_a_solver_of_labels_alone(compiled: str) -> None:
    found = perturb_and_map(CHAIN, lambda x: x.argmax(axis=-1), 10, rng=0)
    assert found.maxima is None
    assert found.samples.shape == (10, 8)
    text = "^the solver returned labels without scores: there are no perturbed maxima$"
    for name in ("log_z_bound", "log_z_stderr"):
        with pytest.raises(ValueError, match=text):
            getattr(found, name)
    one = perturb_and_map(CHAIN, chain_solver(EDGES), 1, rng=0)
    with pytest.raises(ValueError, match=r"^a standard error needs at least 2 samples, got 1$"):
        _ = one.log_z_stderr


@pytest.mark.parametrize("order", ["unary", "full"])
def test_reproducible(compiled: str, order: str) -> None:
    def run(rng: Any) -> bytes:
        return perturb_and_map(CHAIN[:4], chain_solver(EDGES), 20, order=order, rng=rng).samples.tobytes()

    one = gf.default_rng(7)
    first = run(one)
    assert first == run(7) == run(gf.default_rng(7))
    assert run(one) != first
    assert run(np.random.default_rng(7)) == run(np.random.default_rng(7)) != first


def solve(given: dict[str, Any]) -> Any:
    arguments = {"unary": CHAIN, "solver": chain_solver(EDGES), "num_samples": 3} | given
    return lambda rng: perturb_and_map(**arguments, rng=rng)


FAULTS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"unary": [[0, 1]]}, TypeError, "expected float16, bfloat16, float32 or float64, got int64"),
    ({"unary": CHAIN[0]}, ValueError, "unary must have axes (..., sites, labels), got shape (3,)"),
    ({"unary": np.where(np.eye(8, 3, 2) > 0, np.nan, CHAIN)}, ValueError, "unary contains NaN at index (0, 2)"),
    ({"unary": np.abs(CHAIN) * [1, INF, 1]}, ValueError, "unary contains +inf at index (0, 1)"),
    ({"num_samples": 0}, ValueError, "num_samples must be >= 1, got 0"),
    ({"num_samples": 1.5}, TypeError, "num_samples must be an integer, got 1.5"),
    ({"order": "pairwise"}, ValueError, "order must be 'unary' or 'full', got 'pairwise'"),
    ({"solver": chain_solver(ISING)}, ValueError, "pairwise must have shape (3, 3) or (7, 3, 3), got (2, 2)"),
    ({"solver": chain_solver(EDGES - INF)}, ValueError, "every labelling of row 0 scores -inf"),
    (
        {"solver": lambda x: x[..., 0]},
        ValueError,
        "solver returned float64 of shape (3, 8), expected integers of shape (3, 8)",
    ),
    ({"solver": lambda x: x.argmax(-1) + 1}, ValueError, "solver returned label 3, expected one in [0, 3)"),
    (
        {"solver": lambda x: (x.argmax(-1), 0.0)},
        ValueError,
        "solver returned scores of shape (), expected a leading part of (3, 8)",
    ),
    (
        {"solver": lambda x: x.argmax(-1), "order": "full"},
        ValueError,
        "order='full' needs a solver that returns scores as well",
    ),
    (
        {"unary": np.zeros((17, 2)), "solver": chain_solver(ISING), "order": "full"},
        ValueError,
        "2 labels at 17 sites make more than 65536 labellings",
    ),
]


@pytest.mark.parametrize(("given", "error", "text"), FAULTS, ids=range(len(FAULTS)))
def test_bad_input(given: dict[str, Any], error: type[Exception], text: str) -> None:
    assert_refused(solve(given), error, text)
