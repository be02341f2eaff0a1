"""Tables and progress on a terminal: by rich where it is installed, in plain text elsewhere."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

GOOD, BAD = "ok", "FAILED"


def optional(name: str) -> Any:
    """A module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; columns whose names end in a space hold figures and are set flush right."""
    if optional("rich"):
        _rich_table(title, columns, rows)
        return
    lines = [[name.strip() for name in columns], *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    lines.insert(1, ["-" * width for width in widths])
    print(f"\n{title}\n")
    for line in lines:
        cells = (
            cell.rjust(width) if name.endswith(" ") else cell.ljust(width)
            for cell, width, name in zip(line, widths, columns, strict=True)
        )
        print("  ".join(cells).rstrip())
    print()


def _rich_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    box, console, tables, text = (optional(f"rich.{name}") for name in ("box", "console", "table", "text"))
    made = tables.Table(
        title=title,
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        title_justify="left",
        title_style="bold",
    )
    for name in columns:
        made.add_column(name.strip(), justify="right" if name.endswith(" ") else "left")
    for row in rows:
        made.add_row(*(text.Text(cell, style=_style(cell)) for cell in row))
    console.Console(highlight=False).print("", made)


def _style(cell: str) -> str:
    return "green" if cell.startswith(GOOD) else "bold red" if cell.startswith(BAD) else ""


def track(items: Sequence[Any], description: str) -> Iterator[Any]:
    """Go through `items` behind a progress bar; on standard error, and only where someone watches."""
    if not sys.stderr.isatty():
        yield from items
        return
    if optional("rich"):
        console, progress = optional("rich.console"), optional("rich.progress")
        yield from progress.track(items, description, console=console.Console(stderr=True), transient=True)
        return
    yield from _plain_track(items, description)


def _plain_track(items: Sequence[Any], description: str) -> Iterable[Any]:
    shown = -1
    for done, item in enumerate(items):
        percent = 100 * done // len(items)
        if percent != shown:
            print(f"\r{description} {percent:3d} %", end="", file=sys.stderr, flush=True)
            shown = percent
        yield item
    print(f"\r{description} 100 %", file=sys.stderr)
