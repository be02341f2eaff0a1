"""Which pixels of a digit matter? A network learns to choose ten of 64 from which another can still read it.

    python examples/important_pixels.py --output pixels.png

L2X (Chen, Song, Wainwright and Jordan, "Learning to explain", 2018) with the relaxed subsets of Xie and Ermon (2019): a
selector gives each pixel of a picture a logit, `relaxed_top_k` draws ten of them so that gradients pass through, and a
reader sees only these (straight-through: ten pixels in the forward pass, the relaxation in the backward pass).
Afterwards the ten largest logits are the pixels that matter. For comparison, another reader sees ten random pixels.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

from gumbelfast.torch.subsets import relaxed_top_k

K, HIDDEN, BATCH = 10, 128, 100


def network(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs)
    )


def train(pictures: torch.Tensor, labels: torch.Tensor, epochs: int, chosen: bool) -> tuple[nn.Module, nn.Module]:
    """A selector and a reader; without `chosen` the reader sees random pixels."""
    torch.manual_seed(0)
    selector, reader = network(64, 64), network(64, 10)
    optimiser = torch.optim.Adam([*selector.parameters(), *reader.parameters()], lr=1e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(pictures)).split(BATCH):
            x = pictures[batch]
            logits = selector(x) if chosen else torch.zeros_like(x)
            seen = x * relaxed_top_k(logits, K, tau=0.5, hard=True)
            loss = cross_entropy(reader(seen), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return selector, reader


def accuracy(reader: nn.Module, seen: torch.Tensor, labels: torch.Tensor) -> float:
    with torch.no_grad():
        return (reader(seen).argmax(-1) == labels).double().mean().item()


def hot(logits: torch.Tensor) -> torch.Tensor:
    """1 at the K largest."""
    return torch.zeros_like(logits).scatter(-1, logits.topk(K).indices, 1.0)


def draw(path: Path, pictures: np.ndarray, masks: np.ndarray, mean: np.ndarray) -> None:
    try:
        import matplotlib
    except ImportError:
        print('For the picture: pip install "gumbelfast[plot]"')
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 10, figsize=(12, 2.7))
    for j in range(10):
        axes[0, j].imshow(pictures[j], cmap="gray_r", vmin=0, vmax=1)
        rows, columns = np.nonzero(masks[j])
        axes[0, j].scatter(columns, rows, marker="s", s=52, facecolors="none", edgecolors="tab:red", linewidths=1.4)
        axes[1, j].imshow(mean[j], cmap="Reds", vmin=0, vmax=1)
    axes[0, 0].set_ylabel("ten pixels", fontsize=9)
    axes[1, 0].set_ylabel("how often", fontsize=9)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=110)
    print("wrote", path)


parser = argparse.ArgumentParser(description="pixels that matter")
parser.add_argument("--quick", action="store_true", help="few epochs: only shows that it runs")
parser.add_argument("--output", type=Path, default=Path("important_pixels.png"))
options = parser.parse_args()
epochs = 15 if options.quick else 80

torch.set_num_threads(1)
digits = load_digits()
pictures = torch.tensor(digits.data / 16, dtype=torch.float32)
labels = torch.tensor(digits.target)
held = torch.arange(len(labels)) % 4 == 0
selector, reader = train(pictures[~held], labels[~held], epochs, chosen=True)
_, blind = train(pictures[~held], labels[~held], epochs, chosen=False)

x, y = pictures[held], labels[held]
with torch.no_grad():
    masks = hot(selector(x))
by_choice = accuracy(reader, x * masks, y)
at_random = accuracy(blind, x * relaxed_top_k(torch.zeros_like(x), K, hard=True), y)
print(f"read from {K} pixels of 64 that were chosen:   {by_choice:.1%}")
print(f"read from {K} pixels of 64 at random:          {at_random:.1%}")
assert by_choice > at_random + 0.15

first = [int((y == c).nonzero()[0]) for c in range(10)]
mean = np.stack([masks[y == c].mean(0).reshape(8, 8).numpy() for c in range(10)])
draw(options.output, x[first].reshape(-1, 8, 8).numpy(), masks[first].reshape(-1, 8, 8).numpy(), mean)
