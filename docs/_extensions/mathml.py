"""Formulas become MathML while the site is built: no script, no font and nothing from a network is needed to show them.

The converter is docutils' own (`docutils.utils.math.latex2mathml`). A formula that it cannot read is a warning, and so
an error of the build.
"""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)

# LaTeX that the converter has under other names.
SPELLINGS = {r"\\dots\b": r"\\ldots", r"\\([Bb]ig)(?=[(\[])": r"\\\1l", r"\\([Bb]ig)(?=[)\]])": r"\\\1r"}


def as_mathml(node: nodes.Element, *, block: bool) -> str:
    tex = node.astext()
    for pattern, spelling in SPELLINGS.items():
        tex = re.sub(pattern, spelling, tex)
    try:
        return tex2mathml(tex, as_block=block)
    except MathError as error:
        logger.warning("formula %r: %s", tex, error, location=node, type="mathml")
        return nodes.Text(tex).astext()


def visit_inline(self: HTML5Translator, node: nodes.Element) -> None:
    self.body.append(f'<span class="math">{as_mathml(node, block=False)}</span>')
    raise nodes.SkipNode


def visit_block(self: HTML5Translator, node: nodes.Element) -> None:
    self.body.append(f'<div class="math">{as_mathml(node, block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
