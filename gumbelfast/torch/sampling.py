"""Draws of categories: with replacement, and without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary, has_torch_function_variadic

from .._engine import table_checks
from . import _checks, _draws, _ops, _tensors


class TopK(NamedTuple):
    """Draws without replacement, in order, with fields in the order of `torch.topk`: values, then indices.

    `gumbelfast.TopK` has the indices first, and calls the values ``perturbed``.
    """

    values: Tensor
    indices: Tensor


def categorical(
    logits: Tensor,
    sample_shape: int | Sequence[int] = (),
    *,
    dim: int = -1,
    mask: Tensor | None = None,
    method: str = "gumbel",
    generator: Any = None,
) -> Tensor:
    r"""Draw from the categorical distribution of each row of logits, by the Gumbel-max trick.

    Parameters
    ----------
    logits : Tensor of float16, bfloat16, float32 or float64
        Unnormalised log-probabilities; -inf is never drawn.
    sample_shape : int or sequence of int, default ()
        Draws per row, as in `torch.distributions`.
    dim : int, default -1
        The dimension of the categories.
    mask : Tensor of bool, optional
        True where a category is allowed; broadcasts to `logits`. Masked logits are not read.
    method : {"gumbel", "alias"}, default "gumbel"
        "alias" draws other values of the same distribution from an alias table, which pays off from hundreds of draws
        per row on.
    generator : torch.Generator or gumbelfast.Generator, optional
        As in `gumbel_softmax`.

    Returns
    -------
    Tensor of int64
        Shape ``sample_shape`` and then that of `logits` without `dim`.

    Raises
    ------
    TypeError, ValueError, IndexError, NotImplementedError
        As in `gumbel_softmax`, for a negative `sample_shape`, another `method`, and a mask that is not boolean or
        does not broadcast.

    Notes
    -----
    The values are those of `gumbelfast.categorical` under the same key: the first draws of many are those of fewer.

    Examples
    --------
    >>> import torch
    >>> from gumbelfast.torch import categorical
    >>> categorical(torch.zeros(3, 5), 10).shape
    torch.Size([10, 3])
    """
    if has_torch_function_variadic(logits, mask):
        return handle_torch_function(
            categorical, (logits, mask), logits, sample_shape, dim=dim, mask=mask, method=method, generator=generator
        )
    table_checks.one_of(method, "method", ("gumbel", "alias"))
    plain = _tensors.check(logits, "logits", "torch.multinomial(logits.softmax(-1), ...)")
    dim = _tensors.negative_dim(dim, logits.ndim or 1)
    if logits.ndim == 0:
        logits = logits.reshape(1)
    if not plain or mask is not None:
        logits = _checks.masked(_tensors.primal(logits), mask)
    return _draw_categories(logits, plain and mask is None, sample_shape, dim, method, generator)


def categorical_of(probs: Tensor, sample_shape: Sequence[int], generator: Any) -> Tensor:
    """Draws from rows of weights, which race as they are: the first ones that `multinomial` draws from each."""
    plain = _tensors.check(probs, "probs", "torch.multinomial")
    return _draw_categories(probs if plain else _tensors.primal(probs), plain, sample_shape, -1, "race", generator)


def _draw_categories(
    x: Tensor, plain: bool, sample_shape: int | Sequence[int], dim: int, method: str, generator: Any
) -> Tensor:
    if not plain and _tensors.is_traced(x):
        return _ops.categorical(x, _checks.kept_size(sample_shape), dim, method, [], _ops.token(generator))
    return _draws.categorical(x, _tensors.size_of(sample_shape), dim, method, generator)


def gumbel_top_k(logits: Tensor, k: int, dim: int = -1, *, mask: Tensor | None = None, generator: Any = None) -> TopK:
    r"""Draw k categories per row without replacement, in order, by the k largest perturbed logits.

    Parameters
    ----------
    logits : Tensor of float16, bfloat16, float32 or float64
        Unnormalised log-probabilities; -inf is never drawn.
    k : int
        How many, at most the categories.
    dim : int, default -1
        The dimension of the categories.
    mask : Tensor of bool, optional
        As in `categorical`.
    generator : torch.Generator or gumbelfast.Generator, optional
        As in `gumbel_softmax`.

    Returns
    -------
    TopK
        ``(values, indices)`` as of ``torch.topk(logits + noise, k, dim)``, which this call replaces: the perturbed
        logits, largest first, and their places (int64). `gumbelfast.gumbel_top_k` has the indices first. Values are
        float32 for half types, otherwise of the dtype of `logits`. They have a gradient: 1 at what was drawn.

    Raises
    ------
    TypeError, ValueError, IndexError, NotImplementedError
        As in `categorical`; ValueError too if k exceeds the categories, or the finite logits of a row.

    Notes
    -----
    Successive sampling with probabilities ``softmax(logits)``, the Plackett-Luce model: Vieira (2014); Kool, van Hoof
    and Welling, "Stochastic beams and where to find them" (2019).

    Examples
    --------
    >>> import torch, gumbelfast.torch
    >>> values, indices = gumbelfast.torch.gumbel_top_k(torch.zeros(4, 10), 3)
    >>> indices.shape, bool((values.diff(dim=-1) <= 0).all())
    (torch.Size([4, 3]), True)
    """
    values, indices = _pair(logits, k, dim, mask=mask, generator=generator)
    return TopK(values, indices)


def _pair(logits: Tensor, k: int, dim: int, *, mask: Tensor | None, generator: Any) -> tuple[Tensor, Tensor]:
    """A tuple, which `__torch_function__` of subclasses can wrap again."""
    if has_torch_function_variadic(logits, mask):
        pair: tuple[Tensor, Tensor] = handle_torch_function(
            _pair, (logits, mask), logits, k, dim, mask=mask, generator=generator
        )
        return pair
    plain = _tensors.check(logits, "logits", "torch.topk on perturbed logits")
    dim = _tensors.negative_dim(dim, logits.ndim or 1)
    if logits.ndim == 0:
        logits = logits.reshape(1)
    logits, plain = _checks.masked(logits, mask), plain and mask is None
    if isinstance(k, torch.Tensor) and k.ndim:
        raise TypeError(f"k must be an integer for all rows, got a tensor of shape {tuple(k.shape)}")
    if not plain and _tensors.is_traced(logits):
        k = _checks.kept_count(k, "k", ValueError)
        values, indices = _ops.top_k(_tensors.primal(logits), k, dim, [], _ops.token(generator))
    else:
        values, indices = _draws.top_k(logits if plain else _tensors.primal(logits), k, dim, generator)
        if not ((not plain and _tensors.is_forward_mode()) or (logits.requires_grad and torch.is_grad_enabled())):
            return values, indices
    drawn = logits.gather(dim, indices).to(values.dtype)
    return values + (drawn - drawn.detach()), indices  # adds 0, with the gradient of a gather


def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Tensor:
    r"""Draw `num_samples` categories from each row of weights, as `torch.multinomial`.

    Parameters
    ----------
    input : Tensor of float16, bfloat16, float32 or float64
        Weights, one row or a matrix of rows: finite, >= 0 and not all 0; they need not sum to 1. What weighs 0 is
        never drawn. There may be more than ``2**24`` of them.
    num_samples : int
        At least 1; without replacement at most the weights of a row that are not 0.
    replacement : bool, default False
        With it draws are independent. Without, each is drawn in proportion to the weights that are left, and the
        result is in the order of the draw.
    generator : torch.Generator or gumbelfast.Generator, optional
        As in `gumbel_softmax`.

    Returns
    -------
    Tensor of int64
        Shape ``(num_samples,)`` or ``(rows, num_samples)``.

    Raises
    ------
    RuntimeError
        Where `torch.multinomial` raises it: bad weights, a row that has too few, another number of dimensions.
    TypeError, NotImplementedError
        For tensors that hold no floats, and for those on other devices.

    Notes
    -----
    Without replacement: the largest w / E with standard exponentials E, which is Gumbel-top-k without the logarithms
    (Efraimidis and Spirakis 2006; Vieira 2014). With it: inversion, as
    `gumbelfast.Categorical` does it. Half types are drawn from as float32.

    Examples
    --------
    >>> import torch, gumbelfast.torch
    >>> weights = torch.tensor([0.0, 1.0, 3.0])
    >>> sorted(gumbelfast.torch.multinomial(weights, 2).tolist())  # without replacement, never what has no weight
    [1, 2]
    """
    if has_torch_function_unary(input):
        return handle_torch_function(multinomial, (input,), input, num_samples, replacement, generator=generator)
    plain = _tensors.check(input, "input", "torch.multinomial")
    if input.ndim not in (1, 2):
        raise RuntimeError(
            f"input must have 1 or 2 dimensions, got {input.ndim}; gumbelfast.torch.categorical draws from the "
            "logarithms of weights of any shape"
        )
    if not plain:
        input = _tensors.primal(input)
        if _tensors.is_traced(input):
            count = _checks.kept_count(num_samples, "num_samples", RuntimeError)
            return _ops.multinomial(input, count, replacement, [], _ops.token(generator))
    return _draws.multinomial(input, num_samples, replacement, generator)
