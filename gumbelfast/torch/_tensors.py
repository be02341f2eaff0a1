"""What tensors are accepted, what is said of those that are not, and how the core sees their memory."""

from __future__ import annotations

import operator
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import forward_ad

from .. import _validate, _validate_distributions
from .._backend import active
from ..reference import kernels as _reference

Array = NDArray[Any]
_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)
_BF16, _STRIDED = torch.bfloat16, torch.strided
# What each dtype is computed in.
WORK: dict[torch.dtype, np.dtype[Any]] = {
    torch.float32: _F32,
    torch.float64: _F64,
    torch.bfloat16: _F32,
    torch.float16: _F32,
}


def is_transformed() -> bool:
    return bool(torch._C._are_functorch_transforms_active())


def is_watched() -> bool:
    """Whether a compiler or a function transform looks on, who must be told in operators what is done."""
    return torch.compiler.is_compiling() or is_transformed()


def is_forward_mode() -> bool:
    return not torch.compiler.is_compiling() and bool(forward_ad._current_level >= 0)


def is_plain(x: Tensor) -> bool:
    """Whether the memory of `x` may be handed to a kernel here and now, with at most reverse-mode gradients."""
    kind = type(x)
    return (kind is torch.Tensor or kind is torch.nn.Parameter) and not is_watched() and forward_ad._current_level < 0


def primal(x: Tensor) -> Tensor:
    """`x` without its derivatives, for what has none."""
    if is_forward_mode() and not is_watched():
        x = forward_ad.unpack_dual(x).primal
    return x.detach()


def work_of(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype is torch.float64 else torch.float32


def check(x: Any, name: str, instead: str) -> None:
    """Floats on the CPU; `instead` is what to call with other tensors."""
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(x).__name__}")
    if x.dtype in WORK and x.is_cpu and x.layout is _STRIDED:
        return
    if x.layout is not _STRIDED or x.is_quantized:
        what = "a quantized" if x.is_quantized else f"a {str(x.layout).removeprefix('torch.')}"
        raise TypeError(f"{name} must be a dense tensor, got {what} one; convert it, or use {instead}")
    if not x.is_cpu:
        raise NotImplementedError(f"{name} is on device {x.device}; gumbelfast works on the CPU, use {instead} there")
    raise TypeError(f"expected float16, bfloat16, float32 or float64, got {str(x.dtype).removeprefix('torch.')}")


def negative_dim(dim: Any, ndim: int) -> int:
    """`dim` counted from the end: -1 is the last."""
    try:
        inside = -ndim <= dim < ndim
    except TypeError:
        raise TypeError(f"dim must be an integer, got {dim!r}") from None
    if not inside:
        raise IndexError(f"dim must lie in [{-ndim}, {ndim - 1}], got {dim}")
    return int(dim) if dim < 0 else int(dim) - ndim


def size_of(size: Any) -> tuple[int, ...]:
    """A shape, given as such or as one number."""
    shape = tuple(size) if isinstance(size, (tuple, list)) else (operator.index(size),)
    if any(n < 0 for n in shape):
        raise ValueError(f"sizes must be >= 0, got {shape}")
    return shape


def count_of(number: Any, name: str, categories: int | None, error: type[Exception]) -> int:
    """How many to draw; without replacement at most all categories."""
    try:
        count = operator.index(number)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {number!r}") from None
    if count < 0:
        raise error(f"{name} must be >= 0, got {count}")
    if categories is not None and count > categories:
        raise error(f"{name}={count} exceeds the {categories} categories")
    return count


def check_temperature(temperature: Any, x: Tensor) -> None:
    """A number or tensor by which what `x` is computed in can be divided."""
    if not isinstance(temperature, torch.Tensor) or temperature.ndim == 0:
        number = temperature.item() if isinstance(temperature, torch.Tensor) else temperature
        _validate.positive_reciprocal(number, "temperature", WORK[x.dtype])
        return
    bad = ~((temperature > 0) & torch.isfinite(temperature))
    if bad.any():
        place = tuple(bad.nonzero()[0].tolist())
        raise ValueError(f"temperature must be finite and > 0, got {temperature[place].item()} at index {place}")


def check_finite(logits: Tensor) -> None:
    """Of a density that has no impossible values."""
    if not torch.isfinite(logits.detach()).all():
        _validate_distributions.finite_logits(wide(logits.reshape(logits.shape or 1), -1))


def joint_batch(batch: tuple[int, ...], temperature: tuple[int, ...]) -> torch.Size:
    """The batch shape that logits and temperatures have together."""
    try:
        return torch.broadcast_shapes(batch, temperature)
    except RuntimeError:
        raise ValueError(
            f"temperature of shape {tuple(temperature)} does not broadcast against the batch shape {tuple(batch)}"
        ) from None


def require_columns(x: Tensor, dim: int) -> None:
    if x.shape[dim] == 0:
        raise ValueError(f"dim {dim} has size 0")


def last(x: Tensor, dim: int) -> Tensor:
    """`x` with `dim` last: a view."""
    return x if dim == -1 else x.movedim(dim, -1)


def rows(x: Tensor, dim: int) -> Array:
    """The memory of `x` with `dim` last, copied only if it lies otherwise."""
    if dim != -1:
        x = x.movedim(dim, -1)
    return array(x if x.is_contiguous() else x.contiguous())


def array(x: Tensor) -> Array:
    """The memory of a contiguous tensor, as the active backend wants it."""
    if x.dtype is not _BF16:
        # Forced: detached, and written out where it is a negated view, as imaginary parts of conjugates are.
        return x.numpy(force=True)  # type: ignore[no-any-return]
    bits: Array = x.detach().view(torch.int16).numpy()
    if active() is not _reference:
        return bits  # the core takes what has two bytes and is no float for bfloat16
    import ml_dtypes

    return bits.view(ml_dtypes.bfloat16)


def tensor(rows: Array, dtype: torch.dtype, dim: int) -> Tensor:
    """The tensor with `dim` where it belongs that shares the memory of rows: cheaper than one of torch's own memory."""
    x = torch.from_numpy(rows) if dtype is not _BF16 else torch.from_numpy(rows.view(np.int16)).view(dtype)
    return x if dim == -1 else x.movedim(-1, dim)


def result_like(x: Tensor, x_rows: Array, dim: int) -> tuple[Tensor, Array]:
    """A new tensor laid out as `x`, and rows that a kernel may write: the tensor's own memory wherever possible."""
    if dim == -1 and x.is_contiguous():
        written = np.empty(x_rows.shape, x_rows.dtype)
        return tensor(written, x.dtype, -1), written
    result = torch.empty_like(x)
    seen = last(result, dim)
    return result, array(seen if seen.is_contiguous() else torch.empty(seen.shape, dtype=seen.dtype))


def settle(result: Tensor, written: Array, dim: int) -> Tensor:
    """`result`, once what a kernel wrote elsewhere is in it."""
    if dim != -1 or not result.is_contiguous():
        seen = last(result, dim)
        if seen.data_ptr() != written.__array_interface__["data"][0]:
            seen.copy_(tensor(written, result.dtype, -1))
    return result


def wide(x: Tensor, dim: int) -> Array:
    """Rows that NumPy can compute with: half types as float32."""
    return rows(x if x.dtype in (torch.float32, torch.float64) else x.float(), dim)


def refuse(logits: Tensor, dim: int) -> NoReturn:
    """Says why a kernel refused logits."""
    _validate.refuse(wide(logits, dim), None, dim)
