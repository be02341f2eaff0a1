"""Bias, variance and cost of every gradient estimator on three problems, by temperature: a table and a picture.

``python bench/estimators.py`` writes estimators.json and estimators.png; ``--quick`` only shows that it runs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gumbelfast as gf
from estimator_problems import Problem, belief_net, network, toy
from gumbelfast import estimators as est

SAMPLES = 4  # of each variable; variances are those of one: 4 times that of the mean
TAUS = (0.1, 0.25, 0.5, 1.0, 2.0)

Call = Callable[..., est.Estimate]

WITHOUT_TAU: dict[str, Call] = {
    "score function": lambda x, f, g, **k: est.score_function(x, f, **k),
    "  leave-one-out": lambda x, f, g, **k: est.score_function(x, f, baseline="leave_one_out", **k),
    "  optimal scalar": lambda x, f, g, **k: est.score_function(x, f, baseline="optimal", **k),
    "  self-critical": lambda x, f, g, **k: est.score_function(x, f, baseline="self_critical", **k),
    "MuProp": est.muprop,
    "straight-through": est.straight_through,
    "  identity": lambda x, f, g, **k: est.straight_through(x, f, g, surrogate="identity", **k),
    "ReinMax": est.reinmax,
}
OF_BITS: dict[str, Call] = {
    "ARM": lambda x, f, g, family, **k: est.arm(x, f, **k),
    "DisARM": lambda x, f, g, family, **k: est.disarm(x, f, **k),
}
OF_ROWS: dict[str, Call] = {
    "unordered set": lambda x, f, g, family, num_samples, **k: est.unordered_set(x, f, num_samples, **k),
    "importance-weighted": lambda x, f, g, family, num_samples, **k: est.importance_weighted(x, f, num_samples, **k),
}
WITH_TAU: dict[str, Call] = {
    "REBAR": est.rebar,
    "Gumbel-softmax": est.reparameterized,
    "ST Gumbel-softmax": est.straight_through_gumbel_softmax,
    "Gumbel-Rao, 10": est.gumbel_rao,
    "gapped ST": est.gapped_straight_through,
}


def measure(problem: Problem, call: Call, rows: int, **options: Any) -> dict[str, float]:
    """Bias with its standard error, variance, and microseconds of one sample, over independent rows."""
    x = np.broadcast_to(problem.logits, (rows, *problem.logits.shape))
    begin = time.perf_counter()
    grads = call(x, problem.f, problem.grad_f, num_samples=SAMPLES, family=problem.family, rng=1, **options).grad
    seconds = time.perf_counter() - begin
    error = grads.mean(axis=0) - est.exact(problem.logits, problem.f, family=problem.family).grad
    variances = grads.var(axis=0)
    return {
        "bias": float(np.linalg.norm(error)),
        "error": float(np.sqrt(variances.sum() / rows)),
        "variance": float(SAMPLES * variances.sum()),
        "microseconds": 1e6 * seconds / rows / SAMPLES,
    }


def run(problem: Problem, rows: int) -> dict[str, Any]:
    """All estimators on one problem."""
    truth = est.exact(problem.logits, problem.f, family=problem.family)
    plain = WITHOUT_TAU | (OF_BITS if problem.family == "bernoulli" else OF_ROWS)
    found: dict[str, Any] = {
        "title": problem.title,
        "gradient": float(np.linalg.norm(truth.grad)),
        "plain": {name: measure(problem, call, rows) for name, call in plain.items()},
        "tau": {name: {tau: measure(problem, call, rows, tau=tau) for tau in TAUS} for name, call in WITH_TAU.items()},
    }
    return found


def table(result: dict[str, Any]) -> str:
    """One problem's results as text."""
    lines = [f"{result['title']}: |gradient| = {result['gradient']:.4g}"]
    lines.append(f"{'estimator':20} {'tau':>5} {'|bias|':>10} {'± error':>10} {'variance':>10} {'µs/sample':>10}")
    rows = [(name, "", m) for name, m in result["plain"].items()]
    rows += [(name, str(tau), m) for name, by_tau in result["tau"].items() for tau, m in by_tau.items()]
    for name, tau, m in rows:
        lines.append(
            f"{name:20} {tau:>5} {m['bias']:10.3g} {m['error']:10.2g} {m['variance']:10.3g} {m['microseconds']:10.3g}"
        )
    return "\n".join(lines)


