"""Gradient estimators for one row of logits and one sample, with Jacobians written out.

Every function takes the sample's own randomness (an index, or standard Gumbel noise) and returns what that sample says
of d E[f] / d x. Points of the simplex are arrays of shape (K,), `f` maps one to a number, `grad_f` to an array.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

Vector = Any  # an array of shape (K,), float64
Slope = Callable[[Vector], Vector]
Value = Callable[[Vector], float]


def probabilities(x: Vector) -> Vector:
    """The softmax of x."""
    weights = np.exp(x - x.max())
    return weights / weights.sum()


def one_hot(index: int, columns: int) -> Vector:
    """The corner of the simplex that an index names."""
    return np.eye(columns)[index]


def score(x: Vector, index: int) -> Vector:
    """Gradient of log softmax(x)[index]."""
    return one_hot(index, x.size) - probabilities(x)


def softmax_jacobian(y: Vector, tau: float = 1.0) -> Vector:
    """Entry (i, j) is the derivative of y_i by x_j, y = softmax(x / tau)."""
    return (np.diag(y) - np.outer(y, y)) / tau


def score_function(x: Vector, index: int, value: float, baseline: float = 0.0) -> Vector:
    """REINFORCE (Williams 1992)."""
    return (value - baseline) * score(x, index)


def leave_one_out(values: Vector, sample: int) -> float:
    """The mean of the other samples' values."""
    return float(np.mean(np.delete(values, sample)))


def optimal_scalar(values: Vector, scores: Vector, sample: int) -> float:
    """The scalar b for which the mean of (f - b)^2 s^2 over the other samples is least."""
    squares = np.delete((scores**2).sum(axis=1), sample)
    return float(squares @ np.delete(values, sample) / squares.sum())


def muprop(x: Vector, index: int, f: Value, grad_f: Slope) -> Vector:
    """Gu et al. (2016): the expansion of f around the mean has its own gradient, the rest is left to REINFORCE."""
    mean, z = probabilities(x), one_hot(index, x.size)
    left = f(z) - f(mean) - grad_f(mean) @ (z - mean)
    return left * score(x, index) + softmax_jacobian(mean) @ grad_f(mean)


def straight_through(x: Vector, index: int, grad_f: Slope, surrogate: str) -> Vector:
    """Bengio et al. (2013)."""
    slope = grad_f(one_hot(index, x.size))
    return slope if surrogate == "identity" else softmax_jacobian(probabilities(x)) @ slope


def reparameterized(x: Vector, noise: Vector, grad_f: Slope, tau: float) -> Vector:
    """Jang et al. (2016), Maddison et al. (2016)."""
    y = probabilities((x + noise) / tau)
    return softmax_jacobian(y, tau) @ grad_f(y)


def straight_through_gumbel_softmax(x: Vector, noise: Vector, grad_f: Slope, tau: float) -> Vector:
    """Jang et al. (2016), section 2.2."""
    y = probabilities((x + noise) / tau)
    return softmax_jacobian(y, tau) @ grad_f(one_hot(int((x + noise).argmax()), x.size))


def conditional_times(x: Vector, index: int, noise: Vector) -> Vector:
    """exp(-z) of perturbed logits z given that `index` has won: a race that begins when the winner has arrived."""
    exponentials = np.exp(-noise)
    first = exponentials[index] / np.exp(x).sum()
    times = first + exponentials * np.exp(-x)
    times[index] = first
    return times


def gumbel_rao(x: Vector, index: int, noises: Vector, grad_f: Slope, tau: float) -> Vector:
    """Paulus et al. (2020), equation 10; one row of `noises` per conditional sample."""
    jacobians = [softmax_jacobian(probabilities(-np.log(conditional_times(x, index, n)) / tau), tau) for n in noises]
    return np.mean(jacobians, axis=0) @ grad_f(one_hot(index, x.size))


def relax(x: Vector, noise: Vector, given_noise: Vector, f: Value, control: Value, grad_control: Slope) -> Vector:
    """Grathwohl et al. (2018), equation 8."""
    perturbed = x + noise
    index = int(perturbed.argmax())
    times = conditional_times(x, index, given_noise)
    given = -np.log(times)
    arrival = times[index]
    # d times_i / d x_j: the arrival of the winner falls with the sum of exp(x), what follows with its own x.
    falls = -np.outer(np.ones_like(x), arrival * probabilities(x)) - np.diag(times - arrival)
    jacobian = -falls / times[:, None]
    left = (f(one_hot(index, x.size)) - control(given)) * score(x, index)
    return left + grad_control(perturbed) - jacobian.T @ grad_control(given)


def rebar(
    x: Vector, noise: Vector, given_noise: Vector, f: Value, grad_f: Slope, tau: float, eta: float = 1.0
) -> Vector:
    """Tucker et al. (2017): `relax` with eta f(softmax(z / tau))."""

    def slope(z: Vector) -> Vector:
        y = probabilities(z / tau)
        return eta * softmax_jacobian(y, tau) @ grad_f(y)

    return relax(x, noise, given_noise, f, lambda z: eta * f(probabilities(z / tau)), slope)


def exact(rows: Vector, f: Callable[[Any], float]) -> tuple[float, Vector]:
    """E[f] and its gradient for independent rows of logits, configuration by configuration."""
    value, grad = 0.0, np.zeros_like(rows)
    for indices in product(range(rows.shape[1]), repeat=rows.shape[0]):
        z = np.stack([one_hot(i, rows.shape[1]) for i in indices])
        p = float(np.prod([probabilities(x)[i] for x, i in zip(rows, indices, strict=True)]))
        value += p * f(z)
        grad += p * f(z) * np.stack([score(x, i) for x, i in zip(rows, indices, strict=True)])
    return value, grad
