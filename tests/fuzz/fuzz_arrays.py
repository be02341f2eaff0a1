"""What a fuzzer makes of bytes: numbers, good and bad, and arrays of any dtype, values and memory layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from helpers import DTYPES, Array, dtype_of

FLOATS = [dtype_of(name) for name in DTYPES]
ODD_DTYPES = ["i1", "i8", "u4", "u8", "?", "c8", "c16", "O", "S3", "U2", "m8[s]", "M8[s]", "g", "V4", "f4,i4"]
ODD = [
    None,
    True,
    -1,
    0,
    2**31,
    2**62,
    2**63,
    2**64,
    10**400,
    0.5,
    np.nan,
    np.inf,
    1j,
    "2",
    b"",
    [],
    [1, 2],
    {},
    object,
]
ODD_SIZES = [value for value in ODD if value != 2**31]  # of which there would be memory
FEW = [value for value in ODD_SIZES if type(value) is not int or value < 100]  # of which there would be time
SIZES = [1, 2, 3, 5, 7, 10, 15, 16, 17, 31, 33, 64, 127, 128, 129, 200, 300]


class Source:
    """Choices read from bytes; zeros once these have run out."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def below(self, end: int) -> int:
        self._at += 2
        return int.from_bytes(self._data[self._at - 2 : self._at], "little") % end

    def one_in(self, n: int) -> bool:
        return self.below(n) == n - 1

    def choice(self, options: Sequence[Any]) -> Any:
        return options[self.below(len(options))]

    def mostly(self, good: Sequence[Any], bad: Sequence[Any] = ODD) -> Any:
        """One of the good ones 31 times of 32."""
        return self.choice(bad if self.one_in(32) else good)

    def generator(self) -> np.random.Generator:
        return np.random.Generator(np.random.SFC64(self.below(2**16)))


def shape(s: Source, least: int = 0) -> tuple[int, ...]:
    """Up to three axes, about 3000 entries at most; some are empty."""
    axes = s.mostly([1, 2, 2, 3], [0, 1])
    sides = [s.choice(SIZES[: (17, 17, 10, 6)[axes]]) for _ in range(max(axes, least))]
    if sides and s.one_in(24):
        sides[s.below(len(sides))] = 0
    return tuple(sides)


