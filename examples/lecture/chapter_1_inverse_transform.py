r"""
1. The inverse transform
========================

A computer hands out one thing: numbers u that are uniform between 0 and 1. How do they become draws from a
distribution of our own?
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import binom

import gumbelfast as gf

# %%
# Take the number of heads in ten throws of a coin that shows heads with probability 0.4. There are eleven
# probabilities, which add up to the *cumulative distribution function*, a staircase from 0 to 1:
#
# .. math:: F(i) = p_0 + p_1 + \dots + p_i
#
# Step i is as high as :math:`p_i`. Choose a height u at random and walk to the right until you meet the staircase.
# You meet step i exactly if :math:`F(i-1) \le u < F(i)`, and that has probability :math:`F(i) - F(i-1) = p_i`. This
# is the whole proof.

heads = np.arange(11)
p = binom.pmf(heads, 10, 0.4)
uniform = gf.default_rng(0).random(100_000)
drawn = gf.distributions.inverse_transform(p, uniform)
share = np.bincount(drawn, minlength=11) / drawn.size
assert np.abs(share - p).max() < 5 * np.sqrt(0.25 / drawn.size)

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
left.step(np.arange(-1, 12), np.concatenate([[0], np.cumsum(p), [1]]), where="post", color="0.3")
for u, i in zip(uniform[:6], drawn[:6], strict=True):
    left.annotate("", (i, 0), (i, u), arrowprops={"arrowstyle": "->", "color": "C3"})
    left.plot([-1, i], [u, u], color="C3", lw=1)
left.set(xlim=(-1, 11), ylim=(0, 1.02), xlabel="heads", ylabel="u and F", title="six uniforms find their steps")
right.bar(heads, share, color="C0", alpha=0.6, label="share of 100,000 draws")
right.plot(heads, p, "k_", ms=16, label="probability")
right.set(xlabel="heads", title="and this is what comes of many")
right.legend(frameon=False)
plt.show()

# %%
# For a continuous distribution the staircase is a smooth curve, and u meets it at :math:`F^{-1}(u)`. The one that we
# shall need most is Gumbel's, :math:`F(g) = \exp(-\exp(-g))`. Solve :math:`u = F(g)` for g:
#
# .. math:: g = -\log(-\log u)
#
# It was introduced to describe extremes: the largest of many independent values is, after a shift and a scaling, often
# close to it.

gumbel = gf.distributions.Gumbel()
by_hand = -np.log(-np.log(uniform[:5]))
print("by hand      ", by_hand.round(4))
print("by quantiles ", gumbel.icdf(uniform[:5]).round(4))
assert np.allclose(by_hand, gumbel.icdf(uniform[:5]))

# %%
# Why not stop here? Two reasons.
#
# 1. The staircase needs *normalised* probabilities, so a pass over all categories before the first draw; a model gives
#    only scores.
# 2. The staircase is flat between its steps. Move a probability a little, and the same u yields the same category, or
#    suddenly another one: as a function of p the draw has slope 0 almost everywhere. There is nothing for a gradient
#    to follow.

nearby = np.linspace(0.3, 0.5, 5)
same_u = [int(gf.distributions.inverse_transform(binom.pmf(heads, 10, q), 0.5)) for q in nearby]
print("probability of heads", nearby.round(2))
print("draw for u = 0.5    ", same_u)

# %%
# The next chapter removes the first obstacle, the two after it go around the second.
