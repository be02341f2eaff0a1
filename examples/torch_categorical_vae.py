"""A categorical VAE on scikit-learn's digits, trained with torch's gumbel_softmax and with ours: one import differs.

The encoder gives the logits of 20 latent variables with 16 categories each, the decoder sees relaxed samples of them
(Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax", 2016). Both runs start from the same weights
and see the same batches. Prints the loss and the time per step, and draws a picture.
"""

import argparse
import math
import time
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

import gumbelfast.torch

LATENTS, CATEGORIES, BATCH = 20, 16, 256
OURS, THEIRS = "gumbelfast.torch.gumbel_softmax", "torch.nn.functional.gumbel_softmax"
SAMPLERS = {THEIRS: functional.gumbel_softmax, OURS: gumbelfast.torch.gumbel_softmax}
COLOURS = {THEIRS: "#8d99ae", OURS: "#d1495b"}


class Vae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        latent = LATENTS * CATEGORIES
        self.encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, latent))
        self.decoder = nn.Sequential(nn.Linear(latent, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x, sampler, tau):
        logits = self.encoder(x).unflatten(-1, (LATENTS, CATEGORIES))
        return logits, self.decoder(sampler(logits, tau=tau).flatten(-2))


def loss_of(logits: Tensor, pixels: Tensor, x: Tensor) -> Tensor:
    """Nats per image: the cost of the pixels, and a tenth of the divergence from a uniform prior (a beta-VAE)."""
    log_q = logits.log_softmax(-1)
    divergence = (log_q.exp() * (log_q + math.log(CATEGORIES))).sum((-1, -2))
    return (functional.binary_cross_entropy_with_logits(pixels, x, reduction="none").sum(-1) + 0.1 * divergence).mean()


def train(images: Tensor, sampler, steps: int) -> tuple[Vae, list[float], list[float]]:
    torch.manual_seed(0)
    vae, batches = Vae(), torch.Generator().manual_seed(1)
    adam = torch.optim.Adam(vae.parameters(), lr=2e-3)
    losses, times = [], []
    for step in range(steps):
        tau = max(0.4, math.exp(-3 * step / steps))
        x = images[torch.randint(len(images), (BATCH,), generator=batches)]
        began = time.perf_counter()
        logits, pixels = vae(x, sampler, tau)
        loss = loss_of(logits, pixels, x)
        adam.zero_grad()
        loss.backward()
        adam.step()
        times.append(time.perf_counter() - began)
        losses.append(loss.item())
    return vae, losses, times


def draw(path: Path, images: Tensor, found) -> None:
    try:
        import matplotlib
    except ImportError:
        print('For the picture: pip install "gumbelfast[plot]"')
        return
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.9), width_ratios=(1, 1.1), layout="constrained")
    for name, (_, losses, times) in found.items():
        label = f"{name}: {1e3 * torch.tensor(times).median():.1f} ms per step"
        window = max(1, len(losses) // 40)
        smooth = torch.tensor(losses).unfold(0, window, 1).mean(-1).numpy()
        left.plot(range(window, len(losses) + 1), smooth, color=COLOURS[name], label=label, lw=2)
    left.set(xlabel="training step", ylabel="loss per image (nats)", title="Same losses, one import changed")
    left.legend(frameon=False)
    left.spines[["top", "right"]].set_visible(False)
    rows = [images] + [vae(images, SAMPLERS[name], 0.4)[1].sigmoid().detach() for name, (vae, _, _) in found.items()]
    tiles = torch.cat([torch.cat([functional.pad(t.view(8, 8), [1] * 4, value=0) for t in row], 1) for row in rows])
    right.imshow(tiles.numpy(), cmap="magma", vmin=0, vmax=1)
    right.set_yticks([5, 15, 25], ["digits", "torch", "gumbelfast"])
    right.set_xticks([])
    right.tick_params(length=0)
    right.spines[:].set_visible(False)
    right.set_title("Reconstructions from 20 categorical variables")
    figure.savefig(path, dpi=130)
    print("wrote", path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few steps: only shows that it runs")
    parser.add_argument("--output", type=Path, default=Path("torch_categorical_vae.png"))
    options = parser.parse_args()
    steps = 40 if options.quick else 1000
    digits = torch.tensor(load_digits().data, dtype=torch.float32) / 16
    found = {name: train(digits, sampler, steps) for name, sampler in SAMPLERS.items()}
    last = steps // 10
    ends = [sum(losses[-last:]) / last for _, losses, _ in found.values()]
    for end, (name, (_, _, times)) in zip(ends, found.items(), strict=True):
        print(f"{name:36} loss {end:6.2f}   {1e3 * torch.tensor(times).median():.2f} ms per step")
    assert abs(ends[0] - ends[1]) < 1, ends
    draw(options.output, digits[:8], found)
