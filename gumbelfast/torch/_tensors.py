"""Checks of tensors, the errors for those that are refused, and how the core sees their memory."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import forward_ad
from torch.fx import _symbolic_trace as _fx

from .._core import view_memory
from .._engine import checks, refused, row_checks
from .._engine.backend import active
from ..reference import kernels as _reference

Array = NDArray[Any]
_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)
_BF16, _STRIDED = torch.bfloat16, torch.strided
_BF16_BITS = np.dtype("V2")  # what the core takes for bfloat16, so that ml_dtypes need not be there
# Every call asks these, so they are looked up once.
_Tensor, _Parameter = torch.Tensor, torch.nn.Parameter
_is_compiling, _is_jit_tracing = torch.compiler.is_compiling, torch._C._is_tracing
_count_modes, _has_transforms = torch._C._len_torch_dispatch_stack, torch._C._are_functorch_transforms_active
_is_functional, _is_included = torch._is_functional_tensor, torch._C._dispatch_tls_is_dispatch_key_included
_FUNCTIONALIZE = torch._C.DispatchKey.Functionalize
# What each dtype is computed in.
WORK: dict[torch.dtype, np.dtype[Any]] = {
    torch.float32: _F32,
    torch.float64: _F64,
    torch.bfloat16: _F32,
    torch.float16: _F32,
}
# What kernels see of each dtype.
_SEEN: dict[torch.dtype, np.dtype[Any]] = {
    torch.float32: _F32,
    torch.float64: _F64,
    torch.float16: np.dtype(np.float16),
    _BF16: _BF16_BITS,
}


def is_transformed() -> bool:
    return bool(_has_transforms())


def is_watched() -> bool:
    """Whether a compiler, a tracer, a mode or a transform observes the call and needs operators."""
    # is_compiling comes first: under torch.compile it is a constant, and the others are not evaluated.
    return (  # type: ignore[no-any-return]
        _is_compiling()
        or _count_modes() > 0
        or _has_transforms()
        or _is_jit_tracing()
        or _fx._is_fx_tracing_flag
        or _is_included(_FUNCTIONALIZE)
    )


def is_symbolic_trace() -> bool:
    """Whether only `torch.fx.symbolic_trace` observes the call, whose graph keeps plain tensors as constants."""
    if not _fx._is_fx_tracing_flag or _is_compiling() or _count_modes() > 0:
        return False
    from torch.fx.experimental.proxy_tensor import get_proxy_mode

    return get_proxy_mode() is None


def is_traced(x: Tensor) -> bool:
    """Whether only operators may work on `x`: the call is observed, or its memory is not accessible."""
    kind = type(x)
    own = kind is _Tensor or kind is _Parameter
    return not own or is_watched() or _is_functional(x) or bool(x.is_meta)


def is_forward_mode() -> bool:
    return not _is_compiling() and bool(forward_ad._current_level >= 0)


def is_plain(x: Tensor) -> bool:
    """Whether the memory of a CPU tensor may be handed to a kernel now, with at most reverse-mode gradients."""
    return not is_traced(x) and forward_ad._current_level < 0


def primal(x: Tensor) -> Tensor:
    """`x` without its derivatives, for results that have none."""
    if is_forward_mode() and not is_traced(x):
        x = forward_ad.unpack_dual(x).primal
    return x.detach()


def work_of(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype is torch.float64 else torch.float32


def check(x: Any, name: str, instead: str) -> bool:
    """Whether `x` is plain, of tensors of floats on the CPU or on no device; `instead` is for others."""
    kind = type(x)
    dense = (kind is _Tensor or kind is _Parameter) and x.dtype in WORK and x.layout is _STRIDED and not x.is_nested
    if dense and x.is_cpu:  # the most common case, so that small calls stay cheap
        return not (is_watched() or _is_functional(x)) and forward_ad._current_level < 0
    if not isinstance(x, _Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(x).__name__}")
    if x.dtype in WORK and x.layout is _STRIDED and not x.is_nested:
        if x.is_cpu:
            return is_plain(x)
        if x.is_meta:
            return False
    refuse_nested(x, name, instead)
    if x.layout is not _STRIDED or x.is_quantized:
        what = "a quantized" if x.is_quantized else f"a {str(x.layout).removeprefix('torch.')}"
        raise TypeError(f"{name} must be a dense tensor, got {what} one; convert it, or use {instead}")
    if not (x.is_cpu or x.is_meta):
        raise NotImplementedError(f"{name} is on device {x.device}; gumbelfast works on the CPU, use {instead} there")
    raise TypeError(f"expected float16, bfloat16, float32 or float64, got {str(x.dtype).removeprefix('torch.')}")


def refuse_nested(x: Tensor, name: str, instead: str) -> None:
    if x.is_nested:
        raise TypeError(f"{name} is a nested tensor; call this for each of its parts, or use {instead}")


def negative_dim(dim: Any, ndim: int) -> int:
    """`dim` counted from the end: -1 is the last."""
    if type(dim) is int and dim == -1 and ndim:  # as most calls have it; -1.0 is equal to -1
        return -1
    place = checks.as_integer(dim, "dim")
    if not -ndim <= place < ndim:
        raise IndexError(f"dim must lie in [{-ndim}, {ndim - 1}], got {place}")
    return place if place < 0 else place - ndim


def size_of(size: Any) -> tuple[int, ...]:
    """A shape, given as such or as one number."""
    if type(size) is tuple and not size:
        return size
    several: Any = size if isinstance(size, (tuple, list)) or np.ndim(size) else (size,)
    # A compiler may not know an integer yet.
    shape = tuple([n if isinstance(n, torch.SymInt) else checks.as_integer(n, "size", below=2**63) for n in several])
    if any(n < 0 for n in shape):
        raise ValueError(f"sizes must be >= 0, got {shape}")
    return shape


def count_of(number: Any, name: str, categories: int | None, error: type[Exception]) -> int:
    """How many to draw; without replacement at most all categories."""
    count = checks.as_integer(number, name)
    if count < 0:
        raise error(f"{name} must be >= 0, got {count}")
    if categories is not None and count > categories:
        raise error(f"{name}={count} exceeds the {categories} categories")
    return count


def check_temperature(temperature: Any, x: Tensor) -> None:
    """A number or tensor by which what `x` is computed in can be divided."""
    if not isinstance(temperature, torch.Tensor) or temperature.ndim == 0:
        number = temperature.item() if isinstance(temperature, torch.Tensor) else temperature
        checks.positive_reciprocal(number, "temperature", WORK[x.dtype])
        return
    bad = ~((temperature > 0) & torch.isfinite(temperature))
    if bad.any():
        place = tuple(bad.nonzero()[0].tolist())
        raise ValueError(f"temperature must be finite and > 0, got {temperature[place].item()} at index {place}")


def check_finite(logits: Tensor) -> None:
    """Of a density that has no impossible values."""
    if not torch.isfinite(logits.detach()).all():
        checks.finite_logits(wide(logits.reshape(logits.shape or 1), -1))


def joint_batch(batch: tuple[int, ...], temperature: tuple[int, ...]) -> torch.Size:
    """The batch shape that logits and temperatures have together."""
    try:
        return torch.broadcast_shapes(batch, temperature)
    except RuntimeError:
        raise ValueError(
            f"temperature of shape {tuple(temperature)} does not broadcast against the batch shape {tuple(batch)}"
        ) from None


def is_one_a_row(tau: Tensor, x: Tensor, dim: int) -> bool:
    """Whether a tensor that broadcasts against `x` is the same along `dim`."""
    if tau.ndim > x.ndim or (tau.ndim >= -dim and tau.shape[dim] != 1):
        return False
    return all(n in (1, m) for n, m in zip(reversed(tau.shape), reversed(x.shape), strict=False))


def reciprocals(tau: Any, x: Tensor, dim: int) -> float | Array:
    """1/tau of a temperature, or of one per row, once it is checked."""
    if not isinstance(tau, torch.Tensor):
        return checks.positive_reciprocal(tau, "tau", WORK[x.dtype])
    if tau.numel() == 1:
        return checks.positive_reciprocal(tau.item(), "tau", WORK[x.dtype])
    shape = list(x.shape)
    shape[dim] = 1
    each = tau.detach().double().expand(shape).movedim(dim, -1).squeeze(-1)
    return row_checks.positive_reciprocals(each.numpy(), "tau", tuple(each.shape), WORK[x.dtype])


def spread(scale: float | Array, x: Tensor, dim: int) -> float | Tensor:
    """What `reciprocals` returned, as it broadcasts against `x`."""
    if isinstance(scale, float):
        return scale
    shape = list(x.shape)
    del shape[dim]
    return torch.from_numpy(scale).reshape(*shape, 1).movedim(-1, dim)


def require_columns(x: Tensor, dim: int) -> None:
    if x.shape[dim] == 0:
        raise ValueError(f"dim {dim} has size 0")


def last(x: Tensor, dim: int) -> Tensor:
    """`x` with `dim` last: a view."""
    return x if dim == -1 else x.movedim(dim, -1)


def rows(x: Tensor, dim: int) -> Array:
    """The memory of `x` with `dim` last, copied only if kernels cannot read it as it lies."""
    if dim != -1:
        x = x.movedim(dim, -1)
    if x.is_contiguous():
        return array(x)
    seen = array(x)
    return seen if checks.lies_in_rows(seen) else array(x.contiguous())


def array(x: Tensor) -> Array:
    """The memory of a tensor, as the active backend wants it."""
    dtype = _SEEN.get(x.dtype)
    if dtype is not None and x.is_contiguous() and not x.is_neg() and active() is not _reference:
        try:
            address = x.data_ptr()
        except RuntimeError:  # what a transform wrapped, and has outlived it
            address = 0
        if address:  # torch finds some where there is none, as of zeros that are not stored
            return view_memory(x, address, x.shape, dtype)
    if x.dtype is not _BF16:
        # Forced: detached, and written out where it is a negated view, as imaginary parts of conjugates are.
        return x.numpy(force=True)  # type: ignore[no-any-return]
    bits: Array = x.detach().view(torch.int16).numpy()
    if active() is not _reference:
        return bits.view(_BF16_BITS)
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


def readable(x: Tensor) -> Array:
    """Numbers for NumPy's checks, which need not know bfloat16."""
    x = x.detach()
    return (x.float() if x.dtype is _BF16 else x).numpy(force=True)  # type: ignore[no-any-return]


def as_given(setting: Any) -> Any:
    """A tensor for NumPy's checks, and all else as it is."""
    return readable(setting) if isinstance(setting, torch.Tensor) else setting


def wide(x: Tensor, dim: int) -> Array:
    """Rows that NumPy can compute with: half types as float32."""
    return rows(x if x.dtype in (torch.float32, torch.float64) else x.float(), dim)


def refuse(logits: Tensor, dim: int) -> NoReturn:
    """Raises the error for logits that a kernel refused."""
    refused.refuse(rows(logits, dim), None, dim)
