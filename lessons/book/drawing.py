"""``.. drawing:: NAME``: a drawing from ``lessons/book/drawings/NAME.svg``, with a number and a caption.

It becomes a part of the page, so that it follows the theme, light or dark: its colours are
the theme's own (``currentColor``, ``var(--color-brand-primary)``). The caption is the directive's
content, and ``:alt:`` says what is to be seen to those who cannot see it.
"""

from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive, directives

DRAWINGS = Path(__file__).parent / "drawings"


class Drawing(Directive):
    required_arguments = 1
    has_content = True
    option_spec = {"alt": directives.unchanged_required, "name": directives.unchanged}

    def run(self):
        if "alt" not in self.options:
            raise self.error("a drawing needs :alt:, which says what is to be seen")
        path = DRAWINGS / f"{self.arguments[0]}.svg"
        if not path.is_file():
            raise self.error(f"there is no drawing {path.name}")
        self.state.document.settings.record_dependencies.add(str(path))
        label = escape(self.options["alt"], quote=True)
        svg = path.read_text(encoding="utf-8").replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
        figure = nodes.figure("", nodes.raw("", svg, format="html"), classes=["drawing"])
        figure += caption_of(self)
        self.add_name(figure)
        return [figure]


def caption_of(directive):
    """The content of a directive as a caption, which is one paragraph."""
    caption, text = nodes.caption(), nodes.Element()
    directive.state.nested_parse(directive.content, directive.content_offset, text)
    for number, paragraph in enumerate(text):
        caption += [nodes.Text(" ")] * (number > 0) + paragraph.children
    return caption


def setup(app):
    app.add_directive("drawing", Drawing)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
