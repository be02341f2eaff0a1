"""Draws within `jax.shard_map` from a whole array, of which each device holds some rows, or some columns.

    from gumbelfast.jax import sharded

The functions of `gumbelfast.jax` itself draw the same noise on each device: the first elements of the key's noise.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from numpy.typing import NDArray

from .._engine import checks
from .._engine.sources import FixedKey
from .._parts import check_count, check_drawn, draw_top_k, merge_messages, message_of, noise_of_rows
from ..shards import TopK
from . import _callback, _calls, _checks, _host, _keys

__all__ = ["categorical", "gumbel_top_k"]

Array = NDArray[Any]


def categorical(
    key: ArrayLike, logits: ArrayLike, *, rows: str | None = None, columns: str | None = None, mask: Any = None
) -> jax.Array:
    """Draw from rows of logits that lie on several devices, as `gumbelfast.jax.categorical` from all of them.

    Parameters
    ----------
    key : JAX key
        The same on all devices.
    logits : array of float16, bfloat16, float32 or float64, shape (..., columns)
        The part of this device; the categories are the last axis. -inf is never drawn.
    rows, columns : str, optional
        The mesh axes over which the first axis and the last one are divided.
    mask : array of bool, optional
        True where a category is allowed; broadcasts to the part of this device.

    Returns
    -------
    jax.Array of int32, or int64 where x64 is enabled
        The draws of this device's rows: what ``gumbelfast.jax.categorical(key, whole)`` draws there. The same on all
        devices along `columns`.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `gumbelfast.jax.categorical`; ValueError too for an axis without categories.

    Notes
    -----
    Each device draws from its own part on the noise of the whole, and 16 bytes per row are gathered along `columns`
    (``docs/stream.md``). The compiled program calls back to Python for the kernels, and no gradient passes.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, gumbelfast.jax as gfj
    >>> from functools import partial
    >>> from jax.sharding import Mesh, PartitionSpec as P
    >>> from gumbelfast.jax import sharded
    >>> mesh, key, x = Mesh(jax.devices(), ("model",)), jax.random.key(0), jnp.zeros((4, 16))
    >>> draw = partial(sharded.categorical, key, columns="model")
    >>> over = jax.shard_map(draw, mesh=mesh, in_specs=P(None, "model"), out_specs=P())
    >>> bool((over(x) == gfj.categorical(key, x)).all())
    True
    """
    index, _ = _drawn("categorical", key, logits, 1, rows, columns, mask)
    return index[..., 0]


def gumbel_top_k(
    key: ArrayLike, logits: ArrayLike, k: int, *, rows: str | None = None, columns: str | None = None, mask: Any = None
) -> TopK:
    """Draw k categories per row without replacement, of rows that lie on several devices.

    Parameters
    ----------
    key, logits, rows, columns, mask
        As in `categorical`.
    k : int
        How many, at most as many as whole rows have.

    Returns
    -------
    TopK
        As of ``gumbelfast.jax.gumbel_top_k(key, whole, k)``, of this device's rows. No gradients pass.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `gumbelfast.jax.gumbel_top_k`.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, gumbelfast.jax as gfj
    >>> from functools import partial
    >>> from jax.sharding import Mesh, PartitionSpec as P
    >>> from gumbelfast.jax import sharded
    >>> mesh, key, x = Mesh(jax.devices(), ("model",)), jax.random.key(0), jnp.zeros((4, 16))
    >>> draw = partial(sharded.gumbel_top_k, key, k=3, columns="model")
    >>> over = jax.shard_map(draw, mesh=mesh, in_specs=P(None, "model"), out_specs=P())
    >>> bool((over(x).indices == gfj.gumbel_top_k(key, x, 3).indices).all())
    True
    """
    return TopK(*_drawn("gumbel_top_k", key, logits, k, rows, columns, mask))


def _drawn(name: str, key: Any, logits: Any, k: Any, rows: Any, columns: Any, mask: Any) -> tuple[jax.Array, jax.Array]:
    single, x = _keys.single_key(name, key), _checks.float_array(logits)
    _checks.axis_from_back(x, -1)
    allowed = _checks.allowed(mask, x.shape)
    if rows is not None and x.ndim == 1:
        raise ValueError(f"a single row, of shape {x.shape}, is not divided over {rows!r}")
    x = jax.lax.stop_gradient(x if allowed is None else jnp.where(allowed, x, -jnp.inf))
    parts = 1 if columns is None else jax.lax.psum(1, columns)
    whole = parts * x.shape[-1]
    k = checks.count(k, whole)
    shape = (*x.shape[:-1], k)
    index = jax.ShapeDtypeStruct(shape, _checks.index_dtype(whole))
    value = jax.ShapeDtypeStruct(shape, checks.work_dtype(x.dtype))
    if 0 in shape:
        return jnp.empty(shape, index.dtype), jnp.empty(shape, value.dtype)
    place = jnp.stack([jnp.int32(0) if axis is None else jax.lax.axis_index(axis) for axis in (rows, columns)])
    words, how = _keys.words(single), _calls.settings()
    given: dict[str, Any] = {"backend": how.backend, "threads": how.threads}
    # Numbers of 64 bits as words, which JAX passes on whichever dtypes are enabled.
    told = jax.ShapeDtypeStruct((2, *shape, 2), jnp.uint32)
    (mine,) = _callback.call("shard_message", (told,), words, x, place, whole=whole, **given)
    all_told = mine[None] if columns is None else jax.lax.all_gather(mine, columns)
    found = _callback.call(
        "shard_merge", (index, value), words, all_told, place, what="draw" if name == "categorical" else "k", **given
    )
    return found[0], found[1]


def _message(out: tuple[Array, ...], source: FixedKey, x: Array, place: Array, threads: int, whole: int) -> None:
    row, column = (int(i) for i in place)
    number = np.arange(math.prod(x.shape[:-1]), dtype=np.uint64).reshape(x.shape[:-1])
    first, start = row * number.size * whole, column * x.shape[-1]
    entries = out[0].shape[-2]

    def draw() -> TopK:
        return draw_top_k(
            x, entries, noise_of_rows(source.draw_key(), first + start, number, whole), num_threads=threads
        )

    out[0][...] = message_of(draw, x, None, start, entries)[..., None].view(np.uint32)


def _merge(out: tuple[Array, ...], source: FixedKey, messages: Array, place: Array, threads: int, what: str) -> None:
    numbers = np.ascontiguousarray(messages).view(np.float64)[..., 0]
    entries = numbers.shape[-1]
    starts = (int(place[0]) * numbers.shape[2],) if numbers.ndim > 3 else ()
    state = merge_messages(list(numbers), entries, starts)
    if what == "draw":
        check_drawn(np.asarray(state.indices[..., 0] < 0), starts)
    check_count(state.indices, entries, "allowed entries", starts)
    out[0][...], out[1][...] = state.indices, state.perturbed


_host.HANDLERS |= {
    name: partial(_host.each_example, run) for name, run in (("shard_message", _message), ("shard_merge", _merge))
}
