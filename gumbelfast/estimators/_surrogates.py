"""Every estimator as a loss with this gradient, for libraries with automatic differentiation: PyTorch and JAX.

An estimator returns a value, the estimate of E[f] from its samples, and adds to it a term that is 0 and whose gradient
with respect to the logits is the estimate. Or it draws hard samples, with the gradient of something soft. In both cases
everything else that f depends on gets the ordinary gradient of the value. PyTorch's and JAX's modules each implement
`Draws`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .._engine import checks
from . import _checks
from . import _formulas as formulas
from .exact import MOST

Array = Any
Function = Callable[[Array], Array]

_NEVER = -1e4  # a finite log-probability whose exponential is 0


class Found(NamedTuple):
    """A loss, and the samples and values of f, both without gradient; see `Estimate` of PyTorch's and JAX's modules."""

    loss: Array
    samples: Array
    values: Array


class Controlled(NamedTuple):
    """`Found`, and the second moment of the estimate, which trains a control variate."""

    loss: Array
    samples: Array
    values: Array
    variance_loss: Array


class Draws(ABC):
    """Categorical variables with their categories last; bits are pairs with logits (0, x).

    Subclasses set `logits`, with their gradient, and `mean`, their softmax without one.
    """

    logits: Array
    mean: Array

    def __init__(self, xp: Any, f: Function, num_samples: Any, family: str) -> None:
        _checks.check_family(family)
        self.xp, self.binary, self._f = xp, family == "bernoulli", f
        self.num_samples = checks.positive_count(num_samples, "num_samples")

    @abstractmethod
    def stop(self, x: Array) -> Array:
        """The same without gradient."""

    @abstractmethod
    def softmax(self, x: Array) -> Array: ...

    @abstractmethod
    def log_softmax(self, x: Array) -> Array: ...

    @abstractmethod
    def one_hot(self, index: Array) -> Array:
        """In the dtype of the logits."""

    @abstractmethod
    def number(self, value: Array, name: str) -> Array:
        """The result of a user's function: real numbers, as floats."""

    @abstractmethod
    def cast(self, x: Array, like: Array | None) -> Array:
        """In the dtype of another array, or in the widest there is."""

    @abstractmethod
    def slope(self, function: Function, at: Array, keep: bool = False) -> tuple[Array, Array]:
        """The values of `function`, of which no two share a sample, and their gradients by the samples.

        `keep` is for gradients that are themselves to be differentiated by what the function depends on.
        """

    @abstractmethod
    def choice(self) -> Array:
        """One-hot draws, `num_samples` of each variable, without gradient."""

    @abstractmethod
    def relaxed(self, logits: Array, tau: Any, hard: bool) -> Array:
        """Gumbel-softmax samples with their gradient."""

    @abstractmethod
    def noises(self, count: int) -> list[Array]:
        """So many times the Gumbel noise of all samples."""

    @abstractmethod
    def exponentials(self, count: int) -> Array:
        """Standard exponentials, so many for each bit."""

    @abstractmethod
    def largest(self, log_p: Array, k: int) -> tuple[Array, Array]:
        """Places and values of the k largest perturbed log-probabilities."""

    def samples(self, z: Array) -> Array:
        """Samples in the shape that the user sees."""
        return z[..., 1] if self.binary else z

    def pairs(self, bits: Array, zero: bool = True) -> Array:
        """Bits, or gradients with respect to them, by category."""
        if not self.binary:
            return bits
        return self.xp.stack((self.xp.zeros_like(bits) if zero else 1 - bits, bits), -1)

    def values(self, z: Array, ndim: int | None = None) -> Array:
        """The values of f at the samples, with as many axes as another call of f returned."""
        return self.checked(self._f(self.samples(z)), tuple(z.shape[:-1]), "f", ndim)

    def checked(self, found: Array, lead: tuple[int, ...], name: str, ndim: int | None = None) -> Array:
        found = self.number(found, name)
        shape = tuple(found.shape)
        if not shape or shape != lead[: len(shape)]:
            raise ValueError(f"{name} returned shape {shape}, expected a leading part of {lead}")
        if ndim not in (None, len(shape)):
            raise ValueError(f"{name} returned shape {shape}, expected {lead[:ndim]}, as of another call")
        return found

    def slopes(self, y: Array, ndim: int) -> tuple[Array, Array]:
        """The values of f at points of the simplex, and its gradient by category."""
        lead = tuple(y.shape[:-1])
        values, slope = self.slope(lambda u: self.checked(self._f(u), lead, "f", ndim), self.samples(y))
        return values, self.pairs(slope)

    def zero(self) -> Array:
        """Zeros whose gradient with respect to the logits is 1, or 0 for logits of -inf."""
        x, xp = self.logits, self.xp
        x = xp.where(self.stop(x) == -xp.inf, xp.zeros_like(x), x)
        return x - self.stop(x)

    def events(self, values: Array) -> tuple[int, ...]:
        """The axes of samples that f summed over, its categories included."""
        return tuple(range(values.ndim - self.logits.ndim - 1, 0))

    def found(self, z: Array, values: Array, loss: Array, grads: Array | None = None) -> Found:
        """The result; `grads` is the gradient with respect to the logits, summed over the samples."""
        if grads is not None:
            loss = loss + (self.zero() * self.stop(grads)).sum(axis=self.events(values))
        return Found(loss, self.stop(self.samples(z)), self.stop(values))

    def pathwise(self, z: Array) -> Found:
        """Of samples that have a gradient themselves."""
        values = self.values(z)
        return self.found(z, values, values.mean(axis=0))

    def scored(self, z: Array, values: Array, coefficients: Array, more: Array = 0.0) -> Found:
        """The mean of coefficients times scores, and of gradients beside them."""
        grads = formulas.across(self.stop(coefficients), z) * (z - self.mean) + more
        return self.found(z, values, values.mean(axis=0), grads.mean(axis=0))


