"""Perturbed optimisers: an argmax that is differentiable in expectation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks, sources
from .._engine.checks import real
from .._engine.types import SeedLike
from .._sampling.noise import gumbel
from ..random import Generator, default_rng
from . import _checks

Array = NDArray[Any]
VJP = Callable[[ArrayLike], Array]


@dataclass(frozen=True)
class PerturbedArgmax:
    """The result of `make_perturbed_argmax`: a function from theta to value and vector-Jacobian product.

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.structures import make_perturbed_argmax
    >>> largest = make_perturbed_argmax(lambda theta: np.eye(3)[theta.argmax(axis=-1)], num_samples=2000)
    >>> value, vjp = largest(np.log([0.1, 0.2, 0.7]), rng=0)
    >>> bool(np.abs(value - [0.1, 0.2, 0.7]).max() < 0.05)  # with Gumbel noise: the softmax
    True
    """

    argmax_fn: Callable[[Array], ArrayLike]
    num_samples: int
    sigma: float
    noise: str
    event_ndim: int

    def __call__(self, theta: ArrayLike, *, rng: SeedLike = None) -> tuple[Array, VJP]:
        r"""The Monte Carlo estimate of :math:`E[y^*(\theta + \sigma Z)]`, and its vector-Jacobian product.

        Parameters
        ----------
        theta : array_like of float16, bfloat16, float32 or float64, shape (*batch, *event)
            `event` has `event_ndim` axes; each entry of the batch is a problem of its own.
        rng : {None, int, sequence of int, SeedSequence, BitGenerator, Generator}, optional
            Where the noise comes from.

        Returns
        -------
        value : ndarray of shape (*batch, ...)
            The mean of what `argmax_fn` returned, float32, or float64 for float64 `theta`.
        vjp : callable
            From a gradient with respect to `value`, of its shape, to one with respect to `theta`, of its shape and of
            the dtype of `value`. It uses the samples of `value` again, and may be called any number of times.

        Raises
        ------
        TypeError
            For `theta` that are not floats, and results of `argmax_fn` that are not real numbers.
        ValueError
            For `theta` that is not finite or has too few axes, and results of `argmax_fn` that do not fit it.
            `argmax_fn` is first called with `theta` itself: if that fails, no generator has moved.
        """
        x = _checks.floats(theta)
        _checks.no_nan(x, "theta", minus_infinity=False)
        batch_ndim = x.ndim - self.event_ndim
        if batch_ndim < 0:
            raise ValueError(f"theta must have at least {self.event_ndim} axes, got shape {x.shape}")
        event = self._solve(x[None]).shape[1:]  # its errors are raised before any noise is drawn
        shape = self.num_samples, *x.shape
        z = np.empty(shape, x.dtype)
        if self.noise == "gumbel":
            gumbel(out=z, rng=rng)
        else:  # None, the process's generator, is one of ours as well
            (Generator(sources.shared()) if rng is None else default_rng(rng)).standard_normal(
                dtype=x.dtype.type, out=z
            )
        y = self._solve(x + x.dtype.type(self.sigma) * z)
        if y.shape[1:] != event:
            raise ValueError(f"argmax_fn returned shape {y.shape}, expected {(self.num_samples, *event)} as for theta")
        value = y.mean(axis=0)

        def vjp(grad: ArrayLike) -> Array:
            v = real(grad, "grad").astype(x.dtype)
            if v.shape != value.shape:
                raise ValueError(f"grad has shape {v.shape}, expected that of the value, {value.shape}")
            inner = (y * v).reshape(*shape[: 1 + batch_ndim], -1).sum(axis=-1)
            if self.num_samples > 1:  # minus the mean of the other samples, which does not change the expectation
                inner = (inner - inner.mean(axis=0)) * x.dtype.type(self.num_samples / (self.num_samples - 1))
            slope = 1 - np.exp(-z) if self.noise == "gumbel" else z
            inner = inner.reshape(inner.shape + (1,) * self.event_ndim)
            found: Array = (inner * slope).mean(axis=0) / x.dtype.type(self.sigma)
            return found

        return value, vjp

    def _solve(self, block: Array) -> Array:
        y = checks.returned(self.argmax_fn(block), "argmax_fn")
        lead = block.shape[: block.ndim - self.event_ndim]
        if y.shape[: len(lead)] != lead:
            raise ValueError(f"argmax_fn returned shape {y.shape}, expected {lead} in front")
        return y.astype(block.dtype, copy=False)


def make_perturbed_argmax(
    argmax_fn: Callable[[Array], ArrayLike],
    num_samples: int = 1000,
    sigma: float = 1.0,
    noise: str = "gumbel",
    *,
    event_ndim: int = 1,
) -> PerturbedArgmax:
    r"""Make a differentiable function of an argmax, by averaging it over noise.

    Parameters
    ----------
    argmax_fn : callable
        y*: from an array of shape (num_samples, *batch, *event) to solutions of shape (num_samples, *batch, ...), for
        instance one-hot vectors, permutations, paths or sets as 0 and 1.
    num_samples : int, default 1000
        Over how many perturbations to average, at least 1.
    sigma : float, default 1.0
        Size of the noise.
    noise : {"gumbel", "normal"}
        Its distribution, independent in every component of theta.
    event_ndim : int, default 1
        How many of the last axes of theta belong to one problem.

    Returns
    -------
    PerturbedArgmax
        A function: ``value, vjp = perturbed(theta, rng=...)``.

    Raises
    ------
    TypeError, ValueError
        For a `sigma` that is not finite and above 0, an unknown noise, and counts below 1.

    Notes
    -----
    For noise Z of density :math:`\propto \exp(-\nu(z))`, v the gradient with respect to the value,

    .. math:: y_\sigma(\theta) = E[y^*(\theta + \sigma Z)], \qquad
        v^T \frac{\partial y_\sigma}{\partial \theta} =
        \frac{1}{\sigma} E\big[\langle v, y^*(\theta + \sigma Z) \rangle \, \nabla \nu(Z)^T\big],

    :math:`\nabla \nu(z) = 1 - e^{-z}` for Gumbel noise and z for normal noise: Berthet, Blondel, Teboul, Cuturi, Vert
    and Bach, "Learning with differentiable perturbed optimizers" (2020). Both estimates are unbiased; the mean of the
    other samples is subtracted from each :math:`\langle v, y^* \rangle`, which makes the variance of the second
    smaller. It grows as :math:`1 / \sigma^2`. With one-hot solutions and Gumbel noise the value is
    softmax(theta / sigma).

    Examples
    --------
    >>> import numpy as np
    >>> from gumbelfast.structures import make_perturbed_argmax
    >>> one_hot = make_perturbed_argmax(lambda x: x.argmax(-1)[..., None] == np.arange(3), sigma=0.5)
    >>> value, vjp = one_hot([1.0, 2.0, 3.0], rng=0)
    >>> value.shape, vjp([1.0, 0.0, 0.0]).shape
    ((3,), (3,))
    """
    if noise not in ("gumbel", "normal"):
        raise ValueError(f"noise must be 'gumbel' or 'normal', got {noise!r}")
    samples = checks.positive_count(num_samples, "num_samples")
    axes = checks.as_integer(event_ndim, "event_ndim", 1)
    checks.positive_reciprocal(sigma, "sigma", np.dtype(np.float32))
    return PerturbedArgmax(argmax_fn, samples, float(sigma), noise, axes)
