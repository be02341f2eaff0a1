"""Examples of the documentation run."""

import doctest
import re
from pathlib import Path
from types import ModuleType

import pytest
from helpers import OLD_NUMPY

from gumbelfast._sampling import conditional
from gumbelfast.distributions import binary_concrete, concrete, gumbel

PAGE = Path(__file__).parents[2] / "docs" / "distributions.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_every_subject_has_an_example() -> None:
    names = [
        "conditional_gumbel",
        "counterfactual",
        ".Gumbel(",
        ".Concrete(",
        ".ExpConcrete(",
        ".BinaryConcrete(",
        ".HardConcrete(",
    ]
    assert [name in example for name, example in zip(names, EXAMPLES, strict=True)] == [True] * 7


@pytest.mark.parametrize("example", EXAMPLES)
def test_page(example: str) -> None:
    exec(compile(example, str(PAGE), "exec"), {})


@pytest.mark.skipif(OLD_NUMPY, reason="NumPy 1 prints numbers otherwise")
@pytest.mark.parametrize("module", [binary_concrete, concrete, gumbel, conditional], ids=lambda m: m.__name__)
def test_docstrings(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.failed == 0
    assert found.attempted > 0