def _floats(s: Source, dims: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    rng, kind = s.generator(), s.below(20)
    if kind == 0:  # every pattern of bits: subnormal numbers, NaNs with payloads
        count = int(np.prod(dims))
        return np.frombuffer(rng.bytes(count * dtype.itemsize), dtype).reshape(dims).copy()
    x = rng.standard_normal(dims)
    some = rng.random(dims) < (0.5, 0.02)[kind % 2]
    if kind in (1, 2, 3, 4):
        x = np.where(some, (-np.inf, -np.inf, np.nan, np.inf)[kind - 1], x)
    elif kind in (5, 6, 7, 8):
        x = (x * 50, np.round(x), x * 0 + 3, x * 1e300)[kind - 5]
    elif kind == 9:
        x = np.full(dims, s.choice([-np.inf, np.nan, np.inf, 0.0, -0.0]))
    elif kind == 10:
        x = np.where(some, -np.abs(x) * 1e-310, 0.0)
    with np.errstate(over="ignore"):
        return np.asarray(x).astype(dtype)


def floats(s: Source, dims: tuple[int, ...]) -> Any:
    """Mostly an array of one of the four dtypes; else of any other."""
    dtype = s.choice(FLOATS)
    x = _floats(s, dims, dtype)
    if s.one_in(24):
        other = np.dtype(s.choice(ODD_DTYPES))
        return np.zeros(dims, other) if s.one_in(2) else _cast(x, other)
    return laid_out(s, x)


def _cast(x: Array, dtype: np.dtype[Any]) -> Array:
    with np.errstate(invalid="ignore"):
        wide = np.nan_to_num(x.astype(np.float64), posinf=5, neginf=-5, nan=0).clip(-100, 100)
    return wide.astype(dtype) if dtype.kind in "iu?bcO" else np.zeros(x.shape, dtype)


def weights(s: Source, dims: tuple[int, ...]) -> Any:
    """Mostly something that could be weights."""
    x = floats(s, dims)
    if isinstance(x, np.ndarray) and x.dtype in FLOATS and not s.one_in(6):
        return laid_out(s, np.abs(x).astype(x.dtype))
    return x


def integers(s: Source, dims: tuple[int, ...], end: int) -> Any:
    """Mostly integers in [0, end)."""
    if s.one_in(24):
        return s.choice([*ODD, np.full(dims, end), np.full(dims, -1), np.zeros(dims), np.zeros((*dims, 2), int)])
    x = s.generator().integers(0, max(end, 1), dims)
    return laid_out(s, np.asarray(x, s.choice(["i8", "i8", "i4", "u8", "i2"])))


def mask(s: Source, dims: tuple[int, ...]) -> Any:
    if not s.one_in(4):
        return None
    fit = s.mostly([dims, dims, dims[-1:]], [(3, *dims), (), dims[:-1]])
    x = s.generator().random(fit) < s.choice([0.1, 0.5, 0.95])
    return laid_out(s, np.asarray(x, s.mostly([bool], ["u1", "f4", "O"])))


class _Subclass(np.ndarray[Any, Any]):
    pass


def laid_out(s: Source, x: Array) -> Any:
    """The same shape and dtype, mostly the same values, somewhere else in memory."""
    x, way = np.asarray(x), s.below(32)
    if way == 0:
        return np.asfortranarray(x)
    if way == 1 and x.ndim:
        return x[..., ::-1]
    if way == 2 and x.ndim:
        wide = np.zeros((*x.shape[:-1], 3 * x.shape[-1]), x.dtype)
        wide[..., ::3] = x
        return wide[..., ::3]
    if way == 3:
        raw = np.zeros(x.nbytes + 1, np.uint8)
        at_one = np.ndarray(x.shape, x.dtype, raw.data, 1)
        at_one[...] = x
        return at_one
    if way == 4:
        return x.astype(x.dtype.newbyteorder())
    if way == 5 and x.size:
        return np.broadcast_to(x[..., :1] if x.ndim else x, x.shape)
    if way == 6 and x.size > 1:
        strides = [x.itemsize] * x.ndim  # rows that overlap, each one entry further
        return np.lib.stride_tricks.as_strided(x, x.shape, strides)
    if way == 7:
        x.flags.writeable = False
    if way == 8:
        return x.view(_Subclass)
    if way == 9:
        return x.tolist()
    if way in (10, 11, 12) and x.ndim:  # rows with something between them
        wide = np.full((*x.shape[:-1], x.shape[-1] + way), 7, x.dtype)
        wide[..., way % 3 : way % 3 + x.shape[-1]] = x
        return wide[..., way % 3 : way % 3 + x.shape[-1]]
    return x


def plain(x: Any) -> Any:
    """The same values as C-contiguous, aligned and native; what is no array stays as it is."""
    if not isinstance(x, np.ndarray) or isinstance(x, np.ma.MaskedArray):
        return x
    return np.array(x, x.dtype if x.dtype.isnative else x.dtype.newbyteorder("="), order="C")


def out(s: Source, dims: tuple[int, ...], x: Any) -> dict[str, Any]:
    """Mostly nothing; else an `out` that may fit x, or lie upon it."""
    if not s.one_in(4):
        return {}
    dtype = x.dtype.newbyteorder("=") if isinstance(x, np.ndarray) else np.float64
    way = s.below(12)
    if isinstance(x, np.ndarray) and x.ndim and way < 4:
        return {"out": (x, x[::-1], x[..., ::-1], x.T)[way]}
    if way == 4:
        return {"out": s.choice(ODD)}
    if way == 5:
        dims, dtype = s.choice([((*dims, 1), dtype), (dims, np.dtype("i4")), (dims[1:], dtype), (dims, np.dtype("f8"))])
    filled = np.ones(dims, dtype)
    return {"out": laid_out(s, filled)}


def has_missing(seeds: Any) -> bool:
    """Whether some rows have no seed."""
    if isinstance(seeds, np.ma.MaskedArray):
        return bool(np.ma.getmaskarray(seeds).any())
    return isinstance(seeds, list) and None in np.array(seeds, object).ravel().tolist()


def address(s: Source, batch: tuple[int, ...]) -> dict[str, Any]:
    """Where the noise lies: mostly wherever the generator stands."""
    way = s.below(8)
    if way == 0:
        some = np.asarray(s.generator().integers(0, 100, batch))
        missing = s.generator().random(batch) < 0.5
        listed = np.where(missing, None, some).tolist()
        seeds = s.mostly([7, 2**64 - 1, integers(s, batch, 100), listed, np.ma.MaskedArray(some, missing)])
        given = {"seeds": seeds}
        return given | ({"positions": s.mostly([3, 2**50, integers(s, batch, 100)])} if s.one_in(2) else {})
    if way == 1:
        given = {"offset": s.mostly([0, 12345, 2**61, 2**62 - 50, integers(s, batch, 100)])}
        return given | ({"row_stride": s.mostly([300, 301, 1000])} if s.one_in(3) else {})
    return s.mostly([{}], [{"positions": 1}, {"row_stride": 400}, {"seeds": 1, "offset": 2}])
