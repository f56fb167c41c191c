"""Equations as MathML, which browsers show without scripts and without the internet."""

from docutils.nodes import SkipNode
from latex2mathml.converter import convert
from sphinx.errors import SphinxError


def mathml(latex, display):
    """One formula, from LaTeX to MathML."""
    result = convert(latex, display=display)
    if "<mi>&</mi>" in result:  # what the converter makes of an alignment it does not know
        raise SphinxError(f"this formula cannot be converted (use align* for several lines): {latex}")
    return result


def visit_inline(translator, node):
    translator.body.append(mathml(node.astext(), "inline"))
    raise SkipNode


def visit_block(translator, node):
    translator.body.append(f'<div class="equation">{mathml(node.astext(), "block")}</div>')
    raise SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
