"""The order of the book's chapters: the lessons, then the appendices."""


class LessonsThenAppendices:
    """Sort key of sphinx-gallery: l01 .. l13, then a1, a2."""

    def __init__(self, folder):
        pass

    def __call__(self, file_name):
        return file_name.startswith("a"), file_name
