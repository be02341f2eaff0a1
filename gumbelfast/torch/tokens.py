"""Tokens as inference engines draw them, from tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_variadic

from .._engine import table_checks, tokens
from . import _checks, _draws, _ops, _tensors


class TokenSample(NamedTuple):
    """Tokens, and what they were drawn from: `sample_tokens` with ``return_logprobs=True``.

    Log-probabilities are natural logarithms, float64; NaN for a row that yields `invalid`.
    """

    tokens: Tensor
    """The tokens, int64, shape ``size + batch shape``."""
    logprobs: Tensor
    """Of each token under what it was drawn from."""
    raw_logprobs: Tensor
    """Of each token under the softmax of its allowed logits, without temperature and filters."""
    log_kept: Tensor
    """Of the probability that the filters kept; one per row."""
    top_tokens: Tensor | None
    """The most probable tokens of each row, shape ``batch shape + (top_logprobs,)``; -1 where there are no more."""
    top_logprobs: Tensor | None
    """Theirs under the softmax that `raw_logprobs` is of."""


def sample_tokens(
    logits: Tensor,
    *,
    temperature: ArrayLike | Tensor | None = 1.0,
    top_k: ArrayLike | Tensor | None = None,
    top_p: ArrayLike | Tensor | None = None,
    min_p: ArrayLike | Tensor | None = None,
    temperature_last: bool = False,
    min_tokens_to_keep: ArrayLike | Tensor | None = None,
    top_n_sigma: ArrayLike | Tensor | None = None,
    typical_p: ArrayLike | Tensor | None = None,
    epsilon_cutoff: ArrayLike | Tensor | None = None,
    eta_cutoff: ArrayLike | Tensor | None = None,
    mask: Tensor | None = None,
    size: int | Sequence[int] = (),
    seeds: ArrayLike | Tensor | None = None,
    positions: ArrayLike | Tensor | None = None,
    invalid: int | None = None,
    return_logprobs: bool = False,
    top_logprobs: int = 0,
    generator: Any = None,
) -> Any:
    r"""Draw one token per row from the logits that top-k, top-p and min-p leave, each row with its own settings.

    Parameters
    ----------
    logits : Tensor of float16, bfloat16, float32 or float64, shape (..., V)
        Unnormalised log-probabilities; -inf is never drawn. Their memory is read as it lies, rows with a stride too.
    temperature, top_k, top_p, min_p : number, Tensor or array_like, optional
        As in `gumbelfast.sample_tokens`: for all rows, or one per row. Tensors of any dtype, `top_k` of integers.
    temperature_last, min_tokens_to_keep : bool, and integer, Tensor or array_like of integers, optional
        As in `gumbelfast.sample_tokens`.
    top_n_sigma, typical_p, epsilon_cutoff, eta_cutoff : number, Tensor or array_like, optional
        As in `gumbelfast.sample_tokens`.
    mask : Tensor of bool, or of int32 words, optional
        True where a token is allowed; broadcasts to `logits`. What is masked is not looked at. Words of 32 tokens are
        read as in `gumbelfast.sample_tokens`.
    size : int or sequence of int, default ()
        Draws per row, without a copy of `logits`.
    seeds, positions : Tensor or array_like of int, optional
        As in `gumbelfast.sample_tokens`. Rows whose seed is None draw from `generator`.
    invalid : int, optional
        What a row yields that has NaN or +inf, or nothing to draw, instead of an error for all rows.
    return_logprobs : bool, default False
        Return log-probabilities as well, as `gumbelfast.sample_tokens` does. The tokens are the same.
    top_logprobs : int, default 0
        With `return_logprobs`: so many of the most probable tokens, with theirs.
    generator : torch.Generator or gumbelfast.Generator, optional
        As in `gumbel_softmax`.

    Returns
    -------
    Tensor of int64, or `TokenSample` with `return_logprobs`
        Shape ``size`` and then that of `logits` without the last dimension. It has no gradient.

    Raises
    ------
    TypeError, ValueError, NotImplementedError
        As in `gumbelfast.sample_tokens` and `categorical`. Compiled programs take no seeds of which some are None, and
        return no log-probabilities.

    Notes
    -----
    The tokens are those of `gumbelfast.sample_tokens` under the same key. Under `torch.compile` it is one operator,
    whose settings may change without compiling anew. ``docs/api.md`` gives the arithmetic.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import sample_tokens
    >>> logits = torch.tensor([[0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4]]).log().bfloat16()
    >>> sample_tokens(logits, temperature=[0.8, 0.0], top_k=3, top_p=torch.tensor([0.5, 1.0]), seeds=[7, 8])
    tensor([0, 3])
    """
    if has_torch_function_variadic(logits, mask):
        found: Tensor = handle_torch_function(
            sample_tokens,
            (logits, mask),
            logits,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            temperature_last=temperature_last,
            min_tokens_to_keep=min_tokens_to_keep,
            top_n_sigma=top_n_sigma,
            typical_p=typical_p,
            epsilon_cutoff=epsilon_cutoff,
            eta_cutoff=eta_cutoff,
            mask=mask,
            size=size,
            seeds=seeds,
            positions=positions,
            invalid=invalid,
            return_logprobs=return_logprobs,
            top_logprobs=top_logprobs,
            generator=generator,
        )
        return found
    plain = _tensors.check(logits, "logits", "torch.multinomial(logits.softmax(-1), ...)")
    if logits.ndim == 0:
        raise ValueError("logits must have a dimension of tokens, got a tensor without dimensions")
    if mask is not None and not (isinstance(mask, torch.Tensor) and mask.dtype is torch.int32):
        _checks.require_mask(mask, logits)
    tokens.check_order(temperature_last)
    if invalid is not None:
        invalid = table_checks.empty_value(invalid, "invalid")
    best = tokens.as_count_of_best(top_logprobs, return_logprobs, logits.shape[-1])
    asked = tokens.Asked(
        temperature, top_k, top_p, min_p, temperature_last, min_tokens_to_keep, top_n_sigma, typical_p, epsilon_cutoff,
        eta_cutoff,
    )  # fmt: skip
    if not plain:
        logits = _tensors.primal(logits)
        if _tensors.is_traced(logits):
            if return_logprobs:
                raise NotImplementedError("return_logprobs cannot be traced: compiled programs return tokens alone")
            values = [
                bool(each) if name == "temperature_last" else _tensor_of(each) for name, each in asked._asdict().items()
            ]
            where = _tensor_of(seeds), _tensor_of(positions)
            rest = mask, _checks.kept_size(size), invalid, _ops.token(generator)
            return _ops.sample_tokens(logits, *values, *where, *rest)
    elif seeds is not None and generator is None and mask is None and invalid is None and not return_logprobs:
        at_once = _draws.tokens_at_once(logits, asked, seeds, positions) if size == () else None
        if at_once is not None:
            return at_once
    *read, seeds, positions = (_tensors.as_given(each) for each in (*asked, seeds, positions))
    given = tokens.Asked(*read), seeds, positions, mask, _tensors.size_of(size), invalid, generator
    drawn, more = _draws.tokens(logits, *given, best if return_logprobs else None)
    if more is None:
        return drawn
    return TokenSample(drawn, *(None if each is None else torch.from_numpy(np.asarray(each)) for each in more))


def _tensor_of(setting: Any) -> Tensor | None:
    """A setting as operators take them."""
    if setting is None or isinstance(setting, torch.Tensor):
        return None if setting is None else setting.detach()
    if isinstance(setting, (int, float)):
        return torch.full((), setting, dtype=torch.int64 if isinstance(setting, int) else torch.float64, device="cpu")
    return torch.as_tensor(setting, device="cpu")
