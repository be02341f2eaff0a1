r"""
Serving a language model
========================

You have logits and want token ids: with temperature, top-k and top-p, fast, and so that a request's tokens depend on
that request alone.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

import gumbelfast as gf

# %%
# One call
# --------
#
# ``sample_tokens`` takes a batch of logits. Settings are one number, or one per row; they mean what they mean in
# Hugging Face transformers. Temperature 0 is greedy.

VOCABULARY = 32_000
logits = 2.5 * np.random.default_rng(0).normal(size=(8, VOCABULARY)).astype(np.float32)
tokens = gf.sample_tokens(logits, temperature=0.8, top_k=50, top_p=0.9, rng=0)
print("token ids", tokens)
greedy = gf.sample_tokens(logits, temperature=[0, 0, 0, 0, 0.8, 0.8, 0.8, 0.8], top_p=0.9, rng=0)
assert (greedy[:4] == logits[:4].argmax(axis=1)).all()

# %%
# The same request, the same tokens
# ---------------------------------
#
# A server puts requests into batches as they come. With one random stream per batch, a user's text depends on the other
# users. Give each row a seed of its own instead, and the position in its text: the draw is a function of these two.

seeds = np.array([11, 12, 13, 14, 15, 16, 17, 18])
settings = {"temperature": 0.8, "top_k": 50, "top_p": 0.9}
together = gf.sample_tokens(logits, seeds=seeds, positions=np.full(8, 42), **settings)
alone = gf.sample_tokens(logits[5], seeds=16, positions=42, **settings)
print("row 5 in a batch of eight:", together[5], "and alone:", alone)
assert together[5] == alone

# %%
# Move the position from token to token: the same seed at the same position gives the same noise again.

text = [int(gf.sample_tokens(logits[0], seeds=11, positions=t, **settings)) for t in range(6)]
again = [int(gf.sample_tokens(logits[0], seeds=11, positions=t, **settings)) for t in range(6)]
print("six tokens of one request:", text)
assert text == again

# %%
# What the filters leave
# ----------------------
#
# Draw often from one row and count. What the filters remove is never drawn; the rest follows the softmax of what is
# left.

row = np.sort(np.random.default_rng(1).normal(scale=1.5, size=40).astype(np.float32))[::-1].copy()
rows = np.tile(row, (50_000, 1))
figure, panels = plt.subplots(1, 3, figsize=(12, 3.6), sharey=True, layout="constrained")
for axes, chosen in zip(panels, ({}, {"top_k": 10}, {"top_p": 0.8}), strict=True):
    share = np.bincount(gf.sample_tokens(rows, rng=0, **chosen), minlength=40) / len(rows)
    axes.bar(range(40), share, width=1, color="C0", alpha=0.6, label="drawn")
    axes.plot(gf.softmax(row), "k.", label="softmax of all")
    axes.set(title=", ".join(f"{name}={value}" for name, value in chosen.items()) or "no filter", xlabel="token")
    if "top_k" in chosen:
        assert share[10:].sum() == 0
panels[0].legend(frameon=False)
plt.show()

# %%
# How long does it take?
# ----------------------
#
# Compare within one run on your own machine; a plain maximum is the least work of any sampler. This page was built on a
# machine that did other things too.


def fastest(call, repeat=20):
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


maximum = fastest(lambda: logits.max(axis=1))
plain = fastest(lambda: gf.sample_tokens(logits, rng=1, num_threads=1))
filtered = fastest(lambda: gf.sample_tokens(logits, rng=1, num_threads=1, **settings))
print(f"NumPy's maximum 1, a draw {plain / maximum:.1f}, with top-k and top-p {filtered / maximum:.1f}")

# %%
# Where next? :doc:`/api` defines every filter to the last bit, :doc:`/sequences` has beam searches over whole texts,
# :doc:`/gallery/tokens_per_request` a small server, :doc:`/gallery/generate_text` the same draws in Hugging Face
# transformers.
