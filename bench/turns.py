"""Taking turns: in every round each contender of a case runs once, so a drifting machine cannot fake a ratio."""

from __future__ import annotations

import gc
import math
import statistics
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import pin
from cases import Case
from checks import CHECKS
from peers import CONTENDERS, Call, Contender, Unavailable

ROLES = "ours", "peer", "reference"
SPIN = 0.01  # seconds


@dataclass
class Entrant:
    """A contender that is ready to run, and its measurements so far."""

    name: str
    contender: Contender
    call: Call
    backend: str
    calls: int = 1
    wall: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)


class Turns:
    """The contenders of one case, checked for equal work and taking turns.

    Parameters
    ----------
    case : Case
        What to run.
    block : float
        Seconds that one turn should last at least: a short call is repeated.
    backends : sequence of str
        Backends of gumbelfast, each a contender of its own; none means its own choice.
    roles : sequence of str
        Who takes part.
    """

    def __init__(
        self, case: Case, block: float = 0.02, backends: tuple[str, ...] = (), roles: tuple[str, ...] = ROLES
    ) -> None:
        self.case, self.roles = case, roles
        self.skipped: dict[str, str] = {}
        self.entrants: list[Entrant] = []
        inputs = case.inputs()
        for contender in CONTENDERS[case.operation]:
            if contender.role not in roles:
                continue
            if contender.role == "peer" and case.peers and contender.name not in case.peers:
                continue
            several = backends if contender.role == "ours" and case.operation != "threads" else ()
            for backend in several or ("",):
                self._enter(contender, backend, inputs, block)

    def _enter(self, contender: Contender, backend: str, inputs: tuple[Any, ...], block: float) -> None:
        name = f"{contender.name} {backend}".rstrip()
        with _context(backend):
            try:
                call = contender.prepare(*inputs)
            except Unavailable as reason:
                self.skipped[name] = str(reason)
                return
            result = call()
            if contender.role != "reference":
                try:
                    CHECKS[self.case.operation](contender.adapt(result), *inputs)
                except AssertionError as error:
                    raise AssertionError(f"{self.case.id}: {name} did other work: {error}") from error
            entrant = Entrant(name, contender, call, backend)
            seconds = _turn(call, 1)[0]
        entrant.calls = max(1, min(100_000, math.ceil(block / max(seconds, 1e-9))))
        self.entrants.append(entrant)

    def take(self, *roles: str) -> None:
        """One turn for each contender of these roles."""
        for entrant in self.entrants:
            if entrant.contender.role not in roles:
                continue
            with _context(entrant.backend):
                if pin.THREADS > 1:
                    # OpenMP's threads spin for milliseconds after their work, on cores that the next turn wants.
                    time.sleep(SPIN)
                if entrant.calls > 1:  # wakes threads, and has the data where the turn before would else have left them
                    entrant.call()
                wall, cpu = _turn(entrant.call, entrant.calls)
            entrant.wall.append(wall / entrant.calls)
            entrant.cpus.append(cpu / wall)

    def ours(self) -> None:
        """Our turn, once per backend."""
        self.take("ours")

    def others(self) -> None:
        """The turns of all peers and reference points."""
        self.take("peer", "reference")

    def result(self) -> dict[str, Any]:
        """Medians with quartiles in ns per unit, ready for JSON."""
        entrants = []
        for entrant in self.entrants:
            scaled = [seconds * 1e9 / self.case.units for seconds in entrant.wall]
            low, middle, high = statistics.quantiles(scaled, n=4, method="inclusive") if len(scaled) > 1 else scaled * 3
            entrants.append(
                {
                    "name": entrant.name,
                    "role": entrant.contender.role,
                    "least": min(scaled),
                    "median": middle,
                    "quartiles": [low, high],
                    "rounds": len(scaled),
                    "calls": entrant.calls,
                    "cpus": statistics.median(entrant.cpus),
                    "tail": entrant.contender.tails[self.case.dtype],
                }
            )
        case = self.case
        return {
            "id": case.id,
            "work": case.work,
            "unit": f"ns per {case.unit}",
            "headline": case.headline,
            "entrants": entrants,
            "skipped": self.skipped,
        }


def _context(backend: str) -> AbstractContextManager[Any]:
    if not backend:
        return nullcontext()
    from peers.with_gumbelfast import gf

    context: AbstractContextManager[Any] = gf.use_backend(backend)
    return context


def _turn(call: Call, calls: int) -> tuple[float, float]:
    """Wall and processor seconds of `calls` calls, without a garbage collection in between."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(calls):
            call()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    finally:
        if enabled:
            gc.enable()
    return max(wall, 1e-9), cpu
