"""Which conditions on perturbed logits are accepted, and the errors for all others."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine.checks import Array, as_integers, is_outside, real, row_name, work_dtype
from .._engine.refused import refuse


def condition(index: Any, maximum: Any, upper: Any) -> None:
    if index is None and maximum is None and upper is None:
        raise TypeError("give index, maximum or upper, got none")
    if upper is not None and (index is not None or maximum is not None):
        raise TypeError(f"upper stands alone, got {'index' if index is not None else 'maximum'} as well")


def winners(index: ArrayLike, x: Array, name: str = "index") -> NDArray[np.int64]:
    """One column per row of logits that `rows` laid out, with a logit above -inf."""
    batch, columns = x.shape[:-1], x.shape[-1]
    given = as_integers(index, name)
    try:
        which = np.broadcast_to(given, batch)
    except ValueError:
        raise ValueError(f"{name} of shape {given.shape} does not broadcast to one per row, shape {batch}") from None
    fault = is_outside(which, 0, columns)
    if fault.any():
        place = row_name(int(fault.ravel().argmax()), x.shape)
        raise ValueError(f"{name} must lie in [0, {columns}), got {which[fault][0]} in row {place}")
    which = np.array(which, np.int64, order="C")
    fault = np.isneginf(np.take_along_axis(x, which[..., None].astype(np.intp), axis=-1)[..., 0].astype(np.float64))
    if fault.any():
        place = row_name(int(fault.ravel().argmax()), x.shape)
        raise ValueError(f"{name} must have a logit above -inf, got {which[fault][0]} in row {place}")
    return which


def tops(values: ArrayLike, name: str, x: Array) -> NDArray[np.float64]:
    """One maximum or upper bound per row: no NaN, and a maximum is finite in the dtype of the computation."""
    given = real(values, name)
    batch, work = x.shape[:-1], work_dtype(x.dtype)
    try:
        top = np.array(np.broadcast_to(given, batch), order="C")
    except ValueError:
        raise ValueError(f"{name} of shape {given.shape} does not broadcast to one per row, shape {batch}") from None
    fault = np.isnan(top) if name == "upper" else ~(np.abs(top) <= float(np.finfo(work).max))
    if fault.any():
        place = row_name(int(fault.ravel().argmax()), x.shape)
        what = "not be NaN" if name == "upper" else f"be finite in {work}"
        raise ValueError(f"{name} must {what}, got {top[fault][0]} in row {place}")
    return top


def refuse_new(x: Array, axis: int) -> NoReturn:
    """Says what is wrong with the logits of an intervention."""
    try:
        refuse(x, None, axis)
    except ValueError as error:
        raise ValueError(f"new_logits: {error}") from None
