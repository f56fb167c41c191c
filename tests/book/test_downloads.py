"""What a lesson offers to take home: its notebook runs in an empty folder; a handout has no solution."""

import base64
import json
import os
import re
from pathlib import Path

import pytest

pytest.importorskip("sphinx_gallery")


import downloads
import markdown

from tests.support.small_book import BOOK, build

LESSONS = [path for path in sorted(BOOK.parent.glob("[la]*_*.py")) if downloads.LESSON.fullmatch(path.stem)]
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)

SMALL = '''r"""
A lesson
========

About :math:`x`.
"""

# %%
# Exercises
# ---------
# .. exercise::
#
#    How much?
#
# .. solution::
#
# Four, a secret in a text.

secret_in_code = 4

# %%
# More of the secret.
#
# .. exercise::
#
#    Why?
#
# .. solution::
#
# Because of the second secret.
#
# Where next
# ----------
# To the sea.
'''


# Markdown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Title\n=====\n\nText", "# Title\n\nText"),
        ("Part\n----\nText", "## Part\nText"),
        ("a ``b_c`` :math:`d\n_e` 5 $", "a `b_c` $d _e$ 5 \\$"),
        (":func:`layers.conv <nnstyle.layers.conv>`, :func:`~nnstyle.layers.conv`", "`layers.conv`, `conv`"),
        (
            ":doc:`l09_style` and :doc:`the next\none <l10_both>`, :term:`Gram matrix`",
            "lesson 9 and the next one, Gram matrix",
        ),
        (":doc:`a2_rescaling`, :doc:`/guide/painting`", "appendix B, painting"),
        ("`A page <https://example.org>`_", "[A page](https://example.org)"),
        (".. math::\n\n   x = 1\n\nText", "$$\nx = 1\n$$\n\nText"),
        (
            ".. exercise::\n\n   How\n   much?\n\n.. solution::\n\nFour.",
            "**Exercise.**\n\nHow\nmuch?\n\n\n\n**Solution.**\n\n\nFour.",
        ),
        (".. code-block:: sh\n\n   ls\n   pwd", "```sh\nls\npwd\n```"),
        (
            ".. list-table::\n   :header-rows: 1\n\n   * - a\n     - b\n   * - c\n     - d",
            "| a | b |\n|---|---|\n| c | d |",
        ),
        (".. _label:\n\nText", "Text"),
    ],
)
def test_text_becomes_markdown(text, expected):
    tight = lambda lines: re.sub(r"\n{2,}", "\n\n", lines)
    assert tight(markdown.markdown(text)) == tight(expected)


@pytest.mark.parametrize("text", [".. flowers::\n\n   red", ":flower:`red`"])
def test_unknown_markup_is_not_passed_over(text):
    with pytest.raises(markdown.UnknownMarkup):
        markdown.markdown(text)


def test_a_drawing_is_attached_and_shows_without_a_style_sheet():
    pictures = {}
    text = ".. drawing:: pooling\n   :alt: Two\n      maps.\n   :name: drawing-pooling\n\n   A caption."
    made = markdown.markdown(text, pictures)
    assert made == "![Two maps.](attachment:pooling.svg)\n\n*A caption.*"
    assert "<style>" in pictures["pooling.svg"] and "var(--color" not in pictures["pooling.svg"]
    (data,) = markdown.attachment("pooling.svg", pictures["pooling.svg"]).items()
    assert data[0] == "image/svg+xml" and base64.b64decode(data[1]).startswith(b"<svg ")


# Notebooks


@each_lesson
def test_a_notebook_shows_all_that_the_lesson_has(lesson):
    cells = downloads.notebook(lesson)["cells"]
    text = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert text[0].startswith("# ") and "pip install" in text[1]
    assert "\n".join(code).count("assert ") == lesson.read_text().count("assert ") + shared_asserts(code)
    assert not re.search(r"(?<!`)`[^`\n]*<[^`\n]*>`|^\.\. |:\w+:`", "\n".join(text), re.MULTILINE)
    assert not any("sphinx_gallery" in one for one in code)


def shared_asserts(code):
    return sum(one.count("assert ") for one in code if one.startswith("%%writefile"))


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import numpy as np\nfrom nnstyle import losses", []),
        ("from lessons import tools", ["tools"]),
        ("def here():\n    from lessons import tools", []),  # only where an option asks for it
        ("from lessons.tools import size", ["tools"]),
        ("from lessons import strict_arrays, tools", ["strict_arrays", "tools"]),
        ("from lessons.scenes.noise import mix", ["scenes/noise"]),
        ("from lessons.scenes import manners", ["scenes/noise", "scenes/motifs", "scenes/manners"]),
    ],
)
def test_a_notebook_carries_what_it_imports_and_what_that_imports(source, modules):
    assert list(downloads.carried(source)) == [f"lessons/{module}.py" for module in modules]


