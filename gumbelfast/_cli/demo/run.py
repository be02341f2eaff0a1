"""A short tour: the words of Python's own documentation, drawn, tested, relaxed, timed and pictured."""

from __future__ import annotations

import re
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._engine.backend import backend
from ..._engine.thread_count import get_num_threads
from ..._sampling.argmax import categorical, gumbel_top_k
from ..._sampling.relaxed import gumbel_softmax, gumbel_softmax_backward
from ..._sampling.softmax import softmax
from ...random.generator import Generator
from ...random.seeding import default_rng
from .. import text
from ..turns import duration
from . import fast, picture

Array = NDArray[Any]

TAUS = 5.0, 1.0, 0.3, 0.05


def vocabulary() -> tuple[list[str], Array]:
    """The words of Python's help texts, the most frequent first, and how often each is there."""
    counts = Counter(re.findall(r"[a-z]+", " ".join(topics.values()).lower())).most_common()
    return [word for word, _ in counts], np.array([count for _, count in counts])


def _say(title: str, *paragraphs: str) -> None:
    if title:
        print(f"\n{title}\n{'-' * len(title)}")
    print("\n\n".join(textwrap.fill(" ".join(paragraph.split()), 88) for paragraph in paragraphs))


def _introduce(words: list[str], counts: Array) -> None:
    common = ", ".join(f"{word} ({count:,})" for word, count in zip(words[:6], counts[:6].tolist(), strict=True))
    _say(
        "1. A vocabulary",
        f"""Python carries its own documentation (pydoc_data.topics): {counts.sum():,} words, {len(words):,} of them
        different. A few are everywhere: {common}. Most are rare: {int((counts == 1).sum()):,} words occur once.""",
        """Language models end in just such a list: one score per word, called a logit. Here the logit of a word is
        the logarithm of its count. To sample is to pick words at random so that each comes as often as its
        logit says.""",
    )


