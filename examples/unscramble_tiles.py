"""Put the scrambled tiles of digits back in order: a network that learns permutations from pictures alone.

    python examples/unscramble_tiles.py --output tiles.png

A picture is cut into nine tiles that are shuffled. A network looks at each tile alone and scores the nine places that
it may come from; `gumbel_sinkhorn` turns the scores into a relaxed permutation, and the loss compares the resulting
picture with the right one: the network is never given the right places (Mena, Belanger, Linderman and Snoek, "Learning
latent permutations with Gumbel-Sinkhorn networks", 2018). Afterwards a matching makes exact permutations of the scores.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import zoom
from sklearn.datasets import load_digits
from torch import nn

from gumbelfast.torch.permutations import gumbel_sinkhorn

SIDE, GRID, BATCH = 18, 3, 100
TILE, PLACES = SIDE // GRID, GRID**2


def tiles_of(pictures: np.ndarray) -> torch.Tensor:
    """Pictures (n, SIDE, SIDE) as tiles (n, PLACES, TILE * TILE)."""
    cut = pictures.reshape(-1, GRID, TILE, GRID, TILE).swapaxes(2, 3)
    return torch.tensor(cut.reshape(-1, PLACES, TILE**2), dtype=torch.float32)


def pictures_of(tiles: torch.Tensor) -> np.ndarray:
    return tiles.reshape(-1, GRID, GRID, TILE, TILE).swapaxes(2, 3).reshape(-1, SIDE, SIDE).numpy()


def shuffled(tiles: torch.Tensor) -> torch.Tensor:
    order = torch.rand(tiles.shape[:2]).argsort(-1)
    return tiles.gather(1, order.unsqueeze(-1).expand_as(tiles))


def put_back(p: torch.Tensor, tiles: torch.Tensor) -> torch.Tensor:
    """Tiles at their places, from permutation matrices with places as rows."""
    return p @ tiles


def draw(path: Path, rows: dict[str, np.ndarray]) -> None:
    try:
        import matplotlib
    except ImportError:
        print('For the picture: pip install "gumbelfast[plot]"')
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(rows), 10, figsize=(10, 1.02 * len(rows)))
    for i, (title, pictures) in enumerate(rows.items()):
        axes[i, 0].set_ylabel(title, fontsize=9)
        for j in range(10):
            axes[i, j].imshow(pictures[j], cmap="gray_r", vmin=0, vmax=1)
            axes[i, j].set(xticks=[], yticks=[])
            for k in range(1, GRID):
                axes[i, j].axhline(k * TILE - 0.5, color="tab:blue", lw=0.4)
                axes[i, j].axvline(k * TILE - 0.5, color="tab:blue", lw=0.4)
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=110)
    print("wrote", path)


parser = argparse.ArgumentParser(description="unscramble tiles")
parser.add_argument("--quick", action="store_true", help="few epochs: only shows that it runs")
parser.add_argument("--output", type=Path, default=Path("unscramble_tiles.png"))
options = parser.parse_args()
epochs = 15 if options.quick else 60

torch.set_num_threads(1)
torch.manual_seed(0)
grey = load_digits().images / 16
large = np.clip(zoom(grey, (1, SIDE / 8, SIDE / 8), order=1, mode="nearest", grid_mode=True), 0, 1)
tiles = tiles_of(large)
held = torch.arange(len(tiles)) % 5 == 0
scores = nn.Sequential(nn.Linear(TILE**2, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, PLACES))
optimiser = torch.optim.Adam(scores.parameters(), lr=2e-3)
for epoch in range(epochs):
    tau = 0.2 + 0.8 * (1 - epoch / epochs)
    for batch in torch.randperm(int((~held).sum())).split(BATCH):
        right = tiles[~held][batch]
        mixed = shuffled(right)
        p = gumbel_sinkhorn(scores(mixed).mT, tau, iterations=15, noise_scale=0.5)
        loss = ((put_back(p, mixed) - right) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

right = tiles[held]
mixed = shuffled(right)
with torch.no_grad():
    found = scores(mixed).mT
    soft = put_back(gumbel_sinkhorn(found, 0.5, noise_scale=0), mixed)
    hard = put_back(gumbel_sinkhorn(found, hard=True, noise_scale=0), mixed)
wrong = {name: float(((x - right) ** 2).mean()) for name, x in (("scrambled", mixed), ("put back", hard))}
# Blank tiles are alike, so a tile is right when its pixels are.
at_place = ((hard - right).abs().amax(-1) < 0.1).double().mean().item()
for name, error in wrong.items():
    print(f"{name + ':':11s} mean squared error {error:.4f}")
print(f"tiles that show what belongs there: {at_place:.1%}")
assert wrong["put back"] < 0.6 * wrong["scrambled"]

rows = {"scrambled": mixed, "relaxed": soft, "put back": hard, "right": right}
draw(options.output, {name: pictures_of(x[10:20]) for name, x in rows.items()})
