"""The picture of the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import text

Array = NDArray[Any]

INK, ACCENT, EDGE = "#222222", "#d1495b", "#3a6ea5"


def available() -> bool:
    """Whether there is something to draw with."""
    return text.optional("matplotlib") is not None


def save(
    path: Path,
    vocabulary: list[str],
    expected: Array,
    drawn: Array,
    p_value: float,
    words: list[str],
    relaxed: dict[float, Array],
) -> None:
    """Drawn against expected counts, and relaxed samples from warm to cold.

    Parameters
    ----------
    path : Path
        Where to.
    vocabulary : list of str
        All words, the most frequent first.
    expected, drawn : ndarray
        How often each should come and came.
    p_value : float
        Of the chi-square test.
    words : list of str
        Of the slice.
    relaxed : dict
        tau to samples of shape (samples, words).
    """
    figure = text.optional("matplotlib.figure").Figure(figsize=(13, 5.6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.15], wspace=0.04)
    _counts(left.subplots(), vocabulary, expected, drawn, p_value)
    _samples(right, words, relaxed)
    figure.savefig(path, dpi=150, facecolor="white")


def _counts(axes: Any, words: list[str], expected: Array, drawn: Array, p_value: float) -> None:
    rank, spread = np.arange(1, len(expected) + 1), 2 * np.sqrt(expected)
    seen = drawn > 0
    sizes = np.clip(60 / np.sqrt(rank), 1.5, 30)  # the many rare words would hide each other
    axes.scatter(rank[seen], drawn[seen], sizes[seen], color=ACCENT, alpha=0.6, lw=0, zorder=3, label="drawn")
    axes.plot(rank, expected, color=INK, lw=1.2, label="expected")
    for edge, label in ((expected + spread, "expected \u00b1 2 standard deviations"), (expected - spread, None)):
        axes.plot(rank, np.where(edge > 0.5, edge, np.nan), color=EDGE, lw=0.9, ls="--", label=label)
    for i in (0, 1, 9, 99, 999):
        if i < len(words):
            axes.annotate(words[i], (rank[i], expected[i]), (6, 8), textcoords="offset points", color=INK, fontsize=9)
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(0.9, rank[-1] * 1.1),
        ylim=(max(0.8, drawn[seen].min() / 2), expected[0] * 2),
        xlabel="rank of the word",
        ylabel="how often it came",
        title=f"{int(drawn.sum()):,} words drawn by Gumbel-max\nchi-square p = {p_value:.2g}",
    )
    axes.legend(frameon=False, loc="lower left")
    axes.spines[["top", "right"]].set_visible(False)


def _samples(figure: Any, words: list[str], relaxed: dict[float, Array]) -> None:
    rows = len(next(iter(relaxed.values())))
    figure.suptitle(f"Gumbel-softmax: {rows} draws, from blended to one word")
    panels = figure.subplots(1, len(relaxed), sharey=True)
    for axes, (tau, samples) in zip(panels, relaxed.items(), strict=True):
        image = axes.imshow(samples, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        axes.set_xticks(range(len(words)), words, rotation=90)
        axes.set_yticks([])
        axes.set_title(f"$\\tau$ = {tau:g}")
    panels[0].set_ylabel("one draw per row")
    figure.colorbar(image, ax=panels, label="weight of the word", pad=0.02)
