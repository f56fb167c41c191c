"""``nnstyle show PICTURE``: the settings that a picture carries inside, for people to read."""

import contextlib
import sys
from typing import Any

from ..errors import InputError, shown
from ..progress import say
from .arguments import Parser
from .painted import MADE_OF, NAMES, REST, Painted

DESCRIPTION = """\
Print the settings with which a picture was painted, one a line, as nnstyle has stored them in it.
A * marks what differs from the default. (A photograph whose name is "show" is painted as ./show.)"""
NAME_WIDTH = 20
MOST_LETTERS = 2000  # of a line


def make_parser() -> Parser:
    """The parser of ``nnstyle show``."""
    parser = Parser(prog="nnstyle show", description=DESCRIPTION)
    parser.add_argument(
        "picture", metavar="PICTURE", help="a PNG, JPEG, WebP or TIFF file written by nnstyle"
    )
    parser.set_defaults(quiet=False)
    return parser


def show(path: str) -> int:
    """Print what a picture carries inside, and return the exit status 0.

    Raises
    ------
    InputError
        If there is no such picture, or nothing in it.
    """
    say("\n".join(lines(Painted(path))), sys.stdout)
    return 0


def lines(picture: Painted) -> list[str]:
    """What a picture was made of, its settings in the order of the help, and what else is stored."""
    stored, marked, remarks = picture.stored, set(), {}
    with contextlib.suppress(InputError):  # settings that cannot be used can be shown
        marked = picture.not_default()
        if picture.settings.beta is not None:
            remarks["beta"] = f" ({picture.beta_per_pixel:.6g} a pixel)"
    known = [*MADE_OF, *NAMES, *REST]
    unknown = [name for name in stored if name not in known]
    found = [f"{picture.path}: {picture.width} x {picture.height} px"]
    for name in [name for name in known if name in stored] + unknown:
        label = name.replace("_", "-" if name in NAMES else " ")
        mark, remark = "*" if name in marked else " ", remarks.get(name, "")
        found.append(f"{mark} {label:{NAME_WIDTH}} {in_words(stored[name])}{remark}")
    return [in_one_line(line) for line in found]


def in_words(value: Any) -> str:
    """A stored value, as one would write it."""
    if isinstance(value, list):
        return ",".join(map(part_in_words, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {part_in_words(part)}" for name, part in value.items())
    return part_in_words(value)


def part_in_words(value: Any) -> str:
    """The same of what has no parts; of anything else, the start."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return min(repr(value).removesuffix(".0"), f"{value:.6g}", key=len)
    return value if isinstance(value, str) else shown(value)


def in_one_line(text: str) -> str:
    """A line without letters that a terminal would obey, and not longer than one can read."""
    line = "".join(letter if letter.isprintable() else "?" for letter in text[:MOST_LETTERS])
    return line if len(text) <= MOST_LETTERS else f"{line} ..."
