r"""
5. Gumbel-top-k and beam search
===============================

The largest perturbed score is one draw. The k largest are k draws without replacement. The same holds for sequences,
of which there are too many to list.
"""

from itertools import permutations

import matplotlib.pyplot as plt
import numpy as np

import gumbelfast as gf

# %%
# Take the winner of chapter 2 away. The rest are again independent perturbed scores, under the only condition that they
# are smaller than the winner; and the winner's *value* says nothing about *which* is first among the rest. So the
# second largest is a draw from the softmax of what is left, and so on. An order :math:`i_1, i_2, \dots, i_k` has the
# probability
#
# .. math:: P(i_1, \dots, i_k) = \prod_{m=1}^{k} \frac{p_{i_m}}{1 - p_{i_1} - \dots - p_{i_{m-1}}} ,
#
# the law of Plackett and Luce. Four categories have twelve ordered pairs:

p = np.array([0.4, 0.3, 0.2, 0.1])
draws = gf.gumbel_top_k(np.log(np.tile(p, (100_000, 1))), 2, rng=0).indices
pairs = list(permutations(range(4), 2))
expected = np.array([p[i] * p[j] / (1 - p[i]) for i, j in pairs])
share = np.array([((draws[:, 0] == i) & (draws[:, 1] == j)).mean() for i, j in pairs])
assert np.allclose(gf.distributions.plackett_luce_log_prob(np.log(np.tile(p, (12, 1))), pairs), np.log(expected))
assert (np.abs(share - expected) < 5 * np.sqrt(expected / len(draws))).all()

# %%
# **Sequences.** A language model gives the next token, given those before. Let ours be a chain over the letters a, b
# and c that is asked five times: 243 sequences, few enough for a check; a model of any size would be used in the same
# way.

chain = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
LENGTH = 5


def step(tokens, state):
    """Log-probabilities of the next letter; the first call has no tokens yet and starts from a."""
    return np.log(chain[[0] if tokens is None else tokens]), None


def spelled(sequence):
    return "".join("abc"[token] for token in sequence)


beam = gf.sequences.beam_search(step, None, k=3, max_steps=LENGTH)
print("beam search, always the same:", [spelled(s) for s in beam.sequences[0]])
for seed in range(3):
    found = gf.sequences.stochastic_beam_search(step, None, k=3, max_steps=LENGTH, rng=seed)
    print(f"stochastic beam search, seed {seed}:", [spelled(s) for s in found.sequences[0]])

# %%
# *Beam search* keeps the k best beginnings; *stochastic* beam search (Kool, van Hoof and Welling 2019) keeps the k
# largest **perturbed** ones. The idea: the largest perturbed value among all sequences that begin with y is, by
# chapter 2, a Gumbel around :math:`\log P(y)`. So draw from the top of the tree downwards. A node knows the largest
# value G below it; its children get values whose largest is G. No more than k beams can hold one of the k largest
# sequences, and the tree is never built.
#
# The result is what Gumbel-top-k over all 243 sequences would give. We count how often each is among the first three
# drawn, and compare with Gumbel-top-k on the list of all of them.

every = np.stack(np.meshgrid(*[range(3)] * LENGTH, indexing="ij"), axis=-1).reshape(-1, LENGTH)
log_p = np.log(chain[np.column_stack([np.zeros(243, int), every[:, :-1]]), every]).sum(axis=1)
assert np.isclose(np.exp(log_p).sum(), 1)


def many(tokens, state):
    """The same model for 20,000 prompts at once."""
    return np.log(chain[np.zeros(20_000, int) if tokens is None else tokens]), None


found = gf.sequences.stochastic_beam_search(many, None, k=3, max_steps=LENGTH, rng=0).sequences
codes = found @ 3 ** np.arange(LENGTH - 1, -1, -1)
searched = np.bincount(codes.ravel(), minlength=243) / 20_000
listed = np.bincount(gf.gumbel_top_k(np.tile(log_p, (20_000, 1)), 3, rng=1).indices.ravel(), minlength=243) / 20_000
spread = np.sqrt(2 * listed * (1 - listed) / 20_000) + 1e-3
assert (np.abs(searched - listed) < 5 * spread).all()

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
left.bar(np.arange(12) - 0.2, share, 0.4, label="share of 100,000 pairs")
left.bar(np.arange(12) + 0.2, expected, 0.4, label="Plackett and Luce", color="0.7")
left.set_xticks(range(12), [f"{i},{j}" for i, j in pairs])
left.set(title="Gumbel-top-2 of four categories", xlabel="ordered pair")
left.legend(frameon=False)
right.plot([1e-4, 1], [1e-4, 1], color="0.7", lw=1)
right.plot(listed, searched, "C3.", alpha=0.6)
right.set(xscale="log", yscale="log", xlim=(1e-4, 1.3), ylim=(1e-4, 1.3))
right.set(
    title="243 sequences: chance to be among three", xlabel="Gumbel-top-k on the list", ylabel="stochastic beam search"
)
plt.show()

# %%
# What are different sequences good for? For estimates: no draw is wasted on a sequence that has been seen already.
# :doc:`/sequences` has the weights that keep such estimates without bias.
