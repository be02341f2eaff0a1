"""MKL's vector statistics library, called as C from the ``mkl`` wheel.

``vsRngGumbel`` draws the Gumbel distribution of minima, the mirror image of ours. Turning its sign is left
out of the timing, in the peer's favour, and done before the check.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
from functools import partial
from typing import Any

import numpy as np

from peers import Call, contender

GENERATORS = {"ARS5": 15 << 20, "SFMT19937": 13 << 20, "PHILOX4X32X10": 16 << 20}  # VSL_BRNG_*, mkl_vsl_defines.h
TAIL = "24-bit uniforms: noise ends at 16.6, then a lump at 103.3; below, a lump at -4.6"
TAIL64 = "32-bit uniforms: noise comes in steps and ends near 22.2"


def _library() -> ctypes.CDLL:
    try:
        files = importlib.metadata.files("mkl") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise ImportError("the mkl wheel is not installed") from error
    paths = [str(file.locate()) for file in files if file.name.startswith(("libmkl_rt.", "mkl_rt."))]
    if not paths:
        raise ImportError("the mkl wheel holds no mkl_rt library")
    return ctypes.CDLL(paths[0])


_mkl = _library()


def _gumbel(generator: int, n: int, dtype: Any) -> Call:
    single = dtype == np.float32
    real, draw = (ctypes.c_float, _mkl.vsRngGumbel) if single else (ctypes.c_double, _mkl.vdRngGumbel)
    stream, out = ctypes.c_void_p(), np.empty(n, dtype)
    if _mkl.vslNewStream(ctypes.byref(stream), generator, 1) != 0:
        raise RuntimeError("vslNewStream failed")
    pointer = out.ctypes.data_as(ctypes.c_void_p)

    def call() -> Any:
        if draw(0, stream, n, pointer, real(0), real(1)) != 0:
            raise RuntimeError("RngGumbel failed")
        return out

    return call


for _name, _number in GENERATORS.items():
    contender("gumbel", f"mkl VSL {_name}", tail=TAIL, tail64=TAIL64, adapt=np.negative)(partial(_gumbel, _number))
