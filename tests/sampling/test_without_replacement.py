"""Estimators from samples without replacement: against the reference, the truth, and sampling with replacement."""

import re
from typing import Any

import numpy as np
import pytest
from helpers import normal
from sequence_cases import Tree

import gumbelfast as gf
from gumbelfast import estimators as est
from gumbelfast.reference import without_replacement as textbook

LOGITS = np.array([0.3, -1.0, 0.8, 0.1, -0.5])
VALUES = np.array([4.0, 6.0, 1.0, 3.5, 10.0])
SETS = 250_000  # of four samples: 10**6


def f(z: Any) -> Any:
    return z @ VALUES


TRUTH = est.exact(LOGITS, f)

GRADIENTS: dict[str, Any] = {
    "unordered set": lambda x, k, **o: est.unordered_set(x, f, k, **o),
    "unordered set, no baseline": lambda x, k, **o: est.unordered_set(x, f, k, baseline=None, **o),
    "importance weighted": lambda x, k, **o: est.importance_weighted(x, f, k, **o),
    "importance weighted, no baseline": lambda x, k, **o: est.importance_weighted(x, f, k, baseline=None, **o),
    "normalized": lambda x, k, **o: est.importance_weighted(x, f, k, baseline="normalized", **o),
    "with replacement": lambda x, k, **o: est.score_function(
        x, f, num_samples=k, baseline="leave_one_out", rng=o["rng"]
    ),
}


def variance(rows: Any) -> tuple[float, float]:
    """The trace of the covariance of the rows, and its standard error."""
    squares = np.square(rows - rows.mean(axis=0)).sum(axis=-1)
    return float(squares.mean()), float(squares.std() / np.sqrt(len(squares)))


