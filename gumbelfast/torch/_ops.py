"""Operators that compilers and function transforms know: `torch.ops.gumbelfast`.

Each draws its key from torch's default generator, as an eager call does. The last argument is an empty tensor that says
how `vmap` is to treat randomness.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .._engine.tokens import Asked
from . import _checks, _draws, _formulas, _tensors


def token(generator: Any) -> Tensor:
    """An empty tensor; a random one has the batch, or raises the error, that a `vmap` with ``randomness=`` asks for."""
    if generator is not None:
        raise NotImplementedError(
            "generator= cannot be traced: what is compiled, traced or transformed, and subclasses of tensors, "
            "draw under torch.manual_seed"
        )
    if _tensors.is_symbolic_trace():
        raise NotImplementedError(
            "torch.fx.symbolic_trace would keep a draw from constants for good: draw from what the traced "
            "function is given, as by gumbel_like(x)"
        )
    # In compiled code a random tensor would move the generator, of which compilers draw a seed.
    compiled = torch.compiler.is_compiling() and not torch.compiler.is_exporting()
    return (torch.empty if compiled and not _tensors.is_transformed() else torch.rand)(0, device="cpu")


def _op(name: str, implementation: Callable[..., Any], fake: Callable[..., Any]) -> Any:
    # Seeded: two calls are two draws, so compilers must neither merge nor repeat them.
    tags = (torch.Tag.nondeterministic_seeded,)
    made = torch.library.custom_op(
        f"gumbelfast::{name}", implementation, mutates_args=(), device_types="cpu", tags=tags
    )
    made.register_fake(fake)
    return made


def _first(x: Tensor, batch_dim: int | None, size: int) -> Tensor:
    """`x` with the batch of a `vmap` in front."""
    return x.expand(size, *x.shape) if batch_dim is None else x.movedim(batch_dim, 0)


def _noise(kind: str, size: Sequence[int], dtype: torch.dtype, token: Tensor) -> Tensor:
    return _draws.noise(kind, tuple(size), dtype, None)


def _noise_like(kind: str, like: Tensor, dtype: torch.dtype, token: Tensor) -> Tensor:
    return _draws.noise(kind, tuple(like.shape), dtype, None)


def _checked_noise(x: Tensor, tau: Tensor, dim: int, token: Tensor) -> Tensor:
    """Gumbel noise with `dim` last, once logits and temperatures are checked."""
    _checks.require_rows(x, tau, dim)
    return _draws.noise("gumbel", tuple(_tensors.last(x, dim).shape), _tensors.work_of(x), None)


def _soft(logits: Tensor, tau: Tensor, dim: int, token: Tensor) -> Tensor:
    soft: Tensor = _draws.relaxed(logits, _tensors.reciprocals(tau, logits, dim), True, False, dim, None)[0]
    return soft


def _hard(logits: Tensor, tau: Tensor, dim: int, token: Tensor) -> tuple[Tensor, Tensor]:
    soft, hard = _draws.relaxed(logits, _tensors.reciprocals(tau, logits, dim), True, True, dim, None)
    return hard, soft


# `shared` is that of `_draws`; torch.jit.trace knows no lists of booleans.


def _categorical(
    logits: Tensor, sample_shape: Sequence[int], dim: int, method: str, shared: Sequence[int], token: Tensor
) -> Tensor:
    return _draws.categorical(logits, _tensors.size_of(sample_shape), dim, method, None, shared)


def _top_k(logits: Tensor, k: int, dim: int, shared: Sequence[int], token: Tensor) -> tuple[Tensor, Tensor]:
    return _draws.top_k(logits, k, dim, None, shared)


def _multinomial(weights: Tensor, draws: int, replacement: bool, shared: Sequence[int], token: Tensor) -> Tensor:
    return _draws.multinomial(weights, draws, replacement, None, shared)


def _sample_tokens(
    logits: Tensor,
    temperature: Tensor | None,
    top_k: Tensor | None,
    top_p: Tensor | None,
    min_p: Tensor | None,
    temperature_last: bool,
    min_tokens_to_keep: Tensor | None,
    top_n_sigma: Tensor | None,
    typical_p: Tensor | None,
    epsilon_cutoff: Tensor | None,
    eta_cutoff: Tensor | None,
    seeds: Tensor | None,
    positions: Tensor | None,
    mask: Tensor | None,
    size: Sequence[int],
    invalid: int | None,
    token: Tensor,
) -> Tensor:
    given = Asked(
        temperature, top_k, top_p, min_p, temperature_last, min_tokens_to_keep, top_n_sigma, typical_p, epsilon_cutoff,
        eta_cutoff,
    )  # fmt: skip
    *asked, seeds, positions = (_tensors.as_given(each) for each in (*given, seeds, positions))
    return _draws.tokens(logits, Asked(*asked), seeds, positions, mask, _tensors.size_of(size), invalid, None)[0]


# Where sizes are symbols, counts that are too large are refused when the operator runs.


def _known(*numbers: Any) -> bool:
    return all(type(n) is int for n in numbers)


def _shape_of_top_k(logits: Tensor, k: int, dim: int, shared: Sequence[int], token: Tensor) -> tuple[Tensor, Tensor]:
    shape = list(logits.shape)
    if _known(k, shape[dim]):
        _tensors.count_of(k, "k", shape[dim], ValueError)
    shape[dim] = k
    return logits.new_empty(shape, dtype=_tensors.work_of(logits)), logits.new_empty(shape, dtype=torch.int64)


def _shape_of_categorical(
    logits: Tensor, sample_shape: Sequence[int], dim: int, method: str, shared: Sequence[int], token: Tensor
) -> Tensor:
    shape = list(logits.shape)
    del shape[dim]
    return logits.new_empty([*sample_shape, *shape], dtype=torch.int64)


def _shape_of_tokens(logits: Tensor, *settings: Any) -> Tensor:
    size = settings[-3]
    return logits.new_empty([*size, *logits.shape[:-1]], dtype=torch.int64)


def _shape_of_multinomial(
    weights: Tensor, draws: int, replacement: bool, shared: Sequence[int], token: Tensor
) -> Tensor:
    *rows, columns = weights.shape
    if _known(draws, columns):
        _checks.draws_of(draws, columns, replacement)
    return weights.new_empty([*rows, draws], dtype=torch.int64)


def _shape_of_checked_noise(x: Tensor, tau: Tensor, dim: int, token: Tensor) -> Tensor:
    return x.new_empty(_tensors.last(x, dim).shape, dtype=_tensors.work_of(x))


noise = _op("noise", _noise, lambda kind, size, dtype, token: torch.empty(size, dtype=dtype, device="cpu"))
noise_like = _op(
    "noise_like",
    _noise_like,
    lambda kind, like, dtype, token: torch.empty(like.shape, dtype=dtype, device=like.device),
)
checked_noise = _op("checked_noise", _checked_noise, _shape_of_checked_noise)
# tau: a tensor of float64, one or one per row, so that no program is compiled anew for another value.
gumbel_softmax = _op("gumbel_softmax", _soft, lambda logits, tau, dim, token: torch.empty_like(logits))
gumbel_softmax_hard = _op(
    "gumbel_softmax_hard",
    _hard,
    lambda logits, tau, dim, token: (torch.empty_like(logits), torch.empty_like(logits)),
)
categorical = _op("categorical", _categorical, _shape_of_categorical)
top_k = _op("gumbel_top_k", _top_k, _shape_of_top_k)
multinomial = _op("multinomial", _multinomial, _shape_of_multinomial)
sample_tokens = _op("sample_tokens", _sample_tokens, _shape_of_tokens)


def tensor_of(tau: float | Tensor) -> Tensor:
    """A temperature as what operators take."""
    # A product with a number that changes is what torch.compile makes of tensors.
    return tau if isinstance(tau, torch.Tensor) else torch.ones((), dtype=torch.float64, device="cpu") * tau


def noise_for(logits: Tensor, tau: Tensor, dim: int, generator: Any) -> Tensor:
    """Gumbel noise with `dim` last, after checks of logits and temperatures, by an operator or directly."""
    if _tensors.is_traced(logits) or _tensors.is_traced(tau):
        noise: Tensor = checked_noise(_tensors.primal(logits), tau.detach(), dim, token(generator))
        return noise
    _checks.require_rows(logits, tau, dim)
    return _draws.noise("gumbel", tuple(_tensors.last(logits, dim).shape), _tensors.work_of(logits), generator)


def _keep_soft(ctx: Any, inputs: Any, output: Any) -> None:
    _, tau, ctx.dim, _ = inputs
    ctx.save_for_backward(output, tau)


def _keep_hard(ctx: Any, inputs: Any, output: Any) -> None:
    _keep_soft(ctx, inputs, output[1])


def _backward(ctx: Any, *grads: Tensor) -> Any:
    grad = grads[0] if len(grads) == 1 else grads[0] + grads[1]
    soft, tau = ctx.saved_tensors
    return _formulas.pull("softmax", grad, soft, 1 / tau, ctx.dim), None, None, None


gumbel_softmax.register_autograd(_backward, setup_context=_keep_soft)
gumbel_softmax_hard.register_autograd(_backward, setup_context=_keep_hard)


@noise.register_vmap
def _(info: Any, in_dims: Any, kind: str, size: Sequence[int], dtype: torch.dtype, token: Tensor) -> Any:
    return noise(kind, [info.batch_size, *size], dtype, token.select(in_dims[3], 0)), 0


@noise_like.register_vmap
def _(info: Any, in_dims: Any, kind: str, like: Tensor, dtype: torch.dtype, token: Tensor) -> Any:
    shape = like.shape if in_dims[1] is None else like.movedim(in_dims[1], 0).shape[1:]
    if in_dims[3] is None:
        return noise(kind, shape, dtype, token), None
    return noise(kind, [info.batch_size, *shape], dtype, token.select(in_dims[3], 0)), 0


@checked_noise.register_vmap
def _(info: Any, in_dims: Any, x: Tensor, tau: Tensor, dim: int, token: Tensor) -> Any:
    batch = _first(x, in_dims[0], info.batch_size)
    if in_dims[3] is not None:
        return checked_noise(batch, tau, dim, token.select(in_dims[3], 0)), 0
    _checks.require_rows(batch, tau, dim)
    return noise("gumbel", _tensors.last(batch, dim).shape[1:], _tensors.work_of(x), token), None


def _mapped(x: Tensor, x_dim: int | None, size: int, shared: Sequence[int], token: Tensor, dim: int | None) -> Any:
    """`x` with the batch in front, whether its examples share their noise, and the token for all of them."""
    one = token if dim is None else token.select(dim, 0)
    return _first(x, x_dim, size), [int(dim is None), *shared], one


@categorical.register_vmap
def _(
    info: Any,
    dims: Any,
    logits: Tensor,
    sample_shape: Sequence[int],
    dim: int,
    method: str,
    shared: Sequence[int],
    token: Tensor,
) -> Any:
    batch, shared, token = _mapped(logits, dims[0], info.batch_size, shared, token, dims[5])
    return categorical(batch, sample_shape, dim, method, shared, token), len(sample_shape)


@top_k.register_vmap
def _(info: Any, dims: Any, logits: Tensor, k: int, dim: int, shared: Sequence[int], token: Tensor) -> Any:
    batch, shared, token = _mapped(logits, dims[0], info.batch_size, shared, token, dims[4])
    return top_k(batch, k, dim, shared, token), (0, 0)


@multinomial.register_vmap
def _(
    info: Any, dims: Any, weights: Tensor, draws: int, replacement: bool, shared: Sequence[int], token: Tensor
) -> Any:
    batch, shared, token = _mapped(weights, dims[0], info.batch_size, shared, token, dims[4])
    return multinomial(batch, draws, replacement, shared, token), 0
