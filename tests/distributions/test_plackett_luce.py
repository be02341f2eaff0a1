"""Probabilities of sets and their gradient; those of orders are with the draws in test_weighted.py."""

from itertools import combinations, permutations
from typing import Any

import mpmath
import numpy as np
import pytest
from helpers import DTYPES, normal

import gumbelfast as gf
from gumbelfast.distributions import subsets

INF = np.inf


@pytest.mark.parametrize("k", range(1, 6))
def test_a_set_is_the_sum_of_its_orders(k: int) -> None:
    x = np.array([0.3, -2.0, 40.0, 39.0, -300.0, 1.0])
    total = 0.0
    for items in combinations(range(6), k):
        orders = np.array(list(permutations(items)))
        wanted = np.logaddexp.reduce(
            gf.distributions.plackett_luce_log_prob(np.broadcast_to(x, (len(orders), 6)), orders)
        )
        found = gf.distributions.plackett_luce_set_log_prob(x, items)
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-13)
        total += np.exp(found)
    assert total == pytest.approx(1, abs=1e-13)


def log_weights(kind: str, k: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(k)
    inside = rng.normal(size=(3, k)) * {"even": 0.0, "normal": 2.0, "wide": 60.0}[kind]
    return inside, np.array([-50.0, 0.0, 50.0])


@pytest.mark.parametrize("kind", ["even", "normal", "wide"])
@pytest.mark.parametrize("k", [2, 3, 5, 8, 12])
def test_sums_and_integral_agree(kind: str, k: int) -> None:
    inside, outside = log_weights(kind, k)
    sums, integral = subsets.by_orders(inside, outside), subsets.by_integral(inside, outside)
    for found, wanted in zip(integral, sums, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    assert np.all(np.isfinite(sums.one))
    chosen = subsets.by_orders if k <= 6 else subsets.by_integral
    assert np.array_equal(subsets.leave_out(inside, outside).two, chosen(inside, outside).two)
    assert np.array_equal(subsets.set_log_prob(inside, outside), chosen(inside, outside).none)
    # Without an item, and with it out of the question, the others are a set of their own.
    rest = subsets.by_orders(inside[:, 1:], outside)
    np.testing.assert_allclose(sums.one[:, 0], rest.none, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(sums.two[:, 0, 1:], rest.one, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("k", "weight"), [(40, 1.0), (200, 1e-3), (200, 1e3), (1000, 1.0)])
def test_large_sets_of_equal_items(k: int, weight: float) -> None:
    """k items of weight w beside the weight 1: B(k + 1, 1/w)/w by the integral, the product of k draws otherwise."""
    with mpmath.workdps(50):
        w = mpmath.mpf(weight)
        wanted = mpmath.fsum(mpmath.log(j * w / (1 + j * w)) for j in range(1, k + 1))
    found = gf.distributions.plackett_luce_set_log_prob(np.append(np.full(k, np.log(weight)), 0.0), np.arange(k))
    assert found == pytest.approx(float(wanted), rel=1e-12)


def test_edges_of_sets() -> None:
    assert gf.distributions.plackett_luce_set_log_prob([0.0, 1.0], np.empty(0, int)) == 0
    for k in (3, 9):
        x = np.linspace(-500, 500, k)
        assert gf.distributions.plackett_luce_set_log_prob(x, np.arange(k)) == pytest.approx(0, abs=1e-12)
        assert gf.distributions.plackett_luce_set_log_prob(np.append(x, -INF), np.arange(k)) == pytest.approx(
            0, abs=1e-12
        )
        assert gf.distributions.plackett_luce_set_log_prob(np.append(x, -INF), np.arange(1, k + 1)) == -INF
        # The lightest items before the heaviest: each of them against nearly all of the weight.
        light = gf.distributions.plackett_luce_set_log_prob(np.append(x - 1e4, 0.0), np.arange(k))
        orders = (x - 1e4).sum() + np.log(np.arange(1, k + 1)).sum()
        assert light == pytest.approx(orders, rel=1e-13)
    rows = gf.distributions.plackett_luce_set_log_prob(np.zeros((4, 2, 3)), np.zeros((1, 2, 3), int), axis=0)
    np.testing.assert_allclose(rows, np.full((2, 3), np.log(0.25)))


@pytest.mark.parametrize("k", [0, 1, 3, 7])
def test_gradient_against_central_differences(k: int) -> None:
    x, h = normal("float64", (4, 7), 3), 1e-6
    order = np.argsort(normal("float64", (4, 7), 4))[:, :k]
    grad = np.array([1.0, -2.0, 0.5, 0.0])
    found = gf.distributions.plackett_luce_log_prob_backward(grad, x, order)
    for j in range(7):
        step = h * (np.arange(7) == j)
        up, down = (
            gf.distributions.plackett_luce_log_prob(x + step, order),
            gf.distributions.plackett_luce_log_prob(x - step, order),
        )
        np.testing.assert_allclose(found[:, j], grad * (up - down) / (2 * h), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-14)
    moved = gf.distributions.plackett_luce_log_prob_backward(grad, x.T, order.T, axis=0)
    assert np.array_equal(moved, found.T)


def test_gradient_over_many_orders_of_magnitude() -> None:
    x = np.linspace(700, -700, 29)
    found = gf.distributions.plackett_luce_log_prob_backward(1.0, x, np.arange(29)[::-1])
    # From the lightest up, each item loses to all that follow.
    assert found[-1] == pytest.approx(1)
    assert found[0] == pytest.approx(-28)
    masked = gf.distributions.plackett_luce_log_prob_backward(1.0, [0.0, -INF, 0.0], [2])
    np.testing.assert_allclose(masked, [-0.5, 0, 0.5])
    assert np.isnan(gf.distributions.plackett_luce_log_prob_backward(1.0, [0.0, -INF], [1])).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype: str) -> None:
    x = normal(dtype, (3, 9))
    items = np.argsort(normal("float64", (3, 9)))[:, :4]
    assert np.array_equal(
        gf.distributions.plackett_luce_set_log_prob(x, items),
        gf.distributions.plackett_luce_set_log_prob(x.astype(float), items),
    )
    found = gf.distributions.plackett_luce_log_prob_backward(np.ones(3, np.float32), x, items)
    assert np.array_equal(found, gf.distributions.plackett_luce_log_prob_backward(1, x.astype(float), items))
    assert found.dtype == np.float64


def test_bad_input() -> None:
    for call, error, text in (
        (
            lambda: gf.distributions.plackett_luce_set_log_prob([0.0, 1.0], [1, 1]),
            ValueError,
            "items must hold different columns, got [1, 1]",
        ),
        (
            lambda: gf.distributions.plackett_luce_set_log_prob([0.0, np.nan], [1]),
            ValueError,
            "logits contain NaN at index (1,)",
        ),
        (
            lambda: gf.distributions.plackett_luce_log_prob_backward([1.0, 2.0], [0.0, 1.0], [1]),
            ValueError,
            "grad of shape (2,) does not broadcast to one per row, shape ()",
        ),
        (
            lambda: gf.distributions.plackett_luce_log_prob_backward("a", [0.0, 1.0], [1]),
            TypeError,
            "grad must be real numbers, got 'a'",
        ),
        (
            lambda: gf.distributions.plackett_luce_log_prob_backward(1.0, [0.0, 1.0], [2]),
            ValueError,
            "order must hold columns in [0, 2), got [2]",
        ),
    ):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == text
