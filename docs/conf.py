"""The site: ``sphinx-build -W --keep-going docs build/site``, or ``nox -s site``. No network is needed."""

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent)]

from example_pages import COPIES, THUMBNAIL, copy_examples, draw_thumbnail

import gumbelfast

project = "gumbelfast"
author = copyright = "the gumbelfast authors"
version = release = gumbelfast.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "numpydoc",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "mathml",
    "module_pages",
]
exclude_patterns = ["_templates"]
default_role = "py:obj"
# Two hyphens are an option, not a dash.
smartquotes = False

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 4
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

copy_examples()
draw_thumbnail()
sphinx_gallery_conf = {
    "examples_dirs": [str(COPIES / name) for name in ("tutorials", "lecture", "gallery")],
    "gallery_dirs": ["tutorials", "lecture", "gallery"],
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("example_pages.saved_picture", "matplotlib"),
    "reset_argv": "example_pages.quick_arguments",
    "backreferences_dir": "gallery/used",
    "doc_module": ("gumbelfast",),
    # A notebook has no command line: programs get their default options.
    "first_notebook_cell": "import sys\n\nsys.argv[1:] = []",
    "show_memory": False,
    "min_reported_time": 1e9,
    "show_signature": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "default_thumb_file": str(THUMBNAIL),
    "thumbnail_size": (400, 280),
}

html_theme = "pydata_sphinx_theme"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"gumbelfast {version}"
html_logo = html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": [], "changelog": []}
html_theme_options = {
    "logo": {"text": "gumbelfast"},
    "show_prev_next": True,
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "navigation_depth": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

# Pages of their own for files that lie outside of docs/.
ELSEWHERE = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
# Pages that show others, or are shown elsewhere than in the guide.
OWN_PAGES = ("index", "guide", "inside", "changelog", "contributing", "security")


def link_pages(_: Sphinx, docname: str, source: list[str]) -> None:
    """Links to files that have a page in the site lead there; new pages of docs/ appear in the guide by themselves."""
    text = re.sub(r"\]\(\.\./examples/(\w+)\.py\)", r"](gallery/\1.rst)", source[0])
    for name in ELSEWHERE:
        text = text.replace(f"](../{name})", f"]({name.lower()})")
    if docname == "guide":
        listed = {*text.splitlines(), *(HERE / "inside.md").read_text(encoding="utf-8").splitlines(), *OWN_PAGES}
        text = text.replace("%others", "\n".join(sorted({path.stem for path in HERE.glob("*.md")} - listed)))
    source[0] = text


def escape_stars(_: Sphinx, kind: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Shapes such as ``(n, *batch)`` are no emphasis."""
    lines[:] = [re.sub(r"(?<![*\w\\])\*(?=[\w.]+[,)])", r"\*", line) for line in lines]


def setup(app: Sphinx) -> None:
    # Before numpydoc, whose priority is 500.
    app.connect("autodoc-process-docstring", escape_stars, priority=400)
    app.connect("source-read", link_pages)
