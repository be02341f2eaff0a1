"""Sequences from `generate` with our draws: its own distribution, and a seed for each."""

import functools
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from helpers import Record, run_python
from hf_cases import EOS, PAD, exact_law, gpt2, llama, t5
from scipy import stats
from tokenizers import decoders, models, pre_tokenizers
from transformers import DynamicCache, GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.generation import (
    BaseStreamer,
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    GenerateDecoderOnlyOutput,
    GenerateEncoderDecoderOutput,
    LogitsProcessor,
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteria,
    StopStringCriteria,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

import gumbelfast as gf
from gumbelfast.torch import sample_tokens
from gumbelfast.transformers import _warpers, sample_sequences, sampling

OURS: dict[str, Any] = {"custom_generate": sample_sequences, "do_sample": True}
PROMPTS = torch.tensor([[7, 12, 3, 40], [9, 9, 31, 5], [2, 50, 8, 14]])
SEEDS = [11, 2**63 + 5, 33]
# transformers keep 50 tokens by default.
ALL = {"top_k": 0}
# Its name in later versions of transformers 5, or the one in earlier ones.
CACHE = next(name for name in ("cache", "past_key_values") if hasattr(GenerateDecoderOnlyOutput, name))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """On one thread, as small models want it, and without what transformers say of flags that play no part."""
    before = transformers.logging.get_verbosity(), torch.get_num_threads()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    yield
    transformers.logging.set_verbosity(before[0])
    torch.set_num_threads(before[1])


CASES: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "as it is": (ALL, []),
    "temperature": ({"temperature": 0.6, **ALL}, [TemperatureLogitsWarper(0.6)]),
    "top-k": ({"top_k": 4}, [TopKLogitsWarper(4)]),
    "top-p": ({"top_p": 0.8, **ALL}, [TopPLogitsWarper(0.8)]),
    "min-p": ({"min_p": 0.03, **ALL}, [MinPLogitsWarper(0.03)]),
    "typical": ({"typical_p": 0.8, **ALL}, [TypicalLogitsWarper(0.8)]),
    "epsilon": ({"epsilon_cutoff": 0.02, **ALL}, [EpsilonLogitsWarper(0.02)]),
    "eta": ({"eta_cutoff": 0.05, **ALL}, [EtaLogitsWarper(0.05)]),
    "four": (
        {"temperature": 1.5, "top_k": 7, "top_p": 0.9, "min_p": 0.05},
        [TemperatureLogitsWarper(1.5), TopKLogitsWarper(7), TopPLogitsWarper(0.9), MinPLogitsWarper(0.05)],
    ),
    "penalty": (
        {"repetition_penalty": 1.8, "temperature": 0.8, "top_p": 0.9, **ALL},
        [RepetitionPenaltyLogitsProcessor(1.8), TemperatureLogitsWarper(0.8), TopPLogitsWarper(0.9)],
    ),
    "typical after top-k": (
        {"temperature": 2.0, "top_k": 6, "typical_p": 0.7},
        [TemperatureLogitsWarper(2.0), TopKLogitsWarper(6), TypicalLogitsWarper(0.7)],
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seeded", [False, True])
def test_the_distribution_is_that_of_transformers(case: str, seeded: bool, record_property: Record) -> None:
    """Of two tokens after one prompt, against products of probabilities that its own processors leave."""
    given, processors = CASES[case]
    model, columns, draws = gpt2(12), 12, 20_000
    law = exact_law(model, [3, 5], 2, LogitsProcessorList(processors)).flatten()
    torch.manual_seed(4)
    seeds = {"seeds": torch.arange(draws)} if seeded else {}
    found = model.generate(
        torch.tensor([[3, 5]]), num_return_sequences=draws, max_new_tokens=2, **OURS, **given, **seeds
    )
    counts = torch.bincount(found[:, 2] * columns + found[:, 3], minlength=columns**2)
    assert counts[law == 0].sum() == 0
    rare = (law > 0) & (law * draws < 10)
    cells, wanted = counts[(law > 0) & ~rare].tolist(), (draws * law[(law > 0) & ~rare]).tolist()
    if rare.any():
        cells.append(int(counts[rare].sum()))
        wanted.append(float(draws * law[rare].sum()))
    p = stats.chisquare(cells, wanted, sum_check=False).pvalue
    record_property(f"{case}, p", f"{p:.3g}")
    assert p > 1e-6
    assert len(cells) > 4


def test_its_own_sampling_passes_the_same_test_and_a_wrong_one_fails() -> None:
    model, draws = gpt2(12), 20_000
    law = exact_law(model, [3, 5], 1, LogitsProcessorList([TemperatureLogitsWarper(0.6)]))
    torch.manual_seed(4)
    for temperature, custom, right in (
        (0.6, None, True),
        (0.6, sample_sequences, True),
        (0.7, sample_sequences, False),
    ):
        found = model.generate(
            torch.tensor([[3, 5]]), num_return_sequences=draws, max_new_tokens=1, do_sample=True,
            temperature=temperature, custom_generate=custom, **ALL,
        )  # fmt: skip
        counts = torch.bincount(found[:, 2], minlength=12)
        assert (stats.chisquare(counts, draws * law, sum_check=False).pvalue > 1e-6) == right


@pytest.mark.parametrize("make", [gpt2, llama])
@pytest.mark.parametrize("given", [{}, {"repetition_penalty": 1.5}, {"no_repeat_ngram_size": 2}, {"use_cache": False}])
def test_greedy_is_that_of_transformers(make: Any, given: dict[str, Any]) -> None:
    model = make()
    found = model.generate(PROMPTS, custom_generate=sample_sequences, max_new_tokens=20, **given)
    assert torch.equal(found, model.generate(PROMPTS, max_new_tokens=20, **given))
    assert torch.equal(found, model.generate(PROMPTS, max_new_tokens=20, **OURS, top_k=1, **given))


def by_hand(model: PreTrainedModel, prompt: list[int], new: int, seed: int, **settings: Any) -> list[int]:
    """The whole sequence at each step, alone, without a cache."""
    ids = list(prompt)
    for position in range(new):
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, -1]
        ids.append(int(sample_tokens(logits, seeds=seed, positions=position, **settings)))
    return ids


@pytest.mark.parametrize("make", [gpt2, llama])
@pytest.mark.parametrize(
    "given", [{"top_k": 0}, {"temperature": 0.7, "top_k": 20, "top_p": 0.9}, {"min_p": 0.05, "top_k": 0}]
)
def test_tokens_are_those_of_sample_tokens_at_each_position(make: Any, given: dict[str, Any]) -> None:
    model = make()
    for cache in (True, False):
        found = model.generate(PROMPTS, max_new_tokens=12, seeds=SEEDS, use_cache=cache, **OURS, **given)
        wanted = [by_hand(model, p, 12, s, **given) for p, s in zip(PROMPTS.tolist(), SEEDS, strict=True)]
        assert found.tolist() == wanted


@pytest.mark.parametrize("make", [gpt2, llama])
def test_a_sequence_depends_on_its_seed_alone(make: Any) -> None:
    """Not on its batch, its place in it, nor on how much padding stands before it."""
    model = make()
    together = model.generate(PROMPTS, max_new_tokens=12, seeds=SEEDS, **OURS)
    turned_seeds = np.array(SEEDS[::-1], np.uint64)
    turned = model.generate(PROMPTS.flip(0), max_new_tokens=12, seeds=turned_seeds, **OURS)
    assert torch.equal(turned.flip(0), together)
    for padding in (1, 5):
        for row in range(3):
            ids = torch.cat([torch.full((1, padding), PAD), PROMPTS[row : row + 1]], 1)
            mask = torch.cat([torch.zeros(1, padding), torch.ones(1, 4)], 1).long()
            alone = model.generate(ids, attention_mask=mask, max_new_tokens=12, seeds=SEEDS[row : row + 1], **OURS)
            assert torch.equal(alone[:, padding:], together[row : row + 1])
    other = model.generate(PROMPTS, max_new_tokens=12, seeds=[11, 6, 33], **OURS)
    assert torch.equal(other[[0, 2]], together[[0, 2]])
    assert not torch.equal(other[1], together[1])


def test_several_sequences_of_a_prompt() -> None:
    model = gpt2()
    found = model.generate(PROMPTS, max_new_tokens=6, num_return_sequences=2, seeds=range(6), **OURS)
    for i, row in enumerate(found):
        alone = model.generate(PROMPTS[i // 2 : i // 2 + 1], max_new_tokens=6, seeds=[i], **OURS)
        assert torch.equal(row, alone[0])


def test_going_on_at_a_position() -> None:
    model = gpt2()
    whole = model.generate(PROMPTS, max_new_tokens=10, seeds=SEEDS, **OURS)
    first = model.generate(PROMPTS, max_new_tokens=4, seeds=SEEDS, return_dict_in_generate=True, **OURS)
    rest = model.generate(first.sequences, max_new_tokens=6, seeds=SEEDS, positions=4, **OURS)
    assert torch.equal(rest, whole)
    # The cache that has all but the last token.
    cached = {CACHE: first[CACHE], "positions": [4] * 3}
    assert torch.equal(model.generate(first.sequences, max_new_tokens=6, seeds=SEEDS, **cached, **OURS), whole)
    chunks = model.generate(
        PROMPTS, max_new_tokens=10, seeds=SEEDS, prefill_chunk_size=3, **{CACHE: DynamicCache()}, **OURS
    )
    assert torch.equal(chunks, whole)


def test_generators() -> None:
    model = gpt2()
    settings = {"max_new_tokens": 8, **OURS}
    torch.manual_seed(5)
    first, second = model.generate(PROMPTS, **settings), model.generate(PROMPTS, **settings)
    assert not torch.equal(first, second)
    torch.manual_seed(5)
    assert torch.equal(model.generate(PROMPTS, **settings), first)
    own = model.generate(PROMPTS, generator=torch.Generator().manual_seed(5), **settings)
    assert torch.equal(own, first)
    ours = [model.generate(PROMPTS, generator=gf.Generator(8), **settings) for _ in range(2)]
    assert torch.equal(ours[0], ours[1])
    assert not torch.equal(ours[0], first)
    mixed = model.generate(PROMPTS, seeds=[11, None, 33], generator=gf.Generator(8), **settings)
    assert torch.equal(mixed[[0, 2]], model.generate(PROMPTS, seeds=SEEDS, **settings)[[0, 2]])
    assert not torch.equal(mixed[1], model.generate(PROMPTS, seeds=SEEDS, **settings)[1])


def test_ends_and_padding() -> None:
    """A sequence ends with the first token that ends it; what follows is padding, and the longest sets the length."""
    model = gpt2(12)
    prompts = torch.full((40, 2), 3)
    free = model.generate(prompts, max_new_tokens=15, seeds=range(40), **OURS)
    found = model.generate(prompts, max_new_tokens=15, seeds=range(40), eos_token_id=[EOS, 4], **OURS)
    wanted = []
    for row in free.tolist():
        end = next((i for i, token in enumerate(row) if i > 1 and token in (EOS, 4)), len(row))
        wanted.append(row[: end + 1])
    longest = max(map(len, wanted))
    assert found.tolist() == [row + [PAD] * (longest - len(row)) for row in wanted]
    assert len({len(row) for row in wanted}) > 5
    # Without any that ends late, the loop stops early.
    short = [i for i, row in enumerate(wanted) if len(row) < 8]
    few = model.generate(prompts[: len(short)], max_new_tokens=15, seeds=short, eos_token_id=[EOS, 4], **OURS)
    assert few.shape[1] == max(len(wanted[i]) for i in short) < 15


class Until(StoppingCriteria):
    """Stops each sequence whose tokens add up to more than a sum."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.scores: list[Any] = []

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        self.scores.append(scores)
        return input_ids.sum(1) > self.most


def test_stopping_criteria() -> None:
    model, most = gpt2(), Until(300)
    found = model.generate(PROMPTS, max_new_tokens=40, seeds=SEEDS, stopping_criteria=[most], **OURS)
    free = model.generate(PROMPTS, max_new_tokens=40, seeds=SEEDS, **OURS)
    # None is padded, as nothing ends a sequence: the loop runs until all have stopped.
    stopped = [next(n for n in range(5, 44) if row[:n].sum() > 300) for row in free]
    assert torch.equal(found, free[:, : max(stopped)])
    assert len(most.scores) == max(stopped) - 4


@pytest.mark.parametrize("given", [{}, {"repetition_penalty": 1.5}, {"typical_p": 0.9}])
def test_outputs(given: dict[str, Any]) -> None:
    """Scores are what transformers' processors make of the logits, and that is what was drawn from."""
    model = gpt2()
    model.set_attn_implementation("eager")
    settings = {"temperature": 0.7, "top_k": 9, "max_new_tokens": 5, **OURS, **given}
    wanted = {
        f"output_{name}": True for name in ("scores", "logits", "attentions", "hidden_states")
    } | {"return_dict_in_generate": True}  # fmt: skip
    found = model.generate(PROMPTS, seeds=SEEDS, **settings, **wanted)
    assert isinstance(found, GenerateDecoderOnlyOutput)
    assert torch.equal(found.sequences, model.generate(PROMPTS, seeds=SEEDS, **settings))
    # The same with transformers' loop, made to take our tokens.
    forced = {"prefix_allowed_tokens_fn": lambda i, ids: [found.sequences[i, len(ids)].item()]}
    theirs = model.generate(PROMPTS, **{**settings, "custom_generate": None}, **wanted, **forced)
    assert torch.equal(theirs.sequences, found.sequences)
    assert len(found.scores) == len(found.logits) == 5
    for mine, its in zip(found.logits, theirs.logits, strict=True):
        assert torch.equal(mine, its)
    for own, name in ((found.attentions, "attentions"), (found.hidden_states, "hidden_states")):
        for mine, its in zip(own, theirs[name], strict=True):
            assert all(torch.equal(a, b) for a, b in zip(mine, its, strict=True))
    assert found[CACHE].get_seq_length() == theirs[CACHE].get_seq_length() == 8
    processors = [RepetitionPenaltyLogitsProcessor(1.5)] * ("repetition_penalty" in given)
    processors += [TemperatureLogitsWarper(0.7), TopKLogitsWarper(9)]
    processors += [TypicalLogitsWarper(0.9)] * ("typical_p" in given)
    for step, (scores, logits) in enumerate(zip(found.scores, found.logits, strict=True)):
        assert torch.equal(scores, LogitsProcessorList(processors)(found.sequences[:, : 4 + step], logits.clone()))
        assert scores.gather(1, found.sequences[:, 4 + step, None]).isfinite().all()


def test_encoders_and_decoders() -> None:
    model = t5()
    wanted = {f"output_{name}": True for name in ("scores", "attentions", "hidden_states")}
    given = {"max_new_tokens": 6, "return_dict_in_generate": True, **wanted}
    theirs = model.generate(PROMPTS, **given)
    found = model.generate(PROMPTS, custom_generate=sample_sequences, **given)
    assert isinstance(found, GenerateEncoderDecoderOutput)
    assert found.keys() == theirs.keys()
    assert torch.equal(found.sequences, theirs.sequences)
    for name in ("encoder_attentions", "encoder_hidden_states", "scores"):
        assert all(torch.equal(a, b) for a, b in zip(found[name], theirs[name], strict=True))
    for name in ("decoder_attentions", "cross_attentions", "decoder_hidden_states"):
        for mine, its in zip(found[name], theirs[name], strict=True):
            assert all(torch.equal(a, b) for a, b in zip(mine, its, strict=True))
    drawn = model.generate(PROMPTS, seeds=SEEDS, max_new_tokens=6, **OURS)
    for row in range(3):
        alone = model.generate(PROMPTS[row : row + 1], seeds=SEEDS[row : row + 1], max_new_tokens=6, **OURS)
        assert torch.equal(alone, drawn[row : row + 1])


def test_stop_strings() -> None:
    """They may begin in one token and end in another."""
    letters = string.ascii_letters[:52] + string.digits[:8]
    characters = tokenizers.Tokenizer(models.WordLevel({c: i for i, c in enumerate(letters)}, unk_token="a"))
    characters.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    characters.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=characters)
    model = gpt2()
    free = model.generate(PROMPTS[:1], max_new_tokens=30, seeds=[3], **OURS)
    stop = tokenizer.decode(free[0, 12:14])
    assert len(stop) == 2
    given = {"stopping_criteria": [StopStringCriteria(tokenizer, [stop])], "max_new_tokens": 30}
    found = model.generate(PROMPTS[:1], seeds=[3], **OURS, **given)
    text = tokenizer.decode(free[0])
    assert tokenizer.decode(found[0]) == text[: text.index(stop, 4) + 2]


class Listener(BaseStreamer):
    def __init__(self) -> None:
        self.heard: list[list[int]] = []
        self.is_over = False

    def put(self, value: Any) -> None:
        self.heard.append(value.tolist())

    def end(self) -> None:
        self.is_over = True


def test_streamers() -> None:
    listener = Listener()
    custom = functools.partial(sample_sequences, streamer=listener)
    found = gpt2().generate(PROMPTS[:1], max_new_tokens=5, seeds=[3], do_sample=True, custom_generate=custom)
    assert listener.heard == found[:, 4:].T.tolist()
    assert listener.is_over


def test_half_types() -> None:
    """Logits of bfloat16 are drawn from as they are."""
    model = llama().to(torch.bfloat16)
    found = model.generate(PROMPTS[:1], max_new_tokens=4, seeds=[3], **OURS, **ALL)
    ids = PROMPTS[:1]
    for position in range(4):
        with torch.no_grad():
            logits = model(ids).logits[:, -1]
        assert logits.dtype is torch.bfloat16
        ids = torch.cat([ids, sample_tokens(logits.float(), seeds=[3], positions=position)[:, None]], 1)
    assert torch.equal(found, ids)


class Negative(LogitsProcessor):
    """Writes into the logits that it gets."""

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        assert scores.dtype is torch.float32
        return scores.mul_(-1)


def test_processors_of_the_caller() -> None:
    model = gpt2()
    found = model.generate(
        PROMPTS, max_new_tokens=3, seeds=SEEDS, logits_processor=LogitsProcessorList([Negative()]), **OURS, **ALL,
        output_logits=True, return_dict_in_generate=True,
    )  # fmt: skip
    for step, logits in enumerate(found.logits):
        wanted = sample_tokens(-logits, seeds=SEEDS, positions=step)
        assert torch.equal(found.sequences[:, 4 + step], wanted)


def test_what_the_kernel_does_itself() -> None:
    """The last processors, as long as they are in its order and do no more than it does."""
    heat, k, p, m = TemperatureLogitsWarper(0.5), TopKLogitsWarper(3), TopPLogitsWarper(0.9), MinPLogitsWarper(0.1)
    penalty, typical = RepetitionPenaltyLogitsProcessor(1.2), TypicalLogitsWarper(0.9)
    for given, count in [
        ([penalty, heat, k, p, m], 4),
        ([heat, p], 2),
        ([], 0),
        ([penalty], 0),
        ([k, heat], 1),
        ([heat, typical, k, p], 2),
        ([heat, p, typical, EpsilonLogitsWarper(0.02), EtaLogitsWarper(0.5)], 5),
        ([heat, EtaLogitsWarper(0.5), EpsilonLogitsWarper(0.02)], 1),
        ([heat, TypicalLogitsWarper(0.9, min_tokens_to_keep=2)], 0),
        ([heat, heat], 1),
        ([heat, k, TopPLogitsWarper(0.9, min_tokens_to_keep=2)], 0),
        ([heat, k, TopPLogitsWarper(0.9, filter_value=-100.0)], 0),
        ([heat, TopKLogitsWarper(3, min_tokens_to_keep=5)], 2),
    ]:
        split = _warpers.split_processors(LogitsProcessorList(given))
        assert [*split.kept, *split.warpers] == given
        assert len(split.warpers) == len(split.settings) == count
    assert split.settings == {"temperature": 0.5, "top_k": 5}
    split = _warpers.split_processors([penalty, heat, k, p, m])
    assert split.settings == {"temperature": 0.5, "top_k": 3, "top_p": 0.9, "min_p": 0.1}
    assert split.kept == [penalty]
    split = _warpers.split_processors([penalty, typical, EpsilonLogitsWarper(0.02), EtaLogitsWarper(0.5)])
    assert split.settings == {"typical_p": 0.9, "epsilon_cutoff": 0.02, "eta_cutoff": 0.5}


def test_its_warpers_do_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setattr(sampling, "sample_tokens", lambda x, **given: calls.append(given) or sample_tokens(x, **given))
    named = TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper, MinPLogitsWarper, TypicalLogitsWarper
    for kind in (*named, EpsilonLogitsWarper, EtaLogitsWarper):
        monkeypatch.setattr(kind, "__call__", lambda *_: pytest.fail("a warper ran"))
    given = {"temperature": 0.5, "top_k": 9, "top_p": 0.9, "min_p": 0.1}
    given |= {"typical_p": 0.75, "epsilon_cutoff": 0.03125, "eta_cutoff": 0.0625}
    gpt2().generate(PROMPTS, max_new_tokens=2, seeds=SEEDS, **OURS, **given)
    assert [{name: call[name] for name in given} for call in calls] == [given] * 2


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"num_beams": 3}, "draws tokens or takes the best: num_beams=3 asks for beam_s"),
        ({"num_beams": 2, "do_sample": False}, "num_beams=2 asks for beam_search, which generate does without custom"),
        ({"prompt_lookup_num_tokens": 1}, "prompt_lookup_num_tokens=1 asks for assisted_generation"),
        ({"assistant_early_exit": 1}, "assistant_early_exit=1 asks for assisted_generation"),
        ({"use_mtp": True}, "use_mtp=True asks for assisted_generation"),
        ({"penalty_alpha": 0.6, "do_sample": False, "top_k": 4}, r"penalty_alpha=0\.6 asks for contrastive_search"),
        ({"dola_layers": "low"}, "dola_layers='low' asks for dola_generation"),
        ({"num_beams": 2, "force_words_ids": [[4]]}, r"num_beams=2, force_words_ids=\[\[4\]\] asks for constrained_b"),
    ],
)
def test_other_ways_of_decoding_are_refused_by_name(given: dict[str, Any], text: str) -> None:
    if not all(hasattr(GenerationConfig(), name) for name in given):
        pytest.skip(f"transformers {transformers.__version__} does not know it")
    model = gpt2()
    model.forward = lambda *_, **__: pytest.fail("the model ran")
    with pytest.raises(NotImplementedError, match=text):
        model.generate(PROMPTS, max_new_tokens=2, **{**OURS, **given})


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"seeds": 3}, ValueError, "give all 3 rows along an axis the same noise"),
        ({"seeds": [1, 2]}, ValueError, r"seeds of shape \(2,\) does not broadcast to one per row, shape \(3,\)"),
        ({"seeds": [1, -2, 3]}, ValueError, r"seeds must lie in \[0, 2\*\*64\), got -2 at index 1"),
        ({"seeds": [1, 2.5, 3]}, TypeError, "seeds must be integers"),
        ({"seeds": SEEDS, "positions": -1}, ValueError, r"positions must lie in \[0, 2\*\*64\), got -1"),
        ({"positions": 1}, ValueError, "positions needs seeds"),
    ],
)
def test_bad_addresses_are_refused_before_the_model_runs(given: dict[str, Any], error: Any, text: str) -> None:
    model = gpt2()
    forward, model.forward = model.forward, lambda *_, **__: pytest.fail("the model ran")
    with pytest.raises(error, match=text):
        model.generate(PROMPTS, max_new_tokens=2, **OURS, **given)
    model.forward = forward
    with pytest.raises(TypeError, match=r"generator must be a torch\.Generator"):
        model.generate(PROMPTS, max_new_tokens=2, generator=3, **OURS)


class Spoil(LogitsProcessor):
    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        scores[1, 4] = self.value
        return scores


def test_bad_logits_are_refused_with_their_place() -> None:
    for value, name in ((torch.nan, "NaN"), (torch.inf, r"\+inf")):
        with pytest.raises(ValueError, match=rf"logits contain {name} at index \(1, 4\)"):
            gpt2().generate(PROMPTS, max_new_tokens=2, logits_processor=[Spoil(value)], **OURS)


def test_the_code_of_the_page() -> None:
    """It runs, and its last line is what the comment says."""
    page = (Path(__file__).parents[2] / "docs" / "torch.md").read_text(encoding="utf-8")
    code = page.split("## In transformers")[1].split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(compile(code, "torch.md", "exec"), names)
    both, alone = names["both"], names["alone"]
    assert torch.equal(both[1:, : alone.shape[1]], alone)
    assert (both[1, alone.shape[1] :] == 0).all()


@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_without_what_it_needs(missing: str) -> None:
    found = run_python(f"import sys; sys.modules['{missing}'] = None; import gumbelfast.transformers")
    assert "ImportError: gumbelfast.transformers needs Hugging Face transformers and PyTorch" in found.stderr
    assert 'pip install "gumbelfast[transformers]"' in found.stderr
