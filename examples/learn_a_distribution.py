"""Train a network to sample: its draws should follow a wave-shaped histogram, and gradients go through the draws.

A small network returns the logits of a categorical distribution. Batches drawn from it are compared with the wave. The
network's weights follow an estimate of the gradient of the loss, each estimator from the same number of draws: relaxed
ones (Gumbel-softmax), hard ones with relaxed gradients (straight-through), or REINFORCE, which sees only the loss.
"""

import argparse
from pathlib import Path

import numpy as np

import gumbelfast as gf
from gumbelfast import estimators as est

BINS, BATCH, BATCHES, TAU, RATE = 32, 64, 8, 0.5, 0.02
WAVE = 1.05 + np.sin(4 * np.pi * (np.arange(BINS) + 0.5) / BINS)
TARGET = WAVE / WAVE.sum()
NAMES = ("Gumbel-softmax", "straight-through Gumbel-softmax", "REINFORCE, leave-one-out")


# A histogram is a mean of one-hot draws. The loss of a batch is the squared distance of its histogram from the wave:
# up to a term of 1/BATCH it is least where the probabilities are the wave, and it is defined for relaxed draws too.
def loss(z: np.ndarray) -> np.ndarray:
    return np.square(z.mean(axis=1) - TARGET).sum(axis=-1)


def loss_slope(z: np.ndarray) -> np.ndarray:
    return np.broadcast_to(2 / BATCH * (z.mean(axis=1, keepdims=True) - TARGET), z.shape)


def estimate(name: str, logits: np.ndarray, rng: gf.Generator) -> np.ndarray:
    """The gradient of the expected loss with respect to the logits."""
    rows = np.broadcast_to(logits, (BATCH, BINS))
    if name == NAMES[0]:
        found = est.reparameterized(rows, loss, loss_slope, tau=TAU, num_samples=BATCHES, rng=rng)
    elif name == NAMES[1]:
        found = est.straight_through_gumbel_softmax(rows, loss, loss_slope, tau=TAU, num_samples=BATCHES, rng=rng)
    else:
        found = est.score_function(rows, loss, baseline="leave_one_out", num_samples=BATCHES, rng=rng)
    return found.grad.sum(axis=0)


def train(name: str, steps: int) -> np.ndarray:
    """The logits before every step, and after the last."""
    rng = gf.default_rng(1)
    hidden, out = rng.normal(size=16), 0.1 * rng.normal(size=(16, BINS))
    moments = [(np.zeros_like(w), np.zeros_like(w)) for w in (hidden, out)]
    history = []
    for step in range(1, steps + 1):
        active = np.tanh(hidden)
        history.append(active @ out)
        grad = estimate(name, history[-1], rng)
        grads = (out @ grad) * (1 - active**2), np.outer(active, grad)
        for weights, by_weights, (first, second) in zip((hidden, out), grads, moments, strict=True):
            # Adam (Kingma and Ba 2014), with a rate that falls to nothing.
            first += 0.1 * (by_weights - first)
            second += 0.01 * (by_weights**2 - second)
            scale = np.sqrt(second / (1 - 0.99**step)) + 1e-8
            weights -= RATE * (1 - step / steps) * first / (1 - 0.9**step) / scale
    return np.array([*history, np.tanh(hidden) @ out])


def picture(path: Path, logits: dict[str, np.ndarray], distance: dict[str, np.ndarray]) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print('no picture: pip install "gumbelfast[plot]"')
        return
    figure = Figure(figsize=(15, 6.5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1.5, 1])
    panels = left.subplots(3, 4, sharex=True, sharey=True)
    last = len(distance[NAMES[0]]) - 1
    for row, name in enumerate(NAMES):
        panels[row, 0].set_ylabel(name.replace(" Gumbel", "\nGumbel").replace(", ", ",\n"))
        for axes, step in zip(panels[row], (0, 20, 80, last), strict=True):
            draws = gf.categorical(logits[name][step], size=20_000, rng=0)
            axes.bar(np.arange(BINS), np.bincount(draws, minlength=BINS) / draws.size, width=1, color=f"C{row}")
            axes.plot(np.arange(BINS), TARGET, color="black", lw=1.2)
            axes.set_title(f"step {step}" if row == 0 else "")
    left.supxlabel("category", fontsize=10)
    left.suptitle("20,000 draws (bars) and the wave (line)")
    axes = right.subplots()
    for row, (name, curve) in enumerate(distance.items()):
        axes.plot(curve, color=f"C{row}", lw=1.5, label=name)
    axes.set(yscale="log", xlabel="step", ylabel="total variation distance of probabilities and wave")
    axes.set_yticks((0.01, 0.02, 0.05, 0.1, 0.2, 0.3), ("0.01", "0.02", "0.05", "0.1", "0.2", "0.3"))
    axes.minorticks_off()
    axes.set_title(f"{BATCHES} batches of {BATCH} draws per step")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("learn_a_distribution.png"))
    parser.add_argument("--quick", action="store_true", help="fewer steps")
    options = parser.parse_args()
    steps = 120 if options.quick else 600
    logits = {name: train(name, steps) for name in NAMES}
    distance = {name: np.abs(gf.softmax(found) - TARGET).sum(axis=-1) / 2 for name, found in logits.items()}
    for name, curve in distance.items():
        print(f"{name:32} distance from {curve[0]:.3f} to {curve[-1]:.3f}, {curve.mean():.3f} over all steps")
        assert curve[-1] < curve[0] / 3
    reinforce = distance[NAMES[2]].mean()
    assert all(distance[name].mean() < reinforce for name in NAMES[:2])
    picture(options.output, logits, distance)


if __name__ == "__main__":
    main()
