"""Denoise binary digits with a Markov random field: the best image, samples of what it may have been, and marginals.

    python examples/denoise_digits.py --output digits.png

A pixel agrees with its four neighbours more often than not (an Ising model), and was flipped with a known probability.
A minimum cut finds the most probable image; with Gumbel noise on the unary potentials the same solver gives samples
(perturb-and-MAP), whose spread shows which strokes are in doubt. Without PyMaxflow the grid is replaced by a comb, a
tree with half its edges, which Viterbi's algorithm solves: exact, but a poorer model, and the output says so.
"""

import argparse
import importlib.util
from functools import partial
from pathlib import Path

import numpy as np
from scipy.ndimage import zoom
from sklearn.datasets import load_digits

from gumbelfast.structures import Labelling, graph_cut, perturb_and_map, viterbi_tree

FLIP, COUPLING, SIDE = 0.15, 1.2, 24


def comb(unary: np.ndarray, pairwise: np.ndarray) -> Labelling:
    """The best labelling with the vertical edges of the first column and all horizontal ones."""
    height, width = unary.shape[-3:-1]
    parents = np.arange(height * width) - 1
    parents[::width] = np.arange(-width, (height - 1) * width, width)
    parents[0] = -1
    found = viterbi_tree(unary.reshape(*unary.shape[:-3], -1, 2), pairwise, parents)
    return Labelling(found.labels.reshape(unary.shape[:-1]), found.score)


def pictures(digits: int) -> np.ndarray:
    """Digits of 8 × 8 grey pixels, enlarged and in black and white."""
    grey = load_digits().images[:digits]
    return (zoom(grey, (1, SIDE / 8, SIDE / 8), order=3, mode="nearest", grid_mode=True) > 7).astype(int)


def draw(path: str, columns: list[tuple[str, np.ndarray]], rows: int) -> None:
    try:
        import matplotlib
    except ImportError:
        print('For the picture: pip install "gumbelfast[plot]"')
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(rows, len(columns), figsize=(1.25 * len(columns), 1.25 * rows + 0.25))
    for j, (title, images) in enumerate(columns):
        axes[0, j].set_title(title, fontsize=10)
        for i in range(rows):
            axes[i, j].imshow(images[i], cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
            axes[i, j].set(xticks=[], yticks=[])
            for spine in axes[i, j].spines.values():
                spine.set_color("0.8")
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.95, wspace=0.06, hspace=0.06)
    figure.savefig(path, dpi=110)
    print("wrote", path)


parser = argparse.ArgumentParser(description="denoise binary digits")
parser.add_argument("--quick", action="store_true", help="few digits: only shows that it runs")
parser.add_argument("--output", type=Path, default=Path("denoise_digits.png"))
options = parser.parse_args()
digits, num_samples = (20, 50) if options.quick else (60, 100)

rng = np.random.default_rng(0)
clean = pictures(digits)
noisy = clean ^ (rng.random(clean.shape) < FLIP)
evidence = np.log(np.where(noisy[..., None] == np.arange(2), 1 - FLIP, FLIP)).astype(np.float32)

if importlib.util.find_spec("maxflow"):
    print(f"minimum cuts of {SIDE} × {SIDE} grids by PyMaxflow")
    solver = partial(graph_cut, pairwise=COUPLING * np.eye(2))
else:
    print("PyMaxflow is not installed: combs in place of grids, a poorer model (pip install 'gumbelfast[maxflow]')")
    solver = partial(comb, pairwise=2 * COUPLING * np.eye(2))  # half the edges, each twice as strong

best = solver(evidence).labels
found = perturb_and_map(evidence, solver, num_samples, rng=1)
on = found.marginals[..., 1]

errors = {"noisy": noisy, "most probable image": best, "marginals above one half": on > 0.5}
for name, image in errors.items():
    print(f"{name:26s} {np.mean(image != clean):7.2%} of the pixels are wrong")
sure = np.maximum(on, 1 - on) > 0.9
print(
    f"marginals beyond 0.9       {np.mean((on > 0.5)[sure] != clean[sure]):7.2%} of these {sure.mean():.0%} are wrong"
)
assert np.mean((on > 0.5) != clean) < 0.8 * FLIP
assert np.mean((on > 0.5)[sure] != clean[sure]) < np.mean((on > 0.5) != clean)

samples = [("samples" if i == 1 else "", found.samples[i]) for i in range(3)]
columns = [("clean", clean), ("noisy", noisy), ("best", best), *samples, ("marginals", on)]
draw(options.output, columns, 6)
