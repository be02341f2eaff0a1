"""Callbacks from a compiled program to the kernels: `jax.pure_callback`, but with NumPy arrays all the way.

`jax.pure_callback` first copies its operands to JAX arrays, by the thread pool whose threads the callbacks occupy: with
as many calls at once as the machine has processors, all wait for one another forever (jax-ml/jax#25861).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from . import _checks, _host

_primitive = Primitive("gumbelfast_callback")
_primitive.multiple_results = True


def call(target: str, results: tuple[jax.ShapeDtypeStruct, ...], *operands: Any, **attributes: Any) -> tuple[Any, ...]:
    """Run a handler of `_host`; vmap puts axes of size 1 in front of operands that it does not map."""
    found = _primitive.bind(*operands, target=target, results=results, lead=(), attributes=tuple(attributes.items()))
    return tuple(found)


def _abstract(*_: Any, results: tuple[jax.ShapeDtypeStruct, ...], lead: tuple[int, ...], **__: Any) -> list[Any]:
    return [ShapedArray((*lead, *result.shape), result.dtype) for result in results]


def _on_host(*operands: Any, target: str, results: Any, attributes: Any, **_: Any) -> tuple[Any, ...]:
    return _host.HANDLERS[target](results, *operands, **dict(attributes))


def _eager(*operands: Any, **params: Any) -> list[jax.Array]:
    return [jnp.asarray(x) for x in _on_host(*operands, **params)]


def _lowered(ctx: Any, *operands: Any, **params: Any) -> Any:
    _checks.no_symbols([aval.shape for aval in (*ctx.avals_in, *ctx.avals_out)])
    on_host = partial(_on_host, **params)
    found, _, _ = mlir.emit_python_callback(
        ctx, on_host, None, list(operands), ctx.avals_in, ctx.avals_out, has_side_effect=False
    )
    return found


def _batched(operands: Any, axes: Any, *, lead: tuple[int, ...], **params: Any) -> tuple[list[Any], list[int]]:
    size = next(x.shape[axis] for x, axis in zip(operands, axes, strict=True) if axis is not None)
    moved = (
        jnp.expand_dims(x, 0) if axis is None else jnp.moveaxis(x, axis, 0)
        for x, axis in zip(operands, axes, strict=True)
    )
    found = _primitive.bind(*moved, lead=(size, *lead), **params)
    return found, [0] * len(found)


_primitive.def_abstract_eval(_abstract)
_primitive.def_impl(_eager)
mlir.register_lowering(_primitive, _lowered)
batching.primitive_batchers[_primitive] = _batched
