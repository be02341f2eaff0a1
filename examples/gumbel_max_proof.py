"""The Gumbel-max trick by numbers: argmax(x + g) is a draw from softmax(x), and each step of the derivation holds.

With g standard Gumbel noise and i a category, the derivation goes

1. given g_i, all others lose with probability  prod_{j != i} F(x_i + g_i - x_j),  F(a) = exp(-exp(-a));
2. P(i wins) is the integral over g_i of its density exp(-(g_i + exp(-g_i))) times that product;
3. the integrand is exp(-mu) times the density of Gumbel(mu, 1), mu = log sum_j exp(x_j - x_i), which integrates to 1;
4. so P(i wins) = exp(-mu) = exp(x_i) / sum_j exp(x_j).
"""

import argparse
import math
from pathlib import Path

import numpy as np

import gumbelfast as gf

COUNTED = 500  # outcomes of step 1
STEP = 0.2  # of the trapezoidal rule, whose error is about |Gamma(1 + 2 pi i / STEP)|: none in float64


def gumbel_density(z: np.ndarray, mu: float = 0.0) -> np.ndarray:
    return np.exp(-(z - mu) - np.exp(mu - z))


def others_lose(z: np.ndarray, x: np.ndarray, i: int) -> np.ndarray:
    """Step 1 at every z: the product of the other categories' distribution functions."""
    return np.exp(-np.exp(-(x[i] + z[:, None] - np.delete(x, i)))).prod(axis=1)


def derivation(x: np.ndarray, categories: list[int], rng: gf.Generator) -> list[float]:
    """The worst error of each step over the categories; of step 1, in standard deviations of counted wins."""
    worst = np.zeros(4)
    for i in categories:
        mu = float(gf.logsumexp(x - x[i]))
        # The tails that are left out weigh less than 1e-19, as mu >= 0.
        z = np.arange(-5, mu + 45, STEP)
        won = others_lose(z, x, i)
        # Step 1 by counting, where neither outcome is rare.
        at = np.abs(won - 0.5).argmin()
        noisy = np.delete(x, i) + gf.gumbel(size=(COUNTED, len(x) - 1), dtype=np.float64, rng=rng)
        share = (noisy <= x[i] + z[at]).all(axis=1).mean()
        integrand, probability = gumbel_density(z) * won, gf.softmax(x)[i]
        counted = abs(share - won[at]) / math.sqrt(won[at] * (1 - won[at]) / COUNTED)
        same = np.abs(integrand - math.exp(-mu) * gumbel_density(z, mu)).max() / integrand.max()
        one = abs(STEP * gumbel_density(z, mu).sum() - 1)
        integral, closed = abs(STEP * integrand.sum() / probability - 1), abs(math.exp(-mu) / probability - 1)
        worst = np.maximum(worst, [counted, integral, max(same, one), closed])
    return worst.tolist()


def g_test(counts: np.ndarray, expected: np.ndarray) -> float:
    """p-value of the likelihood-ratio test, chi-square by Wilson and Hilferty (1931); rare categories join another."""
    rare = expected < 5
    observed, wanted = counts[~rare], expected[~rare]
    observed[0], wanted[0] = observed[0] + counts[rare].sum(), wanted[0] + expected[rare].sum()
    statistic = 2 * (observed * np.log(np.maximum(observed, 1) / wanted)).sum()
    unit = 2 / (9 * (len(wanted) - 1))
    normal = ((statistic / (len(wanted) - 1)) ** (1 / 3) - (1 - unit)) / math.sqrt(unit)
    return math.erfc(normal / math.sqrt(2)) / 2


def picture(path: Path, x: np.ndarray, drawn: dict[int, tuple[np.ndarray, np.ndarray]], draws: int) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print('no picture: pip install "gumbelfast[plot]"')
        return
    figure = Figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    z = np.linspace(-3, 7, 500)
    for i, p in enumerate(gf.softmax(x)):
        curve = gumbel_density(z) * others_lose(z, x, i)
        left.plot(z, curve, color=f"C{i}", label=f"category {i}: area {p:.3f}")
        left.fill_between(z, curve, color=f"C{i}", alpha=0.15)
    left.set(xlabel="noise of the category", ylabel="density × P(all others lose)", title="The areas are the softmax")
    left.legend(frameon=False)
    p = np.geomspace(1e-8, 1, 200)
    two = 2 * np.sqrt(p * (1 - p) / draws)
    right.fill_between(p, p - two, p + two, color="0.85", label="± 2 standard deviations")
    right.plot(p, p, color="0.3", lw=1)
    for columns, (probabilities, frequency) in reversed(drawn.items()):
        right.plot(probabilities, frequency, ".", ms=24 / columns**0.25, alpha=0.7, label=f"K = {columns:,}")
    right.set(xscale="log", yscale="log", xlim=(0.3 / draws, 1.5), ylim=(0.3 / draws, 1.5))
    right.set(xlabel="softmax(x)", ylabel="how often argmax(x + g) was it", title=f"{draws:,} draws for each K")
    right.legend(frameon=False)
    figure.savefig(path, dpi=130)
    print(f"picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("gumbel_max_proof.png"))
    parser.add_argument("--quick", action="store_true", help="fewer draws")
    options = parser.parse_args()
    draws, drawn = 20_000 if options.quick else 1_000_000, {}
    rng = gf.default_rng(0)
    print(f"{'K':>6} {'1: counted':>11} {'2: integral':>12} {'3: Gumbel(mu)':>14} {'4: softmax':>11} {'G-test p':>9}")
    for columns in (2, 5, 10, 100, 1000, 10_000):
        x = 2 * rng.normal(size=columns)
        # Nothing is assumed about `categorical`: its draws are the argmax of x + g, as these lines check.
        noise = gf.gumbel(size=(100, columns), dtype=np.float64, rng=columns)
        assert np.array_equal((x + noise).argmax(axis=1), gf.categorical(np.tile(x, (100, 1)), rng=columns))
        counts = np.bincount(gf.categorical(x, size=draws, rng=rng, method="gumbel"), minlength=columns)
        errors = derivation(x, np.linspace(0, columns - 1, min(columns, 5)).astype(int).tolist(), rng)
        p_value = g_test(counts, draws * gf.softmax(x))
        steps = f"{errors[0]:9.2f} sd {errors[1]:12.1e} {errors[2]:14.1e} {errors[3]:11.1e}"
        print(f"{columns:6} {steps} {p_value:9.3f}")
        assert errors[0] < 5
        assert max(errors[1:]) < 1e-10
        assert p_value > 1e-6
        drawn[columns] = gf.softmax(x), counts / draws
    print(f"1 to 4: worst error over up to 5 categories; G-test: {draws:,} draws against the softmax")
    picture(options.output, np.array([1.0, 0.5, 0.0, -0.5, -1.5]), drawn, draws)


if __name__ == "__main__":
    main()
