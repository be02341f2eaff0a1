r"""
Weighted sampling
=================

You have weights, and want items: many draws from one distribution, or different items in proportion to their weights,
from more data than one machine holds.
"""

import matplotlib.pyplot as plt
import numpy as np

import gumbelfast as gf
from gumbelfast import estimators

# %%
# Many draws from one row
# -----------------------
#
# Prepare the distribution once. A draw from its table takes the same time whatever the number of categories.

dice = gf.Categorical(probs=[1, 1, 1, 1, 1, 5])
throws = dice.sample(1_000_000, rng=0)
share = np.bincount(throws) / throws.size
print("shares", share.round(4))
assert np.abs(share - np.array([0.1] * 5 + [0.5])).max() < 0.003

# %%
# Without replacement
# -------------------
#
# A thousand of a million items: the first in proportion to the weights, the second in proportion to what is left, and
# so on. Weights need not sum to one; those of 0 are never drawn.

weights = np.random.default_rng(0).pareto(2.0, 1_000_000).astype(np.float32)
sample = gf.weighted_sample(weights, 1000, rng=1)
print("first five", sample.indices[:5], "with weights", weights[sample.indices[:5]].round(1))
assert len(set(sample.indices.tolist())) == 1000

# %%
# The same from several machines
# ------------------------------
#
# Noise belongs to an *element*, not to a call. Two machines that hold half of the items each draw with an offset, and
# exchange a thousand numbers. The merged sample is the sample of the whole, item for item.

halves = [(0, 500_000), (500_000, 1_000_000)]
states = [gf.gumbel_top_k(np.log(weights[a:b]), 1000, rng=1, offset=a) for a, b in halves]
merged = gf.shards.merge(states, starts=[a for a, _ in halves])
assert (merged.indices == sample.indices).all()

# %%
# Sums of the whole from the sample
# ---------------------------------
#
# The sample says how likely each of its items was: ``kappa`` is the threshold that they had to exceed. With it a sum
# over all items is estimated without bias, from a thousand of them. Sampling in proportion to size makes that
# estimate far better than a plain sample of the same size.

p = weights / weights.sum(dtype=np.float64)
values = weights * (1 + 0.2 * np.sin(np.arange(weights.size)))
truth = values.sum(dtype=np.float64)
by_weight, by_chance = [], []
for seed in range(200):
    found = gf.weighted_sample(p, 1000, rng=seed)
    inside = found.indices
    # E[f] under p with f = value / p is the sum of the values.
    ratio = values[inside] / p[inside]
    by_weight.append(float(estimators.without_replacement(np.log(p[inside]), found.perturbed, found.kappa, ratio)))
    plain = np.random.default_rng(seed).integers(weights.size, size=1000)
    by_chance.append(values[plain].mean(dtype=float) * weights.size)

figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
bins = np.linspace(0.75, 1.25, 61)
axes.hist(np.array(by_chance) / truth, bins, alpha=0.6, label="1,000 items, all equally likely")
axes.hist(np.array(by_weight) / truth, bins, alpha=0.6, label="1,000 items by weight, without replacement")
axes.axvline(1, color="black", lw=1)
axes.set(xlabel="estimated sum / true sum", ylabel="of 200 samples")
axes.legend(frameon=False)
plt.show()
print(f"spread by weight {np.std(by_weight) / truth:.4f}, of plain samples {np.std(by_chance) / truth:.4f}")
assert abs(np.mean(by_weight) / truth - 1) < 5 * np.std(by_weight) / truth / np.sqrt(200)
assert np.std(by_weight) < np.std(by_chance)

# %%
# Where next? :doc:`/generator` shows a generator that can be used wherever NumPy's can, :doc:`/sequences` has estimates
# in general, :doc:`/api` the routes of ``Categorical``.
