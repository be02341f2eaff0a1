"""Rows of what items are kept in: lists, arrays, and tables of pandas, polars and Arrow, none of which is imported."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray


def library(items: Any) -> str:
    """The library that a value is of, as far as it matters here: "" for lists and other sequences."""
    name = type(items).__module__.partition(".")[0]
    return name if name in ("numpy", "pandas", "polars", "pyarrow") else ""


def as_array(column: Any) -> Any:
    """A column of one of them as an array."""
    if library(column) == "pyarrow":
        return column.to_numpy(zero_copy_only=False) if not hasattr(column, "chunks") else column.to_numpy()
    return column.to_numpy() if library(column) in ("pandas", "polars") else column


def count(items: Any) -> int:
    return int(items.num_rows) if library(items) == "pyarrow" and hasattr(items, "num_rows") else len(items)


def take(items: Any, rows: NDArray[np.int64]) -> Any:
    """Rows by their number, in memory of their own."""
    match library(items):
        case "numpy":
            return items[rows]
        case "pandas":
            return items.iloc[rows]
        case "polars":
            return items[rows]
        case "pyarrow":
            return items.take(sys.modules["pyarrow"].array(rows))
    return [items[row] for row in rows.tolist()]


def join(parts: list[Any]) -> Any:
    """Rows of several, one after the other."""
    match library(parts[0]):
        case "numpy":
            return np.concatenate(parts)
        case "pandas":
            return sys.modules["pandas"].concat(parts)
        case "polars":
            return sys.modules["polars"].concat(parts)
        case "pyarrow":
            pa = sys.modules["pyarrow"]
            # Batches become a table; chunks are copied into one, or they would keep what they were taken from.
            tables = [pa.Table.from_batches([part]) if isinstance(part, pa.RecordBatch) else part for part in parts]
            if isinstance(tables[0], pa.Table):
                return pa.concat_tables(tables).combine_chunks()
            chunks = [chunk for part in parts for chunk in getattr(part, "chunks", [part])]
            return pa.concat_arrays(chunks)
    return [row for part in parts for row in part]
