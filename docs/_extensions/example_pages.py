"""Examples become pages by sphinx-gallery: they run while the site is built, and their pictures are shown.

The scripts in examples/ are programs: a docstring, options, a picture that they save. So they are copied, their names
become titles, they run with `--quick`, and a scraper takes the picture that they leave.
"""

import ast
import shutil
from pathlib import Path
from typing import Any

from matplotlib import pyplot
from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

ROOT = Path(__file__).parents[2]
# Where sphinx-gallery finds the copies, and what it makes of them.
COPIES = ROOT / "build" / "site-examples"
THUMBNAIL = COPIES / "thumbnail.png"
NAMES = {"jax": "JAX", "torch": "PyTorch", "gumbel": "Gumbel", "vae": "VAE"}


def title_of(path: Path) -> str:
    words = " ".join(NAMES.get(word, word) for word in path.stem.split("_")).replace("Gumbel ", "Gumbel-")
    return words[0].upper() + words[1:]


def titled(path: Path) -> str:
    """The source of a program, its docstring with the title of a page."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    doc = ast.get_docstring(tree) or ""
    rest = source.splitlines(keepends=True)[tree.body[0].end_lineno :]
    title = title_of(path)
    # sphinx-gallery runs programs without their docstring, and shows no lines between these two.
    kept = f"# sphinx_gallery_start_ignore\n__doc__ = {doc!r}\n# sphinx_gallery_end_ignore\n"
    return f'"""\n{title}\n{"=" * len(title)}\n\n{doc}\n"""\n{kept}' + "".join(rest)


def copy_examples() -> None:
    shutil.rmtree(COPIES, ignore_errors=True)
    gallery = COPIES / "gallery"
    gallery.mkdir(parents=True)
    for path in sorted((ROOT / "examples").glob("*.py")):
        (gallery / path.name).write_text(titled(path), encoding="utf-8")
    shutil.copy(ROOT / "docs" / "_templates" / "gallery.rst", gallery / "GALLERY_HEADER.rst")
    for name in ("lecture", "tutorials"):
        shutil.copytree(ROOT / "examples" / name, COPIES / name)


def draw_thumbnail() -> None:
    """The logo, for programs that print and draw nothing."""
    figure = Figure(figsize=(4, 2.8))
    axes = figure.add_axes((0.3, 0.2, 0.4, 0.6))
    axes.bar(range(3), (1, 2.2, 1.5), width=0.7, color=("#7fb3d5", "#d1495b", "#7fb3d5"))
    axes.axis("off")
    figure.savefig(THUMBNAIL, dpi=100)


def picture_of(source: str) -> Path:
    return Path(source).with_suffix(".png")


def quick_arguments(_: dict[str, Any], script: dict[str, Any]) -> list[str]:
    """Programs that draw a picture take ``--quick`` and ``--output``."""
    source = Path(script["src_file"])
    drawn = "--output" in source.read_text(encoding="utf-8")
    return ["--quick", "--output", picture_of(source.name).name] if drawn else []


def saved_picture(_: object, block: dict[str, Any], configuration: dict[str, Any]) -> str:
    """Shows what a program saved."""
    saved = picture_of(block["src_file"]) if "src_file" in block else None
    if saved is None or not saved.exists():
        return ""
    shown = next(block["image_path_iterator"])
    shutil.move(saved, shown)
    # What is open still is that picture.
    pyplot.close("all")
    return figure_rst([shown], configuration["src_dir"])
