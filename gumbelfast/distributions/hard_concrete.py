"""The hard concrete gate: a Binary Concrete draw that is stretched beyond 0 and 1, and cut off there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._engine import checks
from .._engine.types import SeedLike
from . import _checks as check
from .binary_concrete import BinaryConcrete, sigmoid

Array = NDArray[Any]


class HardConcrete:
    r"""The hard concrete distribution of gates, :math:`z = \min(1, \max(0, s (\zeta - \gamma) + \gamma))`.

    Parameters
    ----------
    logits, tau
        Of the `BinaryConcrete` law of s.
    low : float, default -0.1
        :math:`\gamma`, finite and below 0.
    high : float, default 1.1
        :math:`\zeta`, finite and above 1.

    Raises
    ------
    TypeError, ValueError
        As in `BinaryConcrete`, and for a `low` or `high` out of range.

    Notes
    -----
    Louizos, Welling and Kingma, "Learning sparse neural networks through L0 regularization" (2018). A gate is 0 or 1
    with positive probability, and its gradient is 0 there. The sum of `prob_active` is the expected number of gates
    that are open, the L0 penalty of the paper. Samples take the noise of `BinaryConcrete`, one element a draw.

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> gates = gf.distributions.HardConcrete(np.zeros(3), tau=2 / 3)
    >>> z = gates.sample(1000, rng=0)
    >>> bool(((z >= 0) & (z <= 1)).all()), gates.prob_active().round(3).tolist()
    (True, [0.832, 0.832, 0.832])
    """

    def __init__(self, logits: ArrayLike, tau: ArrayLike, low: float = -0.1, high: float = 1.1) -> None:
        self._base = BinaryConcrete(logits, tau)
        self._low, self._high = check.stretch(low, high)

    def __repr__(self) -> str:
        return f"gumbelfast.distributions.HardConcrete({self._base!r}, low={self._low}, high={self._high})"

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The shape of the logits."""
        return self._base.batch_shape

    def sample(
        self,
        size: int | tuple[int, ...] | None = None,
        rng: SeedLike = None,
        *,
        offset: int | None = None,
        num_threads: int | None = None,
    ) -> Array:
        """Draw gates, numbers from 0 to 1.

        Parameters
        ----------
        size : int or tuple of ints, optional
            Draws per entry of the batch; the result has shape ``size + batch shape``.
        rng, offset, num_threads
            As in `gumbelfast.exponential`.

        Returns
        -------
        ndarray of the dtype of the logits
        """
        base = self._base
        t = base._draw(base._shape(size), rng, offset, num_threads)
        wide = t.dtype.type(self._high - self._low)
        return np.asarray(np.clip(sigmoid(t) * wide + t.dtype.type(self._low), 0, 1).astype(base._x.dtype))

    def backward(self, grad: ArrayLike, z: ArrayLike) -> Array:
        r"""Gradient of a sample with respect to the logits, from the sample alone.

        Parameters
        ----------
        grad : array_like of real numbers
            Gradient with respect to z; broadcasts against it.
        z : array_like of real numbers
            What `sample` returned; broadcasts against the batch shape.

        Returns
        -------
        ndarray of float64
            ``grad`` times :math:`(\zeta - \gamma) s (1 - s) / \tau` with :math:`s = (z - \gamma) / (\zeta - \gamma)`,
            and 0 where z is 0 or 1; of the shape that all three broadcast to. The draws of an entry are not added up.

        Raises
        ------
        TypeError, ValueError
            For z outside [0, 1], with the place, and for values that are not real numbers.
        """
        gate = check.gates(z)
        s = (gate - self._low) / (self._high - self._low)
        inside = (gate > 0) & (gate < 1)
        slope = np.where(inside, (self._high - self._low) * s * (1 - s), 0) / self._base.tau
        return np.asarray(checks.real(grad, "grad") * slope)

    def _log_odds(self, z: float) -> float:
        """The logit of s at a gate of 0 or 1, before it is cut off."""
        return float(np.log((z - self._low) / (self._high - z)))

    def prob_active(self) -> Any:
        r"""The probability of a gate above 0, :math:`\mathrm{sigmoid}(x - \tau \log(-\gamma / \zeta))`."""
        return sigmoid(self._base._x.astype(np.float64) - self._base.tau * self._log_odds(0.0))[()]

    def prob_one(self) -> Any:
        r"""The probability of a gate of 1, :math:`\mathrm{sigmoid}(x - \tau \log((1 - \gamma) / (\zeta - 1)))`."""
        return sigmoid(self._base._x.astype(np.float64) - self._base.tau * self._log_odds(1.0))[()]

    def at_rest(self) -> Any:
        r"""The gate without noise, for use after training: :math:`\mathrm{sigmoid}(x)`, stretched and cut off."""
        s = sigmoid(self._base._x.astype(np.float64))
        return np.clip(s * (self._high - self._low) + self._low, 0, 1)[()]

    def log_prob(self, z: ArrayLike) -> Any:
        """The logarithm of the density between 0 and 1, and of the probabilities of 0 and of 1.

        Parameters
        ----------
        z : array_like of real numbers
            Numbers from 0 to 1, of a shape that broadcasts against the batch shape.

        Returns
        -------
        ndarray of float64, or a scalar
            With respect to the sum of Lebesgue measure and one atom each at 0 and 1.

        Raises
        ------
        TypeError, ValueError
            For numbers outside [0, 1], with the place.
        """
        gate, x = check.gates(z), self._base._x.astype(np.float64)
        inside = np.where((gate > 0) & (gate < 1), gate, 0.5)
        s = (inside - self._low) / (self._high - self._low)
        logit = np.log(s) - np.log1p(-s)
        density = self._base.log_prob_logits(logit) - np.log(s) - np.log1p(-s) - np.log(self._high - self._low)
        closed, open_ = (side * (x - self._base.tau * self._log_odds(at)) for side, at in ((-1, 0.0), (1, 1.0)))
        at_zero, at_one = -np.logaddexp(0, -closed), -np.logaddexp(0, -open_)
        return np.where(gate == 0, at_zero, np.where(gate == 1, at_one, density))[()]
