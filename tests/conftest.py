"""The backend that a test runs on, and how hypothesis searches."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

import gumbelfast as gf

pytest.register_assert_rewrite("helpers", "torch_checks")
from helpers import COMPILED  # noqa: E402

# Every run tries the same examples. A backend stays in force for all examples of a test.
settings.register_profile(
    "suite", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("suite")


@pytest.fixture(params=COMPILED)
def compiled(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a compiled backend, in force during the test."""
    with gf.use_backend(request.param):
        yield request.param
