"""Three expectations on which gradient estimators are compared: a toy, a random objective, a belief net on digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import gumbelfast as gf
from gumbelfast import estimators as est

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Problem:
    """f and its gradient over samples, the logits at which to compare, and how many rows make a measurement."""

    name: str
    title: str
    family: str
    logits: Array
    f: Callable[[Array], Array]
    grad_f: Callable[[Array], Array]
    rows: int


def toy() -> Problem:
    """E[(b - 0.499)^2] of one bit, of Tucker et al. (2017), in the middle of its training."""
    return Problem(
        "toy",
        "(b − 0.499)², one bit",
        "bernoulli",
        np.array([0.5]),
        lambda z: np.square(z - 0.499).sum(axis=-1),
        lambda z: 2 * (z - 0.499),
        200_000,
    )


def network() -> Problem:
    """A random two-layer network of one variable of 16 categories."""
    rng = np.random.default_rng(0)
    inner, outer, logits = rng.normal(size=(16, 32)), rng.normal(size=32) / np.sqrt(32), rng.normal(size=16)

    def f(z: Array) -> Any:
        return 1 + np.tanh(2 * z @ inner) @ outer

    def grad_f(z: Array) -> Any:
        return 2 * ((1 - np.tanh(2 * z @ inner) ** 2) * outer) @ inner.T

    return Problem("network", "random network, 16 categories", "categorical", logits, f, grad_f, 40_000)


def _softplus(x: Array) -> Any:
    return np.logaddexp(0, x)


def _sigmoid(x: Array) -> Any:
    return 0.5 + 0.5 * np.tanh(0.5 * x)


class BeliefNet:
    """A sigmoid belief net, 6 bits over 6 bits over 64 pixels, and the log-odds of q(bits | image), linear in it."""

    sizes = (6, 6, 64)

    def __init__(self, rng: Any) -> None:
        top, middle, pixels = self.sizes
        shapes = {"prior": (top,), "w1": (top, middle), "b1": (middle,), "w0": (middle, pixels), "b0": (pixels,)}
        shapes |= {"v": (pixels, top + middle), "c": (top + middle,)}
        self.weights = {name: 0.1 * rng.normal(size=shape) for name, shape in shapes.items()}

    def errors(self, z: Array, image: Array) -> tuple[Array, Array, Array]:
        """The difference of each layer's bits from their mean, given the layer above."""
        w, top = self.weights, self.sizes[0]
        above, below = z[..., :top], z[..., top:]
        means = _sigmoid(w["prior"]), _sigmoid(above @ w["w1"] + w["b1"]), _sigmoid(below @ w["w0"] + w["b0"])
        return above - means[0], below - means[1], image - means[2]

    def log_joint(self, z: Array, image: Array) -> Any:
        """Log-probability of image and bits, which lie along the last axis, in nats."""
        w, top = self.weights, self.sizes[0]
        above, below = z[..., :top], z[..., top:]
        odds = above @ w["w1"] + w["b1"], below @ w["w0"] + w["b0"]
        total = (above * w["prior"]).sum(axis=-1) - _softplus(w["prior"]).sum()
        total = total + (below * odds[0] - _softplus(odds[0])).sum(axis=-1)
        return total + (image * odds[1] - _softplus(odds[1])).sum(axis=-1)

    def slope(self, z: Array, image: Array) -> Any:
        """Gradient of `log_joint` with respect to the bits."""
        w = self.weights
        _, middle, pixels = self.errors(z, image)
        odds = z[..., : self.sizes[0]] @ w["w1"] + w["b1"]
        return np.concatenate([w["prior"] + middle @ w["w1"].T, odds + pixels @ w["w0"].T], axis=-1)

    def train(self, images: Array, steps: int, rng: Any, rate: float = 0.02) -> None:
        """Raise the evidence lower bound by leave-one-out REINFORCE, with Adam."""
        w, top = self.weights, self.sizes[0]
        first = {name: np.zeros_like(value) for name, value in w.items()}
        second = {name: np.zeros_like(value) for name, value in w.items()}
        for step in range(1, steps + 1):
            batch = images[rng.integers(len(images), size=64)]
            odds = batch @ w["v"] + w["c"]
            found = est.score_function(
                odds, partial(self.log_joint, image=batch), num_samples=4, baseline="leave_one_out",
                family="bernoulli", rng=rng,
            )  # fmt: skip
            z = found.samples
            errors = self.errors(z, batch)
            # The entropy of q is known: its gradient is -x p (1 - p).
            mean = _sigmoid(odds)
            by_odds = found.grad - odds * mean * (1 - mean)
            grads = {
                "prior": errors[0].mean(axis=(0, 1)),
                "w1": np.einsum("nbi,nbj->ij", z[..., :top], errors[1]) / z[..., 0].size,
                "b1": errors[1].mean(axis=(0, 1)),
                "w0": np.einsum("nbi,nbj->ij", z[..., top:], errors[2]) / z[..., 0].size,
                "b0": errors[2].mean(axis=(0, 1)),
                "v": batch.T @ by_odds / len(batch),
                "c": by_odds.mean(axis=0),
            }
            for name, grad in grads.items():
                first[name] = 0.9 * first[name] + 0.1 * grad
                second[name] = 0.99 * second[name] + 0.01 * grad**2
                scale = np.sqrt(second[name] / (1 - 0.99**step)) + 1e-8
                w[name] += rate * first[name] / (1 - 0.9**step) / scale


def belief_net(steps: int = 300) -> Problem:
    """The reconstruction term of the bound of a half-trained belief net, for one digit of scikit-learn's."""
    from sklearn.datasets import load_digits

    images = (load_digits().data > 7).astype(np.float64)
    rng = gf.default_rng(0)
    net = BeliefNet(rng)
    net.train(images, steps, rng)
    image = images[0]
    logits = image @ net.weights["v"] + net.weights["c"]
    return Problem(
        "belief net",
        "sigmoid belief net on digits, 6 + 6 bits",
        "bernoulli",
        logits,
        lambda z: net.log_joint(z, image),
        lambda z: net.slope(z, image),
        20_000,
    )
