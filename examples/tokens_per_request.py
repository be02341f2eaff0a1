"""Sample tokens for a batch of requests so that a request's tokens depend on nothing but its own seed and logits.

Servers put requests into batches as they come. With one random stream per batch, the other requests decide what a user
gets. Here each row has a seed and a position (how many tokens the request has so far), and there is no stream.
"""

import numpy as np

import gumbelfast as gf

VOCABULARY = 32_000
MODEL = gf.gumbel(
    scale=0.5, size=(64, VOCABULARY), rng=0
)  # stands in for a language model: logits for each of 64 contexts


def next_tokens(contexts: np.ndarray, seeds: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """(batch,) contexts -> (batch,) token ids."""
    logits = MODEL[contexts % len(MODEL)]
    return gf.categorical(logits, temperature=0.8, seeds=seeds, positions=positions)


def generate(requests: dict[str, int], length: int, batches: list[list[str]]) -> dict[str, list[int]]:
    """Tokens of all requests (name -> seed), advanced batch by batch in the given order until they are complete."""
    tokens: dict[str, list[int]] = {name: [] for name in requests}
    while any(len(found) < length for found in tokens.values()):
        for batch in batches:
            names = [name for name in batch if len(tokens[name]) < length]
            if not names:
                continue
            contexts = np.array([sum(tokens[name]) for name in names])
            seeds = np.array([requests[name] for name in names])
            positions = np.array([len(tokens[name]) for name in names])
            for name, token in zip(names, next_tokens(contexts, seeds, positions).tolist(), strict=True):
                tokens[name].append(token)
    return tokens


requests = {"ada": 11, "bob": 22, "eve": 33, "kim": 44}
together = generate(requests, 6, [["ada", "bob", "eve", "kim"]])
alone = generate(requests, 6, [["ada"], ["bob"], ["eve"], ["kim"]])
shuffled = generate(requests, 6, [["kim", "bob"], ["eve", "kim", "ada"]])

for name, tokens in together.items():
    print(name, tokens)
assert together == alone == shuffled
print("the same tokens in one batch, one by one, and in changing batches")

# The same seed repeats an answer; another seed gives another.
assert generate({"ada": 11}, 6, [["ada"]])["ada"] == together["ada"]
assert generate({"ada": 12}, 6, [["ada"]])["ada"] != together["ada"]
