"""mkl_random: NumPy's legacy interface over MKL's generators; float64 only.

Its ``gumbel`` draws the distribution of minima, as MKL does: the sign is turned before the check.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from peers import Call, Unavailable, contender

mkl_random: Any = importlib.import_module("mkl_random")


@contender("gumbel", "mkl_random SFMT19937", tail64="as MKL: 32-bit uniforms", adapt=np.negative)
def gumbel(n: int, dtype: Any) -> Call:
    if dtype != np.float64:
        raise Unavailable("float64 only")
    rng = mkl_random.MKLRandomState(0, brng="SFMT19937")
    return lambda: rng.gumbel(size=n)
