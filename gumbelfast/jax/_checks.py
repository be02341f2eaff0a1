"""Checks of arguments at tracing time, when dimensions may be symbols."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from .._engine import checks, row_checks
from .._sampling import merged_axes
from ..shards import TopK

try:
    from jax.export import is_symbolic_dim, register_namedtuple_serialization
except ImportError:  # JAX 0.6 needs absl-py for it, without saying so

    def is_symbolic_dim(_: Any) -> bool:
        return False
else:
    register_namedtuple_serialization(TopK, serialized_name="gumbelfast.TopK")

_NAMES = ("float16", "bfloat16", "float32", "float64")


def float_array(x: ArrayLike) -> jax.Array:
    """The argument as a JAX array of one of the four dtypes."""
    array = jnp.asarray(x)
    if array.dtype.name not in _NAMES:
        raise TypeError(f"expected float16, bfloat16, float32 or float64, got {array.dtype.name}")
    return array


def axis_from_back(x: jax.Array, axis: Any) -> int:
    """The axis of the categories counted from the back, -1 for the last."""
    index = checks.axis_index(axis, x.ndim)
    if x.shape[index] == 0:
        raise ValueError(f"axis {axis} has size 0")
    return index - int(x.ndim)


def several_axes(x: jax.Array, axis: Any) -> tuple[int, ...]:
    """One axis, several or all of them (None), from 0 on and in ascending order."""
    one = axis is not None and not isinstance(axis, tuple)
    axes = merged_axes.sorted_axes((axis,) if one else axis, x.ndim)
    if any(x.shape[i] == 0 for i in axes):
        raise ValueError(f"axis {axis} has size 0")
    return axes


def sizes(shape: Any) -> tuple[Any, ...]:
    """The `shape` of a result; symbols stay what they are."""
    given = tuple(shape) if np.iterable(shape) else (shape,)
    if not any(map(is_symbolic_dim, given)):
        return checks.size_tuple(shape, "shape")
    return tuple(n if is_symbolic_dim(n) else checks.size_tuple(n, "shape")[0] for n in given)


def _exceeds(n: Any, limit: Any) -> bool:
    """Whether it certainly does; for symbolic sizes this is checked when the program runs."""
    return not is_symbolic_dim(n) and not is_symbolic_dim(limit) and bool(n > limit)


def count(k: Any, columns: Any) -> int:
    if is_symbolic_dim(columns):
        return checks.as_integer(k, "k", 0)
    return checks.count(k, columns)


def draws_without_replacement(draws: Any, columns: Any) -> None:
    if _exceeds(draws, columns):
        raise ValueError(f"{draws} draws without replacement exceed the {columns} categories")


def index_dtype(columns: Any) -> Any:
    """The dtype of indices, as jnp.argmax has it."""
    dtype = jax.dtypes.canonicalize_dtype(int)
    if _exceeds(columns - 1, np.iinfo(dtype).max):
        raise ValueError(f"indices below {columns} need 64 bits: enable x64")
    return dtype


def _broadcasts(shape: tuple[Any, ...], wanted: tuple[Any, ...]) -> bool:
    pairs = zip(reversed(shape), reversed(wanted), strict=False)
    return len(shape) <= len(wanted) and all(n in (1, m) for n, m in pairs)


def allowed(mask: Any, shape: tuple[Any, ...]) -> jax.Array | None:
    """A mask that broadcasts to logits of that shape."""
    return _boolean(mask, shape, ("mask", "allowed"), "logits")


def summed(where: Any, shape: tuple[Any, ...]) -> jax.Array | None:
    """A `where` that broadcasts to an array of that shape."""
    return _boolean(where, shape, ("where", "summed"), "an array")


def _boolean(given: Any, shape: tuple[Any, ...], says: tuple[str, str], what: str) -> jax.Array | None:
    if given is None:
        return None
    array = jnp.asarray(given)
    checks.is_mask(array.dtype, *says)
    if not _broadcasts(array.shape, shape):
        checks.refuse_mask(array.shape, shape, says[0], what)
    return array


def inverse_tau(tau: Any, batch: tuple[Any, ...], dtype: np.dtype[Any]) -> Any:
    """1/tau in the working dtype, for all rows or for each of a batch; values are checked if they are known."""
    work = checks.work_dtype(dtype)
    if isinstance(tau, jax.core.Tracer):
        if not _broadcasts(tau.shape, batch):
            row_checks.refuse_shape(tau.shape, "tau", batch)
        return 1 / tau.astype(work)
    given = np.shape(tau)
    if any(map(is_symbolic_dim, batch)) and _broadcasts(given, batch):
        batch = given
    inverse = row_checks.positive_reciprocals(tau, "tau", batch, dtype)
    return work.type(inverse) if isinstance(inverse, float) else inverse.astype(work).reshape(batch)


def population(a: Any, axis: Any) -> tuple[jax.Array | None, int, Any]:
    """The array to choose from (None: the integers below a number), the axis, and the number of elements."""
    if is_symbolic_dim(a):
        return None, 0, a
    if np.ndim(a) == 0:
        return None, 0, checks.as_integer(a, "a", 0)
    array = jnp.asarray(a)
    index = checks.axis_index(axis, array.ndim)
    return array, index, array.shape[index]


def probabilities(p: Any, size: Any) -> jax.Array:
    """Weights for each of `size` things, as floats."""
    array = jnp.asarray(p)
    array = float_array(array.astype(float) if jnp.issubdtype(array.dtype, jnp.integer) else array)
    if array.shape != (size,):
        raise ValueError(f"p must have shape ({size},), one number for each thing to choose, got {array.shape}")
    return array


def something(size: Any) -> None:
    if not is_symbolic_dim(size) and size == 0:
        raise ValueError("a must not be empty unless no samples are taken")


def no_symbols(shapes: list[tuple[Any, ...]]) -> None:
    if any(is_symbolic_dim(n) for shape in shapes for n in shape):
        raise NotImplementedError(
            "callbacks to Python cannot be exported: gumbelfast.jax.route() must be 'ffi' for that"
        )
