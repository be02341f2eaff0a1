"""The loop of `generate` with our draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from transformers.generation import (
    GenerateDecoderOnlyOutput,
    GenerateEncoderDecoderOutput,
    GenerationMode,
    LogitsProcessorList,
)

from .._engine import row_checks
from ..torch import _tensors, sample_tokens
from ._warpers import Split, split_processors

# What asks for another way of decoding, and the value beside None that does not.
_OTHER_MODES = {
    "num_beams": 1,
    "num_beam_groups": 1,
    "prompt_lookup_num_tokens": None,
    "assistant_early_exit": None,
    "use_mtp": False,
    "penalty_alpha": 0,
    "dola_layers": None,
    "force_words_ids": None,
    "constraints": None,
}


def sample_sequences(
    model: Any,
    input_ids: Tensor,
    logits_processor: Any,
    stopping_criteria: Any,
    generation_config: Any,
    *,
    seeds: ArrayLike | Tensor | None = None,
    positions: ArrayLike | Tensor | None = None,
    generator: Any = None,
    streamer: Any = None,
    **model_kwargs: Any,
) -> Any:
    r"""Generate sequences as `generate` does, with tokens drawn by `gumbelfast.torch.sample_tokens`.

    It is made to be given to `generate`, which prepares all that is not described here and calls it::

        model.generate(**inputs, custom_generate=sample_sequences, do_sample=True, temperature=0.8, seeds=[7, 8])

    Parameters
    ----------
    model, input_ids, logits_processor, stopping_criteria, generation_config, **model_kwargs
        What `generate` hands to every way of decoding. Temperature, top-k, top-p, min-p, typical sampling, epsilon and
        eta cutoffs become settings of `sample_tokens` where they are the last processors, in this order; all others run
        as they are, on float32.
        Without ``do_sample=True`` the best token is taken, the lowest among equals.
    seeds : array_like or Tensor of int, shape (sequences,), optional
        One per sequence, ``num_return_sequences`` for each prompt. A sequence then depends on its seed and its logits,
        whatever its batch-mates. Sequences whose seed is None draw from `generator`.
    positions : int, array_like or Tensor of int, shape (sequences,), default 0
        The place in the noise of `seeds` of the first new token; each one more takes the next. To go on with sequences
        of n new tokens as if they had not been interrupted, give n.
    generator : torch.Generator or gumbelfast.Generator, optional
        Where the randomness comes from without `seeds`; by default ``torch.manual_seed`` governs.
    streamer : BaseStreamer, optional
        `generate` does not pass its own on to a callable:
        ``custom_generate=functools.partial(sample_sequences, streamer=streamer)`` does.

    Returns
    -------
    Tensor of int64, shape (sequences, length), or the output of `generate` with ``return_dict_in_generate=True``
        Prompts and what follows them. ``output_scores=True`` costs what transformers' own warpers cost.

    Raises
    ------
    NotImplementedError
        For what is not one draw a token from each sequence's own logits: beams, assisted decoding and the like, by the
        name of the setting that asks for it. Before the model runs.
    TypeError, ValueError
        For bad `seeds` and `positions`, before the model runs; as `gumbelfast.torch.sample_tokens` for logits with NaN
        or +inf, or a sequence that may go on with no token.

    Notes
    -----
    The distribution is that of transformers' own sampling: the filters are its own, but for logits that are equal at
    the edge of top-p and for rounding (``docs/api.md``). An `assistant_model` that is given to `generate` beside a
    callable is left out by transformers itself.

    Examples
    --------
    >>> import torch
    >>> from transformers import GPT2Config, GPT2LMHeadModel
    >>> from gumbelfast.transformers import sample_sequences
    >>> config = GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2, bos_token_id=None, eos_token_id=None)
    >>> model, prompts = GPT2LMHeadModel(config).eval(), torch.tensor([[1, 2, 3], [4, 5, 6]])
    >>> settings = {"custom_generate": sample_sequences, "do_sample": True, "top_p": 0.9, "max_new_tokens": 5}
    >>> both = model.generate(prompts, seeds=[7, 8], **settings)
    >>> both.shape
    torch.Size([2, 8])
    >>> torch.equal(model.generate(prompts[1:], seeds=[8], **settings), both[1:])
    True
    """
    _check_mode(generation_config)
    sequences = input_ids.shape[0]
    address = _addresses(seeds, positions, sequences)
    split = Split(logits_processor, LogitsProcessorList(), {"temperature": 0.0})
    if generation_config.do_sample:
        split = split_processors(logits_processor)
    record = _Record(model, generation_config, model_kwargs)
    pad = generation_config._pad_token_tensor
    ends = any(hasattr(criterion, "eos_token_id") for criterion in stopping_criteria)
    unfinished = torch.ones(sequences, dtype=torch.bool)
    outputs = model._prefill(input_ids, generation_config, model_kwargs)
    step = 0
    while True:
        model_kwargs = model._update_model_kwargs_for_generation(
            outputs, model_kwargs, is_encoder_decoder=model.config.is_encoder_decoder
        )
        logits = outputs.logits[:, -1]
        scores = logits
        if split.kept or record.scores is not None:
            # Processors may write into what they get, and expect float32.
            scores = split.kept(input_ids, logits.to(torch.float32, copy=True))
        if record.scores is not None:
            record.scores += (split.warpers(input_ids, scores),)
        record.add(outputs, logits)
        tokens = sample_tokens(scores, **split.settings, **address(step), generator=generator)
        if ends:
            tokens = torch.where(unfinished, tokens, pad)
        input_ids = torch.cat([input_ids, tokens[:, None]], dim=-1)
        if streamer is not None:
            streamer.put(tokens)
        unfinished &= ~stopping_criteria(input_ids, record.scores)
        if not unfinished.any():
            break
        # So that the logits of a long prompt are not held while the model runs.
        del outputs, logits, scores
        inputs = model.prepare_inputs_for_generation(
            input_ids, next_sequence_length=1 if model_kwargs["use_cache"] else None, **model_kwargs
        )
        outputs = model(**inputs, return_dict=True)
        step += 1
    if streamer is not None:
        streamer.end()
    return record.output(input_ids, model_kwargs)


def _check_mode(config: Any) -> None:
    """Refuses settings that ask for more than draws from the logits of each sequence."""
    mode = config.get_generation_mode()
    if mode in (GenerationMode.SAMPLE, GenerationMode.GREEDY_SEARCH):
        return
    given = {name: getattr(config, name, None) for name in _OTHER_MODES}
    named = ", ".join(f"{name}={value!r}" for name, value in given.items() if value not in (None, _OTHER_MODES[name]))
    raise NotImplementedError(
        f"sample_sequences draws tokens or takes the best: {named} asks for {mode.value}, which generate does without"
        " custom_generate"
    )


def _addresses(seeds: Any, positions: Any, sequences: int) -> Callable[[int], dict[str, Any]]:
    """From the number of a step to `seeds` and `positions` of its draws."""
    if seeds is None:
        if positions is not None:
            raise ValueError("positions needs seeds")
        return lambda step: {}
    seeds, positions = _tensors.as_given(seeds), _tensors.as_given(positions)
    given, missing = row_checks.seed_rows(seeds, (sequences,))
    row_checks.different_noise(seeds, positions, (sequences,))
    first: NDArray[np.uint64] = row_checks.uint64_rows(0 if positions is None else positions, "positions", (sequences,))
    keys = given if missing is None else np.ma.MaskedArray(given, missing)
    return lambda step: {"seeds": keys, "positions": first + np.uint64(step)}


class _Record:
    """What ``return_dict_in_generate=True`` asks for, token by token."""

    def __init__(self, model: Any, config: Any, model_kwargs: dict[str, Any]) -> None:
        wanted = config.return_dict_in_generate
        self._is_wanted, self._is_encoder_decoder = wanted, model.config.is_encoder_decoder
        self.scores: tuple[Tensor, ...] | None = () if wanted and config.output_scores else None
        self._logits: list[Tensor] | None = [] if wanted and config.output_logits else None
        states = {"attentions": config.output_attentions, "hidden_states": config.output_hidden_states}
        asked = [name for name, on in states.items() if wanted and on]
        self._encoder: dict[str, Any] = {}
        if self._is_encoder_decoder:
            encoder = model_kwargs["encoder_outputs"]
            self._encoder = {f"encoder_{name}": encoder.get(name) for name in asked}
            asked = [f"decoder_{name}" for name in asked] + ["cross_attentions"] * ("attentions" in asked)
        self._states: dict[str, list[Any]] = {name: [] for name in asked}

    def add(self, outputs: Any, logits: Tensor) -> None:
        if self._logits is not None:
            self._logits.append(logits.to(torch.float32, copy=True))
        for name, values in self._states.items():
            values.append(outputs[name])

    def output(self, sequences: Tensor, model_kwargs: dict[str, Any]) -> Any:
        if not self._is_wanted:
            return sequences
        # Named anew in the course of transformers 5.
        fields = {name: model_kwargs[name] for name in ("cache", "past_key_values") if name in model_kwargs}
        fields |= self._encoder | {name: tuple(values) for name, values in self._states.items()}
        kind = GenerateEncoderDecoderOutput if self._is_encoder_decoder else GenerateDecoderOnlyOutput
        logits = None if self._logits is None else tuple(self._logits)
        return kind(sequences=sequences, scores=self.scores, logits=logits, **fields)
