"""Speculative decoding: what a small model drafted is kept or replaced so that the law is that of the large one."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, row_checks
from .._sampling.argmax import categorical
from .._sampling.noise_at import exponential_at
from .._sampling.softmax import log_softmax
from .._sampling.tokens import filter_tokens, sample_tokens

Array = NDArray[Any]


class SpeculativeTokens(NamedTuple):
    """Tokens of a round of speculative decoding."""

    tokens: NDArray[np.int64]
    """Shape (B, n + 1): the drafts that were kept and one token of the target; -1 behind it."""
    lengths: NDArray[np.int64]
    """Shape (B,): tokens of each row, 1 to n + 1."""


def accept_drafts(
    draft_tokens: ArrayLike,
    draft_logits: ArrayLike,
    target_logits: ArrayLike,
    *,
    seeds: ArrayLike,
    positions: ArrayLike = 0,
    **settings: Any,
) -> SpeculativeTokens:
    r"""Keep drafts with probability min(1, p/q), and replace the first that is not kept by a draw from what p lacks.

    Parameters
    ----------
    draft_tokens : array_like of int, shape (B, n)
        What the draft model drew, from `draft_logits` with the same settings.
    draft_logits : array_like of float, shape (B, n, V)
        What it drew from.
    target_logits : array_like of float, shape (B, n + 1, V)
        Those of the target model at the same places, and at the place behind the last draft.
    seeds, positions : array_like of int, shape (B,)
        A seed for each row, and the place of its first draft, which moves on by `lengths` from round to round. They may
        be those that drafts were drawn with: the noise used here is that of seeds hashed with a name of this function.
    **settings
        `temperature` and filters as in `sample_tokens`, one for all rows or one per row.

    Returns
    -------
    SpeculativeTokens

    Raises
    ------
    TypeError, ValueError
        For what `sample_tokens` refuses, shapes that do not fit, and a draft that its own logits exclude.

    Notes
    -----
    Leviathan, Kalman and Matias (2023) and Chen et al. (2023): with p and q the laws of target and draft after
    the filters, a draft t stays if :math:`E \ge \log q_t - \log p_t` for a standard exponential E, and else the token
    is drawn from :math:`\max(p - q, 0)`. So tokens have the law of the target, and a draft stays with probability
    1 - TV(p, q). It is exact only if this noise is independent of the drafts': hence the hash.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.serving import accept_drafts
    >>> p = np.log([[[0.1, 0.9], [0.5, 0.5]]])
    >>> accept_drafts([[1]], p[:, :1], p, seeds=[3]).lengths  # draft and target agree: all is kept
    array([2])
    """
    drafts, target, shape = _checked(draft_tokens, target_logits)
    q = _log_probs(draft_logits, "draft_logits", (*shape, target.shape[-1]), settings)
    p = _log_probs(target, "target_logits", target.shape, settings)
    rows, n = shape
    q_own, p_own = (np.take_along_axis(each[:, :n], drafts[..., None], -1)[..., 0] for each in (q, p))
    row_checks.different_noise(seeds, positions, (rows,))
    if np.isneginf(q_own).any():
        row, i = np.argwhere(np.isneginf(q_own))[0].tolist()
        raise ValueError(f"draft_tokens hold {drafts[row, i]} at index ({row}, {i}), which its logits exclude")
    first = row_checks.uint64_rows(positions, "positions", (rows,), checks.LAST_ELEMENT // (target.shape[-1] + 32) - n)
    with np.errstate(invalid="ignore"):
        places = first[:, None] + np.arange(n, dtype=np.uint64)
        noise = exponential_at(places, seeds=_hashed(seeds, rows, b"accept"), dtype=np.float64)
        kept = np.logical_and.accumulate(noise >= q_own - p_own, axis=1).sum(axis=1)
    every = np.arange(rows)
    final = p[every, kept]
    refused = np.flatnonzero(kept < n)
    with np.errstate(divide="ignore"):
        final[refused] = np.log(np.maximum(np.exp(final[refused]) - np.exp(q[refused, kept[refused]]), 0))
    # Where rounding left p no excess over q, the two are one law.
    lost = np.isneginf(final).all(axis=-1)
    final[lost] = p[every, kept][lost]
    last = categorical(final, seeds=_hashed(seeds, rows, b"replace"), positions=first + kept.astype(np.uint64))
    return _joined(drafts, last, kept)


def match_drafts(
    draft_tokens: ArrayLike,
    target_logits: ArrayLike,
    *,
    seeds: ArrayLike,
    positions: ArrayLike = 0,
    **settings: Any,
) -> SpeculativeTokens:
    """Draw from the target with the noise that the drafts were drawn with, and keep the drafts that came out the same.

    Parameters
    ----------
    draft_tokens : array_like of int, shape (B, n)
        Draws of ``sample_tokens(..., seeds=seeds, positions=positions + i)`` from the draft model's logits.
    target_logits : array_like of float, shape (B, n + 1, V)
        Those of the target model at the same places, and at the place behind the last draft.
    seeds, positions : array_like of int, shape (B,)
        Those of the drafts: a seed for each row, and the place of its first draft.
    **settings
        `temperature` and filters as in `sample_tokens`, one for all rows or one per row.

    Returns
    -------
    SpeculativeTokens
        Byte for byte the tokens that `sample_tokens` draws from the target without any draft.

    Raises
    ------
    TypeError, ValueError
        For what `sample_tokens` refuses, and shapes that do not fit.

    Notes
    -----
    Daliri, Musco and Suresh (2024): draft and target race under the same noise. A draft is kept with probability at
    least (1 - TV) / (1 + TV), a little less often than by `accept_drafts`; but a change of the draft model changes no
    token.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> from gumbelfast.serving import match_drafts
    >>> target = np.log([[[0.2, 0.8], [0.5, 0.5]]])
    >>> drafts = gf.sample_tokens(np.log([[[0.3, 0.7]]]), seeds=[[7]], positions=[[0]])
    >>> found = match_drafts(drafts, target, seeds=[7])
    >>> bool(found.tokens[0, 0] == gf.sample_tokens(target[0, 0], seeds=7))
    True
    """
    drafts, target, (rows, n) = _checked(draft_tokens, target_logits)
    first = row_checks.uint64_rows(positions, "positions", (rows,), checks.LAST_ELEMENT // (target.shape[-1] + 32) - n)
    keys = np.broadcast_to(_seeds(seeds, rows)[:, None], (rows, n + 1))
    places = first[:, None] + np.arange(n + 1, dtype=np.uint64)
    drawn = sample_tokens(target, seeds=keys, positions=places, **_one_a_place(settings))
    kept = np.logical_and.accumulate(drawn[:, :n] == drafts, axis=1).sum(axis=1)
    return _joined(drafts, drawn[np.arange(rows), kept], kept)


def _checked(draft_tokens: ArrayLike, target_logits: ArrayLike) -> tuple[NDArray[np.int64], Array, tuple[int, int]]:
    drafts = checks.as_integers(draft_tokens, "draft_tokens")
    target, _ = checks.rows(target_logits, -1)
    if drafts.ndim != 2:
        raise ValueError(f"draft_tokens must have shape (B, n), got {drafts.shape}")
    wanted = drafts.shape[0], drafts.shape[1] + 1
    if target.ndim != 3 or target.shape[:2] != wanted:
        raise ValueError(f"target_logits must have shape ({wanted[0]}, {wanted[1]}, V), got {target.shape}")
    outside = (drafts < 0) | (drafts >= target.shape[-1])
    if outside.any():
        row, i = np.argwhere(outside)[0].tolist()
        raise ValueError(
            f"draft_tokens must lie in [0, {target.shape[-1]}), got {drafts[row, i]} at index ({row}, {i})"
        )
    return drafts.astype(np.int64), target, (drafts.shape[0], drafts.shape[1])


def _one_a_place(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings that are one per row, for rows of several places."""
    return {name: np.asarray(value)[:, None] if np.ndim(value) == 1 else value for name, value in settings.items()}


