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

from estimator_problems import Problem, belief_net, network, toy
from gumbelfast import estimators as est

SAMPLES = 4  # of each variable; variances are those of one: 4 times that of the mean
TAUS = (0.1, 0.25, 0.5, 1.0, 2.0)

Call = Callable[..., est.Estimate]

WITHOUT_TAU: dict[str, Call] = {
    "score function": lambda x, f, g, **k: est.score_function(x, f, **k),
    "  leave-one-out": lambda x, f, g, **k: est.score_function(x, f, baseline="leave_one_out", **k),
    "  optimal scalar": lambda x, f, g, **k: est.score_function(x, f, baseline="optimal", **k),
    "MuProp": est.muprop,
    "straight-through": est.straight_through,
    "  identity": lambda x, f, g, **k: est.straight_through(x, f, g, surrogate="identity", **k),
}
WITH_TAU: dict[str, Call] = {
    "REBAR": est.rebar,
    "Gumbel-softmax": est.reparameterized,
    "ST Gumbel-softmax": est.straight_through_gumbel_softmax,
    "Gumbel-Rao, 10": est.gumbel_rao,
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
    found: dict[str, Any] = {
        "title": problem.title,
        "gradient": float(np.linalg.norm(truth.grad)),
        "plain": {name: measure(problem, call, rows) for name, call in WITHOUT_TAU.items()},
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
            for number, (name, m) in enumerate(result["plain"].items()):
                style = ("-", "--", ":")[number % 3]
                axis.axhline(_shown(m, quantity) / size, color=f"C{4 + number}", ls=style, lw=2, label=name.strip())
            axis.set_xticks(TAUS, [str(tau) for tau in TAUS])
            axis.minorticks_off()
            axis.grid(alpha=0.25)
            axis.set_ylabel(label if column == 0 else "")
        axes[0, column].set_title(result["title"])
        axes[1, column].set_xlabel("tau")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle("Gradient estimators: a bias within 2 standard errors of nothing is drawn at 2 standard errors")
    figure.savefig(path, dpi=110)


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
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "estimators.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    picture(results, options.out / "estimators.png")


if __name__ == "__main__":
    main()
