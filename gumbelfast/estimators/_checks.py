"""Checks of the arguments of estimators, for NumPy, PyTorch and JAX."""

from __future__ import annotations

from typing import Any, NoReturn

from .._engine import checks, table_checks

_BASELINES = ("leave_one_out", "optimal", "self_critical")


def check_family(family: Any) -> None:
    table_checks.one_of(family, "family", ("categorical", "bernoulli"))


def check_surrogate(surrogate: Any, is_binary: bool) -> None:
    """The surrogate of `straight_through`: None, or a name that its family has."""
    smooth, family = ("sigmoid", "bernoulli") if is_binary else ("softmax", "categorical")
    table_checks.one_of(smooth if surrogate is None else surrogate, f"surrogate for {family}", (smooth, "identity"))


def check_decay(decay: float) -> None:
    """Of a running mean."""
    if not 0 <= decay < 1:
        raise ValueError(f"decay must lie in [0, 1), got {decay!r}")


def check_baseline_name(baseline: Any, num_samples: int) -> None:
    """The baseline of `score_function`, if it is a name: known, and with enough samples."""
    if not isinstance(baseline, str):
        return
    if baseline not in _BASELINES:
        names = ", ".join(map(repr, _BASELINES))
        raise ValueError(f"baseline must be None, {names}, a RunningMean or numbers, got {baseline!r}")
    if baseline != "self_critical" and num_samples < 2:
        raise ValueError(f"baseline {baseline!r} needs num_samples >= 2, got {num_samples}")


def refuse_complex(dtype: Any) -> NoReturn:
    raise TypeError(f"baseline must be real numbers, got {str(dtype).removeprefix('torch.')}")


def check_set_baseline(method: str, baseline: str | None, k: int) -> None:
    """The baseline of samples without replacement: known, and with enough samples."""
    table_checks.one_of(method, "method", ("unordered_set", "importance"))
    known = ("leave_one_out", "normalized", None) if method == "importance" else ("leave_one_out", None)
    table_checks.one_of(baseline, "baseline", known)
    least = 1 if baseline is None else 2
    if k < least:
        raise ValueError(f"k must be >= {least}{'' if baseline is None else f' with baseline {baseline!r}'}, got {k}")


def as_set_size(k: Any, method: str, baseline: str | None) -> int:
    number = checks.as_integer(k, "k", below=checks.INT64_END)
    check_set_baseline(method, baseline, number)
    return number


def as_gap(gap: Any) -> float:
    number = checks.finite_number(gap, "gap")
    if number < 0:
        raise ValueError(f"gap must be >= 0, got {gap!r}")
    return number


def check_pairs(num_samples: Any) -> None:
    """Of antithetic samples."""
    number = checks.positive_count(num_samples, "num_samples")
    if number % 2:
        raise ValueError(f"num_samples must be even, got {number}")


def check_several(num_samples: Any) -> None:
    checks.as_integer(num_samples, "num_samples", 2, checks.INT64_END)


def check_configurations(columns: int, variables: int, most: int) -> None:
    """Whether all configurations can be enumerated."""
    if columns**variables > most:
        raise ValueError(f"{columns} ** {variables} configurations are more than 2**{most.bit_length() - 1}")
