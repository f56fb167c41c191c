"""Which lesson uses what of the package: "Used in lessons 5, 8" on the pages of the reference.

The way there, from a name in a lesson to its page and source, is made by sphinx-gallery and by the roles in
the text (``:func:`conv <nnstyle.layers.conv>```). This is the way back. Names are read from a lesson's
imports and from its roles, without running it. And a page of source leads back to the page of the
reference, also where Sphinx knows a name by two modules.
"""

import ast
import importlib
import re
from functools import cache

from order import lessons

ROLE = re.compile(r":(?:func|class|meth|mod):`(?:[^`<]*<)?~?([\w.]+)>?`")
BACK = re.compile(r'<div class="viewcode-block" id="([^"]+)">\n<a class="viewcode-back" href="([^"]+)">')


def names_in(source):
    """The full names that a module uses: what it imports, attributes of that, and roles in its text."""
    tree = ast.parse(source)
    full = {}  # of the names as they are called here
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            full |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            full |= {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names}
    names = set(ROLE.findall(source))
    for node in ast.walk(tree):
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name) and node.id in full:
            names.add(".".join([full[node.id], *reversed(parts)]))
    return names


def object_named(name):
    """What a full name of the package means, or None."""
    parts = name.split(".")
    if parts[0] != "nnstyle":
        return None
    found = importlib.import_module(parts[0])
    for i, part in enumerate(parts[1:], 2):
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(".".join(parts[:i]))
            except ImportError:
                return None
    return found


@cache
def users():
    """{id of a function or class: the lessons that use it, in order}."""
    found = {}
    for lesson in lessons():
        objects = map(object_named, names_in(lesson.read_text(encoding="utf-8")))
        for one in {id(item) for item in objects if callable(item)}:
            found.setdefault(one, []).append(lesson)
    return found


def sentence(item):
    """ "Used in lessons 5, 8", with links, or nothing."""
    links = {"l": [], "a": []}
    for lesson in users().get(id(item), []):
        kind, digits = re.match(r"([la])(\d+)_", lesson.name).groups()
        shown = int(digits) if kind == "l" else chr(ord("A") + int(digits) - 1)
        links[kind].append(f":doc:`{shown} </chapters/{lesson.stem}>`")
    names = {"l": "lesson", "a": "appendix"}
    parts = [f"{_plural(names[kind], found)} {', '.join(found)}" for kind, found in links.items() if found]
    return f"Used in {' and '.join(parts)}." if parts else ""


def _plural(word, items):
    return word if len(items) == 1 else {"lesson": "lessons", "appendix": "appendices"}[word]


def say_where(app, what, name, item, options, lines):
    """Event autodoc-process-docstring: the way back to the lessons."""
    said = sentence(item) if callable(item) else ""
    if said:
        lines += ["", ".. rst-class:: used-in", "", said, ""]


def lead_back(app, page, template, context, doctree):
    """Event html-page-context: on pages of source, "[docs]" leads to a name that the reference has."""
    if not page.startswith("_modules/nnstyle"):
        return
    module = page.removeprefix("_modules/").replace("/", ".")
    objects = app.env.domains["py"].objects

    def known(match):
        item, link = match.groups()
        for name in (f"{module}.{item}", f"nnstyle.{item}", f"{module.rpartition('.')[0]}.{item}"):
            if name in objects:
                link = f"{context['pathto'](objects[name].docname)}#{objects[name].node_id}"
                break
        return f'<div class="viewcode-block" id="{item}">\n<a class="viewcode-back" href="{link}">'

    context["body"] = BACK.sub(known, context["body"])


def setup(app):
    app.connect("autodoc-process-docstring", say_where)
    app.connect("html-page-context", lead_back)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
