"""Every line of the README runs, its commands are those of CI, and its links and figures are those of docs/."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
STRICT = [sys.executable, "-W", "error", "-W", "ignore:The global interpreter lock:RuntimeWarning"]


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run(command: list[str], folder: Path) -> None:
    found = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr


def test_it_is_short() -> None:
    assert len(README.splitlines()) < 120


@pytest.mark.parametrize("code", blocks("python"), ids=("numpy", "torch", "jax"))
def test_code(code: str, tmp_path: Path) -> None:
    missing = [name for name in re.findall(r"import (torch|jax)", code) if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"needs {missing[0]}")
    run([*STRICT, "-c", code], tmp_path)


def test_the_first_page_of_the_site_shows_the_same() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert blocks("sh")[0] == blocks("sh", index)[0]
    run([*STRICT, "-c", blocks("python", index)[0]], ROOT)
    assert "import numpy as np, gumbelfast as gf\n" in blocks("python", index)[0]


def commands() -> list[str]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    lines += [code for code in re.findall(r"`([^`\n]+)`", README) if code.startswith(("pip ", "python ", "nox "))]
    return [part for line in lines for part in line.split(" && ")]


def test_commands(tmp_path: Path) -> None:
    """What a test can run is run here; CI installs, tests and builds the site by the same words."""
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    extras = re.findall(r"^([\w-]+) = \[", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r'"\.\[([\w-]+)\]"', README)
    assert len(named) >= 6
    assert set(named) <= set(extras)
    found = commands()
    assert len(found) >= 8
    for command in found:
        if command == "python -m gumbelfast demo":
            run([*STRICT, "-m", "gumbelfast", "demo", "--output", str(tmp_path / "demo.png")], tmp_path)
            assert not importlib.util.find_spec("matplotlib") or (tmp_path / "demo.png").exists()
        elif command == "python -m gumbelfast bench":
            run([*STRICT, "-m", "gumbelfast", "bench", "--quick"], tmp_path)
        elif command.startswith("pip install "):
            package = command.removeprefix("pip install ").removeprefix("-e ").strip('"')
            assert package == "jax" or re.fullmatch(r"\.\[([\w-]+)\]", package)
            assert package == "jax" or package[2:-1] in extras, command
        elif command == "python bench/report.py":
            assert "bench/report.py" in (ROOT / "noxfile.py").read_text(encoding="utf-8")
        else:
            assert command in ci, command


def anchors(path: Path) -> set[str]:
    """The names that headings have on GitHub."""
    heads = re.findall(r"^#+ (.*)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_links(name: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / name).read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if "://" not in path:
            assert (ROOT / path).exists(), target
            assert not anchor or anchor in anchors(ROOT / path), target


def test_ratios_are_those_of_the_docs() -> None:
    """The README's figures are those of docs/performance.md, row by row and CPU by CPU."""
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    shown = [[cell.strip() for cell in line.split("|")[2:4]] for line in README.splitlines() if line.startswith("| ")][
        2:
    ]
    assert len(shown) == 12
    amd, intel = (re.findall(r"[\d.]+", " ".join(column)) for column in zip(*shown, strict=True))

    def documented(heading: str) -> list[str]:
        section = text.split(f"{heading}\n")[1].split("\n## ")[0].split("\n### ")[0]
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line[:2] == "| "]
        return ", ".join(row[-1] for row in rows[2:] if row[0] != "token sampling, top-p 0.9").split(", ")

    assert amd == documented("## Beside each library")
    assert intel == documented("### On an Intel Xeon")
