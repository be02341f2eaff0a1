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
