"""What each lesson says of itself at its top: how long, how difficult, what it needs. And a table of all of them.

The line begins with italics: "*Reading time: 25 minutes. Difficulty: 2 of 3. You need: lessons 3 and 4.*"
``.. lessons::`` makes the table.
"""

import ast
import re

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from order import lessons
from sphinx.transforms import SphinxTransform

LINE = re.compile(
    r"\*Reading\s+time:\s+(.+?)\.\s+Difficulty:\s+(.+?)\.\s+You\s+need:\s+(.+?)\.?\*", re.DOTALL
)


def about(source):
    """(title, reading time, difficulty, what it needs) of a lesson, from its docstring. Texts, or nothing."""
    text = ast.get_docstring(ast.parse(source))
    title = text.splitlines()[0]
    line = LINE.search(text)
    return title, *((" ".join(part.split()) for part in line.groups()) if line else ("", "", ""))


class Lessons(Directive):
    def run(self):
        lines = [".. list-table::", "   :header-rows: 1", "   :class: lessons", ""]
        rows = [("Lesson", "Reading time", "Difficulty", "You need")]
        for path in lessons():
            title, *rest = about(path.read_text(encoding="utf-8"))
            rows.append((f":doc:`{title} </chapters/{path.stem}>`", *rest))
        for row in rows:
            lines += [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(row)]
        table = nodes.Element()
        self.state.nested_parse(StringList(lines, source=__file__), self.content_offset, table)
        return table.children


class MarkLine(SphinxTransform):
    """The line gets a class, for the style sheet."""

    default_priority = 700

    def apply(self):
        for paragraph in self.document.findall(nodes.paragraph):
            if len(paragraph) and isinstance(paragraph[0], nodes.emphasis):
                if paragraph.astext().startswith("Reading time:"):
                    paragraph["classes"].append("reading-time")


def setup(app):
    app.add_directive("lessons", Lessons)
    app.add_transform(MarkLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
