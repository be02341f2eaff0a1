"""The build backend of pyproject.toml: scikit-build-core's, with jaxlib beside it where there is one.

Nothing but its headers is taken: handlers that XLA calls are compiled with them (CMakeLists.txt).
"""

import platform
import subprocess
import sys
import sysconfig

from scikit_build_core.setuptools import build_meta
from scikit_build_core.setuptools.build_meta import *  # noqa: F403

# XLA takes handlers of its own version of the interface and of older ones: 0.1 here, which every later jaxlib takes. It
# comes for CPython 3.10 to 3.14.
JAXLIB = "jaxlib>=0.6,<0.8" if sys.version_info < (3, 15) else "jaxlib"
IS_THERE = "import importlib.util, sys; sys.exit(importlib.util.find_spec('jaxlib') is None)"


def jaxlib():
    """What to install for its headers: nothing where the environment has them, or where no jaxlib is published."""
    musl = "musl" in (sysconfig.get_config_var("EXT_SUFFIX") or "")
    published = {
        "linux": not musl and platform.machine() in ("x86_64", "aarch64"),
        "darwin": platform.machine() == "arm64",
    }
    if not published.get(sys.platform, False):
        return []
    # pip hides the packages of the environment that it installs into behind PYTHONPATH: -E looks past it.
    there = subprocess.run([sys.executable, "-E", "-c", IS_THERE], check=False).returncode == 0
    return [] if there else [JAXLIB]


def get_requires_for_build_wheel(config_settings=None):
    return [*build_meta.get_requires_for_build_wheel(config_settings), *jaxlib()]


def get_requires_for_build_editable(config_settings=None):
    return [*build_meta.get_requires_for_build_editable(config_settings), *jaxlib()]
