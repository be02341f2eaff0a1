"""The examples in the docstrings print what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

import gumbelfast.dask as gfd

PAGES = sorted(path.stem for path in Path(gfd.__file__).parent.glob("[a-z]*.py"))


@pytest.mark.parametrize("page", PAGES)
def test_examples(page: str) -> None:
    found = doctest.testmod(importlib.import_module(f"gumbelfast.dask.{page}"))
    assert found.attempted
    assert not found.failed


def test_everything_public_is_explained() -> None:
    assert list(gfd.__all__) == sorted(gfd.__all__)
    for name in gfd.__all__:
        assert getattr(gfd, name).__doc__, name


def test_the_page_on_scale_is_true() -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("dask.dataframe")
    page = Path(__file__).parents[2] / "docs" / "scale.md"
    blocks = page.read_text(encoding="utf-8").split("```python\n")[1:]
    code = [block.split("```")[0] for block in blocks]
    names: dict[str, object] = {}
    for block in code[:2]:  # others need a table, or processes
        exec(block, names)
    assert {"drawn", "rows"} <= names.keys()
