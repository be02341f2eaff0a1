r"""
4. Gumbel-softmax and the simplex
=================================

The largest of perturbed scores jumps. Replace the argmax by a softmax, and the draw moves smoothly with the scores.
"""

import matplotlib.pyplot as plt
import numpy as np

import gumbelfast as gf
from gumbelfast import estimators

# %%
# With Gumbel noise g and a temperature :math:`\tau > 0`,
#
# .. math:: y_i = \frac{\exp((x_i + g_i)/\tau)}{\sum_j \exp((x_j + g_j)/\tau)} .
#
# As :math:`\tau` falls to 0, y becomes the one-hot vector of the argmax, which chapter 2 has shown to be a draw from
# the softmax. At every temperature the *largest* entry of y is where that draw is. So y is a point of the simplex,
# the set of all probability vectors, and its distribution has a density (Maddison, Mnih and Teh 2016; Jang, Gu and
# Poole 2016):
#
# .. math:: p(y) = (K-1)!\; \tau^{K-1} \left(\sum_i \pi_i y_i^{-\tau}\right)^{-K}
#    \prod_i \pi_i y_i^{-\tau-1} , \quad \pi_i = e^{x_i} .
#
# With three categories the simplex is a triangle. Cold samples sit in the corners, warm ones in the middle.

weights = np.array([2.0, 0.5, 1.0])
x = np.log(weights)
taus = (0.1, 0.5, 1.0, 2.0)
corners = np.array([[0.5, np.sqrt(0.75)], [0, 0], [1, 0]])
rows = np.tile(x, (3000, 1))

# Points of the triangle, and their density.
grid = np.stack(np.meshgrid(np.linspace(0.004, 0.992, 150), np.linspace(0.004, 0.992, 150)), axis=-1).reshape(-1, 2)
grid = grid[grid.sum(axis=1) < 0.996]
points = np.column_stack([grid, 1 - grid.sum(axis=1)])

figure, panels = plt.subplots(2, 4, figsize=(12, 6), layout="constrained")
for (above, below), tau in zip(panels.T, taus, strict=True):
    y = gf.gumbel_softmax(rows, tau, rng=0)
    level = gf.distributions.Concrete(x, tau).log_prob(points)
    top = np.quantile(level, 0.99)
    above.tricontourf(*(points @ corners).T, np.clip(level, top - 4, top), 20, cmap="Blues")
    below.scatter(*(y @ corners).T, s=4, alpha=0.3, lw=0, color="C3")
    above.set_title(f"τ = {tau:g}")
    for axes in (above, below):
        axes.fill(*corners.T, facecolor="none", edgecolor="0.3")
        axes.set(aspect="equal", xlim=(-0.05, 1.05), ylim=(-0.05, 0.95))
        axes.axis("off")
    # Whatever the temperature: the largest entry is a draw from the softmax.
    assert np.array_equal(y.argmax(axis=1), gf.categorical(rows, rng=0))
figure.suptitle("density (above) and 3,000 samples (below) with weights 2 (top), 0.5 (left) and 1 (right)")
plt.show()

# %%
# Now there is a path: y is a smooth function of x, and the noise does not depend on x. Its slope is that of a softmax,
# :math:`\partial y_i / \partial x_j = y_i (1[i = j] - y_j) / \tau`. The kernel agrees with a difference quotient:

soft = gf.gumbel_softmax(x, 1.0, rng=0)
by_kernel = gf.gumbel_softmax_backward(np.array([1.0, 0.0, 0.0]), soft, tau=1.0)
h = 1e-6
by_difference = [(gf.gumbel_softmax(x + h * e, 1.0, rng=0)[0] - soft[0]) / h for e in np.eye(3)]
print("kernel    ", by_kernel.round(4))
print("difference", np.round(by_difference, 4))
assert np.allclose(by_kernel, by_difference, atol=1e-4)

# %%
# The price: y is not a corner, so :math:`\mathbb{E}[f(y)]` is not what we wanted. That is a **bias**, smaller the
# colder. And the slope contains 1/τ: a **spread**, larger the colder. *Straight-through Gumbel-softmax* takes the
# corner forward and the slope of y backward; *Gumbel-Rao* averages that slope over all noise that leads to the same
# corner, and so varies less.

score = np.array([1.0, 0.0, 2.0])
f, grad_f = lambda z: (z @ score) ** 2, lambda z: 2 * (z @ score)[..., None] * score
truth = estimators.exact(x, f).grad
temperatures = np.geomspace(0.1, 4, 9)
names = {
    "Gumbel-softmax": estimators.reparameterized,
    "straight-through Gumbel-softmax": estimators.straight_through_gumbel_softmax,
    "Gumbel-Rao": estimators.gumbel_rao,
}
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
for name, estimator in names.items():
    found = [estimator(x, f, grad_f, tau=tau, num_samples=20_000, rng=1) for tau in temperatures]
    left.plot(temperatures, [np.linalg.norm(e.grad - truth) for e in found], "o-", label=name)
    right.plot(temperatures, [np.sqrt(e.grads.var(axis=0).sum()) for e in found], "o-", label=name)
left.set(xscale="log", xlabel="temperature τ", title="bias of the gradient (and what noise is left)")
right.set(xscale="log", yscale="log", xlabel="temperature τ", title="spread of one sample")
left.legend(frameon=False)
plt.show()

# %%
# In practice τ is between 0.3 and 1, or falls during training. :doc:`/estimators` compares all of them in numbers.
