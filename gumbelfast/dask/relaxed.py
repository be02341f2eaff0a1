"""Relaxed samples of chunked arrays."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from .. import gumbel as _gumbel
from .. import gumbel_softmax as _gumbel_softmax
from .._engine import checks
from .._engine.types import SeedLike
from .._parts import check_drawn, fill_noise
from . import _blocks, _checks
from ._blocks import Address
from ._checks import Location
from .draws import argmax_state, hard_index, temperature_of
from .softmax import LogSum, log_sum_of, merge_log_sums, probabilities, rows_temperature

Array = NDArray[Any]
Blocks = dict[str, Array]


def gumbel_softmax(
    logits: Any,
    tau: Any = 1.0,
    hard: bool = False,
    *,
    axis: int = -1,
    rng: SeedLike = None,
    seeds: Any = None,
    positions: Any = None,
    offset: int | None = None,
    return_soft: bool = False,
    num_threads: int | None = 1,
) -> Any:
    """Relaxed one-hot samples of a chunked array, or straight-through hard ones, as `gumbelfast.gumbel_softmax`.

    Parameters
    ----------
    logits, axis, rng, seeds, positions, offset, num_threads
        As in `categorical`.
    tau : float, array_like or dask array, default 1.0
        Temperature of the relaxation: one number, or one per row.
    hard : bool, default False
        Return exact one-hot rows, 1 at the index that `categorical` draws there.
    return_soft : bool, default False
        Return ``(result, soft)``.

    Returns
    -------
    dask array, or a tuple of two with `return_soft`
        Shape, dtype and chunks of `logits`. Hard samples are byte for byte those of `gumbelfast.gumbel_softmax`, and so
        are soft ones where the axis lies in one chunk. Where it is cut, perturbed logits and sums are taken in float64
        and soft samples differ from NumPy's by the rounding of perturbed logits, divided by tau.

    Raises
    ------
    TypeError, ValueError
        As in `gumbelfast.gumbel_softmax`, when `categorical` raises them.

    Examples
    --------
    >>> import dask.array as da, gumbelfast.dask as gfd
    >>> y = gfd.gumbel_softmax(da.zeros((2, 4), chunks=(1, 2)), hard=True, rng=0)
    >>> y.sum(axis=-1).compute()
    array([1., 1.])
    """
    x = _blocks.as_dask(logits)
    place = _checks.axis_of(x, axis)
    temperatures = temperature_of(tau, "tau", x, (place,))
    address = _blocks.address_of(x, 0, place, rng, seeds, positions, offset)
    blocks: dict[str, da.Array] = {}
    given: dict[str, Any] = {"address": address.plain(), "num_threads": num_threads}
    if isinstance(temperatures, float):
        given["tau"] = temperatures
    else:
        blocks["tau"] = _blocks.beside(temperatures, x.chunks)
    result = _blocks.like(x)
    soft = hot = None
    if not hard or return_soft:
        soft = _soft(x, blocks, result, address, given)
    if hard:
        index = hard_index(argmax_state(x, {}, address, {"temperature": 1.0, "num_threads": num_threads}), address, x)
        columns = _blocks.beside(np.arange(x.shape[place]).reshape((-1,) + (1,) * (x.ndim - 1 - place)), x.chunks)
        if "tau" in blocks:  # so that its faults are found here too
            index = _blocks.map_located(_checked, index, {"tau": blocks["tau"]}, _blocks.like(index), axis=place)
        hot = da.map_blocks(_one_hot, index, columns, **result)
    first = hot if hard else soft
    return (first, soft) if return_soft else first


def _soft(
    x: da.Array, blocks: dict[str, da.Array], result: dict[str, Any], address: Address, given: dict[str, Any]
) -> da.Array:
    arrays = blocks | address.arrays
    if x.numblocks[address.axis] == 1:
        return _blocks.map_located(_whole, x, arrays, result, **given)
    axes = (address.axis,)
    total = _blocks.merged(_blocks.states(_sum, x, axes, arrays, **given), axes, merge_log_sums)
    return _blocks.map_located(_relaxed, x, arrays | {"total": total}, result, **given)


def _whole(x: Array, blocks: Blocks, location: Location, address: Address, num_threads: Any, tau: Any = None) -> Array:
    """A block of whole rows."""
    axis, noise = address.axis, _noise(blocks, location, address)
    rows = np.moveaxis(x, axis, -1)
    if "tau" in blocks:
        tau = rows_temperature(blocks["tau"], "tau", (axis,), location)
    whole = noise.whole()
    out = np.empty(rows.shape, x.dtype)
    try:
        if whole is not None:
            out = _gumbel_softmax(rows, tau, num_threads=num_threads, **whole)
        else:
            taus = np.broadcast_to(tau, rows.shape[:-1])
            for place in np.ndindex(rows.shape[:-1]):
                out[place] = _gumbel_softmax(rows[place], float(taus[place]), **noise.row(place))
    except ValueError:
        _checks.check_logits(x, location)
        check_drawn(np.asarray(~np.isfinite(x).any(axis=axis)), _checks.starts_of(_blocks.without(location, (axis,))))
        raise
    return np.moveaxis(out, -1, axis)


def _noise(blocks: Blocks, location: Location, address: Address) -> Any:
    return address.noise({name: block for name, block in blocks.items() if name not in ("tau", "total")}, location)


def _perturbed(x: Array, shift: Array, blocks: Blocks, location: Location, address: Address) -> Array:
    """Perturbed logits of a block, less a shift of each row, in float64, with the noise of NumPy's function."""
    rows = np.moveaxis(x, address.axis, -1)
    noise = np.empty(rows.shape, checks.work_dtype(x.dtype))
    if noise.size:
        fill_noise(_gumbel, noise, _noise(blocks, location, address))
    with np.errstate(over="ignore"):
        found: Array = (x.astype(np.float64) - shift) + np.moveaxis(noise, -1, address.axis)
    return found


def _sum(x: Array, blocks: Blocks, location: Location, address: Address, num_threads: Any, tau: Any = None) -> LogSum:
    axes = (address.axis,)
    _checks.check_logits(x, location)
    if "tau" in blocks:
        rows_temperature(blocks["tau"], "tau", axes, location)
        tau = blocks["tau"].astype(np.float64)
    most = x.max(axis=address.axis, keepdims=True, initial=-np.inf).astype(np.float64)
    shift = np.where(np.isfinite(most), most, 0.0)
    perturbed = _perturbed(x, shift, blocks, location, address)
    return log_sum_of(perturbed, axes, tau, num_threads)._replace(shift=shift)


def _relaxed(
    x: Array, blocks: dict[str, Any], location: Location, address: Address, num_threads: Any, tau: Any = None
) -> Array:
    total = blocks.pop("total")
    none = np.squeeze(np.isneginf(total.log_sum), address.axis)
    check_drawn(none, _checks.starts_of(_blocks.without(location, (address.axis,))))
    return probabilities(_perturbed(x, total.shift, blocks, location, address), total).astype(x.dtype)


def _checked(index: Array, blocks: Blocks, location: Location, axis: int) -> Array:
    rows_temperature(blocks["tau"], "tau", (axis,), location)
    return index


def _one_hot(index: Array, columns: Array, block_info: Any = None) -> Any:
    return (index == columns).astype(block_info[None]["dtype"])
