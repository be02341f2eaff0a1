"""The backend that a test runs on, and how hypothesis searches."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings

import gumbelfast as gf

pytest.register_assert_rewrite("helpers", "torch_checks")
from helpers import COMPILED  # noqa: E402


def _is_installed(name: str) -> bool:
    """Whether there is such a package: a folder of tests of its name is none."""
    spec = find_spec(name)
    return spec is not None and spec.origin is not None


# There are Pythons that some have no wheels for.
collect_ignore_glob = [f"test_{name}_*.py" for name in ("dask", "torch", "transformers") if not _is_installed(name)]

# Every run tries the same examples. A backend stays in force for all examples of a test.
settings.register_profile(
    "suite", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("suite")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """With -v, the figures that tests found (`record_property`)."""
    if terminalreporter.verbosity >= 0:
        for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
            for name, value in report.user_properties:
                terminalreporter.write_line(f"{report.nodeid}: {name} {value}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is asked for by name may take as long as it takes."""
    for item in items:
        if item.get_closest_marker("battery") or item.get_closest_marker("release"):
            item.add_marker(pytest.mark.timeout(0))


@pytest.fixture(params=COMPILED)
def compiled(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a compiled backend, in force during the test."""
    with gf.use_backend(request.param):
        yield request.param


@pytest.fixture(params=gf.backends())
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a backend, the reference too, in force during the test."""
    with gf.use_backend(request.param):
        yield request.param


@pytest.fixture(params=["ffi", "callback"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How JAX reaches the kernels during the test."""
    pytest.importorskip("jax")
    from gumbelfast.jax import _calls

    if request.param == "ffi" and not _calls._registered():
        pytest.skip("built without XLA's headers, or with those of another version")
    monkeypatch.setattr(_calls, "_registered", lambda: request.param == "ffi")
    return str(request.param)


@pytest.fixture
def x64() -> Iterator[None]:
    """JAX with dtypes of 64 bits."""
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)
