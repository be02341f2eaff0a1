"""Small models for the tests of `gumbelfast.structures`: random trees, the potentials of labellings, exact answers."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers import Array
from hypothesis import strategies as st
from scipy import special, stats

INF = np.inf
needs_maxflow = pytest.mark.skipif(find_spec("maxflow") is None, reason="needs PyMaxflow")
ALPHA = 1e-6  # of a false alarm in each test with a p-value


class Tree(NamedTuple):
    unary: Array
    pairwise: Array
    parents: Array

    def interaction(self, labels: Array) -> Array:
        """What the edges add, labelling by labelling, edge by edge."""
        total = np.zeros(len(labels))
        for t, parent in enumerate(self.parents):
            if parent >= 0:
                w = self.pairwise if self.pairwise.ndim == 2 else self.pairwise[t - 1]
                total += w[labels[:, parent], labels[:, t]]
        return total


@st.composite
def trees(draw: Any) -> Tree:
    """Forests of small integers, so that sums are exact and ties are many; some potentials are -inf."""
    nodes, labels = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    per_edge, holes, most = draw(st.booleans()), draw(st.sampled_from([0.0, 0.1])), draw(st.integers(0, 3))

    def potentials(*shape: int) -> Array:
        x = rng.integers(-most, most + 1, size=shape).astype(draw(st.sampled_from([np.float32, np.float64])))
        return np.where(rng.random(shape) < holes, x.dtype.type(-INF), x)

    parents = np.arange(-1, nodes - 1) if draw(st.booleans()) else rng.integers(-1, np.arange(nodes))
    batch = draw(st.sampled_from([(), (1,), (3,), (2, 9)]))
    pairwise = potentials(nodes - 1, labels, labels) if per_edge else potentials(labels, labels)
    return Tree(potentials(*batch, nodes, labels), pairwise, parents)


def grid_interaction(down: Array, right: Array) -> Callable[[Array], Array]:
    """What the edges of a grid add; the potentials as `graph_cut` takes them."""

    def interaction(labels: Array) -> Array:
        height, width = labels.shape[1:]
        total = np.zeros(len(labels))
        for i in range(height):
            for j in range(width):
                if i + 1 < height:
                    w = np.broadcast_to(down, (height - 1, width, 2, 2))[i, j]
                    total += w[labels[:, i, j], labels[:, i + 1, j]]
                if j + 1 < width:
                    w = np.broadcast_to(right, (height, width - 1, 2, 2))[i, j]
                    total += w[labels[:, i, j], labels[:, i, j + 1]]
        return total

    return interaction


def enumerated(unary: Array, interaction: Callable[[Array], Array]) -> tuple[Array, Array, float]:
    """All labellings, their probabilities, and log Z."""
    sites, labels = unary.shape[:-1], unary.shape[-1]
    every = np.stack(np.unravel_index(np.arange(labels ** int(np.prod(sites))), (labels,) * int(np.prod(sites))), -1)
    score = interaction(every.reshape(-1, *sites))
    for i, row in enumerate(unary.reshape(-1, labels)):
        score = score + row[every[:, i]]
    log_z = special.logsumexp(score)
    return every.reshape(-1, *sites), np.exp(score - log_z), float(log_z)


def marginals_of(every: Array, p: Array, labels: int) -> Array:
    return np.stack([np.tensordot(p, every == label, 1) for label in range(labels)], axis=-1)


def forward_backward(unary: Array, pairwise: Array) -> tuple[Array, float]:
    """Exact marginals and log Z of a chain."""
    alpha, beta = [unary[0]], [np.zeros(unary.shape[1])]
    for u in unary[1:]:
        alpha.append(u + special.logsumexp(alpha[-1][:, None] + pairwise, axis=0))
    for u in unary[:0:-1]:
        beta.append(special.logsumexp(pairwise + u + beta[-1], axis=1))
    log_z = special.logsumexp(alpha[-1])
    return np.exp(np.array(alpha) + np.array(beta[::-1]) - log_z), float(log_z)


def assert_counts(index: Array, p: Array) -> None:
    """A G-test: `index` are draws from the distribution p, none where it is zero."""
    counts = np.bincount(index, minlength=p.size)
    assert counts.size == p.size
    assert not counts[p == 0].any()
    expected = counts.sum() * p / p.sum()
    rare = expected < 10  # too few for the approximation: one cell together
    counts, expected = (np.append(a[~rare], a[rare].sum() or ()) for a in (counts, expected))
    found = stats.power_divergence(counts, expected, lambda_="log-likelihood")
    assert found.pvalue > ALPHA, found
