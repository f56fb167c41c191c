"""Pages that are read in the repository as well: plain Markdown, whose links lead to files.

In the book, a link to a lesson's file becomes a link to its page. Three pages that stand with the
code, the card of the network, the gallery and the measurements, are copied into the book. And
where a docstring says "(lesson 9)" or "(appendix B)", that becomes a link.
"""

import os
import re
from pathlib import Path

BOOK = Path(__file__).parent
ROOT = BOOK.parents[1]
COPIES = BOOK / "repository"  # made anew at every build, ignored by git
COPIED = {
    "weights/README.md": "card.md",
    "weights/gallery/README.md": "gallery.md",
    "nnstyle/benchmark/README.md": "measurements.md",
}
LINK = re.compile(r"(?<=\]\()([^)#\s]+)(#[^)\s]*)?(?=\))")


def page_of(path):
    """The page of the book that shows a file of the repository, or None."""
    name = path.relative_to(ROOT).as_posix()
    if name in COPIED:
        return COPIES / COPIED[name]
    if name == "README.md":
        return BOOK / "index.rst"
    if path.parent == BOOK / "guide":
        return path
    if re.fullmatch(r"lessons/[la]\d+_\w+\.py", name):
        return BOOK / "chapters" / f"{path.stem}.rst"
    return None


def with_links_of_the_book(text, source, page):
    """The Markdown of `source` as it must be in `page`: a link to a file leads to the page that shows it."""

    def replaced(match):
        target, anchor = match[1], match[2] or ""
        if re.match(r"[a-z]+:", target):
            return match[0]
        path = Path(os.path.normpath(source.parent / target))
        shown = page_of(path)
        if shown == BOOK / "index.rst":
            anchor = ""  # the README's headings are not the book's
        return os.path.relpath(shown or path, page.parent) + anchor

    return LINK.sub(replaced, text)


def copy_pages(app):
    """Copy the pages that stand with the code, before the sources are looked for."""
    COPIES.mkdir(exist_ok=True)
    for name, copy in COPIED.items():
        source, page = ROOT / name, COPIES / copy
        text = with_links_of_the_book(source.read_text(encoding="utf-8"), source, page)
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def lead_to_pages(app, name, content):
    """Event source-read: the guides' links."""
    if name.startswith("guide/"):
        page = BOOK / f"{name}.md"
        content[0] = with_links_of_the_book(content[0], page, page)


def lead_to_lessons(app, what, name, item, options, lines):
    """Event autodoc-process-docstring: "lesson 9" becomes a link, and |p| stays an absolute value."""
    for i, line in enumerate(lines):
        line = re.sub(r"\|(\w+)\|", r"\\|\1\\|", line)
        lines[i] = re.sub(r"\b(?:lesson \d+|appendix [A-Z])\b", lesson_link, line)


def lesson_link(match):
    """The role that leads to a lesson or an appendix."""
    return f":doc:`{match[0]} </chapters/{lesson_file(match[0]).stem}>`"


def lesson_file(name):
    """The file of "lesson 9" or "appendix B"."""
    kind, number = name.split()
    beginning = f"l{number:0>2}" if kind == "lesson" else f"a{ord(number) - ord('A') + 1}"
    (path,) = BOOK.parent.glob(f"{beginning}_*.py")
    return path


def setup(app):
    app.connect("builder-inited", copy_pages)
    app.connect("source-read", lead_to_pages)
    app.connect("autodoc-process-docstring", lead_to_lessons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
