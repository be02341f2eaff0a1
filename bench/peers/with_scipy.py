"""SciPy's softmax; its samplers are NumPy's."""

from __future__ import annotations

import importlib
from typing import Any

from peers import Call, contender

special: Any = importlib.import_module("scipy.special")


@contender("softmax", "scipy")
def softmax(x: Any) -> Call:
    return lambda: special.softmax(x, axis=-1)
