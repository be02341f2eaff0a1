"""The examples of docs/subsets.md, docs/permutations.md and docs/structures.md run."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {"subsets": 3, "permutations": 2, "structures": 3}


@pytest.mark.parametrize("page", PAGES)
def test_page(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(examples) == PAGES[page]
    for example in examples:
        exec(compile(example, page, "exec"), {})
