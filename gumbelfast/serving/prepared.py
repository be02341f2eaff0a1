"""A sampler for decode loops: settings are checked once, and positions advance from step to step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._engine import checks, row_checks, sources, table_checks, thread_count, tokens
from .._engine.backend import active
from .._engine.types import Address, RowCall, SeedLike
from ..random import default_rng

Array = NDArray[Any]


class TokenSampler:
    """Draws a token for each request that is being decoded, step by step, as continuous batching does it.

    Requests are rows of the logits, in the order in which they were added. A step draws what `sample_tokens` draws with
    the same settings, seeds and positions, and then moves the positions of rows with a seed by one. A sampler can be
    pickled between two steps; it is not for several threads at once.

    Parameters
    ----------
    columns : int
        The size of the vocabulary.
    dtype : {float32, float64, float16, bfloat16}, default float32
        Of the logits to come.
    rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
        What rows without a seed draw from.
    invalid : int, optional
        What a row yields that has NaN or +inf among its logits, or nothing to draw; without it `step` raises.
    num_threads : int, optional
        The most threads to use; no number changes a result.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.serving import TokenSampler
    >>> sampler = TokenSampler(columns=5, rng=0)
    >>> sampler.add(2, temperature=0.8, top_p=0.9, seeds=[11, 12])
    array([0, 1])
    >>> sampler.add(temperature=0.0)
    array([2])
    >>> sampler.step(np.eye(5, dtype=np.float32)[:3]).shape
    (3,)
    >>> sampler.remove([0])  # the second request is row 0 from now on
    >>> len(sampler), sampler.positions
    (2, array([1, 0], dtype=uint64))
    """

    def __init__(
        self,
        columns: int,
        dtype: DTypeLike = np.float32,
        *,
        rng: SeedLike = None,
        invalid: int | None = None,
        num_threads: int | None = None,
    ) -> None:
        self._columns = checks.as_integer(columns, "columns", 1, checks.INT64_END)
        self._width = self._columns + -self._columns % 32
        self._dtype = checks.float_dtype(dtype)
        self._rng = default_rng(rng)
        self._invalid = None if invalid is None else table_checks.empty_value(invalid, "invalid")
        self._threads = thread_count.resolve(num_threads)
        self._rows: dict[str, Array] = {
            "scale": np.zeros(0),
            "seen_scale": np.zeros(0),
            **{name: np.zeros(0, type(nothing)) for name, nothing in tokens.NO_FILTER.items()},
            "keys": np.zeros(0, np.uint64),
            "starts": np.zeros(0, np.uint64),
            "unseeded": np.zeros(0, np.bool_),
        }
        self._prepare()

    def __len__(self) -> int:
        """How many rows there are."""
        return self._rows["scale"].size

    @property
    def positions(self) -> NDArray[np.uint64]:
        """The place of each row's next token in the noise of its seed; 0 for rows without one."""
        return self._rows["starts"] // np.uint64(self._width)

    def add(
        self,
        count: int = 1,
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
        seeds: ArrayLike | None = None,
        positions: ArrayLike = 0,
    ) -> NDArray[np.int64]:
        """Add requests behind those that are there.

        Parameters
        ----------
        count : int, default 1
            How many.
        temperature, top_k, top_p, min_p, temperature_last, min_tokens_to_keep : optional
        top_n_sigma, typical_p, epsilon_cutoff, eta_cutoff : array_like, optional
            As in `sample_tokens`, one for all or one for each; `temperature_last` for all.
        seeds : array_like of int, optional
            One for each; requests without one, or with None, draw from the generator.
        positions : array_like of int, default 0
            The place of the first token to draw in the noise of the seed, one for all or one for each.

        Returns
        -------
        ndarray of int64, shape (count,)
            The rows of the logits that are theirs until rows before them are removed.

        Raises
        ------
        TypeError, ValueError
            As in `sample_tokens`; nothing is added then.
        """
        batch = (checks.as_integer(count, "count", 0, checks.INT64_END),)
        given = tokens.Asked(
            temperature, top_k, top_p, min_p, temperature_last, min_tokens_to_keep, top_n_sigma, typical_p,
            epsilon_cutoff, eta_cutoff,
        )  # fmt: skip
        asked = tokens.as_settings(given, batch, self._dtype)
        new: dict[str, Any] = {
            "scale": asked.scale,
            "seen_scale": asked.scale if asked.seen_scale is None else asked.seen_scale,
        }
        for name, nothing in tokens.NO_FILTER.items():
            own = getattr(asked, name)
            new[name] = np.full(batch, nothing, self._rows[name].dtype) if own is None else own
        if seeds is None:
            given_seeds, missing = np.zeros(batch, np.uint64), np.ones(batch, np.bool_)
        else:
            given_seeds, none = row_checks.seed_rows(seeds, batch)
            missing = np.zeros(batch, np.bool_) if none is None else none
        end = checks.LAST_ELEMENT // self._width
        places = row_checks.uint64_rows(positions, "positions", batch, end)
        if seeds is not None:
            row_checks.different_noise(seeds, positions, batch)
        new["keys"] = np.empty_like(given_seeds)
        active().row_keys(given_seeds, new["keys"])
        new["starts"] = np.where(missing, np.uint64(0), places * np.uint64(self._width))
        new["unseeded"] = missing
        before = len(self)
        self._rows = {name: np.concatenate([have, new[name]]) for name, have in self._rows.items()}
        self._prepare()
        return np.arange(before, before + batch[0])

    def remove(self, rows: ArrayLike) -> None:
        """Remove requests; those behind them move up.

        Parameters
        ----------
        rows : array_like of int
            Rows of the logits of the step before.

        Raises
        ------
        TypeError
            For rows that are no integers.
        ValueError
            For a row that is not there; nothing is removed then.
        """
        gone = checks.as_integers(rows, "rows").reshape(-1)
        outside = (gone < 0) | (gone >= len(self))
        if outside.any():
            raise ValueError(f"rows must lie in [0, {len(self)}), got {gone[outside][0]}")
        stays = np.ones(len(self), np.bool_)
        stays[gone.astype(np.int64)] = False
        self._rows = {name: have[stays] for name, have in self._rows.items()}
        self._prepare()

    def step(self, logits: ArrayLike, mask: ArrayLike | None = None) -> NDArray[np.int64]:
        """Draw one token a row, and move on.

        Parameters
        ----------
        logits : array_like of the sampler's dtype, shape (len(self), columns)
            Unnormalised log-probabilities; -inf is never drawn.
        mask : array_like of bool or int32, optional
            True where a token is allowed, or words of 32 tokens; as in `sample_tokens`.

        Returns
        -------
        ndarray of int64, shape (len(self),)

        Raises
        ------
        TypeError, ValueError
            For logits of another shape or dtype, and what `sample_tokens` refuses; nothing moves then, and the step can
            be taken again.
        """
        x, _ = checks.rows(logits, -1)
        if x.dtype != self._dtype:
            raise TypeError(f"logits must be {self._dtype}, as the sampler was made for, got {x.dtype}")
        if x.shape != (len(self), self._columns):
            raise ValueError(f"logits must have shape ({len(self)}, {self._columns}), got {x.shape}")
        allowed = None if mask is None else tokens.as_mask(mask, x.shape)
        drawn = tokens.draw(
            (x, allowed, 1.0), self._settings, (), self._threads, (self._rng,), self._invalid, self._draw
        )
        starts = self._rows["starts"]
        np.add(starts, self._moves, out=starts)
        return drawn

    def _prepare(self) -> None:
        """What a step needs of the rows: filters that some row has, and how far each row's noise moves."""
        rows = self._rows
        filters = {name: rows[name] for name, nothing in tokens.NO_FILTER.items() if (rows[name] != nothing).any()}
        seen = None if (rows["seen_scale"] == rows["scale"]).all() else rows["seen_scale"]
        self._settings = tokens.Settings(rows["scale"], seen_scale=seen, **filters)
        self._moves = np.where(rows["unseeded"], np.uint64(0), np.uint64(self._width))
        self._missing = np.flatnonzero(rows["unseeded"])

    def _draw(self, call: RowCall, shape: tuple[int, ...], size: int, rng: SeedLike) -> int:
        """Rows without a seed take the next elements of the generator, as in `sample_tokens`."""
        keys, starts, missing = self._rows["keys"], self._rows["starts"], self._missing
        if not missing.size:
            return call((0, 0, 0, keys, starts))
        if missing.size == len(self):
            return sources.draw(sources.source(rng), size, call, self._columns)

        def mixed(place: Address) -> int:
            key, first, *_ = place
            mixed_keys, mixed_starts = keys.copy(), starts.copy()
            mixed_keys[missing] = key
            mixed_starts[missing] = np.uint64(first) + np.arange(missing.size, dtype=np.uint64) * np.uint64(
                self._columns
            )
            return call((0, 0, 0, mixed_keys, mixed_starts))

        return sources.draw(sources.source(rng), missing.size * self._columns, mixed, self._columns)
