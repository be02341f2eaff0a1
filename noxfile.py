"""The tasks of this project under one name each: what CI, the release battery and a developer run is the same.

They run in the environment that is active (``pip install -e ".[test,lint,docs]"``): compiling the core anew for each
would take longer than most of them. ``nox -l`` lists them, ``nox`` runs those of CI, and ``.ci/run`` does so in a fresh
environment.
"""

import shutil
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
nox.options.default_venv_backend = "none"
nox.options.sessions = ["tests", "lint", "verify", "site", "bench"]

# In .pre-commit-config.yaml as well, where they mend what they can.
LINTERS = (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"], ["lint-imports"])


def python(session: nox.Session, *command: str) -> None:
    session.run(sys.executable, *command, external=True)


@nox.session
def tests(session: nox.Session) -> None:
    """The tests, on all backends of this machine; arguments go to pytest."""
    python(session, "-m", "pytest", "-n", "logical", "-rs", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, layers of imports, and the format of C++."""
    for command in LINTERS:
        session.run(*command, external=True)
    folders = ("bench", "csrc", "src", "tests")
    sources = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.[ch]pp")))
    session.run("clang-format", "--dry-run", "--Werror", *map(str, sources), external=True)


@nox.session
def verify(session: nox.Session) -> None:
    """Every kernel x backend x dtype against the reference, and the demo."""
    for command in (["info"], ["verify"], ["demo", "--output", str(ROOT / "build" / "demo.png")]):
        python(session, "-m", "gumbelfast", *command)


@nox.session
def site(session: nox.Session) -> None:
    """The site into build/site, warnings being errors, and its tests."""
    shutil.rmtree(ROOT / "build" / "site", ignore_errors=True)
    python(session, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", "build/site")
    python(session, "-m", "pytest", "-m", "site", "tests/site")


@nox.session
def bench(session: nox.Session) -> None:
    """The bench at its smallest, which shows that everything runs."""
    python(session, "-m", "pytest", "bench", "--benchmark-disable")
    python(session, "bench/report.py", "--quick", "--out", str(ROOT / "build" / "bench"))


@nox.session
def compare(session: nox.Session) -> None:
    """Two commits, built and measured in turns: -- OLD NEW [--only EXPRESSION] [--rounds N] (bench/README.md)."""
    python(session, "bench/compare.py", *session.posargs)


@nox.session
def battery(session: nox.Session) -> None:
    """Every float32 input, 2**33 draws, mutants: half an hour (docs/trust.md)."""
    python(session, "-m", "pytest", "-m", "battery", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Every public function with random arguments; arguments go to tools/fuzz."""
    session.run("tools/fuzz", *(session.posargs or ["100000"]), external=True)


@nox.session
def sanitize(session: nox.Session) -> None:
    """The sanitizers, one after the other."""
    for name in session.posargs or ("address", "thread", "valgrind"):
        session.run("tools/sanitize", name, external=True)


@nox.session
def package(session: nox.Session) -> None:
    """Source distribution and wheel, and what an index and another machine say of them."""
    session.run("tools/package", external=True)
