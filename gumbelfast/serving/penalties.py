"""Penalties for tokens that came before, and biases of single tokens: changes of the logits concerned alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, out_checks, row_checks

Array = NDArray[Any]
Tokens = ArrayLike | Sequence[ArrayLike]
Biases = Mapping[int, float] | Sequence[Mapping[int, float] | None]


def penalize_tokens(
    logits: ArrayLike,
    tokens: Tokens,
    *,
    prompts: Tokens | None = None,
    repetition_penalty: ArrayLike | None = None,
    presence_penalty: ArrayLike | None = None,
    frequency_penalty: ArrayLike | None = None,
    out: Array | None = None,
) -> Array:
    r"""Make tokens less likely that came before.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64, shape (..., V)
        A row for each text.
    tokens : array_like of int, shape (..., L), or a sequence of arrays of any lengths, one per row
        What each text has so far behind its prompt; -1 stands for no token.
    prompts : array_like of int, shape (..., M), or a sequence of arrays, optional
        What each text began with. The repetition penalty counts it as well.
    repetition_penalty : float or array_like of float, shape (...), optional
        > 0: positive logits of what is in prompt or text are divided by it, others multiplied (Keskar et al. 2019).
        1 changes nothing.
    presence_penalty : float or array_like of float, shape (...), optional
        Taken from the logits of what is in the text.
    frequency_penalty : float or array_like of float, shape (...), optional
        Taken from these once for each time that the token is in the text.
    out : ndarray, optional
        Where the result goes. `logits` itself: then nothing is read or written but the logits concerned.

    Returns
    -------
    ndarray, shape and dtype of `logits`
        `out`, or a new array.

    Raises
    ------
    TypeError
        For logits that are not floats, tokens that are not integers, penalties that are no numbers.
    ValueError
        For tokens outside [-1, V), penalties out of range (finite; ``repetition_penalty > 0``), shapes or an `out` that
        do not fit. Nothing is written then.

    Notes
    -----
    In this order, with c the number of times that the token is in the text,

    .. math::
        x \to x / r \text{ if } x > 0 \text{ else } x r, \qquad x \to x - f c - p\,[c > 0],

    in float32 (of float64 in float64). This is what vLLM does. The processor of Hugging Face transformers is the first
    part, where the prompt counts.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.serving import penalize_tokens
    >>> logits = np.array([[2.0, -1.0, 3.0, 1.0]])
    >>> penalize_tokens(logits, [[2, 2, 1]], presence_penalty=0.5, frequency_penalty=0.25)
    array([[ 2.  , -1.75,  2.  ,  1.  ]])
    >>> penalize_tokens(logits, [[2]], prompts=[[0, 1]], repetition_penalty=2.0, out=logits) is logits
    True
    >>> logits
    array([[ 1. , -2. ,  1.5,  1. ]])
    """
    given, result = _with_room(logits, out)
    batch, columns = given.shape[:-1], given.shape[-1]
    work = checks.work_dtype(given.dtype)
    ratio = row_checks.finite_rows(repetition_penalty, "repetition_penalty", batch, 1.0, positive=True).astype(work)
    presence = row_checks.finite_rows(presence_penalty, "presence_penalty", batch, 0.0).astype(work)
    frequency = row_checks.finite_rows(frequency_penalty, "frequency_penalty", batch, 0.0).astype(work)
    text = _places(tokens, "tokens", batch, columns)
    before = text if prompts is None else np.concatenate([text, _places(prompts, "prompts", batch, columns)])
    places = np.unique(before)
    counts = np.bincount(np.searchsorted(places, text), minlength=places.size).astype(work)
    row = places // columns
    at = _index_of(row, places % columns, batch)
    value = given[at].astype(work)
    with np.errstate(over="ignore"):
        value = np.where(value > 0, value / ratio[row], value * ratio[row])
        value -= frequency[row] * counts + presence[row] * (counts > 0)
    if result is not given:
        result[...] = given
    result[at] = value.astype(given.dtype)
    return result


def bias_tokens(logits: ArrayLike, biases: Biases, *, out: Array | None = None) -> Array:
    """Add numbers to the logits of some tokens, as ``logit_bias`` of an API asks for.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64, shape (..., V)
        A row for each text.
    biases : mapping of int to float, or a sequence with a mapping or None for each row
        From tokens to what is added; -inf forbids a token. One mapping serves all rows.
    out : ndarray, optional
        Where the result goes. `logits` itself: then nothing is read or written but the logits concerned.

    Returns
    -------
    ndarray, shape and dtype of `logits`
        `out`, or a new array.

    Raises
    ------
    TypeError
        For logits that are not floats, tokens that are not integers, biases that are no numbers or no mappings.
    ValueError
        For tokens outside [0, V), NaN or +inf, or another number of mappings than of rows. Nothing is written then.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.serving import bias_tokens
    >>> bias_tokens(np.zeros((2, 3), np.float32), [{1: 2.5}, {0: -np.inf, 2: 1}])
    array([[ 0. ,  2.5,  0. ],
           [-inf,  0. ,  1. ]], dtype=float32)
    """
    given, result = _with_room(logits, out)
    rows, columns = given.size // given.shape[-1], given.shape[-1]
    each: list[Any] = [biases] * rows if isinstance(biases, Mapping) else list(biases)
    if len(each) != rows:
        raise ValueError(f"biases must be one mapping, or one per row, {rows}, got {len(each)}")
    row, token, bias = [], [], []
    for i, one in enumerate(each):
        if one is not None and not isinstance(one, Mapping):
            raise TypeError(f"biases must map tokens to numbers, got {one!r} in row {i}")
        for key, value in (one or {}).items():
            number = checks.as_integer(key, "tokens of biases", 0)
            if number >= columns:
                raise ValueError(f"tokens of biases must lie in [0, {columns}), got {number} in row {i}")
            added = float(checks.real(value, "biases"))
            if not added < np.inf:
                raise ValueError(f"biases must be numbers or -inf, got {added} in row {i}")
            row.append(i)
            token.append(number)
            bias.append(added)
    if result is not given:
        result[...] = given
    at = _index_of(np.array(row, np.int64), np.array(token, np.int64), given.shape[:-1])
    work = checks.work_dtype(given.dtype)
    result[at] = (given[at].astype(work) + np.array(bias, work)).astype(given.dtype)
    return result


def _index_of(row: Array, token: Array, batch: tuple[int, ...]) -> tuple[Array, ...]:
    """The index of tokens of rows in logits of any strides."""
    return (*np.unravel_index(row, batch), token) if batch else (token,)


def _with_room(logits: ArrayLike, out: Array | None) -> tuple[Array, Array]:
    """The logits as they lie, and where the result goes."""
    given = checks.as_array(logits)
    if given.ndim == 0 or given.shape[-1] == 0:
        raise ValueError(f"logits must have an axis of tokens, got shape {given.shape}")
    dtype = checks.float_dtype(given.dtype)
    if out is None:
        return given, np.empty(given.shape, dtype)
    out_checks.output(out, given.shape, given.dtype, (given,))
    return given, out


def _places(tokens: Any, name: str, batch: tuple[int, ...], columns: int) -> NDArray[np.int64]:
    """Where tokens are in flattened logits; -1 is left out."""
    if isinstance(tokens, list | tuple) and len({np.shape(each) for each in tokens}) > 1:
        lengths = [np.size(each) for each in tokens]
        padded = np.full((len(tokens), max(lengths)), -1, np.int64)
        for row, each in zip(padded, tokens, strict=True):
            row[: np.size(each)] = _in_range(checks.as_integers(each, name), name, columns)
        tokens = padded
    found = _in_range(checks.as_integers(tokens, name), name, columns)
    try:
        found = np.broadcast_to(found, (*batch, found.shape[-1] if found.ndim else 1))
    except ValueError:
        row_checks.refuse_shape(found.shape[:-1], name, batch)
    rows = found.reshape(-1, found.shape[-1])
    places: NDArray[np.int64] = (np.arange(len(rows))[:, None] * columns + rows)[rows >= 0]
    return places


def _in_range(tokens: Array, name: str, columns: int) -> NDArray[np.int64]:
    outside = checks.is_outside(tokens, -1, columns)
    if outside.any():
        raise ValueError(f"{name} must lie in [0, {columns}), or be -1 for none, got {tokens[outside].flat[0]}")
    return tokens.astype(np.int64)
