"""The order of the book's chapters: the lessons, then the appendices."""

from pathlib import Path

LESSONS = Path(__file__).parents[1]


def lessons():
    """The files of the lessons and of the appendices, in order."""
    return sorted(LESSONS.glob("l??_*.py")) + sorted(LESSONS.glob("a?_*.py"))


class LessonsThenAppendices:
    """Sort key of sphinx-gallery: l01, l02 and so on, then a1, a2."""

    def __init__(self, folder):
        pass

    def __call__(self, file_name):
        return file_name.startswith("a"), file_name
