"""Every public function and class has an example, and every example gives what it says."""

import doctest
import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def modules_with_pages() -> list[str]:
    """What the site shows (docs/_extensions/module_pages.py)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs" / "_extensions"))
        return list(importlib.import_module("module_pages").MODULES)


HOMES = modules_with_pages()
# Packages after which a module of ours is named.
ENGINES = ("torch", "jax", "dask", "transformers", "pyro", "numpyro")


def test_every_public_module_has_a_page() -> None:
    """A module is public if no part of its name begins with an underscore and it has an ``__all__``."""
    public = set()
    for path in (ROOT / "gumbelfast").rglob("*.py"):
        parts = [part for part in path.relative_to(ROOT).with_suffix("").parts if part != "__init__"]
        offers = "\n__all__ = [" in path.read_text(encoding="utf-8")
        if offers and not any(part.startswith("_") for part in parts):
            public.add(".".join(parts))
    assert len(public) > 25
    assert set(HOMES) == public


def public(home: str) -> Iterator[tuple[str, Any]]:
    """Functions and classes, without named tuples, which are results of theirs."""
    module = importlib.import_module(home)
    for name in module.__all__:
        value = getattr(module, name)
        is_result = inspect.isclass(value) and issubclass(value, tuple)
        if not inspect.ismodule(value) and not is_result:
            yield f"{home}.{name}", value


# The reference offers a module.
@pytest.mark.parametrize("home", [home for home in HOMES if home != "gumbelfast.reference"])
def test_every_example_holds(home: str) -> None:
    for part in home.split(".")[1:]:
        if part in ENGINES and not importlib.util.find_spec(part):
            pytest.skip(f"needs {part}")
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
