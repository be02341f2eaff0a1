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


def decoupled(x: Vector, noise: Vector, grad_f: Slope, tau_forward: float, tau_backward: float) -> Vector:
    """Shah et al. (2024): sample and noise of logits x / tau_forward."""
    perturbed = x / tau_forward + noise
    y = probabilities(perturbed / tau_backward)
    return softmax_jacobian(y, tau_forward * tau_backward) @ grad_f(one_hot(int(perturbed.argmax()), x.size))


def reinmax(x: Vector, index: int, grad_f: Slope, tau: float = 1.0) -> Vector:
    """Liu et al. (2023), algorithm 2."""
    z = one_hot(index, x.size)
    between = (z + probabilities(x / tau)) / 2
    return (2 * softmax_jacobian(between) - 0.5 * softmax_jacobian(probabilities(x))) @ grad_f(z)


def gapped_straight_through(x: Vector, index: int, grad_f: Slope, tau: float, gap: float) -> Vector:
    """Fan et al. (2022): m_1 raises what was drawn to the largest, m_2 lowers all else to the gap below."""
    z = one_hot(index, x.size)
    raised = (x.max() - x @ z) * z
    lowered = np.maximum(x + gap - x.max(), 0) * (1 - z)
    y = probabilities((x + raised - lowered) / tau)
    return softmax_jacobian(y, tau) @ grad_f(z)


def antithetic_bits(x: Vector, u: Vector) -> tuple[Vector, Vector]:
    """Bits with log-odds x from uniforms u, and from 1 - u."""
    odds = 1 / (1 + np.exp(-x))
    return (u > 1 - odds).astype(float), (u < odds).astype(float)


def arm(x: Vector, u: Vector, f: Value) -> Vector:
    """Yin and Zhou (2019), theorem 1."""
    first, second = antithetic_bits(x, u)
    return (f(first) - f(second)) * (u - 0.5)


def disarm(x: Vector, u: Vector, f: Value) -> Vector:
    """Dong et al. (2020), equation 5."""
    first, second = antithetic_bits(x, u)
    signs = np.where(first != second, (-1.0) ** second, 0.0)
    return 0.5 * (f(first) - f(second)) * signs / (1 + np.exp(-np.abs(x)))


def vimco(x: Vector, indices: list[int], log_joint: Value) -> Vector:
    """Mnih and Rezende (2016), equations 7 to 10: the gradient of minus the bound of these samples."""
    log_w = [log_joint(one_hot(i, x.size)) - float(np.log(probabilities(x)[i])) for i in indices]
    weights, count = np.exp(log_w), len(indices)
    grad = np.zeros_like(x)
    for sample, index in enumerate(indices):
        rest = np.delete(log_w, sample)
        stand_in = (np.exp(rest).sum() + np.exp(rest.mean())) / count
        signal = np.log(weights.mean()) - np.log(stand_in) - weights[sample] / weights.sum()
        grad -= signal * score(x, index)
    return grad


def exact(rows: Vector, f: Callable[[Any], float]) -> tuple[float, Vector]:
    """E[f] and its gradient for independent rows of logits, configuration by configuration."""
    value, grad = 0.0, np.zeros_like(rows)
    for indices in product(range(rows.shape[1]), repeat=rows.shape[0]):
        z = np.stack([one_hot(i, rows.shape[1]) for i in indices])
        p = float(np.prod([probabilities(x)[i] for x, i in zip(rows, indices, strict=True)]))
        value += p * f(z)
        grad += p * f(z) * np.stack([score(x, i) for x, i in zip(rows, indices, strict=True)])
    return value, grad
