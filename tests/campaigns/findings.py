"""What a campaign has found, kept in a folder."""

import re
from pathlib import Path


class Findings:
    """Each finding is a folder of its own, with a text and the files that belong to it.

    Parameters
    ----------
    folder : path
        It is made when something is found, and what lies there from an earlier campaign stays.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.count = 0

    def add(self, what, text="", files=None):
        """Keep a finding, and print its first line.

        Parameters
        ----------
        what : str
            In a few words.
        text : str
            How to see it again, and all that is known.
        files : dict of str to bytes, optional
            By their names.
        """
        self.count += 1
        print(f"FOUND: {what}: {one_line(text)}", flush=True)
        place = self.new_folder(re.sub(r"\W+", "-", what)[:60])
        (place / "finding.txt").write_text(f"{what}\n{text}\n", "utf-8", "backslashreplace")
        for name, content in (files or {}).items():
            (place / name).write_bytes(content)

    def new_folder(self, name):
        """Make a folder whose name nothing has yet."""
        number = 1
        while (self.folder / f"{name}-{number}").exists():
            number += 1
        place = self.folder / f"{name}-{number}"
        place.mkdir(parents=True)
        return place


def one_line(text):
    """The start of a text, in one line that any terminal can show."""
    return " ".join(text.split()).encode("ascii", "backslashreplace").decode()[:200]
