"""Every public function and class has an example, and every example gives what it says."""

import doctest
import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

HOMES = [
    "gumbelfast", "gumbelfast.random", "gumbelfast.distributions", "gumbelfast.estimators", "gumbelfast.sequences",
    "gumbelfast.structures", "gumbelfast.shards", "gumbelfast.streams", "gumbelfast.subsets", "gumbelfast.permutations",
    "gumbelfast.torch", "gumbelfast.jax", "gumbelfast.transformers",
]  # fmt: skip


def public(home: str) -> Iterator[tuple[str, Any]]:
    """Functions and classes, without named tuples, which are results of theirs."""
    module = importlib.import_module(home)
    for name in module.__all__:
        value = getattr(module, name)
        is_result = inspect.isclass(value) and issubclass(value, tuple)
        if not inspect.ismodule(value) and not is_result:
            yield f"{home}.{name}", value


@pytest.mark.parametrize("home", HOMES)
def test_every_example_holds(home: str) -> None:
    door = home.rpartition(".")[2]
    if door in ("torch", "jax", "transformers") and not importlib.util.find_spec(door):
        pytest.skip(f"needs {door}")
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    found = list(public(home))
    assert found
    for name, value in found:
        text = inspect.getdoc(value) or ""
        assert ">>> " in text, f"{name} has no example"
        examples = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
        said: list[str] = []
        result = runner.run(examples, out=said.append, clear_globs=True)
        assert result.attempted > 1, name
        assert not result.failed, "".join(said)
