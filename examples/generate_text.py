"""Text from Hugging Face transformers with draws by gumbelfast: one seed per sequence, more tokens per second.

A small Llama learns the language reference that Python ships, in pieces of words. Then `generate` continues prompts
with ``custom_generate=sample_sequences``. The result is compared with transformers' own sampling: how often each
continuation is drawn, and how many tokens per second are drawn with the vocabulary of a large model. Needs torch,
transformers, scipy and matplotlib.
"""

import argparse
import time
from pathlib import Path
from pydoc_data.topics import topics

import torch
from matplotlib.figure import Figure
from scipy import stats
from tokenizers import ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from gumbelfast.transformers import sample_sequences

parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
parser.add_argument("--quick", action="store_true", help="train for seconds: shows that everything runs")
parser.add_argument("--output", type=Path, default=Path("generate_text.png"))
options = parser.parse_args()

torch.manual_seed(0)
torch.set_num_threads(1)
VOCABULARY, LENGTH = 512, 64

# What the model reads: pieces of words, learned from the same text.
pieces = ByteLevelBPETokenizer()
pieces.train_from_iterator(
    topics.values(), vocab_size=VOCABULARY, special_tokens=["<pad>", "<end>"], show_progress=False
)
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=pieces._tokenizer, pad_token="<pad>", eos_token="<end>", padding_side="left"
)
texts = [torch.tensor(pieces.encode(text + "<end>").ids) for text in topics.values()]
corpus = torch.cat(texts)


def small_llama(vocabulary: int, width: int, layers: int, **more) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=3 * width, num_hidden_layers=layers,
        num_attention_heads=width // 32, max_position_embeddings=256, bos_token_id=None, **more,
    )  # fmt: skip
    return LlamaForCausalLM(config)


model = small_llama(VOCABULARY, 128, 3, pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id)
optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
steps = 30 if options.quick else 600
schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, steps)
for number in range(1, steps + 1):
    start = torch.randint(len(corpus) - LENGTH, (16, 1))
    batch = corpus[start + torch.arange(LENGTH)]
    loss = model(input_ids=batch, labels=batch).loss
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if number % (steps // 3) == 0:
        print(f"step {number}: {loss.item():.2f} nats per token, of {len(corpus)} tokens")
model.eval()

# A seed for each prompt: what follows depends on it alone, not on the rest of the batch.
PROMPTS, SEEDS = ["The following", "If the expression", "A class"], [11, 22, 33]
settings = {"do_sample": True, "temperature": 0.8, "top_p": 0.9, "max_new_tokens": 40}
inputs = tokenizer(PROMPTS, return_tensors="pt", padding=True, return_token_type_ids=False)
together = model.generate(**inputs, custom_generate=sample_sequences, seeds=SEEDS, **settings)
texts = tokenizer.batch_decode(together, skip_special_tokens=True)
for prompt, seed, text in zip(PROMPTS, SEEDS, texts, strict=True):
    print(f"\nseed {seed}: {' '.join(text.split())}")
    alone = tokenizer([prompt], return_tensors="pt", return_token_type_ids=False)
    found = model.generate(**alone, custom_generate=sample_sequences, seeds=[seed], **settings)
    assert tokenizer.batch_decode(found, skip_special_tokens=True) == [text]
print("\nthe same, one by one")


def continuations(custom, draws: int) -> dict[tuple[int, ...], int]:
    """How often each pair of tokens follows the first prompt."""
    prompt = tokenizer(PROMPTS[:1], return_tensors="pt", return_token_type_ids=False)
    given = {**settings, "max_new_tokens": 2, "num_return_sequences": draws, "custom_generate": custom}
    pairs, counts = model.generate(**prompt, **given)[:, -2:].unique(dim=0, return_counts=True)
    return dict(zip(map(tuple, pairs.tolist()), counts.tolist(), strict=True))


# One table, with a column for each continuation that is frequent enough and one for the rest.
draws = 2_000 if options.quick else 20_000
theirs, ours = continuations(None, draws), continuations(sample_sequences, draws)
both = [(theirs.get(pair, 0), ours.get(pair, 0)) for pair in sorted({*theirs, *ours})]
frequent = [pair for pair in both if sum(pair) >= 20]
rest = [(draws - a, draws - b) for a, b in [map(sum, zip(*frequent, strict=True))]]
table = [pair for pair in frequent + rest if sum(pair)]
found = stats.chi2_contingency(list(zip(*table, strict=True)))
print(f"{draws} continuations each: chi-square {found.statistic:.1f} of {found.dof} degrees, p = {found.pvalue:.2f}")
assert found.pvalue > 1e-6


# Tokens per second of a tiny model with a vocabulary of 151,936.
large = small_llama(151_936, 32, 1, pad_token_id=0, eos_token_id=None).eval()
large.lm_head.weight.data.mul_(2.5 / 0.02 / 32**0.5)  # logits that differ as those of trained models do
CASES = {
    "temperature": {"temperature": 0.8, "top_k": 0},
    "top-k and top-p": {"temperature": 0.8, "top_k": 50, "top_p": 0.9},
    "top-p": {"temperature": 0.8, "top_k": 0, "top_p": 0.9},
}


def tokens_a_second(custom, new: int, case: dict[str, float]) -> float:
    prompt = torch.tensor([[5, 6, 7]])
    start = time.perf_counter()
    large.generate(
        prompt, attention_mask=prompt > 0, do_sample=True, max_new_tokens=new, custom_generate=custom, **case
    )
    return new / (time.perf_counter() - start)


rates = {}
for name, case in CASES.items():
    rounds = [
        [tokens_a_second(custom, 8 if options.quick else 40, case) for custom in (None, sample_sequences)]
        for _ in range(3)
    ]
    rates[name] = [max(each) for each in zip(*rounds, strict=True)]
    print(f"{name}: {rates[name][0]:.0f} tokens a second by transformers, {rates[name][1]:.0f} with gumbelfast")

figure = Figure(figsize=(10, 4), layout="constrained")
left, right = figure.subplots(1, 2)
for number, label in enumerate(("transformers", "gumbelfast")):
    places = [place + 0.4 * number for place in range(len(CASES))]
    left.bar(places, [rate[number] for rate in rates.values()], width=0.4, label=label)
left.set_xticks([place + 0.2 for place in range(len(CASES))], CASES)
left.set(title="151,936 tokens in the vocabulary", ylabel="tokens a second")
left.set_ylim(top=1.3 * max(max(rate) for rate in rates.values()))
left.legend(frameon=False)
right.loglog(*zip(*frequent, strict=True), "o", alpha=0.5)
right.axline((20, 20), (100, 100), color="k", linewidth=0.8)
right.set(title="how often each continuation was drawn", xlabel="by transformers", ylabel="with gumbelfast")
figure.savefig(options.output, dpi=120)
print(f"wrote {options.output}")
