"""Categorical distributions prepared once and drawn from many times."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, draws, table_checks, thread_count
from .._engine.backend import active
from .._engine.refused import refuse
from .._engine.tables import Tables, weights_of_logits
from .._engine.types import SeedLike
from .._sampling import argmax

Array = NDArray[Any]

_METHODS = ("alias", "inverse", "gumbel")


class Categorical:
    r"""Categorical distributions, prepared once for many draws.

    Parameters
    ----------
    logits : array_like of float16, bfloat16, float32 or float64, optional
        Unnormalised log-probabilities; -inf is never drawn.
    probs : array_like of the same dtypes or integers, optional
        Probabilities, finite and >= 0. They need not sum to 1: each row is divided by its sum. Zeros are never drawn.
        Exactly one of `logits` and `probs` is given; it is copied.
    axis : int, default -1
        The axis of the categories; the others are the batch.

    Raises
    ------
    TypeError
        For logits that are not floats, probabilities that are neither floats nor integers, or if not exactly one of
        `logits` and `probs` is given.
    ValueError
        For NaN or +inf, negative probabilities, a row without a finite logit or with a sum that is 0 or overflows.

    Notes
    -----
    Three routes, all exact, which draw different values at the same address:

    "alias"
        One uniform of 64 bits and one lookup per draw: Walker (1977), the table built as by Vose (1991).
    "inverse"
        The first category whose cumulative probability exceeds that uniform, found by a guide table: Chen and Asau
        (1974). Draws do not decrease as the uniform grows.
    "gumbel"
        No table. For logits it is `categorical` with the same arguments, bit for bit; for probabilities the largest
        ``p / E`` with standard exponentials E, the first item of `weighted_sample`, which takes no logarithms. The
        cheapest for up to 25 to 300 draws.

    Tables hold the float64 cumulative sums of a row, divided by the total and rounded up to multiples of ``2**-64``;
    both give a category the same share of the ``2**64`` uniforms (``docs/stream.md``). They are built at the first draw
    that needs them and kept: 16 to 24 bytes per category.

    Examples
    --------
    >>> import gumbelfast as gf
    >>> dice = gf.Categorical(probs=[1.0, 1.0, 2.0])
    >>> dice.sample(1000, rng=0).shape
    (1000,)
    >>> dice.probs.tolist()
    [0.25, 0.25, 0.5]
    """

    def __init__(self, logits: ArrayLike | None = None, *, probs: ArrayLike | None = None, axis: int = -1) -> None:
        table_checks.exactly_one(logits, probs)
        self._from_logits = logits is not None
        given: Any = logits if logits is not None else table_checks.counted(probs)  # type: ignore[arg-type]
        x, self._axis = checks.rows(given, axis)
        self._x = x.copy()
        wide = x.astype(np.float64, copy=False)
        if not self._from_logits:
            table_checks.weights(wide, axis)
        elif not np.isfinite(wide.max(axis=-1)).all():
            refuse(x, None, axis)

    def __repr__(self) -> str:
        return f"gumbelfast.Categorical(categories={self._x.shape[-1]}, batch_shape={self.batch_shape})"

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The shape of one draw per row."""
        return self._x.shape[:-1]

    def _weights(self) -> NDArray[np.float64]:
        if self._from_logits:
            return weights_of_logits(self._x, -1, 1.0, None, thread_count.resolve(None))[0].reshape(self._x.shape)
        return self._x.astype(np.float64)

    def _normalised(self) -> NDArray[np.float64]:
        p = self._weights()
        p /= p.sum(axis=-1, keepdims=True)
        return p

    @cached_property
    def _log_probs(self) -> NDArray[np.float64]:
        wide = self._x.astype(np.float64)
        if self._from_logits:
            active().log_softmax(wide, 1.0, wide, thread_count.resolve(None))
        else:
            total = wide.sum(axis=-1, keepdims=True)
            with np.errstate(divide="ignore"):
                np.subtract(np.log(wide), np.log(total), out=wide)
        return wide

    @cached_property
    def _tables(self) -> Tables:
        return Tables(self._weights().reshape(-1, self._x.shape[-1]))

    @property
    def probs(self) -> NDArray[np.float64]:
        """The probabilities, in float64 and shaped as the input; each row sums to 1."""
        return checks.restored(self._normalised(), self._axis)

    @property
    def logits(self) -> NDArray[np.float64]:
        """The logarithms of the probabilities, in float64 and shaped as the input."""
        return checks.restored(self._log_probs.copy(), self._axis)

    def sample(
        self,
        size: int | tuple[int, ...] | None = None,
        rng: SeedLike = None,
        *,
        offset: int | None = None,
        method: str = "alias",
        num_threads: int | None = None,
    ) -> Any:
        """Draw from each row.

        Parameters
        ----------
        size : int or tuple of ints, optional
            Draws per row; the result has shape ``size + batch shape``. The first of n draws are those of fewer.
        rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
            Where the randomness comes from.
        offset : int, optional
            First element of the key to take; the generator is then left as it is. Draws from tables take one element
            each, in C order of the result; "gumbel" takes those that `categorical` takes, a row of them for each draw.
        method : {"alias", "inverse", "gumbel"}, default "alias"
            The route.
        num_threads : int, optional
            The most threads to use; the result does not depend on it.

        Returns
        -------
        ndarray of int64, or a scalar where the shape is ()

        Raises
        ------
        ValueError
            For an unknown method, a negative size or a bad address.
        """
        table_checks.one_of(method, "method", _METHODS)
        shape = () if size is None else checks.size_tuple(size)
        if method == "gumbel" and self._from_logits:
            return argmax.categorical(self._x, size=shape, rng=rng, offset=offset, num_threads=num_threads)
        if method == "gumbel":
            first = np.empty((*shape, *self.batch_shape, 1), np.int64)
            draws.race(self._x, first, thread_count.resolve(num_threads), (rng, None, None, offset))
            return first[..., 0][()]
        index = np.empty(shape + self.batch_shape, np.int64)
        self._tables.draw(method, index, rng, offset, thread_count.resolve(num_threads))
        return index if index.ndim else index[()]

    def log_prob(self, value: ArrayLike) -> Any:
        """The log-probability of categories.

        Parameters
        ----------
        value : array_like of int
            Categories, of a shape that broadcasts against the batch shape, as `sample` returns them.

        Returns
        -------
        ndarray of float64, or a scalar; -inf for what is never drawn

        Raises
        ------
        TypeError, ValueError
            For values that are not integers, or not below the number of categories.
        """
        index = table_checks.categories(value, self._x.shape[-1])
        index = table_checks.broadcast_last(index, "value", self.batch_shape)
        table = np.broadcast_to(self._log_probs, (*index.shape, self._x.shape[-1]))
        return np.take_along_axis(table, index[..., None].astype(np.intp), axis=-1)[..., 0][()]

    def entropy(self) -> Any:
        r"""The entropy of each row in nats, :math:`-\sum p \log p` with :math:`0 \log 0 = 0`, in float64."""
        p = self._normalised()
        log_p = np.where(p > 0, self._log_probs, 0)
        return np.maximum(-(p * log_p).sum(axis=-1), 0)[()]

    def mode(self) -> Any:
        """The most probable category of each row, the lowest among equals, as int64."""
        return self._x.argmax(axis=-1).astype(np.int64)[()]
