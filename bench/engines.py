"""Builds `engines.cpp`, the samplers of two engines stated anew, and calls them.

The compiler is that of ``CXX`` in the environment, or ``c++``; the library stays in ``build/bench``.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

SOURCE = Path(__file__).with_name("engines.cpp")
FLAGS = ("-std=c++20", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC")
METHODS = {"blocks": {"temperature"}, "chain": {"temperature", "top_n_sigma", "typical_p", "top_p", "min_p", "top_k"}}
METHODS["chain"].add("temperature_last")


class Settings(ctypes.Structure):
    """As in the source."""

    _fields_ = (
        ("temperature", ctypes.c_double),
        ("top_n_sigma", ctypes.c_double),
        ("typical_p", ctypes.c_double),
        ("top_p", ctypes.c_double),
        ("min_p", ctypes.c_double),
        ("top_k", ctypes.c_int64),
        ("temperature_last", ctypes.c_int64),
    )


@functools.cache
def library() -> Any:
    """The compiled source; RuntimeError where it cannot be compiled."""
    asked = os.environ.get("CXX", "c++")
    compiler = shutil.which(asked)
    if compiler is None:
        raise RuntimeError(f"no C++ compiler: {asked} is not found")
    # Another processor, compiler or source is another library.
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
    native = subprocess.run([compiler, "-march=native", "-dM", "-E", "-x", "c++", os.devnull], capture_output=True)
    key = hashlib.sha256(b"".join((SOURCE.read_bytes(), version, native.stdout, str(FLAGS).encode()))).hexdigest()[:16]
    path = SOURCE.parents[1] / "build" / "bench" / f"engines-{key}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_suffix(f".{os.getpid()}")
        command = [compiler, *FLAGS, str(SOURCE), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[:500]}")
        made.replace(path)
    return ctypes.CDLL(str(path))


class Engine:
    """One of `METHODS` on some logits.

    Parameters
    ----------
    method : {"blocks", "chain"}
        The sampler: vLLM's or llama.cpp's.
    logits : ndarray of float32 or bfloat16, shape (rows, columns)
        Read at every draw.
    threads : int
        Threads that rows are divided among.
    settings : float
        The temperature, and filters by their names in `gumbelfast.sample_tokens`.

    Raises
    ------
    ValueError
        For settings that the method does not have.
    RuntimeError
        Where the source cannot be compiled.
    """

    def __init__(self, method: str, logits: Any, threads: int = 1, **settings: float) -> None:
        if further := settings.keys() - METHODS[method]:
            raise ValueError(f"{method} has no {', '.join(sorted(further))}")
        if logits.dtype.name not in ("float32", "bfloat16"):
            raise ValueError(f"logits are {logits.dtype}, not float32 or bfloat16")
        self.logits = np.ascontiguousarray(logits)
        self.settings = Settings(**{"temperature": 1, "typical_p": 1, "top_p": 1, **settings})
        self.function = getattr(library(), f"draw_by_{method}")
        self.threads = threads

    def draw(self, seeds: Any, position: int) -> Any:
        """A token a row, with the noise of its uint64 seed at this position; blocks: -1 for NaN, +inf or nothing."""
        rows, columns = self.logits.shape
        tokens = np.empty(rows, np.int64)
        self.function(
            ctypes.c_void_p(self.logits.ctypes.data),
            ctypes.c_int(self.logits.dtype.name == "bfloat16"),
            ctypes.c_int64(rows),
            ctypes.c_int64(columns),
            ctypes.byref(self.settings),
            ctypes.c_void_p(seeds.ctypes.data),
            ctypes.c_uint64(position),
            ctypes.c_int(self.threads),
            ctypes.c_void_p(tokens.ctypes.data),
        )
        return tokens
