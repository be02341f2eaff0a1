"""What several test files need: names of backends and dtypes, the law's rounding, and Philox once more."""

import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

import gumbelfast as gf
from gumbelfast._engine.refused import Refused
from gumbelfast.reference import noise

Array = NDArray[Any]
# pytest's fixture `record_property`: a figure of docs/trust.md, by its name.
Record = Callable[[str, object], None]

COMPILED = [name for name in gf.backends() if name != "reference"]
DTYPES = ["float16", "bfloat16", "float32", "float64"]
OLD_NUMPY = int(np.__version__.split(".")[0]) < 2
KEY = 0x299F31D0A4093822


def dtype_of(name: str) -> np.dtype[Any]:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def work_of(name: str) -> np.dtype[Any]:
    """What a dtype is computed in."""
    return np.dtype(np.float64 if name == "float64" else np.float32)


def eps_of(name: str) -> float:
    """The spacing of numbers just above 1."""
    return {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}[name]


def u64(*values: int) -> NDArray[np.uint64]:
    return np.array(values, dtype=np.uint64)


def normal(name: str, shape: int | tuple[int, ...], seed: int = 0, deviation: float = 2.0) -> Array:
    """Normal logits of a dtype."""
    return (np.random.default_rng(seed).normal(size=shape) * deviation).astype(dtype_of(name))


def perturb(x: Array, noise: Array, temperature: float = 1.0) -> Array:
    """fl(x / T) + g in float64."""
    with np.errstate(over="ignore"):
        return x.astype(np.float64) * (1 / temperature) + noise


def relax(x: Array, noise: Array) -> Array:
    """fl(fl(x - max x) + g) in the working dtype."""
    work = x.astype(noise.dtype)
    found: Array = (work - work.max(axis=-1, keepdims=True)) + noise
    return found


def largest_first(x: Array, noise: Array, temperature: float = 1.0) -> Array:
    """The order of perturbed logits: by their exact values where rounded sums are equal, then by place."""
    total = perturb(x, noise, temperature)
    order = np.argsort(-total, axis=-1, kind="stable")
    for row in np.ndindex(total.shape[:-1]):
        with np.errstate(invalid="ignore"):
            ends = np.flatnonzero(np.diff(total[row][order[row]])) + 1
        for run in np.split(order[row], ends):
            if run.size > 1:
                product = {j: float(x[row][j]) * (1 / temperature) for j in run}
                run[:] = sorted(run, key=lambda j: -Fraction(product[j]) - Fraction(float(noise[row][j])))
    return order


def exact(offset: int, count: int, name: str, key: int = KEY) -> NDArray[np.longdouble]:
    """The noise that the law gives elements from `offset` on, before it is rounded."""
    return noise.exact_gumbel(key, np.uint64(offset) + np.arange(count, dtype=np.uint64), work_of(name))


def exact_exponential(offset: int, count: int, name: str, key: int = KEY) -> NDArray[np.longdouble]:
    """The exponentials of the same elements."""
    return noise.exact_exponential(key, np.uint64(offset) + np.arange(count, dtype=np.uint64), work_of(name))


def assert_within_ulps(noise: Array, wanted: NDArray[np.longdouble], ulps: float = 2) -> None:
    """|noise - wanted| <= ulps of max(1, |wanted|) in the dtype of the noise."""
    unit = np.spacing(np.maximum(1, np.abs(wanted)).astype(noise.dtype)).astype(np.longdouble)
    error = np.abs(noise.astype(np.longdouble) - wanted) / unit
    assert error.max(initial=0) <= ulps, (int(error.argmax()), float(error.max()))


def assert_same_bytes(found: Any, wanted: Any) -> None:
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert found.tobytes() == wanted.tobytes()


def numpy_state(rng: Any) -> str:
    return str((rng.bit_generator if isinstance(rng, np.random.Generator) else rng).state)


def assert_refused(call: Callable[..., Any], error: type[Exception], text: str, out: Any = None) -> None:
    """`call(rng=...)` raises with exactly this text and leaves generators of every kind and `out` as they were."""
    before = None if out is None else out.tobytes()
    own = gf.default_rng(3)
    own.offset = 7
    for rng in (own, np.random.default_rng(3), np.random.PCG64(3), np.random.MT19937(3), 3, None):
        state = numpy_state(rng) if hasattr(rng, "bit_generator") or hasattr(rng, "state") else None
        with pytest.raises(error) as caught:
            call(rng=rng)
        assert type(caught.value) in (error, Refused)
        assert str(caught.value) == text
        assert own.offset == 7
        assert state is None or numpy_state(rng) == state
    assert before is None or out.tobytes() == before


def run_python(code: str, timeout: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that runs `code`."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("GUMBELFAST_")} | environment
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=variables,
        check=False,
    )


def scalar_philox(counter: tuple[int, int, int, int], key: int) -> tuple[int, ...]:
    """Philox4x32-10 on Python integers, written from the paper a second time."""
    x0, x1, x2, x3 = counter
    for r in range(10):
        k0 = ((key & 0xFFFFFFFF) + r * 0x9E3779B9) % 2**32
        k1 = ((key >> 32) + r * 0xBB67AE85) % 2**32
        hi0, lo0 = divmod(0xD2511F53 * x0, 2**32)
        hi1, lo1 = divmod(0xCD9E8D57 * x2, 2**32)
        x0, x1, x2, x3 = hi1 ^ x1 ^ k0, lo1, hi0 ^ x3 ^ k1, lo0
    return x0, x1, x2, x3


def scalar_block(domain: int, block: int) -> tuple[int, ...]:
    return scalar_philox((block % 2**32, block // 2**32 + domain * 2**28, 0, 0), KEY)
