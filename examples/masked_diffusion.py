"""Masked discrete diffusion in twenty lines, and how noise with a short tail distorts it.

Every position starts as a mask. With t steps left, a step unmasks a position with probability 1 / t, and then draws its
token from the denoiser: one draw for each masked position, from V tokens and the mask itself. Zheng, Chen, Mao, Liu,
Zhu and Zhang, "Masked diffusion models are secretly time-agnostic masked models and exploit inaccurate categorical
sampling" (2024), found that Gumbel noise made from float32 uniforms lowers the effective temperature: it ends at
-log(-log(1 - 2**-24)) = 16.6, and with more steps a token must win by rarer noise.

The tokens here follow Zipf's law and do not depend on each other, so the denoiser is exact, and any difference from the
truth comes from the sampler. The mean of -log p(token) is the entropy of the law if all is well, and less if rare
tokens are missing.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

import gumbelfast as gf

Draw = Callable[[np.ndarray], np.ndarray]


def generate(log_p: np.ndarray, length: int, steps: int, draw: Draw) -> np.ndarray:
    """Tokens of one sequence; the number of tokens stands for the mask."""
    mask = len(log_p)
    tokens = np.full(length, mask)
    for left in range(steps, 0, -1):
        masked = np.flatnonzero(tokens == mask)
        logits = np.empty((masked.size, mask + 1), log_p.dtype)
        logits[:, :mask] = log_p - np.log(log_p.dtype.type(left))
        with np.errstate(divide="ignore"):
            logits[:, mask] = np.log1p(log_p.dtype.type(-1 / left))
        tokens[masked] = draw(logits)
    return tokens


def short_tailed(rng: np.random.Generator) -> Draw:
    """The Gumbel-max trick as it is usually written, in float32."""

    def draw(logits: np.ndarray) -> np.ndarray:
        u = rng.random(logits.shape, np.float32)
        with np.errstate(divide="ignore"):
            return (logits - np.log(-np.log(u))).argmax(axis=-1)

    return draw


def exact(rng: gf.Generator) -> Draw:
    return lambda logits: gf.categorical(logits, rng=rng)


# Name: dtype of the logits, and the sampler.
SAMPLERS = {
    "float32, -log(-log(u))": (np.float32, lambda: short_tailed(np.random.default_rng(0))),
    "float32, gumbelfast": (np.float32, lambda: exact(gf.default_rng(0))),
    "float64, gumbelfast": (np.float64, lambda: exact(gf.default_rng(1))),
}
COLOURS = dict(zip(SAMPLERS, ("#d1495b", "#1d7874", "#8d99ae"), strict=True))


def picture(path: Path, truth: np.ndarray, numbers: list[int], found: dict) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print('no picture: pip install "gumbelfast[plot]"')
        return
    figure = Figure(figsize=(12, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.axhline(-(truth * np.log(truth)).sum(), color="black", lw=1, label="entropy of the law")
    for place, (name, by_steps) in enumerate(found.items()):
        means = [-np.log(truth)[tokens].mean() for tokens in by_steps]
        errors = [2 * np.log(truth)[tokens].std() / np.sqrt(tokens.size) for tokens in by_steps]
        moved = np.array(numbers) * 1.06 ** (place - 1)
        left.errorbar(moved, means, errors, color=COLOURS[name], marker="o", capsize=3, label=name)
        tail = 1 - np.cumsum(np.bincount(by_steps[-1], minlength=truth.size)) / by_steps[-1].size
        right.plot(np.arange(1, truth.size + 1), tail, color=COLOURS[name], label=name)
    right.plot(np.arange(1, truth.size + 1), 1 - np.cumsum(truth), color="black", lw=1, label="the law")
    left.set(xscale="log", xlabel="steps", ylabel="mean of -log p(token), nats ± 2 standard errors")
    left.set_title("The more steps, the colder")
    right.set(xscale="log", xlabel="rank", ylabel="share of rarer tokens", title=f"After {numbers[-1]} steps")
    for axis in (left, right):
        axis.legend(frameon=False)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("masked_diffusion.png"))
    parser.add_argument("--quick", action="store_true", help="fewer steps and tokens")
    options = parser.parse_args()
    vocabulary, length, numbers = (5000, 150, [10, 100]) if options.quick else (5000, 2000, [10, 100, 1000])
    truth = 1 / np.arange(1, vocabulary + 1)
    truth /= truth.sum()
    print(f"entropy of the law: {-(truth * np.log(truth)).sum():.3f} nats; mean of -log p(token) after")
    print(" " * 24 + "".join(f"{steps:>10} steps" for steps in numbers))
    found = {}
    for name, (dtype, make) in SAMPLERS.items():
        draw = make()
        found[name] = [generate(np.log(truth).astype(dtype), length, steps, draw) for steps in numbers]
        print(f"{name:24}" + "".join(f"{-np.log(truth)[tokens].mean():16.3f}" for tokens in found[name]))
    away = {name: (-np.log(truth)[by[-1]] + (truth * np.log(truth)).sum()) for name, by in found.items()}
    scores = {name: float(a.mean() / a.std() * np.sqrt(a.size)) for name, a in away.items()}
    print("standard errors from the truth: " + ", ".join(f"{name} {score:+.1f}" for name, score in scores.items()))
    short, *ours = scores.values()
    assert max(map(abs, ours)) < 4
    assert options.quick or short < -4
    picture(options.output, truth, numbers, found)


if __name__ == "__main__":
    main()
