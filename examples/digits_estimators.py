"""Gradient estimators side by side in PyTorch: each trains the same autoencoder on digits, and all are compared.

An image of 8 x 8 binary pixels is encoded in 8 latent variables of 8 categories each (in 64 bits for the estimators of
bits); encoder and decoder are linear. The loss is the negative evidence lower bound (ELBO). Table 1 of Jang, Gu and
Poole, "Categorical reparameterization with Gumbel-softmax" (2016), is shown beside it for the same estimators. Needs
scikit-learn.
"""

import argparse
import math
import time
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from gumbelfast.torch import estimators as est

# The matrices are small: threads would spend their time waiting for each other.
torch.set_num_threads(1)

BATCH, RATE, TAU = 64, 0.003, 0.5


class Control(nn.Module):
    """RELAX's control variate: a linear function of each image's relaxed latents plus a nonlinear one."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 1))

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z.div(TAU).softmax(-1).flatten(-2)).squeeze(-1)


# Name: a function of logits, f and an extra module that it may need.
ESTIMATORS = {
    "score function, running mean": lambda x, f, m: est.score_function(x, f, num_samples=2, baseline=m),
    "… leave-one-out": lambda x, f, m: est.score_function(x, f, num_samples=2, baseline="leave_one_out"),
    "MuProp": lambda x, f, m: est.muprop(x, f, num_samples=2),
    "REBAR": lambda x, f, m: est.rebar(x, f, tau=TAU, num_samples=2),
    "RELAX": lambda x, f, m: est.relax(x, f, m, num_samples=2),
    "straight-through": lambda x, f, m: est.straight_through(x, f, num_samples=2),
    "Gumbel-softmax": lambda x, f, m: est.reparameterized(x, f, tau=TAU, num_samples=2),
    "ST Gumbel-softmax": lambda x, f, m: est.straight_through_gumbel_softmax(x, f, tau=TAU, num_samples=2),
    "Gumbel-Rao, 4": lambda x, f, m: est.gumbel_rao(x, f, tau=TAU, num_conditional=4, num_samples=2),
    "gapped ST": lambda x, f, m: est.gapped_straight_through(x, f, tau=TAU, num_samples=2),
    "decoupled ST": lambda x, f, m: est.decoupled_straight_through_gumbel_softmax(
        x, f, tau_forward=0.8, tau_backward=1.0, num_samples=2
    ),
    "ReinMax": lambda x, f, m: est.reinmax(x, f, num_samples=2),
    "64 bits: DisARM": lambda x, f, m: est.disarm(x, f, num_samples=2),
    "64 bits: ReinMax": lambda x, f, m: est.reinmax(x, f, num_samples=2, family="bernoulli"),
}
MODULES = {"score function, running mean": est.RunningMean, "RELAX": Control}
THEIRS = {
    "score function, running mean": "110.6", "MuProp": "107.0", "straight-through": "110.9", "Gumbel-softmax": "101.5",
    "ST Gumbel-softmax": "107.8",
}  # fmt: skip


def digits() -> tuple[Tensor, Tensor]:
    images = torch.tensor((load_digits().data > 7), dtype=torch.float32)
    images = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))]
    return images[:1500], images[1500:]


class Autoencoder(nn.Module):
    def __init__(self, bits: bool) -> None:
        super().__init__()
        self.bits, self.encoder, self.decoder = bits, nn.Linear(64, 64), nn.Linear(64, 64)

    def logits(self, x: Tensor) -> Tensor:
        return self.encoder(x) if self.bits else self.encoder(x).unflatten(-1, (8, 8))

    def loss(self, z: Tensor, x: Tensor) -> Tensor:
        """-log p(x | z), the function whose expectation over z is estimated."""
        pixels = self.decoder(z if self.bits else z.flatten(-2))
        return binary_cross_entropy_with_logits(pixels, x.expand_as(pixels), reduction="none").sum(-1)

    def divergence(self, logits: Tensor) -> Tensor:
        """The divergence of q(z | x) from the uniform prior: no estimate is needed."""
        if self.bits:
            p, one, zero = logits.sigmoid(), logsigmoid(logits), logsigmoid(-logits)
            return (p * one + (1 - p) * zero + math.log(2)).sum(-1)
        log_q = logits.log_softmax(-1)
        return (log_q.exp() * (log_q + math.log(8))).sum((-1, -2))

    @torch.no_grad()
    def negative_elbo(self, x: Tensor) -> float:
        logits = self.logits(x)
        family = "bernoulli" if self.bits else "categorical"
        found = est.score_function(logits, lambda z: self.loss(z, x), num_samples=10, family=family)
        return float((found.loss + self.divergence(logits)).mean())


def train(name: str, images: Tensor, held_out: Tensor, marks: list[int], seed: int) -> tuple[Autoencoder, list[float]]:
    torch.manual_seed(seed)
    model, module, curve = Autoencoder("bits" in name), MODULES.get(name, nn.Identity)(), []
    adam = torch.optim.Adam(
        [{"params": model.parameters(), "lr": RATE}, {"params": list(module.parameters()), "lr": 3 * RATE}],
        foreach=True,
    )
    for step in range(1, marks[-1] + 1):
        x = images[torch.randint(len(images), (BATCH,))]
        logits = model.logits(x)
        found = ESTIMATORS[name](logits, lambda z, x=x: model.loss(z, x), module)
        loss = (found.loss + model.divergence(logits)).mean()
        if name == "RELAX":
            loss = loss + found.variance_loss.mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        if step in marks:
            curve.append(model.negative_elbo(held_out))
    return model, curve


def picture(path: Path, marks: list[int], curves: dict, models: dict, images: Tensor) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print('no picture: pip install "gumbelfast[plot]"')
        return
    figure = Figure(figsize=(15, 7.5), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1])
    for number, (name, found) in enumerate(curves.items()):
        style = {"color": f"C{number % 10}", "ls": "-" if number < 10 else "--"}
        left.plot(marks, torch.tensor(found).mean(0), label=name, **style)
    left.set(xlabel="step", ylabel="negative ELBO of held-out digits, nats", title="Lower is better")
    left.legend(frameon=False)
    rows = [images]
    for model in models.values():
        family = "bernoulli" if model.bits else "categorical"
        z = est.score_function(model.logits(images), lambda z: z.flatten(2)[..., 0], family=family).samples[0]
        rows.append(model.decoder(z.flatten(1)).sigmoid().detach())
    tiles = nn.functional.pad(torch.stack(rows).unflatten(-1, (8, 8)), [1] * 4, value=0.4).transpose(1, 2)
    right.imshow(tiles.reshape(10 * len(rows), -1).numpy(), cmap="gray_r", vmin=0, vmax=1)
    right.set_yticks(4.5 + 10 * torch.arange(len(rows)).numpy(), ["held-out digits", *models])
    right.set(xticks=[], title="Probabilities of pixels, given one hard sample of the latents")
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("digits_estimators.png"))
    parser.add_argument("--quick", action="store_true", help="few steps")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    steps = 48 if options.quick else options.steps
    marks = [steps * i // 12 for i in range(1, 13)]
    images, held_out = digits()
    curves, models = {}, {}
    print(f"{'negative ELBO in nats, after':30} {marks[1]:4} {steps:6} steps   ms a step   Jang et al.")
    for name in ESTIMATORS:
        began = time.perf_counter()
        found = [train(name, images, held_out, marks, seed) for seed in range(options.seeds)]
        each = 1e3 * (time.perf_counter() - began) / steps / options.seeds
        models[name], curves[name] = found[0][0], [curve for _, curve in found]
        early, late = torch.tensor(curves[name])[:, (1, -1)].T
        spread = f"± {late.std():.2f}" if options.seeds > 1 else ""
        theirs = THEIRS.get(name, "")
        print(f"{name:29} {early.mean():5.2f} {late.mean():6.2f} {spread:10} {each:5.1f} {theirs:>10}", flush=True)
        assert late.max() < early.min()
    print("Ours: two samples per image, one learning rate for all, not tuned. Theirs: binarised MNIST, each tuned.")
    picture(options.output, marks, curves, models, held_out[:12])


if __name__ == "__main__":
    main()
