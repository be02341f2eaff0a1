"""What must agree among the files that describe the project: tasks, hooks, CI, the citation."""

import importlib
import re
from pathlib import Path

import pytest

import gumbelfast as gf

ROOT = Path(__file__).parents[2]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_ci_runs_the_tasks_of_the_noxfile() -> None:
    noxfile, ci = text_of("noxfile.py"), text_of(".ci/run")
    tasks = set(re.findall(r"@nox\.session\ndef (\w+)", noxfile))
    default = re.search(r"sessions = \[(.*)\]", noxfile)
    assert default
    wanted = set(re.findall(r'"(\w+)"', default[1]))
    run = set(re.findall(r"^run nox -s (\w+)", ci, re.MULTILINE))
    # The tests run before nox is there, by the command of the README.
    assert wanted == run | {"tests"}
    assert "run python -m pytest -n logical -rs" in ci
    assert wanted <= tasks
    assert {"battery", "fuzz", "sanitize", "package"} <= tasks


def test_hooks_are_the_linters() -> None:
    hooks = re.findall(r"entry: ([\w-]+(?: (?:check|format))?)", text_of(".pre-commit-config.yaml"))
    linters = re.search(r"LINTERS = \((.*)\)", text_of("noxfile.py"))
    assert linters
    named = [re.findall(r'"([^"]+)"', command) for command in re.findall(r"\[(.*?)\]", linters[1])]
    commands = {" ".join(words[:2]) if words[0] == "ruff" else words[0] for words in named}
    assert commands == {"ruff check", "ruff format", "mypy", "lint-imports"}
    assert set(hooks) == commands | {"clang-format"}


def test_hooks_and_linters_look_at_the_same_files() -> None:
    """Hooks know Python by the first line as well, ruff by the ending alone."""
    paths = (path for folder in (".ci", "tools") for path in (ROOT / folder).iterdir() if path.is_file())
    scripts = [path for path in paths if path.suffix == "" and "python" in path.read_text("utf-8").splitlines()[0]]
    listed = re.search(r"^extend-include = \[(.*)\]$", text_of("pyproject.toml"), re.MULTILINE)
    assert listed
    assert sorted(re.findall(r'"([^"]+)"', listed[1])) == sorted(str(path.relative_to(ROOT)) for path in scripts)


def test_the_citation_has_the_version() -> None:
    found = re.search(r"^version: (.*)$", text_of("CITATION.cff"), re.MULTILINE)
    assert found
    assert found[1] == gf.__version__


def test_the_changelog_begins_with_the_version() -> None:
    assert re.findall(r"^## \[(.*?)\]", text_of("CHANGELOG.md"), re.MULTILINE)[0] == gf.__version__


def test_names_that_moved_are_where_the_upgrade_note_says() -> None:
    moved = re.findall(
        r"^\| `gumbelfast\.(\w+)` \| `(gumbelfast\.\w+)\.(\w+)` \|$", text_of("docs/upgrade.md"), re.MULTILINE
    )
    assert len(moved) == 15
    for old, home, name in moved:
        with pytest.raises(AttributeError):
            getattr(gf, old)
        assert name in importlib.import_module(home).__all__
