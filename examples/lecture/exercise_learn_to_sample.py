r"""
To end with: learning to sample
===============================

A toy that needs chapters 2 to 4: a distribution is hidden in data, and scores have to learn it from draws alone.
"""

import matplotlib.pyplot as plt
import numpy as np

import gumbelfast as gf

# %%
# Thirty categories follow two hills. We see batches of data, draw batches of our own, and compare the two histograms.
# The loss is the squared distance of the histograms, and the only way from the loss to the scores leads **through the
# draws**.

CATEGORIES, BATCH, STEPS, TAU = 30, 256, 300, 0.7
place = np.arange(CATEGORIES)
hills = np.exp(-((place - 8) ** 2) / 18) + 0.7 * np.exp(-((place - 21) ** 2) / 12) + 0.02
target = hills / hills.sum()

rng = gf.default_rng(0)
scores = np.zeros(CATEGORIES)
history, losses = [], []
for _ in range(STEPS):
    data = np.bincount(gf.categorical(np.log(target), size=BATCH, rng=rng), minlength=CATEGORIES) / BATCH
    rows = np.broadcast_to(scores, (BATCH, CATEGORIES))
    hard, soft = gf.gumbel_softmax(rows, TAU, hard=True, rng=rng, return_soft=True)
    difference = hard.mean(axis=0) - data
    losses.append(float(difference @ difference))
    # Each draw has moved its part of the histogram; backward goes the slope of the soft draw.
    through = np.broadcast_to(2 * difference / BATCH, hard.shape)
    scores = scores - 8 * gf.gumbel_softmax_backward(through, soft, TAU).sum(axis=0)
    history.append(scores)

# %%
# The draws were hard, exact zeros and ones, all the time. What was learnt are scores whose softmax is near the two
# hills.

distance = np.abs(gf.softmax(np.array(history)) - target).sum(axis=1) / 2
print("total variation distance, first and last:", distance[0].round(3), distance[-1].round(3))
assert distance[-1] < distance[0] / 3
assert np.array_equal(np.unique(hard), [0, 1])

figure, panels = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained", sharey=True)
for axes, step in zip(panels, (0, 20, 80, STEPS - 1), strict=True):
    drawn = gf.categorical(history[step], size=20_000, rng=1)
    axes.bar(place, np.bincount(drawn, minlength=CATEGORIES) / drawn.size, width=1, color="C0", alpha=0.6)
    axes.plot(place, target, color="black", lw=1.2)
    axes.set(title=f"after step {step + 1}", xlabel="category")
figure.suptitle("20,000 draws (bars) and the distribution of the data (line)")
plt.show()

# %%
# Things to try: another temperature; the soft samples forward as well; a smaller batch.
# :doc:`/gallery/learn_a_distribution` does this with a network and compares three estimators,
# :doc:`/gallery/digits_autoencoder` trains an autoencoder.
