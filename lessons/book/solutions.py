"""``.. exercise::`` and ``.. solution::``: a question, and an answer that is folded away.

A lesson's text and code alternate, so no directive can hold a piece of both. The solution
is therefore a mark: all that follows it, up to the next exercise or the end of the
section, text and code with what it printed, is moved into an HTML ``<details>``. A handout
(``sphinx -t handout``) is for a class: it has the exercises, and no solution.
"""

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.transforms import SphinxTransform


class exercise(nodes.Admonition, nodes.Element):
    """A question."""


class solution(nodes.General, nodes.Element):
    """Its answer."""


class Exercise(Directive):
    has_content = True

    def run(self):
        node = exercise()
        self.state.nested_parse(self.content, self.content_offset, node)
        return [node]


class Solution(Directive):
    def run(self):
        return [solution()]


class FoldSolutions(SphinxTransform):
    default_priority = 800  # when the page is complete

    def apply(self):
        for mark in list(self.document.findall(solution)):
            place = mark.parent.index(mark) + 1
            following = mark.parent[place:]
            ends = (i for i, node in enumerate(following) if isinstance(node, (exercise, nodes.section)))
            count = next(ends, len(following))
            del mark.parent[place : place + count]
            if self.app.tags.has("handout"):
                mark.parent.remove(mark)
            else:
                mark += following[:count]


def visit_exercise(translator, node):
    translator.body.append('<div class="exercise">')


def visit_solution(translator, node):
    translator.body.append("<details class='solution'><summary>Solution</summary>")


def setup(app):
    app.add_node(exercise, html=(visit_exercise, lambda self, node: self.body.append("</div>")))
    app.add_node(solution, html=(visit_solution, lambda self, node: self.body.append("</details>")))
    app.add_directive("exercise", Exercise)
    app.add_directive("solution", Solution)
    app.add_transform(FoldSolutions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
