r"""
Verifying
=========

You should not have to trust us. This page tests two samplers: ours, and one with a common fault.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

import gumbelfast as gf

# %%
# Against a second implementation
# -------------------------------
#
# ``python -m gumbelfast verify`` compares every kernel, backend and dtype with the reference, in a minute. From Python:

logits = np.random.default_rng(0).normal(size=(100, 1000)).astype(np.float32)
wanted = gf.reference.categorical(logits, rng=7)
for name in gf.backends():
    with gf.use_backend(name):
        assert (gf.categorical(logits, rng=7) == wanted).all()
    print(f"{name}: the same draws")

# %%
# Threads, parts and order change nothing
# ---------------------------------------

assert (gf.categorical(logits, rng=7, num_threads=1) == wanted).all()
parts = [gf.categorical(logits[a : a + 25], rng=7, offset=a * 1000) for a in range(0, 100, 25)]
assert (np.concatenate(parts) == wanted).all()

# %%
# Against the distribution
# ------------------------
#
# A million draws, counted, against the softmax: a chi-square test. Its p-value is uniform if the sampler is right;
# one below 1e-6 would say that it is not.

x = 2 * np.random.default_rng(1).normal(size=50)
counts = np.bincount(gf.categorical(x, size=1_000_000, rng=3), minlength=50)
expected = 1_000_000 * gf.softmax(x)
rare = expected < 5
observed, wanted = counts[~rare], expected[~rare]
p_value = stats.chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue
print("p-value", p_value.round(3))
assert p_value > 1e-6

# %%
# In the tails
# ------------
#
# A common way to make Gumbel noise is ``-log(-log(u))`` with a float32 uniform of 24 bits. The largest value that can
# come out is 16.6, and it comes in steps. Ours continues as the law says. Here are the largest of many million draws,
# and how many the law expects beyond each value:


def with_24_bits(n, rng):
    u = rng.random(n, dtype=np.float32)
    return -np.log(-np.log(np.maximum(u, np.float32(2**-25))))


N, ROUNDS = 2**22, 16
numpy_rng, ours_rng = np.random.default_rng(0), gf.default_rng(0)
top = {"float32 uniform of 24 bits": [], "gumbelfast": []}
for _ in range(ROUNDS):
    top["float32 uniform of 24 bits"].append(np.partition(with_24_bits(N, numpy_rng), -1000)[-1000:])
    top["gumbelfast"].append(np.partition(gf.gumbel(size=N, rng=ours_rng), -1000)[-1000:])

figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
z = np.linspace(10, 20, 200)
axes.plot(z, N * ROUNDS * -np.expm1(-np.exp(-z)), "k", lw=1, label="expected")
for name, found in top.items():
    values = np.sort(np.concatenate(found))[::-1]
    axes.step(values, np.arange(1, len(values) + 1), where="post", label=name)
    different = len(set(values[:1000].tolist()))
    print(f"{name:28} largest {values[0]:.2f}, different values among the largest 1,000: {different}")
axes.set(yscale="log", xlim=(10, 20), ylim=(0.5, None), xlabel="value", ylabel=f"how many of {N * ROUNDS:,} are larger")
axes.legend(frameon=False)
plt.show()

# %%
# Such tails matter as soon as a vocabulary has rare words, or a sampler runs for long: what lies beyond 16.6 is
# simply never drawn. :doc:`/trust` records what has been tested, from every float32 input to deliberate faults, and
# how to repeat it.
