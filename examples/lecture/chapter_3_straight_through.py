r"""
3. Straight through
===================

We can draw. Now we want to *learn* through a draw: change the scores so that the expected loss falls.
"""

import matplotlib.pyplot as plt
import numpy as np

import gumbelfast as gf
from gumbelfast import estimators

# %%
# Let z be 1 with probability :math:`p = \sigma(x) = 1/(1+e^{-x})`, otherwise 0. We look for the slope of
# :math:`L(x) = \mathbb{E}[f(z)] = p f(1) + (1 - p) f(0)`. With two outcomes it can be written down:
#
# .. math:: L'(x) = p (1 - p) (f(1) - f(0)) .
#
# With a hundred variables of ten categories each it cannot: there would be :math:`10^{100}` terms. So we draw. Two ways
# have the right mean, and one is a quick approximation.
#
# * **REINFORCE** (the score function) uses :math:`\mathbb{E}[f(z)\, (z - p)] = L'(x)`. It needs only values of f and
#   has the right mean, but it varies a lot: it learns only one number from each draw.
# * **A path** would be to write z as a function of x and of noise, and to differentiate it. For :math:`z = 1[u <
#   \sigma(x)]` that is a step, with slope 0 wherever it has one.
# * **Straight through**: use the hard z forward, so that the rest of the program sees a real choice. Backward,
#   pretend that z was its mean :math:`\sigma(x)`, whose slope is :math:`p(1-p)`; or pretend that it was x itself (the
#   identity).

x = np.linspace(-4, 4, 33)
p = 1 / (1 + np.exp(-x))
rng = gf.default_rng(0)


def slopes(f, grad_f):
    """Slope by x: the truth, straight-through by sigmoid and identity, and REINFORCE; means of 20,000 draws."""
    options = {"num_samples": 20_000, "family": "bernoulli", "rng": rng}
    return {
        "exact": estimators.exact(x, f, family="bernoulli").grad,
        "straight-through, sigmoid": estimators.straight_through(x, f, grad_f, **options).grad,
        "straight-through, identity": estimators.straight_through(x, f, grad_f, surrogate="identity", **options).grad,
        "REINFORCE": estimators.score_function(x, f, **options).grad,
    }


cases = {
    "f(z) = 2z": slopes(lambda z: 2 * z, lambda z: np.full_like(z, 2.0)),
    "f(z) = (z − 0.45)²": slopes(lambda z: (z - 0.45) ** 2, lambda z: 2 * (z - 0.45)),
}
styles = {"exact": "k-", "straight-through, sigmoid": "C3--", "straight-through, identity": "C1:", "REINFORCE": "C0."}
figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for axes, (title, found) in zip(panels, cases.items(), strict=True):
    for name, slope in found.items():
        axes.plot(x, slope, styles[name], label=name, lw=2)
    axes.axhline(0, color="0.8", lw=1, zorder=0)
    axes.set(xlabel="score x", ylabel="slope of the expected loss", title=title)
panels[0].legend(frameon=False)
plt.show()

# %%
# If f is linear, straight-through by the sigmoid has no bias: f has the same slope at 0, at 1 and at the mean. For the
# square it uses the slopes of f at 0 and at 1, though only the difference of two values matters. On the left half of
# the second picture its sign is wrong: it would walk uphill. REINFORCE is right everywhere, but noisy.

linear, square = cases.values()
assert np.allclose(linear["straight-through, sigmoid"], linear["exact"])
assert np.allclose(square["exact"], p * (1 - p) * (0.55**2 - 0.45**2))
wrong = np.sign(square["straight-through, sigmoid"]) != np.sign(square["exact"])
print("wrong sign for x from", x[wrong].min(), "to", x[wrong].max())
assert np.abs(square["REINFORCE"] - square["exact"]).max() < 0.02

# %%
# How noisy is it? This is the spread of one draw at x = −1, when a constant is added to f:

at = np.full(1, -1.0)
shifted, grad_f = lambda z: (z - 0.45) ** 2 + 3, lambda z: 2 * (z - 0.45)
options = {"num_samples": 20_000, "family": "bernoulli", "rng": rng}
spreads = {
    "REINFORCE": estimators.score_function(at, shifted, **options).grads.std(),
    "REINFORCE with a baseline": estimators.score_function(
        at, shifted, baseline="leave_one_out", **options
    ).grads.std(),
    "straight-through": estimators.straight_through(at, shifted, grad_f, **options).grads.std(),
}
for name, spread in spreads.items():
    print(f"{name:26} {spread:.3f}")

# %%
# The constant changes no slope, but REINFORCE suffers: subtract a *baseline*, such as the mean of the other draws. A
# middle way between bias and spread is the subject of the next chapter.