def test_what_the_page_hides_is_a_closed_cell():
    code = "a = 1\n# sphinx_gallery_start_ignore\nplot(a)\n# sphinx_gallery_end_ignore\nassert a\n"
    cells = list(downloads.code_cells(code))
    assert ["".join(cell["source"]) for cell in cells] == ["a = 1", "plot(a)", "assert a"]
    assert [bool(cell["metadata"]) for cell in cells] == [False, True, False]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["l01_pictures", "l13_gpu", "l16_recognising_style"])
def test_a_notebook_runs_in_an_empty_folder(name, tmp_path):
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib_inline")
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    notebook = downloads.notebook(BOOK.parent / f"{name}.py")
    book = nbformat.reads(json.dumps(notebook), as_version=4)
    nbformat.validate(book)
    which = "import lessons; print('lessons of', Path(lessons.__file__).parents[1].resolve())"
    book.cells.append(nbformat.v4.new_code_cell(which))
    nbclient.NotebookClient(book, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert outputs[-1].text == f"lessons of {tmp_path.resolve()}\n"  # and not of this repository


# Handouts


def test_a_solution_ends_at_an_exercise_or_a_heading(tmp_path):
    short = downloads.without_solutions(SMALL)
    assert "secret" not in short and "solution" not in short
    for kept in ("How much?", "Why?", "Where next", "To the sea.", "Exercises", "About"):
        assert kept in short
    lesson = tmp_path / "l01_x.py"
    lesson.write_text(SMALL)
    assert "secret" in json.dumps(downloads.notebook(lesson))
    handout = json.dumps(downloads.notebook(lesson, solutions=False))
    assert "secret" not in handout and "To the sea." in handout and "Why?" in handout


@each_lesson
def test_a_lesson_without_solutions_keeps_all_else(lesson):
    source = lesson.read_text()
    short = downloads.without_solutions(source)
    compile(short, lesson.name, "exec")
    assert short.count(".. exercise::") == source.count(".. exercise::") > 0 == short.count(".. solution::")
    without = [line for line in source.partition("# Exercises\n")[0].splitlines() if line not in short]
    assert (
        not without
        and short.partition("# Where next\n")[2].strip() == source.partition("# Where next\n")[2].strip()
    )


def secrets(lesson):
    """Lines that stand in a lesson's solutions only: text and code."""
    source = lesson.read_text()
    short = downloads.without_solutions(source)
    lines = {line.strip("# ").strip() for line in source.splitlines()}
    return [line for line in lines if len(line) > 40 and line not in short]


@pytest.mark.parametrize("handout", [False, True])
def test_the_pages_of_a_handout_have_no_solution(handout, tmp_path):
    pytest.importorskip("sphinx")
    page = "Title\n=====\n\n.. exercise::\n\n   How much?\n\n.. solution::\n\nA secret.\n\n.. code-block:: python\n\n   secret\n\nNext\n----\n\nTo the sea.\n"
    options = ["-t", "handout"] if handout else []
    built = build(tmp_path, {"index.rst": page}, ["solutions"], options, html_copy_source=False)
    everything = "".join(
        path.read_text(errors="ignore")
        for path in built.rglob("*")
        if path.suffix in (".html", ".js", ".txt")
    )
    assert "How much?" in everything and "To the sea." in everything
    assert ("secret" in everything) != handout


@pytest.fixture(scope="session")
def class_book():
    """The folder of a built handout."""
    folder = os.environ.get("NNSTYLE_TEST_HANDOUT")
    if not folder:
        pytest.skip("the environment variable NNSTYLE_TEST_HANDOUT names no built handout")
    return Path(folder)


def words_of(path):
    """The words of a page, a notebook or a Python file in one line, without markup."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        import html

        text = html.unescape(re.sub(r"<[^>]*>", "", text))
    elif path.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return " ".join(text.replace("#", " ").split())


@each_lesson
def test_a_built_handout_has_no_solution(lesson, class_book):
    pages = [
        path for path in class_book.rglob(f"{lesson.stem}*") if path.suffix in (".html", ".ipynb", ".py")
    ]
    assert {path.suffix for path in pages} == {".html", ".ipynb", ".py"}
    assert not list(class_book.rglob("*.zip"))
    for page in pages:
        words = words_of(page)
        assert "Exercises" in words
        assert not [line for line in secrets(lesson) if " ".join(line.split()) in words]


@each_lesson
def test_a_built_book_has_the_solutions(lesson, book):
    """The twin of the test above: there is something to find."""
    page = words_of(book / "chapters" / f"{lesson.stem}.html")
    found = [line for line in secrets(lesson) if " ".join(line.split()) in page]
    assert found