def picture(results: list[dict[str, Any]], path: Path) -> None:
    """Bias and standard deviation of one sample, relative to the gradient, against tau."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, len(results), figsize=(4.3 * len(results), 7), sharex=True, layout="constrained")
    for column, result in enumerate(results):
        size = result["gradient"]
        for row, (quantity, label) in enumerate([("bias", "|bias| ÷ |gradient|"), ("variance", "sd ÷ |gradient|")]):
            axis = axes[row, column]
            for number, (name, by_tau) in enumerate(result["tau"].items()):
                y = [_shown(m, quantity) / size for m in by_tau.values()]
                axis.loglog(list(by_tau), y, marker="o", color=f"C{number}", label=name)
            for name, m in result["plain"].items():
                number = list(WITHOUT_TAU | OF_BITS | OF_ROWS).index(name)
                style: dict[str, Any] = {"color": f"C{number % 10}", "ls": ("--", ":", "-.")[number % 3], "lw": 2}
                axis.axhline(_shown(m, quantity) / size, label=name.strip(), **style)
            axis.set_xticks(TAUS, [str(tau) for tau in TAUS])
            axis.minorticks_off()
            axis.grid(alpha=0.25)
            axis.set_ylabel(label if column == 0 else "")
        axes[0, column].set_title(result["title"])
        axes[1, column].set_xlabel("tau")
    drawn = {label: h for a in axes[0] for h, label in zip(*a.get_legend_handles_labels(), strict=True)}
    figure.legend(list(drawn.values()), list(drawn), loc="outside lower center", ncols=6, frameon=False)
    figure.suptitle("Gradient estimators: a bias within 2 standard errors of nothing is drawn at 2 standard errors")
    figure.savefig(path, dpi=110)


def learn_polynomial(call: Call, power: float, steps: int) -> float:
    """Minimise E[mean |z - 0.45|^p] over 128 bits (Liu et al. 2023, section 6.1): the remaining distance."""
    logits, rng = np.zeros(128), gf.default_rng(0)
    first, second = np.zeros(128), np.zeros(128)

    def f(z: Any) -> Any:
        return (np.abs(z - 0.45) ** power).mean(axis=-1)

    def grad_f(z: Any) -> Any:
        return power * np.sign(z - 0.45) * np.abs(z - 0.45) ** (power - 1) / 128

    for step in range(1, steps + 1):
        grad = call(logits, f, grad_f, num_samples=16, family="bernoulli", rng=rng).grad
        first += 0.1 * (grad - first)
        second += 0.001 * (grad**2 - second)
        logits -= 0.01 * first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-12)
    p = gf.softmax(np.stack([np.zeros(128), logits], axis=-1))[:, 1]
    return float((p * (0.55**power - 0.45**power)).mean() / (0.55**power - 0.45**power))


def polynomials(steps: int) -> str:
    """The remaining share of the way to the minimum: 0.5 at the start, 0 at the minimum."""
    calls = {name: WITHOUT_TAU[name] for name in ("score function", "  leave-one-out", "straight-through", "ReinMax")}
    calls |= OF_BITS | {f"{name}, tau = 1": call for name, call in WITH_TAU.items()}
    powers = (1.5, 2.0, 3.0)
    lines = [f"polynomial programming, {steps} steps: P(z = 1), 0 at the minimum", " " * 28 + "p = 1.5      2      3"]
    for name, call in calls.items():
        lines.append(f"{name:27}" + "".join(f"{learn_polynomial(call, p, steps):7.3f}" for p in powers))
    return "\n".join(lines)


def _shown(m: dict[str, float], quantity: str) -> float:
    return max(m["bias"], 2 * m["error"]) if quantity == "bias" else float(np.sqrt(m["variance"]))


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rows: only shows that everything runs")
    parser.add_argument("--out", type=Path, default=Path("bench-report"), help="directory for the results")
    options = parser.parse_args()
    results = []
    for problem in (toy(), network(), belief_net(3 if options.quick else 300)):
        results.append(run(problem, 50 if options.quick else problem.rows))
        print(table(results[-1]), end="\n\n")
    print(polynomials(20 if options.quick else 1000))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "estimators.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    picture(results, options.out / "estimators.png")


if __name__ == "__main__":
    main()
