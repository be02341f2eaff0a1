"""The build backend of pyproject.toml: scikit-build-core's, which also gets jaxlib where there is one.

Its headers are all that is taken of jaxlib: handlers that XLA calls are compiled with them.
"""

import os
import platform
import subprocess
import sys
import sysconfig

from scikit_build_core.setuptools import build_meta
from scikit_build_core.setuptools.build_meta import *  # noqa: F403

JAXLIB = "jaxlib>=0.6"
IS_THERE = "import importlib.util, sys; sys.exit(importlib.util.find_spec('jaxlib') is None)"


def jaxlib():
    """What to install for its headers: nothing where the environment has them, or where no jaxlib is published."""
    machine = platform.machine()
    musl = "musl" in (sysconfig.get_config_var("EXT_SUFFIX") or "")
    published = {"linux": not musl and machine in ("x86_64", "aarch64"), "darwin": machine == "arm64"}
    if not published.get(sys.platform, False) or os.environ.get("GUMBELFAST_WITHOUT_XLA"):
        return []
    # pip hides the packages of the environment that it installs into behind PYTHONPATH.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    there = subprocess.run([sys.executable, "-c", IS_THERE], env=environment, check=False).returncode == 0
    return [] if there else [JAXLIB]


def get_requires_for_build_wheel(config_settings=None):
    return [*build_meta.get_requires_for_build_wheel(config_settings), *jaxlib()]


def get_requires_for_build_editable(config_settings=None):
    return [*build_meta.get_requires_for_build_editable(config_settings), *jaxlib()]
