"""Who takes part in the bench, and which gumbelfast it was."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from turns import ROLES


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that `compare.py` sets."""
    parser.addoption("--alone", action="store_true", help="cases without peers")


@pytest.fixture
def roles(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The roles of those who take part."""
    return ROLES[:1] if request.config.getoption("--alone") else ROLES


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Stores in the results where gumbelfast was imported from."""
    machine_info["gumbelfast"] = importlib.import_module("gumbelfast").__file__
