"""What would have happened to this patient under the other treatment?

    python examples/counterfactual_patients.py --output patients.png

A patient moves between five states of health, by a chain that depends on the treatment. One patient was treated with A
and died. A new simulation under B gives the answer for patients in general. For this patient, the noise of what
happened must be kept: `hindsight_gumbel` draws what it may have been, given each observed step, and the chain of B uses
it (Oberst and Sontag, "Counterfactual off-policy evaluation with Gumbel-max structural causal models", 2019).
"""

import argparse
from pathlib import Path

import numpy as np

import gumbelfast as gf

STATES, STEPS = ["dead", "critical", "poor", "fair", "discharged"], 12


def chain(worse: float, better: float) -> np.ndarray:
    """Logits of the next state: a step down, none, or a step up; the first and the last state are final."""
    p = np.diag([1.0, *3 * [1 - worse - better], 1.0])
    for s in (1, 2, 3):
        p[s, s - 1], p[s, s + 1] = worse, better
    with np.errstate(divide="ignore"):
        return np.log(p)


def follow(logits: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """States over time (n, STEPS + 1) of patients who begin in fair health, from noise (n, STEPS, 5)."""
    states = np.full((len(noise), STEPS + 1), 3)
    for t in range(STEPS):
        states[:, t + 1] = (logits[states[:, t]] + noise[:, t]).argmax(axis=-1)
    return states


def draw(path: Path, seen: np.ndarray, panels: dict[str, np.ndarray]) -> None:
    try:
        import matplotlib
    except ImportError:
        print('For the picture: pip install "gumbelfast[plot]"')
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), width_ratios=[1, 1, 1])
    axes[0].step(range(STEPS + 1), seen, where="mid", color="tab:red", lw=2)
    axes[0].set(title="what was seen, under A", yticks=range(5), yticklabels=STATES, ylim=(-0.3, 4.3), xlabel="step")
    colours = plt.get_cmap("RdYlGn")(np.linspace(0.05, 0.95, 5))
    for ax, (title, states) in zip(axes[1:], panels.items(), strict=True):
        shares = [(states == s).mean(axis=0) for s in range(5)]
        ax.stackplot(range(STEPS + 1), shares, colors=colours, labels=STATES)
        ax.set(title=title, xlabel="step", ylim=(0, 1), xlim=(0, STEPS), ylabel="share")
    axes[2].legend(loc="center left", bbox_to_anchor=(1, 0.5), reverse=True, frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    print("wrote", path)


parser = argparse.ArgumentParser(description="a counterfactual patient")
parser.add_argument("--quick", action="store_true", help="few draws: only shows that it runs")
parser.add_argument("--output", type=Path, default=Path("counterfactual_patients.png"))
options = parser.parse_args()
n = 4000 if options.quick else 40_000

a, b = chain(worse=0.3, better=0.2), chain(worse=0.2, better=0.35)
patients = follow(a, gf.gumbel(size=(n, STEPS, 5), dtype=np.float64, rng=0))
seen = patients[(patients[:, -1] == 0) & (patients[:, 4] > 1)][0]
print("seen under A:          ", " ".join(STATES[s] for s in seen))

noise = gf.hindsight_gumbel(a[seen[:-1]], seen[1:], n, rng=1)
assert (follow(a, noise) == seen).all()  # under A the same happens again

counterfactual = follow(b, noise)
fresh = follow(b, gf.gumbel(size=(n, STEPS, 5), dtype=np.float64, rng=2))
for name, states in (("this patient under B", counterfactual), ("any patient under B", fresh)):
    ends = ", ".join(f"{STATES[s]} {np.mean(states[:, -1] == s):.1%}" for s in (0, 4))
    print(f"{name + ':':23s} {ends}")
assert np.mean(counterfactual[:, -1] == 0) > np.mean(fresh[:, -1] == 0)  # patients who died under A were unlucky

# Averaged over patients under A, the answers are those of a new simulation.
each = follow(b, gf.hindsight_gumbel(a[patients[:, :-1]], patients[:, 1:], rng=3))
off = max(abs(np.mean(each[:, -1] == s) - np.mean(fresh[:, -1] == s)) for s in range(5))
print(f"averaged over all patients of A, the shares differ from a new simulation by at most {off:.4f}")
assert off < 5 * (0.5 / n) ** 0.5

panels = {"this patient, had it been B": counterfactual, "any patient under B": fresh}
draw(options.output, seen, panels)
