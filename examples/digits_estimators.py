"""Gradient estimators side by side: each trains the autoencoder of ``digits_autoencoder.py``, all are judged alike.

The table shows the negative evidence lower bound of held-out digits early and late in training, beside what table 1 of
Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax" (2016), has for the same estimators.
Needs scikit-learn.
"""

import argparse
import os
from functools import partial
from pathlib import Path

# The matrices are small: threads would spend their time waiting for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from digits_autoencoder import Estimator, digits, sigmoid, train

import gumbelfast as gf
from gumbelfast import estimators as est

TAU = 0.5


def score_function(baseline: str | est.RunningMean) -> Estimator:
    return lambda logits, f, grad_f, **options: est.score_function(logits, f, baseline=baseline, **options)


# Name: how to make the estimator, and Jang's figure, "VAE (Cat.)".
ESTIMATORS = {
    "score function, running mean": (lambda: score_function(est.RunningMean()), "110.6"),
    "score function, leave-one-out": (lambda: score_function("leave_one_out"), ""),
    "MuProp": (lambda: est.muprop, "107.0"),
    "straight-through": (lambda: est.straight_through, "110.9"),
    "Gumbel-softmax": (lambda: partial(est.reparameterized, tau=TAU), "101.5"),
    "ST Gumbel-softmax": (lambda: partial(est.straight_through_gumbel_softmax, tau=TAU), "107.8"),
    "Gumbel-Rao": (lambda: partial(est.gumbel_rao, tau=TAU, num_conditional=4), ""),
    "REBAR": (lambda: partial(est.rebar, tau=TAU), ""),
}
CAVEAT = """Ours: two samples per image, one learning rate and tau for all, not tuned; ± is the deviation of seeds.
Theirs: binarised MNIST, 20 variables of 10 categories, tuned for each, tau annealed, a bound of 1000 samples.
The figures cannot be compared, and on so small a problem even the order need not be theirs."""


def picture(path: Path, marks: list[int], curves: dict, models: dict, images: np.ndarray) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print('no picture: pip install "gumbelfast[plot]"')
        return
    figure = Figure(figsize=(14, 6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.1])
    for name, found in curves.items():
        left.plot(marks, np.mean(found, axis=0), label=name)
    left.set(xlabel="step", ylabel="negative ELBO of held-out digits, nats", title="Lower is better")
    left.legend(frameon=False)
    rows = [images]
    for model in models.values():
        rows.append(sigmoid(model.log_odds(gf.gumbel_softmax(model.logits(images), hard=True, rng=0))))
    tiles = np.reshape(rows, (len(rows), len(images), 8, 8))
    tiles = np.pad(tiles, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.4).transpose(0, 2, 1, 3)
    right.imshow(tiles.reshape(10 * len(rows), -1), cmap="gray_r", vmin=0, vmax=1)
    right.set_yticks(4.5 + 10 * np.arange(len(rows)), ["held-out digits", *models])
    right.set(xticks=[], title="Probabilities of pixels, given one hard sample of the latents")
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("digits_estimators.png"))
    parser.add_argument("--quick", action="store_true", help="one seed, few steps")
    options = parser.parse_args()
    seeds, steps = (1, 60) if options.quick else (3, 3000)
    marks = [steps * i // 12 for i in range(1, 13)]
    images, held_out = digits()
    curves, models = {}, {}
    print(f"{'negative ELBO in nats, after':30} {marks[1]:4} {steps:6} steps   Jang et al.")
    for name, (make, theirs) in ESTIMATORS.items():
        found = [train(make(), images, held_out, marks, seed) for seed in range(seeds)]
        models[name], curves[name] = found[0][0], [curve for _, curve in found]
        early, late = np.array(curves[name])[:, (1, -1)].T
        print(f"{name:29} {early.mean():5.2f} {late.mean():6.2f} ± {late.std():.2f} {theirs:>10}")
        assert late.max() < early.min()
    print(CAVEAT)
    picture(options.output, marks, curves, models, held_out[:12])


if __name__ == "__main__":
    main()
