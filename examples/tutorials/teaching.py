r"""
Teaching
========

You teach, or learn, how sampling works. Everything here can be read, checked by hand, and taken apart.
"""

import inspect

import matplotlib.pyplot as plt
import numpy as np

import gumbelfast as gf

# %%
# Pages to read
# -------------
#
# Every function has a second implementation in NumPy: one page per subject, written to be read, which shares no line
# with the compiled kernels. This is how a 64-bit key and the number of an element become random bits:
from gumbelfast.reference import philox

print(inspect.getsource(philox))

# %%
# Both give the same numbers, so you can explain one and run the other.

logits = np.random.default_rng(0).normal(size=(100, 1000))
assert (gf.categorical(logits, rng=7) == gf.reference.categorical(logits, rng=7)).all()

# %%
# Nothing is hidden
# -----------------
#
# A draw *is* the argmax of scores plus noise, and you can have the noise. One seed shows both sides of each identity:

noise = gf.gumbel(size=logits.shape, dtype=logits.dtype, rng=7)
assert (gf.categorical(logits, rng=7) == (logits + noise).argmax(axis=-1)).all()
best_three = np.argsort(-(logits + noise), axis=-1)[:, :3]
assert (gf.gumbel_top_k(logits, 3, rng=7).indices == best_three).all()
relaxed = gf.gumbel_softmax(logits, tau=0.5, rng=7)
assert np.allclose(relaxed, gf.softmax((logits + noise) / 0.5))

# %%
# Claims that a class can test
# ----------------------------
#
# "The largest of many exponential variables is nearly Gumbel." Draw, subtract the logarithm of their number, and
# compare with the density:

figure, panels = plt.subplots(1, 3, figsize=(12, 3.4), sharey=True, layout="constrained")
z = np.linspace(-3, 8, 300)
for axes, n in zip(panels, (2, 10, 100), strict=True):
    largest = gf.exponential(size=(20_000, n), dtype=np.float64, rng=n).max(axis=1) - np.log(n)
    axes.hist(largest, bins=60, range=(-3, 8), density=True, alpha=0.6)
    axes.plot(z, np.exp(gf.distributions.Gumbel().log_prob(z)), color="black", lw=1.5)
    axes.set(title=f"largest of {n}, minus log {n}")
plt.show()

# %%
# A course
# --------
#
# :doc:`/lecture/index` goes from the inverse transform to random structures in six chapters, with proofs. Each is a
# notebook: the links are at the end of its page. The gallery has more: :doc:`/gallery/gumbel_max_proof`
# checks each step of a proof by numbers, :doc:`/gallery/simplex` draws the triangle,
# :doc:`/gallery/digits_estimators` compares estimators. :doc:`/stream` is the whole law from key to draw, in four
# pages.