def _log_probs(logits: ArrayLike, name: str, shape: tuple[int, ...], settings: dict[str, Any]) -> NDArray[np.float64]:
    """Log-probabilities of what the filters leave, float64."""
    given, _ = checks.rows(logits, -1)
    if given.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {given.shape}")
    options = _one_a_place(settings)
    kept = filter_tokens(given, **options)
    temperature = np.asarray(options.get("temperature", 1.0), np.float64)
    # At temperature 0 one token is left, whatever divides it.
    scaled = given.astype(np.float64) / np.where(temperature == 0, 1.0, temperature)[..., None]
    return np.asarray(log_softmax(np.where(kept, scaled, -np.inf)))


def _seeds(seeds: ArrayLike, rows: int) -> NDArray[np.uint64]:
    keys, missing = row_checks.seed_rows(seeds, (rows,))
    if missing is not None:
        raise ValueError(f"seeds must be integers, got None at index {int(missing.argmax())}")
    return keys


def _hashed(seeds: ArrayLike, rows: int, purpose: bytes) -> NDArray[np.uint64]:
    """Seeds of another noise, the same for the same seeds and purpose."""
    found = [hashlib.blake2b(seed.tobytes(), digest_size=8, person=purpose).digest() for seed in _seeds(seeds, rows)]
    return np.frombuffer(b"".join(found), "<u8").astype(np.uint64)


def _joined(drafts: NDArray[np.int64], last: NDArray[np.int64], kept: NDArray[np.int64]) -> SpeculativeTokens:
    rows, n = drafts.shape
    tokens = np.full((rows, n + 1), -1, np.int64)
    tokens[:, :n] = np.where(np.arange(n) < kept[:, None], drafts, -1)
    tokens[np.arange(rows), kept] = last
    return SpeculativeTokens(tokens, kept + 1)
