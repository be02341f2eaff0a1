"""Sentences from a character model: beam search, ancestral sampling, and stochastic beam search (Kool et al. 2019).

A GRU learns the language reference that Python ships. For temperatures from 0.1 to 1, sentences are decoded in the
three ways. Last, the expected length of the next word is estimated from samples with and without replacement.
Needs torch and matplotlib.
"""

import argparse
import re
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import torch
from matplotlib.figure import Figure

import gumbelfast as gf
from gumbelfast import estimators

parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
parser.add_argument("--quick", action="store_true", help="train for seconds: shows that everything runs")
parser.add_argument("--output", type=Path, default=Path("stochastic_beam_search.png"))
options = parser.parse_args()

torch.manual_seed(0)
torch.set_num_threads(1)
CHARACTERS = "\nabcdefghijklmnopqrstuvwxyz ,'"  # a newline ends a sentence
EOS, LONGEST = 0, 60
PROMPTS = ["the ", "if the ", "when a ", "it is ", "this ", "a class ", "note that ", "an object "]
TEMPERATURES = np.linspace(0.1, 1, 3 if options.quick else 10)


def encoded(text: str) -> torch.Tensor:
    return torch.tensor([CHARACTERS.index(c) for c in text])


text = re.sub(r"[`*\"()]", "", " ".join(topics.values()).lower())
sentences = [re.sub(r"\s+", " ", s).strip() for s in re.split(r"[.:;]\s|\n\n", text)]
corpus = encoded("\n".join(s for s in sentences if len(s) > 20 and set(s) <= set(CHARACTERS)) + "\n")


class Model(torch.nn.Module):
    def __init__(self, width: int = 192) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(len(CHARACTERS), width)
        self.recurrent = torch.nn.GRU(width, width, batch_first=True)
        self.head = torch.nn.Linear(width, len(CHARACTERS))

    def forward(self, tokens: torch.Tensor, hidden: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """(rows, length) tokens -> (rows, length, characters) logits and the (rows, width) state after them."""
        out, last = self.recurrent(self.embedding(tokens), None if hidden is None else hidden[None])
        return self.head(out), last[0]


model = Model()
optimizer = torch.optim.Adam(model.parameters(), 4e-3)
steps = 60 if options.quick else 700
schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, steps)
for number in range(steps):
    start = torch.randint(len(corpus) - 65, (32, 1))
    batch = corpus[start + torch.arange(65)]
    logits, _ = model(batch[:, :-1])
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if (number + 1) % (steps // 3) == 0:
        print(f"step {number + 1}: {loss.item():.3f} nats per character, of {len(corpus)} characters")
model.requires_grad_(False)


def prompt_state(prompts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """The state before the last character of each prompt, and that character."""
    hidden = torch.cat([model(encoded("\n" + p[:-1])[None])[1] for p in prompts])
    return hidden, torch.stack([encoded(p[-1])[0] for p in prompts])


def step_at(temperature: float):
    """The model with the interface of the searches, which normalise the logits."""

    def step(tokens, state):
        hidden, last = state if tokens is None else (state, torch.from_numpy(tokens))
        logits, hidden = model(last[:, None], hidden)
        return (logits[:, 0] / temperature).numpy(), hidden

    return step


def score(found: gf.sequences.Sequences | gf.sequences.StochasticBeams) -> tuple[float, float]:
    """Distinct n-grams among all, n = 1 to 4, and log-probability per character at temperature 1."""
    ratios, log_prob = [], 0.0
    for rows, lengths, prompt in zip(found.sequences, found.lengths, PROMPTS, strict=True):
        texts = ["".join(CHARACTERS[t] for t in row[:n]) for row, n in zip(rows, lengths, strict=True)]
        for n in range(1, 5):
            grams = [t[i : i + n] for t in texts for i in range(len(t) - n + 1)]
            ratios.append(len(set(grams)) / max(len(grams), 1))
        for t in texts:
            whole = encoded("\n" + prompt + t)
            each = model(whole[None, :-1])[0][0].log_softmax(-1).gather(-1, whole[1:, None])
            log_prob += each[len(prompt) :].sum().item()
    return float(np.mean(ratios)), log_prob / found.lengths.sum()


K = 5
state = prompt_state(PROMPTS)
methods = {
    "beam search": lambda step: gf.sequences.beam_search(step, state, K, LONGEST, eos=EOS),
    "sampling": lambda step: gf.sequences.ancestral_sample(step, state, K, LONGEST, eos=EOS, rng=1),
    "stochastic beam search": lambda step: gf.sequences.stochastic_beam_search(step, state, K, LONGEST, eos=EOS, rng=1),
}
figure = Figure(figsize=(11, 4.5), layout="constrained")
left, right = figure.subplots(1, 2)
for (name, method), colour in zip(methods.items(), ("tab:gray", "tab:orange", "tab:blue"), strict=True):
    found = [method(step_at(t)) for t in TEMPERATURES]
    diversity, log_prob = zip(*map(score, found), strict=True)
    left.plot(diversity, log_prob, color=colour, lw=1, zorder=1)
    left.scatter(diversity, log_prob, 20 + 60 * TEMPERATURES, color=colour, label=name, zorder=2)
    print(f"\n{name}, temperature {TEMPERATURES[2]:.1f}, {PROMPTS[0]!r}:")
    for row, n in zip(found[2].sequences[0], found[2].lengths[0], strict=True):
        print("   ", PROMPTS[0] + "".join(CHARACTERS[t] for t in row[:n]).strip())
left.set(xlabel="distinct n-grams, n = 1 to 4", ylabel="log-probability per character, temperature 1")
left.set(title=f"{K} sentences per prompt; larger dots: temperature up to 1")
left.legend()

REPEATS, counts = 400, [2, 4, 8, 16, 32, 64]
words, again = step_at(0.5), prompt_state(PROMPTS[:1] * REPEATS)
spread: dict[str, list[float]] = {"Monte Carlo": [], "without replacement": [], "without replacement, normalized": []}
for k in counts:
    arguments = words, again, k, 20
    lengths = gf.sequences.ancestral_sample(*arguments, eos=CHARACTERS.index(" "), rng=k).lengths
    drawn = gf.sequences.stochastic_beam_search(*arguments, eos=CHARACTERS.index(" "), rng=k)
    estimates = [lengths.mean(axis=1)] + [
        estimators.without_replacement(drawn.log_probs, drawn.perturbed, drawn.kappa, drawn.lengths, normalized=n)
        for n in (False, True)
    ]
    for name, estimate in zip(spread, estimates, strict=True):
        spread[name].append(float(estimate.std()))
    print(f"{k} samples: standard deviation of the expected length", {n: round(v[-1], 2) for n, v in spread.items()})
for (name, values), colour in zip(spread.items(), ("tab:orange", "tab:cyan", "tab:blue"), strict=True):
    right.loglog(counts, values, "o-", color=colour, label=name)
for axis, ticks in ((right.xaxis, counts), (right.yaxis, [0.1, 0.2, 0.5, 1, 2, 5])):
    axis.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
right.minorticks_off()
right.set(xlabel="samples", ylabel=f"standard deviation of {REPEATS} estimates")
right.set(title=f"expected length of the word after {PROMPTS[0]!r}, temperature 0.5")
right.legend()
figure.savefig(options.output, dpi=110)
assert spread["without replacement, normalized"][-1] < spread["Monte Carlo"][-1]