def clearly_less(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return b[0] - a[0] > 5 * np.hypot(a[1], b[1])


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("name", [name for name in GRADIENTS if name != "normalized"])
def test_gradients_are_unbiased(name: str, k: int) -> None:
    rows = GRADIENTS[name](np.tile(LOGITS, (SETS * 4 // k, 1)), k, rng=k).grad
    assert np.all(np.abs(rows.mean(axis=0) - TRUTH.grad) < 5 * rows.std(axis=0) / np.sqrt(len(rows)))


@pytest.mark.parametrize("k", [3, 4])
def test_distinct_samples_lower_the_variance(k: int) -> None:
    found = {name: variance(GRADIENTS[name](np.tile(LOGITS, (SETS, 1)), k, rng=7).grad) for name in GRADIENTS}
    assert clearly_less(found["unordered set"], found["with replacement"])
    assert clearly_less(found["unordered set"], found["unordered set, no baseline"])
    # It averages the others over all orders of the set.
    assert clearly_less(found["unordered set, no baseline"], found["importance weighted, no baseline"])
    assert clearly_less(found["normalized"], found["with replacement"])


def test_normalized_gradients_are_biased_less_as_k_grows() -> None:
    biases = []
    for k in (2, 3, 4):
        rows = GRADIENTS["normalized"](np.tile(LOGITS, (SETS, 1)), k, rng=9).grad
        error = rows.mean(axis=0) - TRUTH.grad
        biases.append((float(np.linalg.norm(error)), float(np.linalg.norm(rows.std(axis=0))) / np.sqrt(SETS)))
    assert biases[0][0] > 5 * biases[0][1]
    assert clearly_less(biases[1], biases[0])
    assert clearly_less(biases[2], biases[1])


@pytest.mark.parametrize("name", [name for name in GRADIENTS if name != "with replacement"])
def test_all_categories_give_the_gradient_itself(compiled: str, name: str) -> None:
    for columns in (5, 9):
        x, values = normal("float64", (3, columns)), normal("float64", (columns,), 1)
        truth = est.exact(x, lambda z, values=values: z @ values)
        estimator = est.unordered_set if name.startswith("unordered") else est.importance_weighted
        baseline = None if name.endswith("no baseline") else "normalized" if name == "normalized" else "leave_one_out"
        found = estimator(x, lambda z, values=values: z @ values, columns, baseline=baseline, rng=1)
        np.testing.assert_allclose(found.grad, truth.grad, rtol=1e-10, atol=1e-12)
        assert np.array_equal(found.samples.sum(axis=0), np.ones_like(x))


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_agrees_with_the_reference(compiled: str, k: int) -> None:
    x, values = normal("float64", (4, 9)), normal("float64", (9,), 5)
    drawn = gf.weighted_sample(gf.softmax(x), k, rng=3)

    def g(z: Any) -> Any:
        return z @ values

    for baseline in (None, "leave_one_out", "normalized"):
        if k == 1 and baseline is not None:
            continue
        for estimator in (est.unordered_set, est.importance_weighted):
            if estimator is est.unordered_set and baseline == "normalized":
                continue
            found = estimator(x, g, k, baseline=baseline, rng=3)
            assert np.array_equal(found.samples.argmax(axis=-1).T, drawn.indices)
            assert np.array_equal(found.values.T, values[drawn.indices])
            for row in range(4):
                p, items = gf.softmax(x[row]), tuple(drawn.indices[row].tolist())
                if estimator is est.unordered_set:
                    wanted = textbook.unordered_set(p, items, values[list(items)], baseline is not None)
                else:
                    wanted = textbook.importance_weighted(
                        p, items, drawn.kappa[row], values[list(items)], baseline or ""
                    )
                np.testing.assert_allclose(found.grad[row], wanted, rtol=1e-9, atol=1e-12)


def sample(k: int, prompts: int, eos: int | None, seed: int) -> tuple[Tree, Any]:
    tree = Tree(3, 4, seed=11, prompts=prompts)
    return tree, gf.sequences.stochastic_beam_search(tree.step, None, k, 4, eos=eos, rng=seed)


def test_expectations_over_sequences() -> None:
    tree, found = sample(8, 60_000, 0, 5)
    leaves = tree.leaves(eos=0)
    p, lengths = np.exp(list(leaves.values())), np.array([len(leaf) for leaf in leaves])
    events = np.stack([found.lengths, found.log_probs, np.ones_like(found.log_probs)], axis=-1)
    truth = np.array([p @ lengths, p @ np.log(p), 1])
    plain, normalized = (
        est.without_replacement(found.log_probs, found.perturbed, found.kappa, events, normalized=n)
        for n in (False, True)
    )
    assert plain.shape == (60_000, 3)
    assert np.all(np.abs(plain.mean(axis=0) - truth) < 5 * plain.std(axis=0) / np.sqrt(60_000))
    np.testing.assert_allclose(normalized[:, 2], 1, rtol=1e-12)
    for event in (0, 1):
        assert clearly_less(variance(normalized[:, event, None]), variance(plain[:, event, None]))
    # Monte Carlo with as many samples varies more.
    mean = gf.sequences.ancestral_sample(tree.step, None, 8, 4, eos=0, rng=6).lengths.mean(axis=1)
    assert clearly_less(variance(normalized[:, 0, None]), variance(mean[:, None]))


def test_the_normalized_estimate_is_consistent() -> None:
    """Bias and all, its mean square error falls with k; with all sequences, below, there is none."""
    errors = []
    for k in (2, 8, 24):
        tree, found = sample(k, 20_000, None, k)
        leaves = np.array(list(tree.leaves().values()))
        estimate = est.without_replacement(
            found.log_probs, found.perturbed, found.kappa, found.log_probs, normalized=True
        )
        squares = np.square(estimate - np.exp(leaves) @ leaves)
        errors.append((squares.mean(), squares.std() / np.sqrt(squares.size)))
    assert clearly_less(errors[1], errors[0])
    assert clearly_less(errors[2], errors[1])


def test_all_sequences_give_the_expectation_itself() -> None:
    tree, found = sample(100, 2, 1, 3)
    leaves = tree.leaves(eos=1)
    assert np.all(found.kappa == -np.inf)
    for normalized in (False, True):
        length = est.without_replacement(
            found.log_probs, found.perturbed, found.kappa, found.lengths, normalized=normalized
        )
        wanted = sum(np.exp(log_p) * len(leaf) for leaf, log_p in leaves.items())
        np.testing.assert_allclose(length, wanted, rtol=1e-12)


SCORES = [("unordered_set", "leave_one_out"), ("unordered_set", None), ("importance", "leave_one_out"),
          ("importance", "normalized"), ("importance", None)]  # fmt: skip


@pytest.mark.parametrize(("method", "baseline"), SCORES)
@pytest.mark.parametrize("k", [3, 8])
def test_score_weights_are_those_of_explicit_logits(method: str, baseline: str | None, k: int) -> None:
    x, values = normal("float64", (6, 12)), normal("float64", (12,), 5)
    drawn = gf.weighted_sample(gf.softmax(x), k, rng=3)
    log_p = np.take_along_axis(gf.log_softmax(x), drawn.indices, -1)
    found = est.score_weights(
        log_p, drawn.perturbed, drawn.kappa, values[drawn.indices], method=method, baseline=baseline
    )
    estimator = est.unordered_set if method == "unordered_set" else est.importance_weighted
    wanted = estimator(x, lambda z: z @ values, k, baseline=baseline, rng=3).grad
    scores = np.eye(12)[drawn.indices] - gf.softmax(x)[:, None]
    np.testing.assert_allclose((found[..., None] * scores).sum(axis=1), wanted, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("method", "baseline"), SCORES)
def test_gradients_through_sequences(method: str, baseline: str | None) -> None:
    """By the logits of the first token, whose score is known."""
    tree, found = sample(4, 100_000, 0, 21)
    leaves = tree.leaves(eos=0)
    p_first = gf.softmax(tree.tables[0][0])
    first = np.array([leaf[0] for leaf in leaves])
    p, f_leaf = np.exp(list(leaves.values())), np.array([len(leaf) ** 2 for leaf in leaves])
    truth = (p * f_leaf) @ (np.eye(3)[first] - p_first)
    arguments = found.log_probs, found.perturbed, found.kappa, found.lengths**2
    weights = est.score_weights(*arguments, method=method, baseline=baseline)
    rows = (weights[..., None] * (np.eye(3)[found.sequences[..., 0]] - p_first)).sum(axis=1)
    errors = np.abs(rows.mean(axis=0) - truth) / (rows.std(axis=0) / np.sqrt(len(rows)))
    if baseline == "normalized":
        assert errors.max() > 5
    else:
        assert errors.max() < 5
    # With all sequences, and places for more, it is the gradient itself.
    tree, found = sample(100, 1, 0, 22)
    exact = est.score_weights(
        found.log_probs, found.perturbed, found.kappa, found.lengths**2, method=method, baseline=baseline
    )
    assert np.all(exact[0, len(leaves) :] == 0)
    there = slice(len(leaves))
    grad = exact[0, there] @ (np.eye(3)[found.sequences[0, there, 0]] - p_first)
    np.testing.assert_allclose(grad, truth, rtol=1e-9)


def test_weights_where_doubles_end() -> None:
    # Far below the threshold a sample weighs exp(kappa), far above its own probability.
    log_p, kappa = np.array([-0.1, -40.0, -800.0, -np.inf]), -3.0
    perturbed = np.array([1.0, 0.0, -2.0, -np.inf])
    found = [est.without_replacement(log_p, perturbed, kappa, np.eye(4)[i]) for i in range(4)]
    q = -np.expm1(-np.exp(log_p[0] - kappa))
    np.testing.assert_allclose(found, [np.exp(log_p[0]) / q, np.exp(-3), np.exp(-3), 0], rtol=1e-14)
    assert est.without_replacement(log_p, perturbed, kappa, [0, 0, 0, np.nan]) == 0


def test_bad_input() -> None:
    p, g = np.log([0.5, 0.3]), np.array([1.0, 0.0])
    for call, text in (
        (lambda: est.without_replacement(p, g, 0.5, [1, 2]), "perturbed must be >= kappa, got 0.0 at index (1,)"),
        (
            lambda: est.without_replacement(p, g, [0.5], [1, 2]),
            "kappa of shape (1,) does not fit log_probs of shape (2,)",
        ),
        (
            lambda: est.without_replacement(p, g[:1], 0.5, [1, 2]),
            "perturbed of shape (1,) does not fit log_probs of shape (2,)",
        ),
        (lambda: est.without_replacement(p, g, 0.5, [1]), "values of shape (1,) does not fit log_probs of shape (2,)"),
        (lambda: est.without_replacement(0.0, 0.0, 0.0, 0.0), "log_probs must have an axis of samples, got shape ()"),
        (lambda: est.without_replacement([0.0, 2.0], g, -1.0, [1, 2]), "log_probs must be <= 0, got 2.0 at index (1,)"),
        (
            lambda: est.without_replacement([0.0, np.nan], g, -1.0, [1, 2]),
            "log_probs must be <= 0, got nan at index (1,)",
        ),
        (
            lambda: est.score_weights(p, g, -0.5, [1, 2], method="set"),
            "method must be 'unordered_set' or 'importance', got 'set'",
        ),
        (
            lambda: est.score_weights(p, g, -0.5, [1, 2], baseline="normalized"),
            "baseline must be 'leave_one_out' or None, got 'normalized'",
        ),
        (lambda: est.score_weights(p[:1], g[:1], -0.5, [1]), "k must be >= 2 with baseline 'leave_one_out', got 1"),
        (
            lambda: est.score_weights(p, g, -0.5, [[1], [2]]),
            "values of shape (2, 1) does not fit log_probs of shape (2,)",
        ),
        (lambda: est.unordered_set(LOGITS, f, 6), "k=6 exceeds the 5 columns"),
        (lambda: est.unordered_set([0.0, -np.inf, 1.0], f, 3), "k=3 exceeds the 2 finite logits of row 0"),
        (lambda: est.unordered_set(LOGITS, f, 1), "k must be >= 2 with baseline 'leave_one_out', got 1"),
        (lambda: est.unordered_set(LOGITS, f, 0, baseline=None), "k must be >= 1, got 0"),
        (
            lambda: est.unordered_set(LOGITS, f, 2, baseline="mean"),
            "baseline must be 'leave_one_out' or None, got 'mean'",
        ),
        (
            lambda: est.importance_weighted(np.zeros((2, 5)), lambda z: z.sum(axis=(1, 2)), 2),
            "f returned shape (2,), expected (2, 2): one value per row",
        ),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            call()
