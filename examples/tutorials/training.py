r"""
Training with discrete latent variables
=======================================

You train a model with a random choice inside: a category, a code, a route. This page shows how a gradient gets
through it, in plain NumPy, in PyTorch and in JAX.
"""

import matplotlib.pyplot as plt
import numpy as np

import gumbelfast as gf
from gumbelfast import estimators

# %%
# NumPy: forward and backward
# ---------------------------
#
# ``gumbel_softmax`` with ``hard=True`` returns one-hot draws, and with ``return_soft=True`` the relaxed draws as well.
# ``gumbel_softmax_backward`` turns the gradient with respect to the draws into that with respect to the logits. Here
# 256 rows learn a category each from a squared loss.

rng = gf.default_rng(0)
wanted = np.arange(256) % 32
logits, target = np.zeros((256, 32), np.float32), np.eye(32, dtype=np.float32)[wanted]
losses = []
for _ in range(200):
    hard, soft = gf.gumbel_softmax(logits, tau=0.5, hard=True, rng=rng, return_soft=True)
    losses.append(float(((hard - target) ** 2).sum(axis=1).mean()))
    grad = 2 * (hard - target)
    logits -= gf.gumbel_softmax_backward(grad, soft, tau=0.5)

right = (gf.categorical(logits, rng=rng) == wanted).mean()
print(f"draws that are right: {right:.1%}")
assert right > 0.95

figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
axes.plot(losses)
axes.set(xlabel="step", ylabel="loss of hard draws", ylim=(0, None))
plt.show()

# %%
# PyTorch: one import changes
# ---------------------------
#
# The functions have torch's names and arguments; gradients, ``torch.manual_seed`` and ``torch.compile`` work as before.

import torch

from gumbelfast.torch import gumbel_softmax  # torch.nn.functional's before

torch.manual_seed(0)
weights = torch.zeros(256, 32, requires_grad=True)
optimiser = torch.optim.Adam([weights], lr=0.3)
for _ in range(200):
    loss = (gumbel_softmax(weights, tau=0.5, hard=True) - torch.as_tensor(target)).square().sum(-1).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
print(f"PyTorch: loss {loss.item():.3f}")
assert loss.item() < 0.2

# %%
# JAX: under jit, vmap and grad
# -----------------------------
#
# Keys are JAX's.

import jax
import jax.numpy as jnp

import gumbelfast.jax as gfj


@jax.jit
def step(logits, key):
    def loss(logits):
        z = gfj.gumbel_softmax(key, logits, tau=0.5, hard=True)
        return ((z - target) ** 2).sum(-1).mean()

    value, grad = jax.value_and_grad(loss)(logits)
    return logits - 256 * grad, value


state = jnp.zeros((256, 32))
for key in jax.random.split(jax.random.key(0), 200):
    state, value = step(state, key)
print(f"JAX: loss {value:.3f}")
assert value < 0.2

# %%
# Which estimator?
# ----------------
#
# All estimators of a gradient have the same interface: logits, a function f of samples and, where it is needed, its
# gradient. On a small case, compare with the truth, which ``exact`` computes by listing all outcomes.

scores, reward = np.zeros(8), np.arange(8.0) ** 2
f, slope = lambda z: z @ reward, lambda z: np.broadcast_to(reward, z.shape)
truth = estimators.exact(scores, f).grad
found = {
    "REINFORCE": estimators.score_function(scores, f, num_samples=64, rng=0),
    "REINFORCE, leave-one-out": estimators.score_function(scores, f, num_samples=64, baseline="leave_one_out", rng=0),
    "straight-through Gumbel-softmax": estimators.straight_through_gumbel_softmax(
        scores, f, slope, tau=0.5, num_samples=64, rng=0
    ),
    "Gumbel-Rao": estimators.gumbel_rao(scores, f, slope, tau=0.5, num_samples=64, rng=0),
}
for name, estimate in found.items():
    print(f"{name:32} distance from the truth {np.linalg.norm(estimate.grad - truth):6.2f}")

# %%
# Where next? :doc:`/estimators` says which one to take, :doc:`/torch` and :doc:`/jax` how they differ from the
# functions that they replace, :doc:`/lecture/index` why it works.
