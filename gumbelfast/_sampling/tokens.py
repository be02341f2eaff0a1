"""Draws of tokens as inference engines make them: temperature, top-k, top-p and min-p, one value a row."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from .._engine import checks, table_checks, thread_count, tokens
from .._engine.direct import in_one_step
from .._engine.types import SeedLike


@in_one_step
def sample_tokens(
    logits: ArrayLike,
    *,
    temperature: ArrayLike | None = 1.0,
    top_k: ArrayLike | None = None,
    top_p: ArrayLike | None = None,
    min_p: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    size: int | tuple[int, ...] | None = None,
    seeds: ArrayLike | None = None,
    positions: ArrayLike | None = None,
    rng: SeedLike = None,
    invalid: int | None = None,
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
    mask : array_like of bool, optional
        True where a token is allowed; broadcasts to `logits`. What is masked is not looked at.
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
    num_threads : int, optional
        The most threads to use; no number changes a result.

    Returns
    -------
    ndarray of int64, shape (...)
        The tokens; a scalar for one draw from one row of logits.

    Raises
    ------
    TypeError
        For logits that are not floats, a mask that is not boolean, a `top_k` or `invalid` that is not integer, or
        settings that are no numbers.
    ValueError
        For NaN or +inf among the allowed logits, rows without a finite one, a setting out of range (``temperature >=
        0`` and finite, ``top_k >= -1``, ``0 <= top_p <= 1``, ``0 <= min_p <= 1``), or a bad address.

    Notes
    -----
    Where a setting is None, for all rows or for some in a list, nothing is filtered (temperature: 1).

    Filters apply in the order temperature, top-k, top-p, min-p, each to what the ones before it left, as the processors
    of Hugging Face transformers do (top-k: Fan, Lewis and Dauphin 2018; top-p: Holtzman et al. 2020; min-p: Nguyen et
    al. 2024). The draw is that of `categorical` from the logits that are left, at the same address: the noise of a
    token is its column's, so that a result depends on its own row alone. ``docs/api.md`` gives the arithmetic.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> logits = np.log([[0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4]])
    >>> gf.sample_tokens(logits, temperature=[0.8, 0.0], top_k=3, top_p=[0.5, 1.0], seeds=[7, 8])
    array([0, 3])
    """
    x, _ = checks.rows(logits, -1)
    settings = tokens.as_settings(temperature, top_k, top_p, min_p, x.shape[:-1], x.dtype)
    allowed = None if mask is None else checks.mask_for(mask, x.shape, -1)
    shape = () if size is None else checks.size_tuple(size)
    if invalid is not None:
        invalid = table_checks.empty_value(invalid, "invalid")
    where = rng, seeds, positions
    index = tokens.draw((x, allowed, 1.0), settings, shape, thread_count.resolve(num_threads), where, invalid)
    return index if index.ndim else index[()]
