"""A variational autoencoder with categorical latents in plain NumPy, trained on digits through Gumbel-softmax samples.

An image of 8 x 8 binary pixels is encoded in 8 latent variables of 8 categories each; encoder and decoder are linear.
It is judged by the negative evidence lower bound (ELBO) of held-out digits, with hard samples.
``digits_estimators.py`` trains it with other estimators of the gradient. Needs scikit-learn, for its digits.
"""

import math
import os
from collections.abc import Callable
from functools import partial

# The matrices are small: threads would spend their time waiting for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from sklearn.datasets import load_digits

import gumbelfast as gf
from gumbelfast import estimators as est

BATCH, RATE = 64, 0.003
Estimator = Callable[..., est.Estimate]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images of shape (n, 64) for training, and others for the test."""
    images = np.random.default_rng(0).permutation((load_digits().data > 7).astype(np.float32))
    return images[:1500], images[1500:]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * x)


class Autoencoder:
    """Two linear maps of 64 numbers to 64; the last rows of the weights are the biases."""

    def __init__(self, rng: gf.Generator) -> None:
        self.encoder, self.decoder = (rng.normal(scale=1 / 8, size=(65, 64)).astype(np.float32) for _ in range(2))

    def logits(self, x: np.ndarray) -> np.ndarray:
        """The logits of q(z | x), for each latent variable."""
        return (x @ self.encoder[:-1] + self.encoder[-1]).reshape(-1, 8, 8)

    def log_odds(self, z: np.ndarray) -> np.ndarray:
        """The logits of the pixels."""
        return z.reshape(*z.shape[:-2], 64) @ self.decoder[:-1] + self.decoder[-1]

    def loss(self, z: np.ndarray, x: np.ndarray) -> np.ndarray:
        """-log p(x | z): an estimator differentiates its expectation over z."""
        odds = self.log_odds(z)
        return (np.logaddexp(0, odds) - x * odds).sum(axis=-1)

    def loss_slope(self, z: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Its gradient with respect to z."""
        return ((sigmoid(self.log_odds(z)) - x) @ self.decoder[:-1].T).reshape(z.shape)

    def negative_elbo(self, x: np.ndarray) -> float:
        logits = self.logits(x)
        z = gf.gumbel_softmax(np.broadcast_to(logits, (10, *logits.shape)), hard=True, rng=0)
        log_q = gf.log_softmax(logits)
        divergence = (np.exp(log_q) * (log_q + math.log(8))).sum(axis=(-1, -2))
        return float((self.loss(z, x).mean(axis=0) + divergence).mean())

    def gradients(self, x: np.ndarray, estimator: Estimator, rng: gf.Generator) -> list[np.ndarray]:
        """The gradients of the negative ELBO of a batch, for encoder and decoder."""
        logits = self.logits(x)
        found = estimator(logits, partial(self.loss, x=x), partial(self.loss_slope, x=x), num_samples=2, rng=rng)
        # The divergence from the uniform prior needs no estimate: its gradient is q (log q - sum q log q).
        q, log_q = gf.softmax(logits), gf.log_softmax(logits)
        by_logits = found.grad + q * (log_q - (q * log_q).sum(axis=-1, keepdims=True))
        pairs = (x, by_logits), (found.samples, sigmoid(self.log_odds(found.samples)) - x)
        flat = ((inputs.reshape(-1, 64), by.reshape(-1, 64)) for inputs, by in pairs)
        return [np.vstack([inputs.T @ by, by.sum(axis=0)]) / len(by) for inputs, by in flat]


def train(
    estimator: Estimator, images: np.ndarray, held_out: np.ndarray, marks: list[int], seed: int
) -> tuple[Autoencoder, list[float]]:
    """The trained model, and the negative ELBO of held-out images at the marked steps."""
    rng, curve = gf.default_rng(seed), []
    model = Autoencoder(rng)
    weights = model.encoder, model.decoder
    moments = [(np.zeros_like(w), np.zeros_like(w)) for w in weights]
    for step in range(1, marks[-1] + 1):
        batch = images[rng.integers(len(images), size=BATCH)]
        for w, grad, (first, second) in zip(weights, model.gradients(batch, estimator, rng), moments, strict=True):
            # Adam (Kingma and Ba 2014).
            first += 0.1 * (grad - first)
            second += 0.001 * (grad**2 - second)
            w -= RATE * first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        if step in marks:
            curve.append(model.negative_elbo(held_out))
    return model, curve


def main() -> None:
    images, held_out = digits()
    # The cost of pixels that are drawn independently, each with its own frequency.
    p = images.mean(axis=0).clip(1e-3, 1 - 1e-3)
    alone = -(held_out * np.log(p) + (1 - held_out) * np.log1p(-p)).sum(axis=1).mean()
    print(f"held-out digits, in nats: {alone:.2f} if pixels knew nothing of each other")
    marks = [1, 100, 300, 1000]
    _, curve = train(partial(est.straight_through_gumbel_softmax, tau=0.5), images, held_out, marks, seed=0)
    for step, bound in zip(marks, curve, strict=True):
        print(f"step {step:4}: negative ELBO {bound:.2f}")
    assert curve[-1] < alone - 2


if __name__ == "__main__":
    main()
