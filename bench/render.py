"""Tables and the picture of a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from goals import GOALS, best_peer, judge

Row = list[str]


def figure(value: float) -> str:
    """Three digits, however large."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def spread(entrant: dict[str, Any]) -> str:
    """Median and quartiles of an entrant."""
    low, high = entrant["quartiles"]
    return f"{figure(entrant['median'])} [{figure(low)}, {figure(high)}]"


def summary(results: list[dict[str, Any]], quick: bool) -> list[Row]:
    """One line per case and backend: our figure, the best peer's, their ratio, the goal and whether it was met."""
    lines = []
    for result in results:
        ours = [entrant for entrant in result["entrants"] if entrant["role"] == "ours"]
        best = best_peer(result)
        peer = f"{best['name']}: {spread(best)}" if best else "–"
        goal = str(GOALS.get(result["id"].split("/")[0], "")) if result["headline"] else ""
        for entrant in ours:
            ratio = f"{best['median'] / entrant['median']:.2f}" if best and entrant["median"] > 0 else "–"
            met = ", ".join(f"{part}: {'yes' if kept else 'no'}" for part, kept in judge(result, entrant))
            name = entrant["name"].removeprefix("gumbelfast").removesuffix("two threads").strip()
            work = f"{result['work']} ({name})" if name else result["work"]
            lines.append([result["id"], work, result["unit"], spread(entrant), peer, ratio, goal, "" if quick else met])
        if not ours:
            reason = result["skipped"].get("gumbelfast", "not installed")
            lines.append([result["id"], result["work"], result["unit"], reason, peer, "–", goal, ""])
    return lines


def details(results: list[dict[str, Any]], threads: int, quick: bool) -> list[Row]:
    """One line per contender; `*` marks one that used more processors than it was given."""
    lines = []
    for result in results:
        ours = min((e["median"] for e in result["entrants"] if e["role"] == "ours"), default=0)
        for entrant in result["entrants"]:
            busy = entrant["cpus"]
            allowed = 2 if result["id"].startswith("T1") else threads
            cpus = "" if busy is None else f"{busy:.2f}{'*' if busy > allowed + 0.25 and not quick else ''}"
            ratio = f"{entrant['median'] / ours:.2f}" if ours else "–"
            note = "reference point" if entrant["role"] == "reference" else entrant["tail"]
            lines.append([result["id"], entrant["name"], spread(entrant), ratio, cpus, note])
        lines += [[result["id"], name, "skipped", "", "", why] for name, why in result["skipped"].items()]
    return lines


def show(title: str, header: Row, lines: list[Row]) -> None:
    """Print a table: with rich if it is installed, as plain text otherwise."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
        print(f"\n{title}")
        for line in [header, *lines]:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        return
    table = Table(*header, title=title)
    for line in lines:
        table.add_row(*(cell.replace("[", "\\[") for cell in line))
    console = Console()
    Console(width=None if console.is_terminal else 200).print(table)


def plot(results: list[dict[str, Any]], path: Path, caption: str) -> bool:
    """Draw ns per unit by row, and against row length; False when matplotlib is not installed."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        return False
    rows = [result for result in results if result["id"].split("/")[0] in GOALS and result["unit"] != "MiB"]
    curve = [result for result in results if result["id"].startswith("curve/")]
    panels, (left, right) = plt.subplots(1, 2, figsize=(14, 5.5), layout="constrained")
    _points(left, rows, [str(result["id"]) for result in rows], "o")
    left.set_title("every row (ns per element, draw, item or call)")
    _points(right, curve, [result["id"].removeprefix("curve/K=") for result in curve], "o-")
    right.set(title="categorical by row length", xlabel="columns", ylabel="ns per element")
    for axes in (left, right):
        axes.set_yscale("log")
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend(fontsize="small", ncols=2)
    panels.suptitle(caption, fontsize="small")
    panels.savefig(path, dpi=120)
    plt.close(panels)
    return True


def _points(axes: Any, results: list[dict[str, Any]], labels: list[str], style: str) -> None:
    """One series per library: its best contender of each case."""
    series: dict[str, dict[int, float]] = {}
    for place, result in enumerate(results):
        for entrant in result["entrants"]:
            if entrant["role"] == "reference":
                continue
            name = entrant["name"] if entrant["role"] == "ours" else entrant["name"].split()[0]
            points = series.setdefault(name.replace(" two threads", ""), {})
            points[place] = min(entrant["median"], points.get(place, float("inf")))
    for name in sorted(series, key=lambda name: (not name.startswith("gumbelfast"), name)):
        low, high = [], []
        points = series[name]
        for place in points:
            quartiles = next(e["quartiles"] for e in results[place]["entrants"] if e["median"] == points[place])
            low.append(max(0, points[place] - quartiles[0]))
            high.append(max(0, quartiles[1] - points[place]))
        axes.errorbar(list(points), list(points.values()), yerr=(low, high), fmt=style, ms=5, capsize=2, label=name)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
