"""The Concrete distribution on the triangle: its density and samples of gumbel_softmax, from one-hot to blended.

Three categories with weights 2, 0.5 and 1 at temperatures 0 (the limit: the corners, with their probabilities), 1/2, 1
and 2, as in figure 2 of Maddison, Mnih and Teh, "The Concrete distribution" (2016).
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import gumbelfast as gf

WEIGHTS = np.array([2.0, 0.5, 1.0])
TAUS = (0.5, 1.0, 2.0)
CORNERS = np.array([[0.5, math.sqrt(0.75)], [0, 0], [1, 0]])


def log_density(y: np.ndarray, logits: np.ndarray, tau: float) -> np.ndarray:
    """Log of Gamma(K) tau^(K-1) (sum_i pi_i y_i^-tau)^-K prod_i pi_i y_i^-(tau+1), by y_1 ... y_(K-1)."""
    return gf.distributions.Concrete(logits, tau).log_prob(y)


def by_quadrature(logits: np.ndarray, tau: float) -> tuple[float, np.ndarray]:
    """The integral of the density, and the mean of y."""
    # By log(y_i / y_3) the integrand is smooth and falls off like exp(-tau |.|): plain sums are exact to 1e-12.
    line = np.arange(-40, 40, 0.25) / tau
    a, b = np.meshgrid(line, line)
    log_y = gf.log_softmax(np.stack([a, b, np.zeros_like(a)], axis=-1).reshape(-1, 3))
    y = np.exp(log_y)
    mass = np.exp(log_density(y, logits, tau) + log_y.sum(axis=-1)) * (line[1] - line[0]) ** 2
    return mass.sum(), mass @ y


def triangle(axes: Any, title: str, labels: Sequence[str] = ("$y_1$ = 1", "$y_2$ = 1", "$y_3$ = 1")) -> None:
    axes.fill(*CORNERS.T, facecolor="none", edgecolor="0.3")
    for corner, label, up in zip(CORNERS, labels, (0.075, -0.075, -0.075), strict=True):
        axes.text(corner[0], corner[1] + up, label, ha="center", va="center", fontsize=12)
    axes.set(aspect="equal", xlim=(-0.15, 1.15), ylim=(-0.12, 0.97))
    axes.set_title(title, fontsize=14)
    axes.axis("off")


def picture(path: Path, logits: np.ndarray, samples: dict[float, np.ndarray]) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print('no picture: pip install "gumbelfast[plot]"')
        return
    figure = Figure(figsize=(13, 6.4), layout="constrained")
    panels = figure.subplots(2, len(samples))
    # Points well inside, so that the density is finite.
    grid = np.stack(np.meshgrid(*2 * [np.linspace(0.004, 0.992, 200)]), axis=-1).reshape(-1, 2)
    grid = grid[grid.sum(axis=1) < 0.997]
    points = np.column_stack([grid, 1 - grid.sum(axis=1)])
    for (above, below), (tau, y) in zip(panels.T, samples.items(), strict=True):
        if tau == 0:
            corners = (above, gf.softmax(logits), "probabilities", "C0"), (below, y.mean(axis=0), "samples", "C3")
            for axes, share, title, color in corners:
                labels = [f"$y_{i}$: {s:.3f}" for i, s in enumerate(share, 1)]
                triangle(axes, f"$\\tau$ = 0: {title}", labels)
                axes.scatter(*CORNERS.T, 250 * share, color=color)
            continue
        triangle(above, f"$\\tau$ = {tau:g}: log density")
        level = log_density(points, logits, tau)
        top = np.quantile(level, 0.99)
        above.tricontourf(*(points @ CORNERS).T, np.clip(level, top - 4, top), 24, cmap="Blues")
        triangle(below, f"$\\tau$ = {tau:g}: samples")
        below.scatter(*(y @ CORNERS).T, 5, color="C3", alpha=0.3, lw=0)
    figure.suptitle("The Concrete distribution with weights 2, 0.5 and 1, and 2,000 samples of each\n", fontsize=16)
    figure.savefig(path, dpi=130)
    print(f"picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("simplex.png"))
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    options = parser.parse_args()
    n = 20_000 if options.quick else 1_000_000
    logits, rng = np.log(WEIGHTS), gf.default_rng(0)
    p = gf.softmax(logits)
    rows = np.broadcast_to(logits, (n, 3))
    samples = {0.0: gf.gumbel_softmax(rows[:2000], hard=True, rng=rng)}
    print(f"{'tau':>4} {'integral of the density':>24}  {'mean by the density':24} {'mean of samples':24} off by")
    for tau in TAUS:
        y = gf.gumbel_softmax(rows, tau, rng=rng)
        integral, mean = by_quadrature(logits, tau)
        off = np.abs(y.mean(axis=0) - mean) * math.sqrt(n) / y.std(axis=0)
        print(f"{tau:4} {integral:24.13f}  {mean.round(5)!s:24} {y.mean(axis=0).round(5)!s:24} {off.max():.1f} errors")
        assert abs(integral - 1) < 1e-10
        assert off.max() < 5
        # At every temperature the largest weight is where categorical would draw: the softmax, whatever tau.
        wins = np.bincount(y.argmax(axis=1), minlength=3) / n
        assert np.all(np.abs(wins - p) < 5 * np.sqrt(p * (1 - p) / n))
        samples[tau] = y[:2000]
    print(f"largest coordinate at every tau: 1, 2, 3 with the probabilities {p.round(4)} of the softmax")
    picture(options.output, logits, samples)


if __name__ == "__main__":
    main()
