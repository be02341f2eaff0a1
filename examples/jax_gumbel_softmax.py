"""Train an autoencoder with categorical latents in JAX, drawn by jax.random and by gumbelfast.jax.

Images of digits go through 16 latent variables of 64 categories each, relaxed as by Jang, Gu and Poole (2016). The two
programs differ only in one function.
"""

import argparse
import statistics
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

import gumbelfast.jax as gfj

LATENTS, CATEGORIES, HIDDEN, BATCH, RATE = 16, 64, 128, 256, 3e-3
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
    """Cross-entropy of pixels and their reconstruction, in nats per image."""
    y = decode(params, sample(key, encode(params, x), tau))
    return (jnp.logaddexp(0, y) - x * y).sum(-1).mean()


@partial(jax.jit, static_argnums=0)
def step(sample, params, moments, key, x, tau, t):
    """One step of Adam."""
    value, grads = jax.value_and_grad(loss)(params, sample, key, x, tau)
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], grads)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], grads)
    rate = RATE * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), params, first, second)
    return value, params, (first, second)


def train(sample, steps):
    params, key = init(jax.random.key(0)), jax.random.key(1)
    moments = (jax.tree.map(jnp.zeros_like, params),) * 2
    rows = np.random.default_rng(0).integers(len(IMAGES), size=(steps, BATCH))
    losses, seconds = [], []
    for t in range(steps):
        tau = max(0.5, float(np.exp(-0.003 * t)))
        start = time.perf_counter()
        value, params, moments = step(sample, params, moments, jax.random.fold_in(key, t), IMAGES[rows[t]], tau, t + 1)
        losses.append(float(value))
        seconds.append(time.perf_counter() - start)
    return params, losses, statistics.median(seconds[5:])


def picture(path, losses, milliseconds, params):
    try:
        import matplotlib
    except ImportError:
        print('For the picture: pip install "gumbelfast[plot]"')
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    layout = [["loss", "time"], ["digits", "digits"]]
    figure, panels = plt.subplot_mosaic(layout, figsize=(9, 5.8), layout="constrained", height_ratios=(1, 0.8))
    for name, values in losses.items():
        panels["loss"].plot(values, label=name, lw=1)
    panels["loss"].set(xlabel="step", ylabel="nats per image", title="the same training, twice")
    panels["loss"].legend()
    panels["time"].bar(list(milliseconds), list(milliseconds.values()), color=["C0", "C1"], width=0.6)
    panels["time"].set(ylabel="milliseconds per step", title="whole steps, networks and Adam included")
    shown = IMAGES[:12]
    hard = gfj.gumbel_softmax(jax.random.key(2), encode(params, shown), hard=True)
    pair = np.stack([shown, jax.nn.sigmoid(decode(params, hard))]).reshape(2, 12, 8, 8)
    framed = np.pad(pair, ((0, 0), (0, 0), (1, 1), (1, 1))).transpose(0, 2, 1, 3).reshape(20, 120)
    panels["digits"].imshow(framed, cmap="gray_r", vmin=0, vmax=1)
    panels["digits"].set(xticks=[], yticks=[4.5, 14.5], yticklabels=["image", "decoded"])
    panels["digits"].set_title("decoded from hard draws: 16 choices of one in 64")
    figure.savefig(path, dpi=120)
    print("wrote", path)


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--quick", action="store_true", help="few steps: only shows that it runs")
parser.add_argument("--output", type=Path, default=Path("jax_gumbel_softmax.png"))
options = parser.parse_args()
names = ("jax.random", "gumbelfast.jax")
losses, milliseconds = {}, {}
for name, sample in zip(names, (with_jax_random, gfj.gumbel_softmax), strict=True):
    params, losses[name], seconds = train(sample, 60 if options.quick else 600)
    milliseconds[name] = 1e3 * seconds
    print(f"{name:14s}  loss {np.mean(losses[name][-50:]):.2f}  {milliseconds[name]:.2f} ms per step")
print("route:", gfj.route())
theirs, ours = (np.array(losses[name][-50:]) for name in names)
# Other draws end elsewhere, but no further apart than a few of the deviations of single steps.
assert abs(theirs.mean() - ours.mean()) < 3 * theirs.std(), (theirs, ours)
picture(options.output, losses, milliseconds, params)
