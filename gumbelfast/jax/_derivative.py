"""The derivative of softmax as a primitive of JAX's: linear in the tangent, and its own transpose, by one kernel.

As a jnp formula it would take XLA two to three times as long; with `jax.custom_vjp` there would be no forward mode.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from . import _calls
from ._calls import Settings

_primitive = Primitive("gumbelfast_softmax_derivative")


def along(t: Any, y: Any, scale: Any, how: Settings) -> Any:
    """``scale * y * (t - sum(t * y))`` along the last axis, rounded once; `scale` may have leading axes of t and y."""
    return _primitive.bind(t, y, scale, how=how)


def _abstract(t: Any, y: Any, scale: Any, how: Settings) -> Any:
    return t.update(weak_type=False)


def _compiled(t: Any, y: Any, scale: Any, how: Settings) -> Any:
    return _calls.call(how, "softmax_backward", (jax.ShapeDtypeStruct(t.shape, t.dtype),), t, y, scale)[0]


_primitive.def_abstract_eval(_abstract)
_primitive.def_impl(jax.jit(_compiled, static_argnames="how"))
mlir.register_lowering(_primitive, mlir.lower_fun(_compiled, multiple_results=False))


def _along_t(t_dot: Any, t: Any, y: Any, scale: Any, how: Settings) -> Any:
    return along(t_dot, y, scale, how)


def _formula(t: Any, y: Any, scale: Any) -> Any:
    """The same in jnp, for derivatives along y and scale: those of second order."""
    wide_t, wide_y = t.astype(scale.dtype), y.astype(scale.dtype)
    across = scale.reshape(scale.shape + (1,) * (t.ndim - scale.ndim))
    return (across * wide_y * (wide_t - (wide_t * wide_y).sum(-1, keepdims=True))).astype(t.dtype)


def _along_y(y_dot: Any, t: Any, y: Any, scale: Any, how: Settings) -> Any:
    return jax.jvp(lambda y: _formula(t, y, scale), (y,), (y_dot,))[1]


def _along_scale(scale_dot: Any, t: Any, y: Any, scale: Any, how: Settings) -> Any:
    return _formula(t, y, scale_dot)


def _transposed(cotangent: Any, t: Any, y: Any, scale: Any, how: Settings) -> tuple[Any, None, None]:
    if type(cotangent) is ad.Zero:
        return ad.Zero(t.aval), None, None
    return along(cotangent, y, scale, how), None, None


def _batched(operands: Any, axes: Any, how: Settings) -> tuple[Any, int]:
    size = next(x.shape[axis] for x, axis in zip(operands, axes, strict=True) if axis is not None)
    t, y, scale = (
        jnp.broadcast_to(x, (size, *x.shape)) if axis is None else jnp.moveaxis(x, axis, 0)
        for x, axis in zip(operands, axes, strict=True)
    )
    return along(t, y, scale, how), 0


ad.defjvp(_primitive, _along_t, _along_y, _along_scale)
ad.primitive_transposes[_primitive] = _transposed
batching.primitive_batchers[_primitive] = _batched
