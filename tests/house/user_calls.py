"""What users write, for ``mypy --strict``: the usual arguments are accepted, and results have types to work with."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

import gumbelfast as gf
from gumbelfast import estimators, sequences, structures

rng = gf.default_rng(0)
assert_type(rng, gf.Generator)
generator: np.random.Generator = rng

logits = np.log(np.array([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]], np.float32))
one: int = int(gf.categorical(logits[0], rng=0))
many: NDArray[np.int64] = gf.categorical(logits, size=10, temperature=0.5, rng=rng)
seeded: NDArray[np.int64] = gf.categorical(logits, seeds=[1, 2], positions=np.array([3, 4]))
listed: NDArray[np.int64] = gf.categorical([[0.0, 1.0]], mask=[[True, False]])

top = gf.gumbel_top_k(logits, 2, rng=np.random.default_rng(0))
assert_type(top, gf.TopK)
indices, perturbed = top
items = gf.weighted_sample(np.ones(10), 3, rng=0)
assert_type(items, gf.WeightedSample)
assert len(items.indices) == 3

soft: NDArray[np.float32] = gf.gumbel_softmax(logits, tau=0.5, rng=rng)
hard, relaxed = gf.gumbel_softmax(logits, tau=np.array([0.5, 1.0]), hard=True, return_soft=True, rng=rng)
grad: NDArray[np.float32] = gf.gumbel_softmax_backward(hard, relaxed, tau=1.0)
rows: NDArray[np.float32] = gf.softmax(logits, axis=(0, 1))
total: NDArray[np.float32] = gf.logsumexp(logits, axis=-1, keepdims=True)
tokens: NDArray[np.int64] = gf.sample_tokens(logits, temperature=[0.0, 1.0], top_k=2, top_p=0.9, min_p=0.0, rng=0)
noise: NDArray[np.float32] = gf.gumbel(size=(2, 3), rng=rng, num_threads=1)
dice = gf.Categorical(probs=[1, 1, 1, 3])
assert_type(dice, gf.Categorical)
thrown: NDArray[np.int64] = dice.sample(5, rng=rng)


def reward(z: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(z @ np.arange(3.0))


estimate = estimators.score_function(logits, reward, num_samples=8, baseline="leave_one_out", rng=0)
assert_type(estimate, estimators.Estimate)
assert estimate.grad.shape == logits.shape
exact = estimators.exact(logits, reward)
assert_type(exact, estimators.Exact)


def step(tokens: NDArray[np.int64] | None, state: None) -> tuple[NDArray[Any], None]:
    return np.zeros((1 if tokens is None else len(tokens), 4)), None


found = sequences.stochastic_beam_search(step, None, k=2, max_steps=3, rng=0)
assert_type(found, sequences.StochasticBeams)
best = structures.viterbi(np.zeros((5, 2)), np.eye(2))
assert_type(best, structures.Labelling)

with gf.use_backend("scalar"):
    name: str = gf.backend()
names: list[str] = list(gf.backends())
gf.set_num_threads(gf.get_num_threads())
threads: int = gf.get_num_threads()