def _draw(words: list[str], counts: Array, logits: Array, draws: int, rng: Generator) -> tuple[Array, Array, float]:
    start = time.perf_counter()
    index = categorical(logits, size=draws, rng=rng, method="gumbel")
    seconds = time.perf_counter() - start
    drawn, expected = np.bincount(index, minlength=len(words)), draws * counts / counts.sum()
    _say(
        f"2. {draws:,} words at random",
        f"""The Gumbel-max trick: add a random number from the Gumbel distribution to every logit, and take the word
        with the largest sum. Words then win exactly as often as they should; no probabilities are computed,
        nothing is normalised. The catch is the noise: one number per word and draw, here {draws * len(words):,}
        of them.""",
        f"""gumbelfast knows how large the noise of a group of words can be before it computes any of it, and skips
        what cannot win. It drew {draws:,} words in {seconds:.2f} s (backend {backend()}, up to
        {get_num_threads()} threads).""",
    )
    rows = []
    for rank in sorted({0, 1, 2, 9, 99, len(words) // 3, len(words) - 1}):
        deviation = (drawn[rank] - expected[rank]) / np.sqrt(expected[rank] * (1 - counts[rank] / counts.sum()))
        rows.append([f"{rank + 1:,}", words[rank], f"{expected[rank]:,.1f}", f"{drawn[rank]:,}", f"{deviation:+.1f}"])
    text.table("Expected and drawn", ["rank ", "word", "expected ", "drawn ", "off by standard deviations "], rows)
    statistic, freedom, p_value, source = fast.chi_square(drawn, expected)
    _say(
        "",
        f"""All words together: chi-square = {statistic:,.1f} with {freedom:,} degrees of freedom, p = {p_value:.3f}
        (by {source}). A correct sampler gives any p between 0 and 1; one that is wrong gives p near 0.""",
    )
    return expected, drawn, p_value


def _without_replacement(words: list[str], logits: Array, k: int, rng: Generator) -> None:
    picks = gumbel_top_k(logits, k, rng=rng).indices
    _say(
        f"3. {k} different words",
        f"""Take the {k} largest sums instead of the largest: these are {k} draws without replacement, in order.
        (Beam search and subset selection use this.)""",
        ", ".join(words[i] for i in picks.tolist()) + ".",
    )


def _relax(words: list[str], logits: Array, seed: int) -> tuple[list[str], dict[float, Array]]:
    """Softmax and Gumbel-softmax of the most frequent words of five letters and more, in float64."""
    chosen = [i for i, word in enumerate(words) if len(word) >= 5][:8]
    names, x = [words[i] for i in chosen], logits[chosen].astype(np.float64)
    letters, tau = np.array([float(len(name)) for name in names]), 0.5
    hard, y = gumbel_softmax(x, tau, hard=True, return_soft=True, rng=seed)
    gradient = gumbel_softmax_backward(letters, y, tau)

    def loss(at: Array) -> float:
        return float(letters @ gumbel_softmax(at, tau, rng=seed))

    step = 1e-5
    nudged = np.array([(loss(x + d) - loss(x - d)) / (2 * step) for d in step * np.eye(len(x))])
    _say(
        "4. A draw that can be differentiated",
        """A draw is a jump, and a jump has no gradient: a network cannot learn through it. Gumbel-softmax replaces
        the one winner by weights, namely the softmax of the noisy logits divided by a temperature tau. A small
        tau gives nearly all weight to the winner, a large tau nearly the same to all.""",
        f"""Here are the {len(names)} most frequent words of five letters and more. As a loss take the number of
        letters of the drawn word, averaged by weight. The gradient says how much each logit would move it; the
        last column finds the same by nudging the logit by {step:g} under the same noise.""",
    )
    columns = ["word", "softmax ", "draw ", f"weight at tau={tau:g} ", "gradient ", "by nudging "]
    figures = zip(names, softmax(x), hard, y, gradient, nudged, strict=True)
    text.table(
        "One relaxed draw",
        columns,
        [[n, f"{p:.3f}", f"{h:.0f}", f"{w:.4f}", f"{g:+.6f}", f"{f:+.6f}"] for n, p, h, w, g, f in figures],
    )
    _say("", f"Largest difference between the two gradients: {np.abs(gradient - nudged).max():.1e}.")
    many = np.broadcast_to(x, (16, len(x)))
    return names, {t: gumbel_softmax(many, t, rng=seed) for t in TAUS}


def _race(logits: Array, rng: Generator, seed: int) -> None:
    races = fast.races(logits, rng, seed)
    rows = [[r.what, r.numpy_way, duration(r.numpy), duration(r.ours), f"{r.numpy / r.ours:.2g}"] for r in races]
    _say(
        "5. Against NumPy",
        f"""The same work in the same precision (float32, except for choice, which takes float64 probabilities),
        over {logits.size:,} words, on one thread each. Medians of {fast.ROUNDS} turns; a ratio above 1
        means that gumbelfast is faster.""",
    )
    text.table("Time per call", ["work", "NumPy's way", "NumPy ", "gumbelfast ", "ratio "], rows)
    _say(
        "",
        """choice(p=...) adds up the probabilities once and then looks each draw up. For many draws from one and
        the same distribution that is the better way, and gumbelfast.Categorical takes it too. Where every draw has
        logits of its own, as in a model, it does not help.""",
    )


def main(output: Path, seed: int = 0, draws: int = 1_000_000) -> int:
    """Give the tour.

    Parameters
    ----------
    output : Path
        Where the picture goes.
    seed : int
        Of all draws; the same seed shows the same words.
    draws : int
        How many words to draw.

    Returns
    -------
    int
        0, or 2 if the folder of `output` does not exist or the backend in use is the reference, which would take hours.
    """
    if backend() == "reference":
        print("demo needs a compiled backend: unset GUMBELFAST_BACKEND", file=sys.stderr)
        return 2
    if not output.parent.is_dir():
        print(f"no such folder: {output.parent}", file=sys.stderr)
        return 2
    words, counts = vocabulary()
    logits = np.log(counts).astype(np.float32)
    rng = default_rng(seed)
    _introduce(words, counts)
    expected, drawn, p_value = _draw(words, counts, logits, draws, rng)
    _without_replacement(words, logits, 20, rng)
    names, relaxed = _relax(words, logits, seed)
    _race(logits, rng, seed)
    if picture.available():
        picture.save(output, words, expected, drawn, p_value, names, relaxed)
        _say("6. A picture", f"Saved to {output}: drawn against expected counts, and Gumbel-softmax over tau.")
    else:
        _say("6. A picture", 'Needs matplotlib: pip install "gumbelfast[plot]"')
    return 0
