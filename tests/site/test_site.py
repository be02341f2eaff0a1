"""The built site: every link of every page leads somewhere, and pages look right in Chromium.

``nox -s site`` builds it into build/site and runs these tests, which are not part of the ordinary run.
"""

import ast
import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from chromium import Chromium

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "site"
PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")
PAGES = ("index", "lecture/chapter_2_gumbel_max", "gallery/index", "modules/gumbelfast.categorical", "performance")
WIDTHS = {"desktop": 1280, "phone": 390}

pytestmark = [
    pytest.mark.site,
    pytest.mark.skipif(not (SITE / "index.html").exists(), reason="needs build/site: nox -s site"),
]


class Page(HTMLParser):
    """What a page points to, what can be pointed to in it, and its formulas."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.names: set[str] = set()
        self.formulas = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.formulas += tag == "math"
        for name, value in attributes:
            if name in ("href", "src") and value is not None:
                self.targets.append(value)
            elif name == "id" and value:
                self.names.add(value)


@pytest.fixture(scope="module")
def pages() -> dict[Path, Page]:
    return {path: Page(path) for path in SITE.rglob("*.html") if "_static" not in path.parts}


def broken_targets(pages: dict[Path, Page]) -> list[str]:
    broken = []
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = file.exists()
            if there and parts.fragment and file in pages:
                there = unquote(parts.fragment) in pages[file].names
            if not there:
                broken.append(f"{path.relative_to(SITE)}: {target}")
    return broken


def test_every_link_leads_somewhere(pages: dict[Path, Page]) -> None:
    assert len(pages) > 100
    assert not broken_targets(pages)


def test_every_table_is_read_as_one() -> None:
    """A row behind an empty line is a paragraph that begins with a bar."""
    broken = re.compile(r"<p>\s*\|")
    assert broken.search("<p>| a | b |</p>")
    assert not [path for path in SITE.rglob("*.html") if broken.search(path.read_text(encoding="utf-8"))]


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page, other = tmp_path / "a.html", tmp_path / "b.html"
    page.write_text('<a href="b.html#here">1</a> <a href="b.html#there">2</a> <img src="c.png">')
    other.write_text('<p id="here">')
    found = {path: Page(path) for path in (page, other)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}.SITE", tmp_path)
        assert broken_targets(found) == ["a.html: b.html#there", "a.html: c.png"]


def test_every_page_of_docs_and_every_example_is_there(pages: dict[Path, Page]) -> None:
    built = {path.relative_to(SITE).with_suffix("").as_posix() for path in pages}
    wanted = {path.stem for path in (ROOT / "docs").glob("*.md")}
    wanted |= {f"gallery/{path.stem}" for path in (ROOT / "examples").glob("*.py")}
    wanted |= {
        f"{folder}/{path.stem}"
        for folder in ("lecture", "tutorials")
        for path in (ROOT / "examples" / folder).glob("*.py")
    }
    assert wanted <= built
    listing = (pages[SITE / f"{name}.html"] for name in ("index", "guide", "inside"))
    linked = {Path(urlsplit(target).path).stem for page in listing for target in page.targets}
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} - linked <= {"index"}


def test_chapters_open_as_notebooks() -> None:
    """Each has a notebook beside its page, whose code is that of the script."""
    scripts = [*(ROOT / "examples" / "lecture").glob("*.py"), *(ROOT / "examples" / "tutorials").glob("*.py")]
    assert len(scripts) >= 11
    notebooks = {path.stem: path for path in (SITE / "_downloads").rglob("*.ipynb")}
    for script in scripts:
        notebook = json.loads(notebooks[script.stem].read_text(encoding="utf-8"))
        assert notebook["nbformat"] == 4
        # The first cell stands in for the command line.
        code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"][1:]
        program = ast.parse(script.read_text(encoding="utf-8")).body
        assert [*map(ast.dump, ast.parse("\n".join(code)).body)] == [*map(ast.dump, program[1:])], script.name


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if PROGRAM is None:
        pytest.skip("needs Chromium")
    with Chromium(PROGRAM, tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


LOOK = """(() => {
    const visible = element => { const box = element.getBoundingClientRect(); return box.width > 0 && box.height > 0; };
    const formulas = Array.from(document.querySelectorAll("math"));
    return {
        images: Array.from(document.images).filter(image => image.naturalWidth === 0).map(image => image.src),
        formulas: formulas.filter(math => !visible(math) || math.querySelector("merror")).map(math => math.textContent),
        shown: formulas.length,
        unread: document.querySelector("article").innerText.match(/\\\\(frac|sum|exp|begin)|:math:|:doc:/g),
        tooWide: document.documentElement.scrollWidth - window.innerWidth,
        cut: Array.from(document.querySelectorAll("article :is(h1, h2, h3, p, li, dt)"))
            .filter(element => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0
                && getComputedStyle(element).display !== "inline" && !element.closest("table"))
            .map(element => element.textContent.slice(0, 80)),
        background: getComputedStyle(document.body).backgroundColor,
    };
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", WIDTHS)
@pytest.mark.parametrize("page", PAGES)
def test_pages_look_right(page: str, device: str, scheme: str, browser: Chromium, pages: dict[Path, Page]) -> None:
    """Screenshots are left in build/screenshots."""
    file = SITE / f"{page}.html"
    browser.show(file.as_uri(), WIDTHS[device], scheme)
    seen = browser.evaluate(LOOK)
    assert not seen["images"]
    assert not seen["formulas"]
    assert seen["shown"] == pages[file].formulas
    assert seen["unread"] is None
    assert seen["tooWide"] <= 0
    assert not seen["cut"]
    level = sum(int(part) for part in seen["background"].strip("rgba()").split(",")[:3])
    assert level > 700 if scheme == "light" else level < 150
    # Nothing comes from a network, and nothing was missing.
    happened = [event["method"] for event in browser.events]
    requests = (event["params"] for event in browser.events if event["method"] == "Network.requestWillBeSent")
    requested = [request["request"]["url"] for request in requests]
    assert requested
    assert all(url.startswith(("file:", "data:", "blob:")) for url in requested)
    assert not {"Network.loadingFailed", "Runtime.exceptionThrown"} & set(happened)
    folder = ROOT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    png = browser.screenshot(folder / f"{page.replace('/', '_')}-{device}-{scheme}.png")
    width = int.from_bytes(png[16:20], "big")
    assert png.startswith(b"\x89PNG")
    assert width == WIDTHS[device]


def test_what_is_broken_is_seen(browser: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "broken.html"
    page.write_text(
        '<article><img src="none.png" width=5 height=5><math></math><p>\\frac</p>'
        '<h1 style="width: 50px">unbreakable</h1><div style="width: 3000px">x</div></article>'
    )
    browser.show(page.as_uri(), 1280, "light")
    seen = browser.evaluate(LOOK)
    assert len(seen["images"]) == 1
    assert len(seen["formulas"]) == 1
    assert seen["unread"] == ["\\frac"]
    assert seen["cut"] == ["unbreakable"]
    assert seen["tooWide"] > 0
