"""Learn the logits of a categorical distribution by gradients through its draws.

The forward pass uses hard one-hot draws, so the rest of a program sees real choices. The backward pass uses the
gradient of their soft counterparts (the straight-through Gumbel-softmax estimator). The task: make drawn histograms
match a target.
"""

import numpy as np

import gumbelfast as gf

TARGET = np.array([0.05, 0.1, 0.15, 0.3, 0.4], np.float32)
BATCH, STEPS, RATE, TAU = 512, 400, 1.0, 0.7

rng = gf.default_rng(3)
logits = np.zeros(len(TARGET), np.float32)

for step in range(STEPS + 1):
    rows = np.broadcast_to(logits, (BATCH, len(TARGET)))
    hard, soft = gf.gumbel_softmax(rows, TAU, hard=True, rng=rng, return_soft=True)
    difference = hard.mean(axis=0) - TARGET
    # Loss: squared distance of the drawn histogram from the target. Every draw has the same gradient.
    loss = float(difference @ difference)
    grad = np.broadcast_to(2 * difference / BATCH, hard.shape)
    logits -= RATE * gf.gumbel_softmax_backward(grad, soft, TAU).sum(axis=0)
    if step % 80 == 0:
        print(f"step {step:3d}  loss {loss:.5f}  probabilities {gf.softmax(logits).round(3)}")

found = gf.softmax(logits)
print("target                      ", TARGET)
assert np.abs(found - TARGET).max() < 0.03, found
# The hard draws are what a program would use: exact zeros and ones.
assert np.array_equal(np.unique(hard), [0, 1])
