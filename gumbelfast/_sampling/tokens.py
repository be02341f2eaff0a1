"""Draws of tokens as inference engines make them: temperature, top-k, top-p and further filters, one value per row."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, table_checks, thread_count, tokens
from .._engine.direct import in_one_step
from .._engine.types import SeedLike


class TokenSample(NamedTuple):
    """Tokens, and what they were drawn from: `sample_tokens` with ``return_logprobs=True``.

    Log-probabilities are natural logarithms, float64; NaN for a row that yields `invalid`.
    """

    tokens: NDArray[np.int64]
    """The tokens, shape ``size + batch shape``."""
    logprobs: NDArray[np.float64]
    """Of each token under what it was drawn from: 0 where temperature is 0, or one token was left."""
    raw_logprobs: NDArray[np.float64]
    """Of each token under the softmax of its allowed logits, without temperature and filters."""
    log_kept: NDArray[np.float64]
    """Of the probability that the filters kept, at the row's temperature; one per row, 0 if they kept all."""
    top_tokens: NDArray[np.int64] | None
    """The most probable tokens of each row, shape ``batch shape + (top_logprobs,)``; -1 where there are no more."""
    top_logprobs: NDArray[np.float64] | None
    """Theirs under the softmax that `raw_logprobs` is of."""


@in_one_step
def sample_tokens(
    logits: ArrayLike,
    *,
    temperature: ArrayLike | None = 1.0,
    top_k: ArrayLike | None = None,
    top_p: ArrayLike | None = None,
    min_p: ArrayLike | None = None,
    temperature_last: bool = False,
    min_tokens_to_keep: ArrayLike | None = None,
    top_n_sigma: ArrayLike | None = None,
    typical_p: ArrayLike | None = None,
    epsilon_cutoff: ArrayLike | None = None,
    eta_cutoff: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    size: int | tuple[int, ...] | None = None,
    seeds: ArrayLike | None = None,
    positions: ArrayLike | None = None,
    rng: SeedLike = None,
    invalid: int | None = None,
    return_logprobs: bool = False,
    top_logprobs: int = 0,
    num_threads: int | None = None,
) -> Any:
    r"""Draw one token per row from the logits that top-k, top-p and min-p leave, each row with its own settings.

    The same seed at the same position gives the same noise again: with `seeds`, move `positions` from token to token.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64, shape (..., V)
        Unnormalised log-probabilities; -inf is never drawn.
    temperature : float or array_like of float, shape (...), default 1.0
        Logits are divided by it. 0 takes the largest allowed logit, the lowest index among equals, whatever the
        filters: greedy decoding. ``top_k=1`` is not greedy: of equal largest logits it draws one.
    top_k : int or array_like of int, shape (...), optional
        Keep the logits that reach the k-th largest: those equal to it all stay. 0, -1, or V and more, keeps all.
    top_p : float or array_like of float, shape (...), optional
        Keep the most probable tokens until their probabilities add up to it, at least one; among equal logits at the
        edge the lower indices stay. 1 keeps all, 0 the most probable token.
    min_p : float or array_like of float, shape (...), optional
        Keep the tokens whose probability is at least `min_p` times the largest. 0 keeps all.
    temperature_last : bool, default False
        Filter by the probabilities at temperature 1, as llama.cpp does, and divide by the temperature what is left.
    min_tokens_to_keep : int or array_like of int, shape (...), optional
        No filter leaves fewer than so many of the most probable tokens, the lower index first among equals; `typical_p`
        of the most typical. Where temperature is 0 one is left.
    top_n_sigma : float or array_like of float, shape (...), optional
        Keep logits of at least ``max - top_n_sigma * std``, with the (population) standard deviation of all that are
        allowed and finite, whatever other filters left. 0 keeps all.
    typical_p : float or array_like of float, shape (...), optional
        Keep the tokens whose information ``-log p`` is nearest to its mean, the entropy, until their probabilities add
        up to it, at least one; those that are as near as the last all stay. 1 keeps all. The most probable token may
        go.
    epsilon_cutoff : float or array_like of float, shape (...), optional
        Keep the tokens whose probability is at least it, at least the most probable ones. 0 keeps all.
    eta_cutoff : float or array_like of float, shape (...), optional
        The same with ``min(eta_cutoff, sqrt(eta_cutoff) * exp(-H))``, H the entropy in nats. 0 keeps all.
    mask : array_like of bool, or of int32 words, optional
        True where a token is allowed; broadcasts to `logits`. What is masked is not looked at. Packed into int32
        words of shape (..., W), token 32 w + j is bit j of word w: bits behind the last token are ignored, tokens
        behind the last bit are forbidden, and more words than the tokens need are an error.
    size : int or tuple of ints, optional
        Draws per row, of logits that are not copied; the result has shape ``size + batch shape``, and so have `seeds`
        and `positions`. The first of n draws are those of fewer.
    seeds, positions : array_like of int, optional
        One per row: row i draws at place ``positions[i]`` (default 0) of the noise of ``seeds[i]``, whatever its
        batch-mates. Rows whose seed is None draw from `rng`. More in `categorical`.
    rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
        Where the randomness comes from.
    invalid : int, optional
        What a row yields that has NaN or +inf among its allowed logits, or nothing to draw, instead of an error for all
        rows. The other rows are what they would be without it.
    return_logprobs : bool, default False
        Return log-probabilities as well. The tokens are the same; the call takes about twice as long, with top-p or
        typical sampling up to 6 times.
    top_logprobs : int, default 0
        With `return_logprobs`: so many of the most probable tokens, with theirs.
    num_threads : int, optional
        The most threads to use; no number changes a result.

    Returns
    -------
    ndarray of int64, shape (...), or `TokenSample` with `return_logprobs`
        The tokens; a scalar for one draw from one row of logits.

    Raises
    ------
    TypeError
        For logits that are not floats, a mask of neither booleans nor int32 words, a `top_k`, `min_tokens_to_keep` or
        `invalid` that is not integer, settings that are no numbers, or a `temperature_last` that is no bool.
    ValueError
        For NaN or +inf among the allowed logits, rows without a finite one, a setting out of range (``temperature >=
        0`` and finite, ``top_k >= -1``, ``min_tokens_to_keep >= -1``, ``0 <= top_p <= 1``, ``0 <= min_p <= 1``,
        ``top_n_sigma >= 0`` and finite, and ``0 <= x <= 1`` for `typical_p`, `epsilon_cutoff` and `eta_cutoff`), or a
        bad address.

    Notes
    -----
    Where a setting is None, for all rows or for some in a list, nothing is filtered (temperature: 1).

    Filters apply in the order temperature, top-k, top-p, min-p, top-n-sigma, typical, epsilon, eta, each to what the
    ones before it left, as the processors of Hugging Face transformers do (top-k: Fan, Lewis and Dauphin 2018; top-p:
    Holtzman et al. 2020; min-p: Nguyen et al. 2024; typical: Meister et al. 2023; epsilon and eta: Hewitt, Manning and
    Liang 2022), which have no top-n-sigma (Tang et al. 2024). The draw is that of `categorical` from the logits that
    are left, at the same address: the noise of a token is its column's, so that a result depends on its own row alone.
    ``docs/api.md`` gives the arithmetic.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> logits = np.log([[0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4]])
    >>> gf.sample_tokens(logits, temperature=[0.8, 0.0], top_k=3, top_p=[0.5, 1.0], seeds=[7, 8])
    array([0, 3])
    """
    x, _ = checks.rows(logits, -1)
    asked = tokens.Asked(
        temperature, top_k, top_p, min_p, temperature_last, min_tokens_to_keep, top_n_sigma, typical_p, epsilon_cutoff,
        eta_cutoff,
    )  # fmt: skip
    settings = tokens.as_settings(asked, x.shape[:-1], x.dtype)
    allowed = None if mask is None else tokens.as_mask(mask, x.shape)
    shape = () if size is None else checks.size_tuple(size)
    if invalid is not None:
        invalid = table_checks.empty_value(invalid, "invalid")
    best = tokens.as_count_of_best(top_logprobs, return_logprobs, x.shape[-1])
    given, threads = (x, allowed, 1.0), thread_count.resolve(num_threads)
    where = rng, seeds, positions
    if not return_logprobs:
        drawn = tokens.draw(given, settings, shape, threads, where, invalid)
        return drawn if drawn.ndim else drawn[()]
    index, found = tokens.draw_with_logprobs(given, settings, shape, threads, where, invalid, best)
    return TokenSample(index[()], found.drawn[()], found.raw[()], found.log_kept[()], found.top_tokens, found.top)


