"""What sequence models may return, and what is said of anything else."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from .._engine.checks import INT64_END, Array, as_integer, finite_number, float_dtype, work_dtype
from .._engine.refused import refuse


def search(k: Any, max_steps: Any, eos: Any, length_penalty: Any = None) -> tuple[int, int, int]:
    """The settings of a search as integers; an `eos` that no token equals where there is none."""
    k, max_steps = as_integer(k, "k", 0, INT64_END), as_integer(max_steps, "max_steps", 1, INT64_END)
    end = -2 if eos is None else as_integer(eos, "eos", 0, INT64_END)
    if length_penalty is not None:
        finite_number(length_penalty, "length_penalty")
    return k, max_steps, end


def pair(returned: Any) -> tuple[Any, Any]:
    """What a step returned, as log-probabilities and state."""
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise TypeError(f"step must return (log_probs, state), got {type(returned).__name__}")
    return returned[0], returned[1]


def step_logits(found: Any, step: int, rows: int | None, columns: int | None, eos: int) -> Array:
    """What a step returned, laid out for the kernels; half types as float32."""
    x = np.asarray(found)
    try:
        dtype = work_dtype(float_dtype(x.dtype))
    except TypeError as error:
        raise TypeError(f"step {step}: log_probs: {error}") from None
    if x.ndim != 2 or x.shape[1] == 0 or rows not in (None, x.shape[0]) or columns not in (None, x.shape[1]):
        wanted = f"({'B' if rows is None else rows}, {'V' if columns is None else columns})"
        raise ValueError(f"step {step}: log_probs have shape {x.shape}, expected {wanted}")
    if eos >= x.shape[1]:
        raise ValueError(f"eos must lie in [0, {x.shape[1]}), got {eos}")
    return np.require(x, dtype, ("C", "A"))


def dead_ends(value: Any) -> bool:
    """Whether beams that nothing may follow are dropped."""
    if not isinstance(value, str) or value not in ("raise", "drop"):
        raise ValueError(f"dead_ends must be 'raise' or 'drop', got {value!r}")
    return value == "drop"


def refuse_step(x: Array, step: int, places: NDArray[np.int64], width: int) -> NoReturn:
    """Says which row of a step, of which prompt and beam, holds NaN or +inf, or nothing to draw."""

    def owner(row: int) -> str:
        if step == 0:  # when there is one row per prompt
            return f" (prompt {row})"
        prompt, beam = divmod(int(places[row]), width)
        return f" (prompt {prompt}, beam {beam})"

    try:
        refuse(x, None, -1, owner=owner)
    except ValueError as error:
        raise ValueError(f"step {step}: {error}") from None


def state_rows(state: Any, rows: int, step: int, place: str = "state") -> None:
    """Checks that every array in a nest of dicts, lists and tuples has these rows; None has none."""
    if isinstance(state, dict | list | tuple):
        for key, value in state.items() if isinstance(state, dict) else enumerate(state):
            state_rows(value, rows, step, f"{place}[{key!r}]")
    elif state is not None:
        shape = getattr(state, "shape", None)
        if shape is None:
            raise TypeError(f"step {step}: {place} is a {type(state).__name__}, expected an array")
        if not shape or shape[0] != rows:
            raise ValueError(f"step {step}: {place} has shape {tuple(shape)}, expected {rows} rows")


def gathered(state: Any, index: NDArray[np.int64]) -> Any:
    """The rows `index` of every array in such a nest."""
    if state is None:
        return None
    if isinstance(state, dict):
        return {key: gathered(value, index) for key, value in state.items()}
    if isinstance(state, list | tuple):
        parts = [gathered(value, index) for value in state]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    return state[index]
