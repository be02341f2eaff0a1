"""Sequence models for tests: small trees whose sequences can be counted through."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats


class State(NamedTuple):
    """Where each row is, kept in as many ways as a state may be nested."""

    node: Any
    memory: dict[str, Any]


class Tree:
    """A model in which every prefix has logits of its own, not normalised."""

    def __init__(
        self, columns: int, depth: int, seed: int = 0, prompts: int = 1, dtype: Any = np.float64, deviation: float = 1.0
    ) -> None:
        rng = np.random.default_rng(seed)
        self.columns, self.depth, self.prompts = columns, depth, prompts
        self.tables = [(rng.normal(size=(columns**d, columns)) * deviation).astype(dtype) for d in range(depth)]
        self.calls: list[int] = []

    def logits(self, prefix: tuple[int, ...]) -> Any:
        node = 0
        for token in prefix:
            node = node * self.columns + token
        return self.tables[len(prefix)][node]

    def step(self, tokens: Any, state: Any) -> tuple[Any, Any]:
        if tokens is None:
            node, history = np.zeros(self.prompts, np.int64), np.empty((self.prompts, 0), np.int64)
        else:
            history = np.concatenate([state.memory["history"][0], tokens[:, None]], axis=1)
            node = state.node * self.columns + tokens
        # A state whose rows were put into another order than the tokens would not remember its own way here.
        assert np.array_equal(node, history @ self.columns ** np.arange(history.shape[1])[::-1])
        self.calls.append(len(node))
        return self.tables[history.shape[1]][node], State(node, {"history": [history], "none": None})

    def leaves(self, eos: int | None = None) -> dict[tuple[int, ...], float]:
        """Every completed sequence with its log-probability."""
        found, open_ends = {}, {(): 0.0}
        for _ in range(self.depth):
            grown = {}
            for prefix, log_prob in open_ends.items():
                x = self.logits(prefix).astype(np.float64)
                if np.isneginf(x).all():
                    continue
                for token, value in enumerate(x - x.max() - np.log(np.exp(x - x.max()).sum())):
                    (found if token == eos else grown)[(*prefix, token)] = log_prob + float(value)
            open_ends = grown
        return {s: p for s, p in (found | open_ends).items() if p > -np.inf}

    def numbers(self, sequences: Any, eos: int | None = None) -> Any:
        """Which of `leaves` each padded sequence is."""
        base = self.columns + 1
        power = base ** np.arange(self.depth)
        codes = np.array([(np.array(leaf) + 1) @ power[: len(leaf)] for leaf in self.leaves(eos)])
        order = np.argsort(codes)
        code = ((sequences + 1) * power[: sequences.shape[-1]]).sum(-1)
        place = np.minimum(np.searchsorted(codes[order], code), len(codes) - 1)
        assert np.array_equal(codes[order][place], code)
        return order[place]


def g_test(counts: Any, p: Any) -> float:
    """P-value of the likelihood-ratio test; cells with fewer than 10 expected are one."""
    expected = counts.sum() * p / p.sum()
    rare = expected < 10
    counts, expected = (np.append(a[~rare], a[rare].sum()) for a in (counts, expected))
    some = expected > 0
    assert counts[~some].sum() == 0
    return float(stats.power_divergence(counts[some], expected[some], lambda_="log-likelihood").pvalue)


def unpadded(sequences: Any) -> list[tuple[int, ...]]:
    """Rows of tokens without what pads them."""
    return [tuple(t for t in row if t >= 0) for row in sequences.tolist()]
