"""What the figures were measured on: processor, backend, compiler, versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import time
from pathlib import Path
from typing import Any

import pin

PACKAGES = (
    "gumbelfast",
    "numpy",
    "scipy",
    "torch",
    "transformers",
    "jax",
    "jaxlib",
    "numba",
    "mkl",
    "mkl_random",
    "pytest-benchmark",
)


def processor() -> str:
    """The name of the CPU."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def compiler(package: Path) -> str:
    """The compiler, whose name gcc and clang store in an extension module, if it was not stripped."""
    for path in sorted(package.glob("_core*.so")):
        names = set(re.findall(rb"GCC: \([^)]*\) [\d.]+|clang version [\d.]+", path.read_bytes()))
        if names:
            return ", ".join(sorted(name.decode() for name in names))
    return "unknown"


def describe() -> dict[str, Any]:
    """All of it, ready for JSON; reads gumbelfast only if it is installed."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    about: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processor": processor(),
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "threads": pin.THREADS,
        "versions": versions,
    }
    try:
        import gumbelfast as gf
    except ImportError:
        return about
    about["backend"], about["backends"] = gf.backend(), list(gf.backends())
    about["compiler"] = compiler(Path(str(gf.__file__)).parent)
    return about