def score_function(draws: Draws, baseline: Any) -> Found:
    """`baseline`: a name, numbers that broadcast to the values, or None."""
    z = draws.choice()
    values = draws.values(z)
    known = draws.stop(values)
    if baseline is None:
        return draws.scored(z, values, known)
    if baseline == "self_critical":
        best = draws.one_hot(draws.stop(draws.logits).argmax(-1))[None]
        return draws.scored(z, values, known - draws.stop(draws.values(best, values.ndim)))
    if not isinstance(baseline, str):
        return draws.scored(z, values, known - draws.xp.broadcast_to(draws.stop(baseline), values.shape))
    weight = draws.xp.ones_like(known)
    if baseline == "optimal":
        weight = ((z - draws.mean) ** 2).sum(axis=draws.events(values))
    return draws.scored(z, values, formulas.less_the_others(draws.xp, known, weight))


def muprop(draws: Draws) -> Found:
    z = draws.choice()
    values = draws.values(z)
    mean = draws.mean[None]
    at_mean, slope = draws.slopes(mean, values.ndim)
    linear = at_mean + (slope * (z - mean)).sum(axis=draws.events(values))
    return draws.scored(z, values, draws.stop(values) - linear, formulas.along(mean, slope))


def straight_through(draws: Draws, surrogate: str | None) -> Found:
    _checks.check_surrogate(surrogate, draws.binary)
    zero = draws.zero()
    return draws.pathwise(draws.choice() + (zero if surrogate == "identity" else formulas.along(draws.mean, zero)))


def reinmax(draws: Draws, tau: Any) -> Found:
    z, zero = draws.choice(), draws.zero()
    between = 0.5 * (z + draws.softmax(draws.stop(draws.logits) / tau))
    return draws.pathwise(z + (2 * formulas.along(between, zero) - 0.5 * formulas.along(draws.mean, zero)))


def gapped_straight_through(draws: Draws, tau: Any, gap: float) -> Found:
    z = draws.choice()
    moved = formulas.gapped(draws.xp, draws.stop(draws.logits), z, gap)
    return draws.pathwise(z + formulas.along(draws.softmax(moved / tau), draws.zero()) / tau)


def gumbel_rao(draws: Draws, tau: Any, num_conditional: int) -> Found:
    first, *others = draws.noises(1 + num_conditional)
    x, xp = draws.stop(draws.logits), draws.xp
    z = draws.one_hot((x + first).argmax(-1))
    log_total, zero = formulas.log_sum(xp, x, -1), draws.zero()
    soft = [draws.softmax(formulas.given_winner(xp, x, log_total, noise, z) / tau) for noise in others]
    return draws.pathwise(z + sum(formulas.along(y, zero) for y in soft) / (tau * num_conditional))


def relax(draws: Draws, control: Callable[[Array], tuple[Array, Array]]) -> Controlled:
    """`control` maps perturbed logits to values of the control variate and its gradient by them."""
    first, second = draws.noises(2)
    x, xp = draws.stop(draws.logits), draws.xp
    perturbed = x + first
    z = draws.one_hot(perturbed.argmax(-1))
    given = formulas.given_winner(xp, x, formulas.log_sum(xp, x, -1), second, z)
    values = draws.values(z)
    correction, slope = control(given)
    if tuple(correction.shape) != tuple(values.shape):
        raise ValueError(f"control returned shape {tuple(correction.shape)}, expected that of f, {tuple(values.shape)}")
    grads = formulas.across(draws.stop(values) - correction, z) * (z - draws.mean)
    grads = grads + control(perturbed)[1] - formulas.through_the_winner(xp, slope, given, draws.mean)
    by_logits = grads[..., 1:] if draws.binary else grads
    moment = (by_logits**2).sum(axis=draws.events(values)).mean(axis=0)
    return Controlled(*draws.found(z, values, values.mean(axis=0), grads.mean(axis=0)), moment)


def learnt_control(draws: Draws, control: Function) -> Callable[[Array], tuple[Array, Array]]:
    """Any function of perturbed logits, of perturbed log-odds for bits."""

    def call(perturbed: Array) -> tuple[Array, Array]:
        at = perturbed[..., 1] - perturbed[..., 0] if draws.binary else perturbed
        values, slope = draws.slope(lambda u: draws.number(control(u), "control"), at, keep=True)
        return values, draws.xp.stack((-slope, slope), -1) if draws.binary else slope

    return call


