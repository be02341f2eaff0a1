"""Calls of generator methods, good and bad, for which NumPy's own generator is asked what comes out."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

Call = Callable[[Any], Any]

SIZES = [None, (), 0, 3, (2, 3), [2, 3], np.int64(3), np.array([2, 3]), (2, 0), -1, (-1, 2), 2.0, "3", (2.5,), True]
SCALES = [
    1, 2.0, np.array(2.0), np.float32(3), [1, 2, 3], np.array([[1.0], [2.0]]), -1, -0.0, 0, np.nan, np.inf, "a", None,
    1j, [1, -1], [], np.array([1, 2], object), True, np.array([1, 2], "f2"), 10**400,
]  # fmt: skip
LOCS = [np.nan, -np.inf, np.array([1.0, np.inf]), "b", None, 1j, 2, np.float32(1), np.array(1), [1, 2, 3]]
DTYPES = [np.float64, np.float32, float, "f4", "d", "f2", "i4", ">f8", object, None, "nonsense"]
FIXED = np.empty(3)
FIXED.flags.writeable = False
OUTS: dict[str, Any] = {
    "float64": np.empty(3), "float32": np.empty(3, "f4"), "strided": np.empty(6)[::2], "list": [1, 2, 3],
    "read-only": FIXED, "other byte order": np.empty(3, ">f8"), "Fortran": np.empty((2, 3), order="F"),
    "0-d": np.empty(()), "masked": np.ma.zeros(3),
}  # fmt: skip
POPULATIONS: list[Any] = [
    3, 0, -1, 3.0, "abc", np.array(3), [1, 2, 3], ["a", "b", "c"], [], np.arange(9).reshape(3, 3), np.float64(3),
    np.array(["x", "y", "z"], object), range(3),
]  # fmt: skip
EVEN = [0.2, 0.3, 0.5]
WEIGHTS: list[Any] = [
    EVEN, tuple(EVEN), [0.5, 0.5], [0.2, 0.3, 0.4], [-0.5, 0.5, 1], [np.nan, 0.5, 0.5], [0, 0, 1], [EVEN], "abc", 0.5,
    np.array(EVEN, "f4"), np.array(EVEN, "f2"), np.array([0.2, 0.3, 0.50001], "f4"), [], np.array(EVEN, object),
    [np.inf, 0, 0], [1j, 0, 1], [0.2, 0.3, 0.5 + 1.4e-8], [0.2, 0.3, 0.5 + 1.6e-8], np.array([0, 0, 1]), None,
]  # fmt: skip
DRAWN = [None, (), 2, (1, 2), 0, 4, -1, (-1, -2), 2.0, "x"]


def _call(method: str, *args: Any, **kwargs: Any) -> Call:
    return lambda rng: getattr(rng, method)(*args, **kwargs)


def cases() -> dict[str, Call]:
    """All of them, by name."""
    found: dict[str, Call] = {}

    def add(method: str, *args: Any, **kwargs: Any) -> None:
        found[f"{method}(*{args!r}, **{kwargs!r})"] = _call(method, *args, **kwargs)

    for method, size in product(("gumbel", "exponential", "standard_exponential"), SIZES):
        add(method, size=size)
    for method, scale, size in product(("gumbel", "exponential"), SCALES, (None, (), 2, 3, (2, 3))):
        add(method, scale=scale, size=size)
    for loc, scale, size in product(LOCS, (1.0, [1, 2, 3], [[1], [2]], -1.0), (None, (), 3, (2, 3))):
        add("gumbel", loc, scale, size)
    for dtype, size in product(DTYPES, (None, (), 3)):
        add("standard_exponential", size, dtype)
    for name, size, dtype in product(OUTS, (None, (), 3, (3,), 4, (2, 3)), (np.float64, np.float32)):
        add("standard_exponential", size, dtype, "inv", out=OUTS[name])
    for a, size, replace, p in product(POPULATIONS, DRAWN, (True, False), (None, EVEN)):
        add("choice", a, size, replace, p)
    for p, size, replace in product(WEIGHTS, DRAWN[:6], (True, False)):
        add("choice", 3, size, replace, p)
    shapes = [np.arange(9).reshape(3, 3), np.arange(6).reshape(2, 3)]
    for a, axis, size, replace in product(shapes, (0, 1, -1, 2, "x"), DRAWN[:4], (True, False)):
        add("choice", a, size, replace, EVEN, axis, shuffle=False)
    return found


def outcome(make: Callable[[], Any], call: Call) -> tuple[Any, ...]:
    """What a call returns but for its numbers, or what it raises."""
    try:
        found = call(make())
    except Exception as error:
        return type(error), str(error)
    return type(found), getattr(found, "dtype", None), np.shape(found)


def _shuffled(rng: Any) -> Any:
    x = np.arange(9)
    rng.shuffle(x)
    return x


INHERITED: dict[str, Call] = {
    "random": lambda r: r.random(5),
    "normal": lambda r: r.normal(size=5),
    "integers": lambda r: r.integers(0, 10**12, size=5),
    "permutation": lambda r: r.permutation(9),
    "permuted": lambda r: r.permuted(np.arange(9)),
    "shuffle": _shuffled,
    "multinomial": lambda r: r.multinomial(20, EVEN),
    "poisson": lambda r: r.poisson(3.0, 5),
    "gamma": lambda r: r.gamma(2.0, size=5),
    "dirichlet": lambda r: r.dirichlet([1, 2, 3]),
    "multivariate_normal": lambda r: r.multivariate_normal([0, 1], np.eye(2), 3),
    "bytes": lambda r: np.frombuffer(r.bytes(8), np.uint8),
    "choice": lambda r: r.choice(10, 4, replace=False),
    "choice with p": lambda r: r.choice(3, 9, p=EVEN),
}
