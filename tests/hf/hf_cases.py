"""Small models with random weights whose distributions are far from uniform, and the law of what they generate."""

import itertools
from typing import Any

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.generation import LogitsProcessorList

PAD, EOS = 0, 1
NO_TOKENS: dict[str, Any] = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": PAD}


def sharpened(model: PreTrainedModel, deviation: float) -> PreTrainedModel:
    """With logits of that deviation, roughly, which depend on all tokens before."""
    head = torch.Generator().manual_seed(5)
    size = model.get_output_embeddings().weight.shape
    weight = deviation * torch.randn(size, generator=head) / size[1] ** 0.5
    model.set_output_embeddings(torch.nn.Linear(size[1], size[0], bias=False))
    model.get_output_embeddings().weight = torch.nn.Parameter(weight)
    return model.eval()


def gpt2(vocabulary: int = 60, deviation: float = 2.0) -> PreTrainedModel:
    torch.manual_seed(1)
    config = GPT2Config(
        vocab_size=vocabulary, n_positions=64, n_embd=32, n_layer=2, n_head=2, initializer_range=0.3,
        tie_word_embeddings=False, **NO_TOKENS,
    )  # fmt: skip
    return sharpened(GPT2LMHeadModel(config), deviation)


def llama(vocabulary: int = 60, deviation: float = 2.0) -> PreTrainedModel:
    torch.manual_seed(2)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, initializer_range=0.3, **NO_TOKENS,
    )  # fmt: skip
    return sharpened(LlamaForCausalLM(config), deviation)


def t5(vocabulary: int = 60) -> PreTrainedModel:
    """An encoder and a decoder."""
    torch.manual_seed(3)
    config = T5Config(
        vocab_size=vocabulary, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, decoder_start_token_id=PAD,
        tie_word_embeddings=False, **NO_TOKENS,
    )  # fmt: skip
    return sharpened(T5ForConditionalGeneration(config), 2.0)


def exact_law(model: PreTrainedModel, prompt: list[int], new: int, processors: LogitsProcessorList) -> torch.Tensor:
    """The probability of all sequences of so many new tokens, by transformers' own processors: (V,) * new."""
    columns = model.config.vocab_size
    law = torch.ones((), dtype=torch.float64)
    for length in range(new):
        starts = list(itertools.product(range(columns), repeat=length))
        ids = torch.tensor([[*prompt, *start] for start in starts])
        with torch.no_grad():
            scores = processors(ids, model(ids).logits[:, -1].clone())
        step = scores.double().softmax(-1).reshape((columns,) * (length + 1))
        law = law[..., None] * step
    return law
