"""Train a variational autoencoder with categorical latents in JAX, drawn by jax.random and by gumbelfast.jax.

Images of digits go through 24 latent variables of 32 categories each (Jang, Gu and Poole 2016). The programs differ in
one function alone. Name a file to get a picture: python examples/jax_gumbel_softmax.py digits.png
"""

import statistics
import sys
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

import gumbelfast.jax as gfj

LATENTS, CATEGORIES, HIDDEN, BATCH, STEPS, RATE = 24, 32, 128, 256, 300, 3e-3
IMAGES = (load_digits().images.reshape(-1, 64) / 16).astype(np.float32)


def with_jax_random(key, logits, tau):
    return jax.nn.softmax((logits + jax.random.gumbel(key, logits.shape)) / tau)


def init(key):
    sizes = [(64, HIDDEN), (HIDDEN, LATENTS * CATEGORIES), (LATENTS * CATEGORIES, HIDDEN), (HIDDEN, 64)]
    keys = jax.random.split(key, len(sizes))
    return [(jax.random.normal(k, s) / s[0] ** 0.5, jnp.zeros(s[1])) for k, s in zip(keys, sizes, strict=True)]


def encode(params, x):
    (w1, b1), (w2, b2) = params[:2]
    return (jax.nn.relu(x @ w1 + b1) @ w2 + b2).reshape(-1, LATENTS, CATEGORIES)


def decode(params, z):
    (w1, b1), (w2, b2) = params[2:]
    return jax.nn.relu(z.reshape(-1, LATENTS * CATEGORIES) @ w1 + b1) @ w2 + b2


def loss(params, sample, key, x, tau):
    """The negative evidence lower bound, in nats per image."""
    logits = encode(params, x)
    y = decode(params, sample(key, logits, tau))
    log_q = jax.nn.log_softmax(logits)
    divergence = (jnp.exp(log_q) * (log_q + jnp.log(CATEGORIES))).sum((1, 2))
    return (jnp.logaddexp(0, y) - x * y).sum(-1).mean() + divergence.mean()


@partial(jax.jit, static_argnums=0)
def step(sample, params, moments, key, x, tau, t):
    """One step of Adam."""
    value, grads = jax.value_and_grad(loss)(params, sample, key, x, tau)
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], grads)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], grads)
    rate = RATE * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), params, first, second)
    return value, params, (first, second)


def train(sample):
    params, key = init(jax.random.key(0)), jax.random.key(1)
    moments = (jax.tree.map(jnp.zeros_like, params),) * 2
    rows = np.random.default_rng(0).integers(len(IMAGES), size=(STEPS, BATCH))
    losses, seconds = [], []
    for t in range(STEPS):
        tau = max(0.5, float(np.exp(-0.005 * t)))
        start = time.perf_counter()
        value, params, moments = step(sample, params, moments, jax.random.fold_in(key, t), IMAGES[rows[t]], tau, t + 1)
        losses.append(float(value))
        seconds.append(time.perf_counter() - start)
    return params, losses, statistics.median(seconds[5:])


def picture(path, losses, params):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", width_ratios=(1, 1.3))
    for name, values in losses.items():
        left.plot(values, label=name, lw=1)
    left.set(xlabel="step", ylabel="negative ELBO, nats per image", title="the same training, twice")
    left.legend()
    shown = IMAGES[:12]
    hard = gfj.gumbel_softmax(jax.random.key(2), encode(params, shown), hard=True)
    pair = np.stack([shown, jax.nn.sigmoid(decode(params, hard))])
    right.imshow(pair.reshape(2, 12, 8, 8).transpose(0, 2, 1, 3).reshape(16, 96), cmap="gray_r", vmin=0, vmax=1)
    right.set(xticks=[], yticks=[3.5, 11.5], yticklabels=["image", "decoded"], title="through hard one-hot latents")
    figure.savefig(path, dpi=120)


params, theirs, their_seconds = train(with_jax_random)
params, ours, our_seconds = train(gfj.gumbel_softmax)
ends = [float(np.mean(values[-50:])) for values in (theirs, ours)]
print(f"jax.random      loss {ends[0]:.2f}  {1e3 * their_seconds:.2f} ms per step")
print(f"gumbelfast.jax  loss {ends[1]:.2f}  {1e3 * our_seconds:.2f} ms per step  (route: {gfj.route()})")
# Steps are as noisy as this, whichever way the draws are made.
assert abs(ends[0] - ends[1]) < 5 * np.std(theirs[-50:]), ends
if len(sys.argv) > 1:
    picture(sys.argv[1], {"jax.random": theirs, "gumbelfast.jax": ours}, params)
