"""What this installation is made of: versions, backends, threads, processor, optional packages."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from .. import __version__, _core, backend, backends, get_num_threads
from . import text

# Distribution and what it adds; all can be missing.
OPTIONAL = {
    "ml_dtypes": "bfloat16 arrays",
    "rich": "tables and progress bars of this command",
    "scipy": "exact p-values in the demo",
    "matplotlib": "the picture of the demo",
    "PyMaxflow": "graph cuts of gumbelfast.structures",
}


def cpu_name() -> str:
    """The processor, as its maker calls it where the system tells."""
    if sys.platform == "darwin":
        asked = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        ).stdout.strip()
        if asked:
            return asked
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _chosen(variable: str) -> str:
    return f" ({variable} is set)" if os.environ.get(variable) else ""


def describe() -> dict[str, str]:
    """Everything that `info` shows, by name."""
    usable = ", ".join(backends())
    return {
        "gumbelfast": f"{__version__}, in {Path(__file__).parent}",
        "backend": backend() + _chosen("GUMBELFAST_BACKEND"),
        "usable backends": f"{usable} (best first)",
        "threads": str(get_num_threads()) + _chosen("GUMBELFAST_NUM_THREADS"),
        "processor": f"{cpu_name()} ({platform.machine()}, {os.cpu_count()} logical CPUs)",
        "system": platform.platform(),
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "NumPy": np.__version__,
        **{name: f"{_version(name)} - {use}" for name, use in OPTIONAL.items()},
        "jax": f"{_version('jax')} - gumbelfast.jax, {'compiled' if _core.xla_handlers() else 'through callbacks'}",
    }


def main() -> int:
    """Print the description; always succeeds."""
    text.table("This installation of gumbelfast", ["what", "found"], [list(row) for row in describe().items()])
    return 0
