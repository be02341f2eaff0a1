r"""
2. Gumbel-max
=============

Scores in, a draw out, and nothing is normalised: add Gumbel noise to every score, and take the largest.
"""

import matplotlib.pyplot as plt
import numpy as np

import gumbelfast as gf

# %%
# A model has scores :math:`x_1, \dots, x_K` and means the distribution
#
# .. math:: P(i) = \frac{\exp(x_i)}{\sum_j \exp(x_j)} .
#
# **Claim.** With independent standard Gumbel noise :math:`g_i`, the index of the largest :math:`x_i + g_i` is such a
# draw.

x = np.array([1.0, 0.5, 0.0, -0.5, -1.5])
p = gf.softmax(x)
noise = gf.gumbel(size=(100_000, 5), dtype=np.float64, rng=1)
winner = (x + noise).argmax(axis=1)
share = np.bincount(winner, minlength=5) / winner.size
print("softmax ", p.round(4))
print("winners ", share.round(4))
assert (np.abs(share - p) < 5 * np.sqrt(p * (1 - p) / winner.size)).all()

# %%
# **Proof.** We compute the probability that category i wins.
#
# *Step 1: the noise of i is known.* Category j loses to i if :math:`g_j \le x_i + g_i - x_j`. By Gumbel's
# distribution function that has probability :math:`\exp(-\exp(-(x_i + g_i - x_j)))`, and all others lose, since they
# are independent, with the product
#
# .. math:: \prod_{j \ne i} \exp\left(-e^{-(x_i + g_i - x_j)}\right)
#    = \exp\left(-e^{-g_i} \sum_{j \ne i} e^{x_j - x_i}\right) .
#
# *Step 2: average over that noise*, whose density is :math:`\exp(-g - e^{-g})`. The second term of it is what was
# missing in the sum, as :math:`e^{x_i - x_i} = 1`:
#
# .. math:: P(i) = \int \exp\left(-g - e^{-g} \sum_{j} e^{x_j - x_i}\right) dg .
#
# *Step 3: this is an integral that we know.* Call the sum :math:`e^{\mu}`. Then the integrand is :math:`e^{-\mu}
# \exp(-(g - \mu) - e^{-(g - \mu)})`: a constant times the density of a Gumbel around :math:`\mu`, whose integral is
# 1. What is left is the constant,
#
# .. math:: P(i) = e^{-\mu} = \frac{1}{\sum_j e^{x_j - x_i}} = \frac{\exp(x_i)}{\sum_j \exp(x_j)} .
#
# The picture shows the integrand of step 2 for five categories. The areas under the curves are the softmax.

g = np.linspace(-3, 9, 1201)
curves = [np.exp(-g - np.exp(-g) * np.exp(x - x[i]).sum()) for i in range(5)]
areas = np.sum(curves, axis=1) * (g[1] - g[0])
assert np.abs(areas - p).max() < 1e-3

figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
for i, curve in enumerate(curves):
    axes.plot(g, curve, color=f"C{i}", label=f"category {i}: area {areas[i]:.3f}, softmax {p[i]:.3f}")
    axes.fill_between(g, curve, color=f"C{i}", alpha=0.15)
axes.set(xlabel="noise of the category", ylabel="density × chance that all others lose", xlim=(-3, 7))
axes.legend(frameon=False)
plt.show()

# %%
# The same lines show more: the *largest value* is a Gumbel around :math:`\log \sum_j \exp(x_j)`, and is independent of
# *which category* has it. Chapter 5 is built on that.

largest = (x + noise).max(axis=1)
print("mean of the largest value", largest.mean().round(3), "expected", (gf.logsumexp(x) + np.euler_gamma).round(3))
print("the same, by winner      ", [float(largest[winner == i].mean().round(2)) for i in range(5)])

# %%
# ``gumbelfast.categorical`` returns exactly this argmax, but computes almost none of the noise: noise that could not
# win even if it were the largest of its block is skipped, and no result changes.

assert np.array_equal(gf.categorical(np.tile(x, (100_000, 1)), rng=1), winner)
