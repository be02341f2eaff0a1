"""Every kernel of every backend against the reference, and against each other byte by byte."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ... import _core
from ..._engine.backend import Kernels
from ..._engine.tables import bits_of, bounds_of, guide_of
from ..._engine.tokens import Settings
from ..._engine.types import LACKING, REFUSED
from ...reference import kernels as reference
from .. import text
from .cases import Case, cases, dtypes, in_lanes
from .conditional import conditional
from .inputs import KEY, Array, Inputs, condition, inputs, tree
from .judges import BOUNDS, Results, Verdict, judge, same
from .named import run_named, run_whole

THREADS = 1, 3


@dataclass
class Cell:
    """What is known of one kernel, dtype and backend."""

    checked: int = 0
    worst: float = 0.0
    near_ties: int = 0
    faults: list[str] = field(default_factory=list)

    def show(self, kernel: str) -> str:
        """The text of the cell."""
        if self.faults:
            return f"{text.BAD} ({len(self.faults)})"
        worst = f"{self.worst:.2f} ulp" if kernel in ("gumbel", "exponential") else f"{self.worst:.0%}"
        notes = [worst] * (self.worst > 0) + [f"{self.near_ties} near-ties"] * (self.near_ties > 0)
        return f"{text.GOOD} ({', '.join(notes)})" if notes else text.GOOD


def token_settings(case: Case, rows: int) -> Settings:
    """Those of a case, the same for all rows."""
    numbers = 1 / case.temperature, case.k, case.top_p, case.min_p, case.seen_scale, case.least, case.sigmas
    given = *numbers, case.typical_p, case.epsilon, case.eta
    scale, *filters = (None if each is None else np.full(rows, each) for each in given)
    assert scale is not None
    return Settings(scale, *filters)


def run(backend: Kernels, case: Case, given: Inputs, threads: int) -> Results:
    """The results of a kernel, in arrays of its own; nothing if it refuses its input."""
    kernel = getattr(backend, case.kernel)
    x, scale, rows = given.x, 1 / case.temperature, case.rows * case.draws
    if case.kernel == "philox":
        words = np.empty((x.size, 4), np.uint32)
        kernel(given.address[0], case.domain, case.offset, words)
        return (words,)
    if case.kernel.endswith("_at"):
        return run_named(backend, case, given, threads)
    out = np.empty_like(x)
    if case.kernel in ("gumbel", "exponential"):
        kernel(out, case.loc, case.scale, threads, given.address)
        return (out,)
    if case.kernel in ("gumbel_max", "gumbel_top_k"):
        shape = (rows,) if case.kernel == "gumbel_max" else (rows, case.k)
        index = np.empty(shape, np.int64)
        perturbed = np.empty(shape)
        status = kernel((x, given.mask, scale), index, perturbed, threads, given.address)
        return () if status == REFUSED else (index, perturbed, np.array([status == LACKING]))
    if case.kernel == "race":
        index, perturbed = np.empty((rows, case.k), np.int64), np.empty((rows, case.k))
        status = kernel((x, None, 1.0), None, index, perturbed, None, threads, given.address)
        return () if status == REFUSED else (index, perturbed, np.array([status == LACKING]))
    if case.kernel == "sample_tokens":
        index = np.empty(rows, np.int64)
        status = kernel((x, given.mask, 1.0), token_settings(case, rows), index, None, threads, given.address)
        return () if status == REFUSED else (index, np.array([status == LACKING]))
    if case.kernel == "token_edges":
        edges = np.empty((rows, 4))
        status = kernel((x, given.mask, 1.0), token_settings(case, rows), edges, threads)
        return () if status == REFUSED else (edges, np.array([status == LACKING]))
    if case.kernel == "conditional_gumbel":
        out = np.empty(x.shape, np.float64 if x.dtype == np.float64 else np.float32)
        status = kernel((x, None, 1.0), *condition(case, x), out, threads, given.address)
        return () if status == REFUSED else (out,)
    if case.kernel == "viterbi":
        labels, score = np.empty((case.rows, case.k), np.int64), np.empty(case.rows, x.dtype)
        nodes = x.reshape(case.rows, case.k, case.columns)
        status = kernel(nodes, *tree(case, x.dtype), labels, score, threads)
        return () if status == REFUSED else (labels, score, np.array([status == LACKING]))
    if in_lanes(case.kernel):
        return _lanes(kernel, case, given, threads)
    if case.kernel.startswith("draw"):
        return (_draws(backend, case, x, threads),)
    if case.kernel == "gumbel_softmax":
        soft, hard = (np.empty_like(x) if case.want in (name, "both") else None for name in ("soft", "hard"))
        status = kernel((x, None, scale), soft, hard, threads, given.address)
        return () if status == REFUSED else tuple(a for a in (soft, hard) if a is not None)
    if case.kernel == "logsumexp":
        out = np.empty(case.rows, x.dtype)
    elif case.in_place:
        x = out = x.copy()
    arguments = (given.grad, x) if case.kernel.endswith("backward") else (x,)
    kernel(*arguments, scale, out, threads)
    return (out,)


def half_types() -> tuple[np.dtype[Any], ...]:
    """float16, and bfloat16 where ml_dtypes is installed."""
    ml_dtypes = text.optional("ml_dtypes")
    return (np.dtype(np.float16), *((np.dtype(ml_dtypes.bfloat16),) if ml_dtypes else ()))


def _lanes(kernel: Any, case: Case, given: Inputs, threads: int) -> Results:
    """Relaxed subsets and permutations, and sums over subsets."""
    x, grad, out = given.x, given.grad, np.empty_like(given.x)
    if case.kernel.startswith("sinkhorn"):
        x, grad, out = (each.reshape(case.rows, case.columns, case.columns) for each in (x, grad, out))
    arguments = (grad, x, case.k) if case.kernel.endswith("backward") else (x, case.k)
    if case.kernel == "subset_marginals":
        log_sum = np.empty(case.rows, x.dtype)
        kernel(*arguments, out, log_sum, threads)
        return out, log_sum
    scale = () if case.kernel.startswith("subset") else (1 / case.temperature,)
    kernel(*arguments, *scale, out, threads)
    return (out,)


def _draws(backend: Kernels, case: Case, x: Array, threads: int) -> Array:
    """Draws from tables, which the backend makes as well."""
    weights = np.exp(x)
    weights[:, 0] += weights.sum(axis=-1) == 0  # a row without weight is refused before it comes to tables
    bounds = bounds_of(weights)
    index, place = np.empty((case.draws, case.rows), np.int64), (KEY, case.offset, 0, None, None)
    if case.kernel == "draw_integers":
        backend.draw_integers(case.columns, index, threads, place)
    elif case.kernel == "draw_weights":
        backend.draw_weights(weights, index, threads, place)
    elif case.kernel == "draw_inverse":
        backend.draw_inverse(bounds, guide_of(bounds), index, threads, place)
    else:
        table = np.empty((case.rows, 1 << bits_of(case.columns)), np.uint64)
        backend.alias_table(bounds, table, threads)
        backend.draw_alias(table, index, threads, place)
    return index


def _same(a: Results, b: Results) -> bool:
    """Whether all bytes are equal; NaN counts as one value, for processors give it either sign."""
    return len(a) == len(b) and all(
        bool(((x.view(bits) == y.view(bits)) | ((x != x) & (y != y))).all())
        for x, y in zip(a, b, strict=True)
        for bits in (f"u{x.itemsize}",)
    )


def _rounded(wide: Results, like: Results) -> Results:
    return tuple(a.astype(b.dtype) for a, b in zip(wide, like, strict=False))


def check(case: Case, dtype: np.dtype[Any], backends: Sequence[Kernels]) -> list[Verdict]:
    """One verdict for each backend.

    The first number of threads is held against the reference, the others and the other backends against its bytes.
    Half types are defined as the float32 result rounded once, so that is judged in their place, and then rounded.
    """
    given = inputs(case, dtype)
    half = dtype.itemsize == 2
    wide = given.astype(np.dtype(np.float32)) if half else given
    exact = case.kernel in ("sample_tokens", "token_edges", "viterbi") or case.kernel.startswith("draw")
    if case.kernel.endswith("_at"):
        look = same(run_whole(backends[-1], case, wide))
    elif exact:
        look = same(run(reference, case, wide, THREADS[0]))
    else:
        look = (conditional if case.kernel == "conditional_gumbel" else judge)(case, wide)
    verdicts, last = [], run(backends[-1], case, given, THREADS[0])
    for backend in backends:
        got = run(backend, case, given, THREADS[0])
        judged = run(backend, case, wide, THREADS[0]) if half else got
        verdict, fault = look(judged), ""
        if half and not _same(got, _rounded(judged, got)):
            fault = "not the float32 result rounded once"
        elif not all(_same(got, run(backend, case, given, threads)) for threads in THREADS[1:]):
            fault = f"threads {THREADS} give different bytes"
        elif not _same(got, last):
            fault = f"other bytes than {backends[-1].name}"
        verdicts.append(replace(verdict, fault=verdict.fault or fault))
    return verdicts


def verify(backends: Sequence[Kernels], quick: bool = False, only: str = "") -> dict[tuple[str, str], dict[str, Cell]]:
    """All cases whose name contains `only`: for each kernel and dtype, a cell per backend."""
    half = half_types()
    chosen = [(case, dtype) for case in cases(quick) for dtype in dtypes(case, half) if only in f"{case} {dtype.name}"]
    found: dict[tuple[str, str], dict[str, Cell]] = {}
    for case, dtype in text.track(chosen, "verify"):
        row = found.setdefault((case.kernel, dtype.name), {backend.name: Cell() for backend in backends})
        with np.errstate(all="ignore"):  # infinities and NaN are among the cases
            verdicts = check(case, dtype, backends)
        for backend, verdict in zip(backends, verdicts, strict=True):
            cell = row[backend.name]
            cell.checked += 1
            cell.worst = max(cell.worst, verdict.error)
            cell.near_ties += verdict.near_ties
            if verdict.fault:
                cell.faults.append(f"{case} {dtype.name}: {verdict.fault}")
    return found


def _report(found: dict[tuple[str, str], dict[str, Cell]], names: Sequence[str]) -> None:
    rows = [[*key, *(row[name].show(key[0]) for name in names)] for key, row in found.items()]
    text.table("Every kernel against the reference", ["kernel", "dtype", *names], rows)
    print("Bounds. In brackets: the worst error of the noise in ulp, elsewhere as a share of the bound.")
    for kernel in dict.fromkeys(key[0] for key in found):
        print(f"  {kernel:21s} {BOUNDS[kernel]}")
    print(
        f"float16 and bfloat16: equal to the float32 result rounded once. Threads ({', '.join(map(str, THREADS))}) and "
        "backends: the same bytes."
    )


def _failures(found: dict[tuple[str, str], dict[str, Cell]], shown: int = 3) -> None:
    faults = {name: cell.faults for row in found.values() for name, cell in row.items() if cell.faults}
    for row in found.values():
        for name, cell in row.items():
            for fault in cell.faults[:shown]:
                print(f"{text.BAD} on {name}: {fault}")
            if len(cell.faults) > shown:
                print(f"  and {len(cell.faults) - shown} more of its {cell.checked} cases")
    first = next(iter(faults.values()))[0].partition(":")[0]
    print(f'To repeat one case: python -m gumbelfast verify --only "{first}"')


def main(quick: bool = False, only: str = "") -> int:
    """Check and report.

    Parameters
    ----------
    quick : bool
        Small cases only.
    only : str
        Only cases whose name contains this.

    Returns
    -------
    int
        0 if all is well, 1 if anything differs, 2 if there is no such case.
    """
    start, backends = time.perf_counter(), _core.backends()
    found = verify(backends, quick, only)
    if not found:
        print(f"no case has {only!r} in its name", file=sys.stderr)
        return 2
    _report(found, [backend.name for backend in backends])
    cells = [cell for row in found.values() for cell in row.values()]
    checked, wrong, ties = (
        sum(numbers)
        for numbers in zip(*((cell.checked, len(cell.faults), cell.near_ties) for cell in cells), strict=True)
    )
    if wrong:
        _failures(found)
    print(f"{checked} checks, {wrong} failed, {ties} near-ties, {time.perf_counter() - start:.1f} s")
    return 1 if wrong else 0
