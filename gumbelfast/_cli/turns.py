"""Ways to do the same work, timed in turns: a machine that drifts wrongs none of them."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

Step = Callable[[], Any]

TURN = 0.02  # seconds that a turn lasts at least


class Contest:
    """Several steps that take turns, one after the other in each round."""

    def __init__(self, steps: Sequence[Step]) -> None:
        for step in steps:
            step()  # the first call may fetch and compile
        self._steps = [(step, max(1, math.ceil(TURN / _seconds(step, 2)))) for step in steps]
        self._times: list[list[float]] = [[] for _ in steps]

    def round(self) -> None:
        """A turn for each."""
        for (step, calls), times in zip(self._steps, self._times, strict=True):
            times.append(_seconds(step, calls))

    def medians(self) -> list[float]:
        """Seconds of one call of each step."""
        return [statistics.median(times) for times in self._times]


def _seconds(step: Step, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        step()
    return max((time.perf_counter() - start) / calls, 1e-9)


def duration(seconds: float) -> str:
    """Seconds as a reader likes them."""
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} us"
