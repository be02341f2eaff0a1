"""The stated goals, as data, and how a measured row is judged by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Goal:
    """What a row should reach.

    Attributes
    ----------
    at_most : float or None
        The largest figure allowed, in the row's unit (ns, or MiB for M1).
    beats : float or None
        The best peer's figure divided by ours should be at least this.
    against : tuple of str
        The libraries whose contenders count as peers for `beats`.
    within : tuple of (str, float) or None
        A reference point, and the multiple of its figure that ours may reach.
    """

    at_most: float | None = None
    beats: float | None = None
    against: tuple[str, ...] = ()
    within: tuple[str, float] | None = None

    def __str__(self) -> str:
        parts = [f"≤ {self.at_most:g}"] if self.at_most is not None else []
        parts += [f"≥ {self.beats:g} × best"] if self.beats is not None else []
        parts += [f"≤ {self.within[1]:g} × {self.within[0]}"] if self.within is not None else []
        return ", ".join(parts)


GOALS = {
    "N1": Goal(0.85, 3.5, ("numpy", "torch", "jax", "numba", "mkl")),
    "N2": Goal(2.0, 3, ("numpy", "mkl", "mkl_random")),
    "C1": Goal(0.25, 24, ("numpy", "torch", "jax", "numba"), ("numpy maximum", 1.5)),
    "K1": Goal(0.40, 45, ("numpy", "torch", "jax")),
    "S1": Goal(0.40, 2, ("numpy", "scipy", "torch", "jax")),
    "S2": Goal(0.20, 1.5, ("numpy", "torch")),
    "G1": Goal(1.5, 6, ("torch", "jax")),
    "D1": Goal(3, 20, ("numpy", "torch")),
    "W1": Goal(0.25, 35, ("numpy", "torch")),
    "B1": Goal(None, 20, ("torch",)),
    "L1": Goal(2000, 9, ("torch",)),
    "T1": Goal(None, 1.9, ("gumbelfast",)),
    "M1": Goal(1.0),
}


def best_peer(result: dict[str, Any], libraries: tuple[str, ...] = ()) -> dict[str, Any] | None:
    """The fastest peer of a measured row, among `libraries` if any are named."""
    peers = [
        entrant
        for entrant in result["entrants"]
        if entrant["role"] == "peer" and (not libraries or entrant["name"].split()[0] in libraries)
    ]
    return min(peers, key=lambda entrant: entrant["median"], default=None)


def judge(result: dict[str, Any], ours: dict[str, Any]) -> list[tuple[str, bool]]:
    """Each part of the row's goal, and whether `ours` met it; empty for rows without a goal."""
    goal = GOALS.get(result["id"].split("/")[0])
    if goal is None or not result["headline"]:
        return []
    figure, verdicts = ours["median"], []
    if goal.at_most is not None:
        verdicts.append((f"≤ {goal.at_most:g}", figure <= goal.at_most))
    peer = best_peer(result, goal.against)
    if goal.beats is not None and peer is not None:
        verdicts.append((f"≥ {goal.beats:g} ×", peer["median"] >= goal.beats * figure))
    for entrant in result["entrants"]:
        if goal.within is not None and entrant["name"] == goal.within[0]:
            verdicts.append((f"≤ {goal.within[1]:g} × maximum", figure <= goal.within[1] * entrant["median"]))
    return verdicts
