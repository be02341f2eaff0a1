"""A page for each public module and each public name: what `__all__` lists is there, without a second list to keep."""

from __future__ import annotations

import importlib
import inspect
import shutil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MODULES = {
    "gumbelfast": "the package",
    "gumbelfast.random": "generators",
    "gumbelfast.distributions": "distributions",
    "gumbelfast.estimators": "gradient estimators",
    "gumbelfast.sequences": "sequences",
    "gumbelfast.serving": "serving language models",
    "gumbelfast.structures": "structures",
    "gumbelfast.subsets": "subsets",
    "gumbelfast.permutations": "permutations",
    "gumbelfast.streams": "streams",
    "gumbelfast.shards": "shards",
    "gumbelfast.torch": "PyTorch",
    "gumbelfast.torch.estimators": "gradient estimators for PyTorch",
    "gumbelfast.torch.structures": "structures for PyTorch",
    "gumbelfast.torch.subsets": "subsets for PyTorch",
    "gumbelfast.torch.permutations": "permutations for PyTorch",
    "gumbelfast.torch.distributed": "divided vocabularies",
    "gumbelfast.torch.pyro": "distributions for Pyro",
    "gumbelfast.transformers": "Hugging Face transformers",
    "gumbelfast.jax": "JAX",
    "gumbelfast.jax.estimators": "gradient estimators for JAX",
    "gumbelfast.jax.structures": "structures for JAX",
    "gumbelfast.jax.subsets": "subsets for JAX",
    "gumbelfast.jax.permutations": "permutations for JAX",
    "gumbelfast.jax.sharded": "divided arrays",
    "gumbelfast.jax.numpyro": "distributions for NumPyro",
    "gumbelfast.dask": "Dask",
    "gumbelfast.reference": "the reference",
}


def title(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}\n\n"


def names_of(module: ModuleType) -> dict[str, Any]:
    """What a module offers, without modules, which have pages of their own."""
    found = {name: getattr(module, name) for name in module.__all__}
    return {name: value for name, value in found.items() if not inspect.ismodule(value)}


def summary(value: Any) -> str:
    return " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())


def name_page(full: str, value: Any) -> str:
    # Inherited methods are NumPy's and torch's, and documented there.
    described = f".. autoclass:: {full}\n   :members:\n" if inspect.isclass(value) else f".. autofunction:: {full}\n"
    used = f"\n.. minigallery:: {full}\n   :add-heading: Examples that use it\n   :heading-level: -\n"
    return title(full) + described + used


def module_page(full: str, names: dict[str, Any]) -> str:
    text = title(f"{full}: {MODULES[full]}") + f".. automodule:: {full}\n   :no-members:\n\n"
    if not names:
        return text
    text += ".. list-table::\n   :class: names\n   :widths: auto\n\n"
    for name, value in names.items():
        text += f"   * - :doc:`{name} <{full}.{name}>`\n     - {summary(value)}\n"
    text += "\n.. toctree::\n   :hidden:\n\n"
    return text + "".join(f"   {name} <{full}.{name}>\n" for name in names)


def write_pages(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "modules"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    documented: dict[int, str] = {}
    for full in MODULES:
        names = names_of(importlib.import_module(full))
        # What two modules offer has its page in the first.
        own = {name: value for name, value in names.items() if documented.setdefault(id(value), full) == full}
        (folder / f"{full}.rst").write_text(module_page(full, own), encoding="utf-8")
        for name, value in own.items():
            (folder / f"{full}.{name}.rst").write_text(name_page(f"{full}.{name}", value), encoding="utf-8")
    listed = "".join(f"   {full}\n" for full in MODULES)
    intro = "Every public name, by module. What all functions share stands in :doc:`/api`.\n\n"
    (folder / "index.rst").write_text(
        title("API") + intro + f".. toctree::\n   :maxdepth: 1\n\n{listed}", encoding="utf-8"
    )


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write_pages, priority=100)
    return {"parallel_read_safe": True}
