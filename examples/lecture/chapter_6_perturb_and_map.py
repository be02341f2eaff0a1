r"""
6. Perturb-and-MAP
==================

Labels that depend on each other have too many combinations even for the tricks of chapter 5. But often there is a
fast way to find the *best* one. Perturb the scores, solve for the best, and you have something very like a draw.
"""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np

import gumbelfast as gf
from gumbelfast.structures import brute_force, perturb_and_map, viterbi

# %%
# A chain of sites with labels :math:`s_t` has the potential
#
# .. math:: \theta(s) = \sum_t u_t(s_t) + \sum_t w(s_{t-1}, s_t) , \qquad P(s) = \frac{e^{\theta(s)}}{Z} .
#
# The best labelling (MAP, *maximum a posteriori*) is found by Viterbi's algorithm in a time that grows with the
# length of the chain, not with the number of labellings. Here a signal of two levels is seen through noise, and
# neighbours like to agree.

LENGTH = 60
rng = np.random.default_rng(4)
truth = (np.arange(LENGTH) // 15) % 2
seen = truth + rng.normal(scale=0.9, size=LENGTH)
unary = np.stack([-((seen - 0) ** 2), -((seen - 1) ** 2)], axis=-1) / (2 * 0.9**2)
pairwise = 1.5 * np.eye(2)
best = viterbi(unary, pairwise)
print("sites where the best labelling is wrong:", int((best.labels != truth).sum()), "of", LENGTH)

# %%
# One labelling shows no doubt. By chapter 2 an exact draw would be the argmax of :math:`\theta(s) + g(s)` with a
# Gumbel for *each labelling s*: here :math:`2^{60}` of them. Papandreou and Yuille (2011) put the noise on the
# *unary* potentials instead, one number for each site and label, and give the result to the same solver:
#
# .. math:: \hat s = \operatorname{argmax}_s\; \theta(s) + \sum_t \gamma_t(s_t) .

found = perturb_and_map(unary, partial(viterbi, pairwise=pairwise), num_samples=2000, rng=0)
print("samples", found.samples.shape, "marginals", found.marginals.shape)

# %%
# The sum over all labellings is possible on a chain (by passing messages forwards and backwards), so that we can see
# how close this comes. It is not exact where sites interact: the noise of labellings that share labels is not
# independent.


def exact_marginals(unary, pairwise):
    """By messages along the chain, in both directions."""
    forward, backward = np.zeros_like(unary), np.zeros_like(unary)
    for t in range(1, len(unary)):
        forward[t] = gf.logsumexp((forward[t - 1] + unary[t - 1])[:, None] + pairwise, axis=0)
        s = len(unary) - 1 - t
        backward[s] = gf.logsumexp((backward[s + 1] + unary[s + 1])[None, :] + pairwise, axis=1)
    return gf.softmax(forward + unary + backward)


exact = exact_marginals(unary, pairwise)
error = np.abs(found.marginals - exact)
print("largest error of a marginal", error.max().round(3), "mean", error.mean().round(3))
assert error.max() < 0.2

figure, (above, below) = plt.subplots(2, 1, figsize=(11, 6), sharex=True, layout="constrained")
above.plot(seen, "k.", label="seen")
above.step(range(LENGTH), truth, where="mid", color="0.6", label="truth")
above.step(range(LENGTH), best.labels + 0.03, where="mid", color="C3", label="best labelling")
above.legend(frameon=False, ncols=3)
below.imshow(found.samples[:40], aspect="auto", cmap="Greys", alpha=0.25, extent=(-0.5, LENGTH - 0.5, 0, 1))
below.plot(exact[:, 1], "k", label="exact marginal of label 1")
below.plot(found.marginals[:, 1], "C0--", lw=2, label="perturb-and-MAP, 2,000 samples (40 of them behind)")
below.set(xlabel="site", ylim=(0, 1))
below.legend(frameon=True, loc="lower right")
plt.show()

# %%
# The mean of the best perturbed scores has a use as well: it is an upper bound on log Z. On a chain of eight sites
# all 256 labellings can be listed, and with noise on **every labelling** (``order="full"``) the draw is exact, and so
# is the bound.

short = unary[:8]
labels = np.stack(np.meshgrid(*[range(2)] * 8, indexing="ij"), axis=-1).reshape(-1, 8)
theta = short[np.arange(8), labels].sum(axis=1) + pairwise[labels[:, :-1], labels[:, 1:]].sum(axis=1)
assert np.isclose(theta.max(), viterbi(short, pairwise).score)
bound = perturb_and_map(short, partial(viterbi, pairwise=pairwise), 5000, rng=1)
agree = partial(brute_force, interaction=lambda s: pairwise[s[..., :-1], s[..., 1:]].sum(axis=-1))
full = perturb_and_map(short, agree, 5000, order="full", rng=2)
print(
    f"log Z {gf.logsumexp(theta):.3f}, bound {bound.log_z_bound:.3f}, noise on every labelling {full.log_z_bound:.3f}"
)
assert bound.log_z_bound > gf.logsumexp(theta)
assert abs(full.log_z_bound - gf.logsumexp(theta)) < 5 * full.log_z_stderr

# %%
# Any solver will do: minimum cuts for images (:doc:`/gallery/denoise_digits`), trees, assignments. :doc:`/structures`
# says what is guaranteed.
