"""A NumPy generator with two streams: the words of Philox4x32, and the addressable noise of the same key."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._bitgen import Philox4x32
from .._engine import checks, sources
from .._engine.direct import in_one_step
from .._sampling import argmax, conditional, noise, relaxed, tokens
from . import _choice, _numpy_calls

Array = NDArray[Any]

_F32, _F64 = np.dtype(np.float32), np.dtype(np.float64)


def _method_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function with `rng` as a method of what stands there."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(*args, rng=self, **kwargs)

    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    signature = inspect.signature(function)
    others = [parameter for name, parameter in signature.parameters.items() if name != "rng"]
    method.__signature__ = signature.replace(parameters=[own, *others])  # type: ignore[attr-defined]
    method.__name__, method.__qualname__ = function.__name__, f"Generator.{function.__name__}"
    method.__doc__ = f"`gumbelfast.{function.__name__}` with this generator."
    return method


class Generator(np.random.Generator):
    """A `numpy.random.Generator` that draws Gumbels, exponentials and categories from the noise of its key.

    Parameters
    ----------
    bit_generator : Philox4x32 or int
        An int is taken as the 64-bit key, ``0 <= key < 2**64``; `default_rng` makes one from a seed.
    offset : int, optional
        The next element of the noise, ``0 <= offset <= 2**62``; without it, where the bit generator stands.

    Raises
    ------
    TypeError
        For another bit generator, and for a key or an offset that is not an integer.
    ValueError
        For a key or an offset out of range.

    Notes
    -----
    A call that needs n elements of noise starts at the next multiple of 32 and leaves the offset at its own end. A call
    that raises leaves it where it was. Threads may share a generator: no two calls get the same elements. What is not
    defined here is NumPy's own and draws words, which no noise shares (``docs/generator.md``).

    Examples
    --------
    >>> import numpy as np, gumbelfast as gf
    >>> rng = gf.Generator(1)  # of key 1
    >>> noise = rng.gumbel(size=3, dtype=np.float32)
    >>> rng.offset
    3
    >>> bool((noise == gf.Generator(1, offset=0).gumbel(size=3, dtype=np.float32)).all())
    True
    """

    def __init__(self, bit_generator: Philox4x32 | int, offset: int | None = None) -> None:
        bits = bit_generator if isinstance(bit_generator, Philox4x32) else _from_key(bit_generator)
        super().__init__(bits)
        if offset is not None:
            self.offset = offset
        # What `sources.source` and compiled steps look for.
        self._bits = bits
        self._source = bits._source()

    @property
    def key(self) -> int:
        """The 64-bit key."""
        return self._philox.key

    @property
    def offset(self) -> int:
        """The next element of the noise stream; may be set."""
        return self._philox.noise_offset

    @offset.setter
    def offset(self, value: int) -> None:
        value = checks.as_integer(value, "offset")
        if not 0 <= value <= checks.LAST_ELEMENT:
            raise ValueError(f"offset must lie in [0, 2**62], got {value}")
        self._philox.noise_offset = value

    @property
    def _philox(self) -> Philox4x32:
        return self.bit_generator  # type: ignore[return-value]

    def __repr__(self) -> str:
        return f"gumbelfast.{type(self).__name__}(key={self.key:#018x}, offset={self.offset})"

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, ...]:
        # Not the base's, which makes generators of its own class.
        return type(self), (self.bit_generator,)

    def __copy__(self) -> Generator:
        return type(self)(copy.copy(self._philox))

    @in_one_step
    def gumbel(
        self,
        loc: Any = 0.0,
        scale: Any = 1.0,
        size: Any = None,
        dtype: DTypeLike = np.float64,
        out: Array | None = None,
    ) -> Any:
        """Gumbel noise, ``loc + scale * g``, as `gumbelfast.gumbel` draws it.

        Parameters
        ----------
        loc, scale, size
            As in `numpy.random.Generator.gumbel`.
        dtype : {float64, float32, float16, bfloat16}
            Of the result.
        out : ndarray, optional
            Takes the result; its shape and dtype must be those asked for.

        Returns
        -------
        ndarray, or a float where neither `size` nor an array is given
        """
        found = _F64 if dtype is np.float64 else checks.float_dtype(dtype)
        shape = _numpy_calls.shape_of(size if size is not None or out is None else np.shape(out), loc, scale)
        if shape is None or not (_numpy_calls.is_finite(loc) and _numpy_calls.is_scale(scale)):
            return _numpy_calls.converted(super().gumbel(loc, scale, size), found, out)
        result = noise.fill("gumbel", loc, scale, shape, found, out, self)
        return result if shape or size is not None or out is not None else float(result)

    @in_one_step
    def exponential(self, scale: Any = 1.0, size: Any = None) -> Any:
        """Exponentials with mean `scale`, float64, as `gumbelfast.exponential` draws them.

        Parameters
        ----------
        scale, size
            As in `numpy.random.Generator.exponential`.

        Returns
        -------
        ndarray, or a float where neither `size` nor an array is given
        """
        shape = _numpy_calls.shape_of(size, scale)
        if shape is None or not _numpy_calls.is_scale(scale):
            return super().exponential(scale, size)
        result = noise.fill("exponential", 0.0, scale, shape, _F64, None, self)
        return result if shape or size is not None else float(result)

    @in_one_step
    def standard_exponential(
        self, size: Any = None, dtype: Any = np.float64, method: Any = "zig", out: Array | None = None
    ) -> Any:
        """Exponentials with mean 1, as `gumbelfast.exponential` draws them.

        Parameters
        ----------
        size, dtype, out
            As in `numpy.random.Generator.standard_exponential`.
        method : str
            Taken, and without effect.

        Returns
        -------
        ndarray, or a float where `size` and `out` are None
        """
        found = _F64 if dtype is np.float64 else _F32 if dtype is np.float32 else _numpy_calls.single_or_double(dtype)
        shape = _numpy_calls.shape_of(size if size is not None or out is None else np.shape(out))
        if shape is None or found is None or not (out is None or _numpy_calls.takes(out, shape, found)):
            return super().standard_exponential(size, dtype, method, out)
        result = noise.fill("exponential", 0.0, 1.0, shape, found, out, self)
        return result if shape or size is not None or out is not None else float(result)

    @in_one_step
    def choice(
        self,
        a: Any,
        size: Any = None,
        replace: bool = True,
        p: Any = None,
        axis: int = 0,
        shuffle: bool = True,
    ) -> Any:
        """Entries of `a`, or of ``range(a)``: NumPy's, but with `p` and without replacement by a race.

        Parameters
        ----------
        a, size, replace, p, axis
            As in `numpy.random.Generator.choice`.
        shuffle : bool
            With `p` and without replacement of no effect: entries come in the order in which they were drawn.

        Returns
        -------
        ndarray, or an item of `a`

        Raises
        ------
        TypeError, ValueError
            Those of NumPy, in its words.

        Notes
        -----
        Without replacement each entry is drawn with probability proportional to `p` among those that are left:
        successive sampling, the Plackett-Luce distribution, by the largest ``p / E`` in float64 with standard
        exponentials E. NumPy draws with replacement, drops what repeats and fills up, another name for the same law.
        """
        weights = None if p is None else _choice.checked(a, size, p, axis, replace)
        if weights is not None:
            draw = _choice.with_replacement if replace else _choice.successively
            index = draw(self, weights, () if size is None else size)
            if index is not None:
                return _choice.taken(a, index, size, axis)
        return super().choice(a, size, replace, p, axis, shuffle)  # which says what is wrong

    categorical = _method_of(argmax.categorical)
    conditional_gumbel = _method_of(conditional.conditional_gumbel)
    gumbel_softmax = _method_of(relaxed.gumbel_softmax)
    gumbel_top_k = _method_of(argmax.gumbel_top_k)
    sample_tokens = _method_of(tokens.sample_tokens)


def _from_key(key: Any) -> Philox4x32:
    if isinstance(key, np.random.BitGenerator | np.random.Generator):
        raise TypeError(f"expected a Philox4x32 or a key, got {key!r}; gumbelfast.default_rng takes a key from it")
    key = checks.as_integer(key, "key")
    if not 0 <= key < 2**64:
        raise ValueError(f"key must lie in [0, 2**64), got {key}")
    return Philox4x32(key=key)


sources.OURS.add(Generator)