def filter_tokens(
    logits: ArrayLike,
    *,
    temperature: ArrayLike | None = 1.0,
    top_k: ArrayLike | None = None,
    top_p: ArrayLike | None = None,
    min_p: ArrayLike | None = None,
    temperature_last: bool = False,
    min_tokens_to_keep: ArrayLike | None = None,
    top_n_sigma: ArrayLike | None = None,
    typical_p: ArrayLike | None = None,
    epsilon_cutoff: ArrayLike | None = None,
    eta_cutoff: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    num_threads: int | None = None,
) -> NDArray[np.bool_]:
    """Which tokens `sample_tokens` may draw with these settings.

    Parameters
    ----------
    logits, temperature, top_k, top_p, min_p, temperature_last, min_tokens_to_keep, mask, num_threads
    top_n_sigma, typical_p, epsilon_cutoff, eta_cutoff
        As in `sample_tokens`.

    Returns
    -------
    ndarray of bool, shape (..., V)
        True for what the filters leave. Given as `mask` with the same temperature and no filters, it leads to the
        same tokens.

    Raises
    ------
    TypeError, ValueError
        As in `sample_tokens`.

    Notes
    -----
    Exactly what can be drawn, with the same arithmetic. No row is sorted: filters keep a stretch of the logits in
    descending order, whose ends are found by bisection.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> logits = np.log([[0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4]])
    >>> gf.filter_tokens(logits, top_p=[0.6, 1.0], top_k=[None, 3])
    array([[ True,  True, False, False],
           [False,  True,  True,  True]])
    >>> gf.filter_tokens(np.array([3.0, 2, 1]), temperature=0.5, top_p=0.8)
    array([ True, False, False])
    >>> gf.filter_tokens(np.array([3.0, 2, 1]), temperature=0.5, top_p=0.8, temperature_last=True)
    array([ True,  True, False])
    """
    x, _ = checks.rows(logits, -1)
    asked = tokens.Asked(
        temperature, top_k, top_p, min_p, temperature_last, min_tokens_to_keep, top_n_sigma, typical_p, epsilon_cutoff,
        eta_cutoff,
    )  # fmt: skip
    settings = tokens.as_settings(asked, x.shape[:-1], x.dtype)
    allowed = None if mask is None else tokens.as_mask(mask, x.shape)
    return tokens.kept((x, allowed, 1.0), settings, thread_count.resolve(num_threads))