def relaxed_control(draws: Draws, tau: Any, eta: float) -> Callable[[Array], tuple[Array, Array]]:
    """F itself at relaxed samples, `eta` times: REBAR."""

    def call(perturbed: Array) -> tuple[Array, Array]:
        y = draws.softmax(perturbed / tau)
        lead = tuple(y.shape[:-1])
        values, slope = draws.slope(lambda u: draws.checked(draws._f(u), lead, "f"), draws.samples(y))
        return eta * draws.stop(values), eta * formulas.along(y, draws.pairs(slope)) / tau

    return call


def antithetic(draws: Draws, kind: str) -> Found:
    """ARM and DisARM, from pairs of samples of bits."""
    x, half = draws.samples(draws.stop(draws.logits)), draws.num_samples // 2
    bits, weight = formulas.antithetic(draws.xp, x, draws.exponentials(half), kind)
    z = draws.pairs(bits.reshape((2 * half, *x.shape)), zero=False)
    values = draws.values(z)
    known = draws.stop(values)
    grads = formulas.across(known[:half] - known[half:], weight) * weight
    return draws.found(z, values, values.mean(axis=0), draws.pairs(grads.mean(axis=0)))


def vimco(draws: Draws) -> Found:
    z, xp = draws.choice(), draws.xp
    log_joint = draws.values(z)
    log_q = log_prob(draws, z, draws.stop(draws.logits), log_joint)
    log_w = log_joint - log_q
    count = math.log(draws.num_samples)
    bound = formulas.log_sum(xp, log_w, 0)[0] - count
    coefficients = formulas.vimco_coefficients(xp, draws.stop(log_w))
    grads = (formulas.across(coefficients, z) * (z - draws.mean)).sum(axis=0)
    return draws.found(z, log_w, -bound, -grads)


def log_prob(draws: Draws, z: Array, logits: Array, values: Array) -> Array:
    """Log-probabilities of the events of one-hot samples."""
    xp = draws.xp
    return xp.where(z > 0, draws.log_softmax(logits), xp.zeros_like(z)).sum(axis=draws.events(values))


def exact(draws: Draws) -> Array:
    """E[f] by enumeration, which can be differentiated as it is."""
    x, xp = draws.logits, draws.xp
    columns = x.shape[-1]
    corner = np.broadcast_to(np.arange(columns) == 0, (1, *x.shape)).copy()
    lead = draws.values(draws.cast(xp.asarray(corner), x)).ndim - 1
    event = tuple(x.shape[lead:-1])
    count = columns ** math.prod(event)
    _checks.check_configurations(columns, math.prod(event), MOST)
    digits = np.indices((columns,) * math.prod(event)).reshape(math.prod(event), count)
    index = np.moveaxis(digits, 0, -1).reshape(count, *(1,) * lead, *event)
    hot = np.broadcast_to(index[..., None] == np.arange(columns), (count, *x.shape))
    z = draws.cast(xp.asarray(hot.copy()), x)
    values = draws.values(z, 1 + lead)
    return (xp.exp(log_prob(draws, z, x, values)) * values).sum(axis=0)


def distinct(draws: Draws, k: int, method: str, baseline: str | None) -> Found:
    """The unordered set estimator and the importance-weighted one, from k distinct categories of every row."""
    xp, columns = draws.xp, draws.logits.shape[-1]
    checks.count(k, columns)
    log_p = draws.log_softmax(draws.stop(draws.logits))
    log_p = xp.where(log_p < _NEVER, xp.full_like(log_p, _NEVER), log_p)
    places, perturbed = draws.largest(log_p, min(k + 1, columns))
    hot = draws.one_hot(places[..., :k])
    z = xp.moveaxis(hot, -2, 0)
    values = draws.values(z)
    if tuple(values.shape) != tuple(z.shape[:-1]):
        raise ValueError(f"f returned shape {tuple(values.shape)}, expected {tuple(z.shape[:-1])}: one value per row")
    wide = draws.cast(log_p, None)
    inside = xp.where(hot > 0, wide[..., None, :], xp.zeros_like(wide)[..., None, :]).sum(axis=-1)
    left_out = xp.full_like(inside[..., 0], -xp.inf)
    f = draws.cast(xp.moveaxis(draws.stop(values), 0, -1), None)
    if method == "importance":
        kappa = draws.cast(perturbed[..., k], None) if columns > k else left_out
        weights, coefficients = formulas.importance_weights(xp, inside, kappa, f, baseline)
    else:
        others = xp.where(hot.sum(axis=-2) > 0, xp.full_like(wide, -xp.inf), wide)
        outside = formulas.log_sum(xp, others, -1)[..., 0] if columns > k else left_out
        weights, coefficients = formulas.unordered_weights(xp, inside, outside, f, baseline)
    loss = (draws.cast(xp.moveaxis(weights, -1, 0), values) * values).sum(axis=0)
    grads = (draws.cast(xp.moveaxis(coefficients, -1, 0), z)[..., None] * (z - draws.mean)).sum(axis=0)
    return draws.found(z, values, loss, grads)
