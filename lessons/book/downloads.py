"""Each lesson to take home: a notebook that runs in an empty folder, and the Python file.

The package has no `lessons`. So a notebook writes the modules of `lessons` that it imports, and those that they
import, as they are, into a folder beside it: its first cells. Code that the page hides, which draws a figure, has a
cell of its own, closed. ``sphinx -t handout`` makes the book for a class: the pages, the notebooks and the
Python files without their solutions.
"""

import ast
import json
import re
import tempfile
from pathlib import Path

import markdown
from docutils import nodes
from order import LESSONS, lessons
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx_gallery.py_source_parser import split_code_and_text_blocks

BOOK = Path(__file__).parent
DOWNLOADS = BOOK / "downloads"  # made anew at every build, ignored by git
LESSON = re.compile(r"[la]\d+_\w+")
HIDDEN = re.compile(
    r"^# sphinx_gallery_start_ignore\n(.*?)^# sphinx_gallery_end_ignore\n?", re.DOTALL | re.MULTILINE
)
MARK = re.compile(r"^[ \t]*# sphinx_gallery_(?:start_ignore|end_ignore|parallel = False)\n?", re.MULTILINE)
ABOUT = """*This is a chapter of the book "The paper, read with code". It runs in an empty folder, after*
`pip install "nnstyle[lessons]"`*. Run the next cells first.*"""
PREPARE = """import sys
from pathlib import Path

for folder in {folders}:
    Path(folder).mkdir(exist_ok=True)
    Path(folder, "__init__.py").touch()
sys.path.insert(0, "")  # look for modules here first
del sys.argv[1:]  # a lesson has options where it runs by itself, and a notebook has none"""
INLINE = """from lessons import tools

%matplotlib inline
%config InlineBackend.figure_formats = ["retina"]"""


def without_solutions(source):
    """The source of a lesson without its solutions: what follows each mark, up to an exercise or a heading."""
    lines = source.splitlines()
    kept, solving = [], False
    for i, line in enumerate(lines):
        heading = (
            i + 1 < len(lines)
            and re.fullmatch(r"# \S.*", line)
            and re.fullmatch(r"# ([=~-])\1{2,}", lines[i + 1])
        )
        if line.startswith("# .. solution::"):
            solving = True
        elif solving and (heading or line.startswith("# .. exercise::")):
            solving = False
            kept += ["", "# %%"]
        if not solving:
            kept.append(line)
    return "\n".join(kept) + "\n"


def carried(source, package="lessons"):
    """The modules of `lessons` that a source imports at its top, in order: {name such as "lessons/tools.py": None}.

    `package` is where the source itself belongs, for what it imports by ``from .noise``.
    """
    names = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ImportFrom):
            continue
        base = f"{package}.{node.module}" if node.level else node.module
        for module in (base, *(f"{base}.{alias.name}" for alias in node.names)):
            path = LESSONS.parent / f"{module.replace('.', '/')}.py"
            if module.startswith("lessons.") and path.is_file():
                names |= carried(path.read_text(encoding="utf-8"), module.rpartition(".")[0])
                names[path.relative_to(LESSONS.parent).as_posix()] = None
    return names


def notebook(path, solutions=True):
    """The notebook of a lesson, as nbformat has it."""
    source = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, path.name)
        copy.write_text(source if solutions else without_solutions(source), encoding="utf-8")
        _, blocks = split_code_and_text_blocks(copy)
    modules = carried(source)
    folders = ["lessons", *sorted({name.rpartition("/")[0] for name in modules} - {"lessons"})]
    cells = [text_cell(ABOUT, {}), code_cell(PREPARE.format(folders=folders))]
    for name in modules:
        cells.append(code_cell(f"%%writefile {name}\n" + (LESSONS.parent / name).read_text(encoding="utf-8")))
    cells.append(code_cell(INLINE))
    for label, content, _ in blocks:
        if label == "text":
            pictures = {}
            text = markdown.markdown(content, pictures)
            cells += [text_cell(text, pictures)] if text else []
        else:
            cells += code_cells(content)
    title = next(i for i, cell in enumerate(cells) if "".join(cell["source"]).startswith("# "))
    cells.insert(0, cells.pop(title))
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def text_cell(text, pictures):
    cell = {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}
    if pictures:
        cell["attachments"] = {name: markdown.attachment(name, picture) for name, picture in pictures.items()}
    return cell


def code_cell(code, closed=False):
    hidden = {"jupyter": {"source_hidden": True}} if closed else {}
    lines = code.strip("\n").splitlines(keepends=True)
    return {"cell_type": "code", "execution_count": None, "metadata": hidden, "outputs": [], "source": lines}


def code_cells(code):
    """A block of code as cells: what the page hides is a closed cell of its own."""
    parts = HIDDEN.split(code)  # shown, hidden, shown, ...
    for i, part in enumerate(parts):
        part = MARK.sub("", part)  # within a function
        if part.strip():
            yield code_cell(part, closed=i % 2 == 1)


def folder(app):
    """Where the downloads of this kind of book are."""
    return DOWNLOADS / ("handout" if app.tags.has("handout") else "book")


def write_downloads(app):
    """Event builder-inited: a notebook and a Python file for each lesson."""
    handout = app.tags.has("handout")
    folder(app).mkdir(parents=True, exist_ok=True)
    for path in lessons():
        source = path.read_text(encoding="utf-8")
        text = json.dumps(notebook(path, solutions=not handout), indent=1, ensure_ascii=False) + "\n"
        write(folder(app) / f"{path.stem}.ipynb", text)
        write(folder(app) / path.name, without_solutions(source) if handout else source)


def write(path, text):
    """Write a file if it is not already so: pages that name it stay as they are."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


class OfferDownloads(SphinxTransform):
    """Our files at the end of a lesson, in place of sphinx-gallery's."""

    default_priority = 700

    def apply(self):
        docname = self.env.docname
        name = docname.removeprefix("chapters/")
        if docname == name or not LESSON.fullmatch(name):
            return
        for footer in list(self.document.findall(nodes.container)):
            if "sphx-glr-footer" in footer["classes"]:
                footer.children = []
                footer += self.links(name)

    def links(self, name):
        line = nodes.paragraph("", "Take it home: ", classes=["downloads"])
        for suffix, what, after in (
            (".ipynb", "the notebook", ", which runs in an empty folder, or "),
            (".py", "the Python file", ", which runs in a clone of the repository."),
        ):
            target = f"/downloads/{folder(self.app).name}/{name}{suffix}"
            reference = addnodes.download_reference(
                "",
                "",
                refdoc=self.env.docname,
                reftarget=target,
                refdomain="",
                reftype="download",
                refexplicit=True,
                refwarn=False,
            )
            reference += nodes.Text(what)
            line += [reference, nodes.Text(after)]
        return line


def setup(app):
    app.connect("builder-inited", write_downloads)
    app.add_transform(OfferDownloads)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
