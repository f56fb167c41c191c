"""The output's name, where the user gives none: made of the pictures' names, and never one that is taken."""

import os
from collections.abc import Sequence
from pathlib import Path

from ..files import cut, names_near

SAMPLE = Path("stylized.png")
MOST_BYTES = 60  # of each picture's name: with a number and the checkpoint's ending it fits any file system


def name_of(content: str | Path, paintings: Sequence[str | Path], ending: str = ".png") -> Path:
    """``photo-painting.png``, in the current folder.

    Parameters
    ----------
    content : path of the photograph
    paintings : paths, one or more
        The first is named, and how many more there are: ``photo-painting-and-2-more.png``.
    ending : str
    """
    name = f"{stem(content)}-{stem(paintings[0])}"
    if len(paintings) > 1:
        name += f"-and-{len(paintings) - 1}-more"
    return Path(name + ending)


def stem(path: str | Path) -> str:
    """A file's name without its ending, as far as it can be a part of another's."""
    printable = "".join(filter(str.isprintable, Path(path).stem))
    return cut(printable, MOST_BYTES).strip(" .-") or "picture"  # "-x" would be an option, ".x" hidden


def first_free(path: Path) -> Path:
    """The name itself, or the first number behind it that no file has."""
    return next(name for name in names_near(path, mark="") if not os.path.lexists(name))
