"""Draws from a memory-mapped file of float32 logits, in chunks on two workers, beside Dask's maximum of the same array.

``python bench/scale.py`` writes files of 10**6 to 10**9 numbers into a temporary folder (4 GB, if there is room for
twice as much), measures each and deletes it. All calls take turns; a figure is the best of the rounds. Memory is the
largest that the process holds, without pages of files, minus that before.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

dask: Any = importlib.import_module("dask")
da: Any = importlib.import_module("dask.array")
gfd: Any = importlib.import_module("gumbelfast.dask")

LEAST = "da.max(x)"
PIECE = 10**7  # numbers written at a time
Calls = dict[str, Callable[[Any], Any]]

CALLS: Calls = {
    LEAST: lambda x: x.max(),
    "categorical(x)": lambda x: gfd.categorical(x, rng=1),
    "gumbel_top_k(x, 100)": lambda x: gfd.gumbel_top_k(x, 100, rng=1).indices,
    "logsumexp(x)": gfd.logsumexp,
}
# What Dask's own noise and argmax do; its draws change with the chunks.
PLAIN: Calls = {
    "argmax of x and Dask's noise": lambda x: da.argmax(
        x + da.random.default_rng(1).gumbel(size=x.shape, chunks=x.chunks)
    )
}


def write(path: Path, numbers: int) -> None:
    """Normal logits in a file, a piece at a time."""
    rng = np.random.default_rng(2024)
    with path.open("wb") as file:
        for begin in range(0, numbers, PIECE):
            rng.standard_normal(min(PIECE, numbers - begin), np.float32).tofile(file)


def held() -> int:
    """Memory of this process in bytes, without pages of files; 0 where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


class Watch:
    """The largest increase of memory while it is open."""

    def __enter__(self) -> Watch:
        self.before = self.most = held()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._stop.wait(0.01):
            self.most = max(self.most, held())

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._thread.join()


def measure(x: Any, calls: Calls, rounds: int, client: Any) -> dict[str, tuple[float, float]]:
    """Best seconds of each call, and the most MB held."""
    found = dict.fromkeys(calls, (np.inf, 0.0))
    for _ in range(rounds):
        for name, call in calls.items():
            lazy = call(x)
            with Watch() as watch:
                begin = time.perf_counter()
                lazy.compute() if client is None else client.compute(lazy).result()
                taken = time.perf_counter() - begin
            best, most = found[name]
            found[name] = min(best, taken), max(most, (watch.most - watch.before) / 1e6)
    return found


def table(sizes: list[int], rounds: int, client: Any, plain_up_to: int) -> str:
    """The figures in Markdown, each beside the maximum of the same numbers."""
    lines = ["| numbers | call | s | × maximum | MB |", "| --- | --- | --- | --- | --- |"]
    for numbers in sizes:
        folder = Path(tempfile.mkdtemp())
        try:
            if shutil.disk_usage(folder).free < 8 * numbers:
                lines.append(f"| {numbers:.0e} | no room on the disk | | | |")
                continue
            write(folder / "x", numbers)
            mapped = np.memmap(folder / "x", np.float32, "r", shape=(numbers,))
            x = gfd.from_memmap(mapped, chunks=min(2**24, max(numbers // 8, 1)))
            found = measure(x, CALLS | (PLAIN if numbers <= plain_up_to else {}), rounds, client)
            for name, (seconds, most) in found.items():
                ratio, memory = seconds / found[LEAST][0], "" if client else f"{most:.0f}"
                lines.append(f"| {numbers:.0e} | {name} | {seconds:.3g} | {ratio:.2f} | {memory} |")
        finally:
            shutil.rmtree(folder)
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10**5 numbers: only shows that everything runs")
    parser.add_argument("--largest", type=float, default=1e9, help="numbers in the largest file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plain", type=float, default=1e8, help="the largest file for Dask's own noise, which is slow")
    parser.add_argument("--processes", action="store_true", help="two processes of a cluster instead of two threads")
    parser.add_argument("--output", type=Path, help="write the table there instead of printing it")
    options = parser.parse_args()
    sizes = [10**5] if options.quick else [10**n for n in range(6, 10) if 10**n <= options.largest]
    given = sizes, 1 if options.quick else options.rounds
    if options.processes:
        distributed: Any = importlib.import_module("distributed")
        with (
            distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            distributed.Client(cluster) as client,
        ):
            text = table(*given, client, int(options.plain))
    else:
        with dask.config.set(scheduler="threads", num_workers=2):
            text = table(*given, None, int(options.plain))
    print(text) if options.output is None else options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
