"""Each lesson says how long and how difficult it is, and the overview repeats it."""

import re

import pytest

from tests.support.small_book import BOOK, build

LESSON = '"""\n7. Seas\n=======\n\nA lead.\n\n*Reading time: 25 minutes. Difficulty: 2 of 3. You need:\nlessons 3 and 4.*\n"""\n'


@pytest.fixture
def overview(monkeypatch):
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(BOOK))
    import overview

    return overview


def test_what_a_lesson_says_of_itself_is_read(overview):
    assert overview.about(LESSON) == ("7. Seas", "25 minutes", "2 of 3", "lessons 3 and 4")
    assert overview.about(LESSON.replace("Difficulty", "Hardness")) == ("7. Seas", "", "", "")


def test_the_overview_has_a_row_for_each_lesson(overview, tmp_path):
    chapters = {f"{path.stem}": path for path in overview.lessons()}
    pages = {"index.rst": "Title\n=====\n\n.. lessons::\n\n*Reading time: 5 minutes.*\n"}
    source = tmp_path / "source" / "chapters"
    source.mkdir(parents=True)
    for name in chapters:
        (source / f"{name}.rst").write_text(":orphan:\n\nTitle\n=====\n")
    built = build(tmp_path, pages, ["overview"])
    page = (built / "index.html").read_text()
    assert all(f'href="chapters/{name}.html"' in page for name in chapters)
    assert 'class="reading-time"' in page and "chapters/l08_content.html" in page


def test_what_lessons_say_of_themselves_can_be_compared(overview):
    said = [path.name for path in overview.lessons() if "*Reading time: " in path.read_text()]
    about = [overview.about(path.read_text()) for path in overview.lessons() if path.name in said]
    assert said and all(re.match(r"\d+ minutes$", time) for _, time, _, _ in about)
    assert all(re.match(r"[123] of 3\b", difficulty) and needs for _, _, difficulty, needs in about)
