"""Which photograph is painted in which style, and what each picture is called."""

import argparse
import csv
import os
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cli.output import stem
from ..errors import InputError, shown
from ..files import LONGEST_NAME
from ..pictures import pictures_in
from ..pictures.saving import format_of

FIELDS = "photo", "style", "number"  # of a pattern of names
COLUMNS = "photo", "style", "output"  # of a table
MOST_PAIRS = 100_000


@dataclass(frozen=True)
class Pair:
    """A picture to be made.

    Attributes
    ----------
    photo : Path
    style : Path
        Of a painting, or of a folder of paintings.
    output : str
        The picture's name in the folder of the batch.
    """

    photo: Path
    style: Path
    output: str


def pairs_of(arguments: argparse.Namespace) -> list[Pair]:
    """All pictures of a command line, in order: the styles of the first photograph, of the second, and so on.

    Raises
    ------
    InputError
        If there is none, a file that the command line names does not exist, or two pictures would have one name.
    """
    if arguments.pairs is not None:
        if arguments.photos or arguments.styles:
            raise InputError("give either --pairs, or photographs and --styles, not both")
        rows = list(rows_of(arguments.pairs))
    else:
        rows = [(photo, style, "") for photo in photographs(arguments) for style in paintings(arguments)]
    if not 1 <= len(rows) <= MOST_PAIRS:
        raise InputError(f"a batch has from 1 to {MOST_PAIRS} pictures, not {len(rows)}")
    check_pattern(arguments.name)
    width = len(str(len(rows)))
    pairs = []
    for number, (photo, style, output) in enumerate(rows, start=1):
        name = output or arguments.name.format(
            photo=stem(photo), style=stem(style), number=f"{number:0{width}}"
        )
        check_name(name)
        pairs.append(Pair(photo, style, name))
    check_unique(pairs)
    return pairs


def photographs(arguments: argparse.Namespace) -> list[Path]:
    """The photographs of a command line; a folder stands for all pictures in it."""
    found: list[Path] = []
    for path in map(existing, arguments.photos):
        found += pictures_in(path) if path.is_dir() else [path]
    if not found:
        raise InputError("give at least one PHOTO, or --pairs")
    return found


def paintings(arguments: argparse.Namespace) -> list[Path]:
    """The styles of a command line."""
    if not arguments.styles:
        raise InputError("give at least one painting after --styles, or --pairs")
    return [existing(path) for path in arguments.styles]


def existing(path: str) -> Path:
    """A path to something that is there; InputError if it is not, since that is a slip of the pen."""
    if not os.path.exists(path):
        raise InputError(f"{path} does not exist")
    return Path(path)


def rows_of(table: str) -> Iterator[tuple[Path, Path, str]]:
    """Photograph, style and name, or "", of each row of a table.

    Raises
    ------
    InputError
        If it cannot be read, lacks a column or has an unknown one, or a row has no photograph or style.
    """
    folder = Path(table).parent
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            check_columns(table, reader.fieldnames or ())
            for row in reader:
                photo, style = row["photo"], row["style"]
                if not photo or not style or None in row:
                    raise InputError(f"{table}, line {reader.line_num}: it needs a photograph and a style")
                yield folder / photo, folder / style, row.get("output") or ""
    except OSError as error:
        raise InputError(f"{table} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{table} is not a table of comma-separated values in UTF-8: {error}") from None


def check_columns(table: str, names: Sequence[str]) -> None:
    """Raise InputError unless a table has the columns that it needs, and no others."""
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or len(set(names)) < len(names) or not {"photo", "style"} <= set(names):
        raise InputError(
            f"the first line of {table} must name its columns, photo,style or photo,style,output,"
            f" not {shown(','.join(names))}"
        )


def check_pattern(pattern: str) -> None:
    """Raise InputError unless a pattern is made of text and of fields that are known."""
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise InputError(f"--name {shown(pattern)} is no pattern: {error}") from None
    for _, field, layout, conversion in parts:
        if field is not None and (field not in FIELDS or layout or conversion):
            raise InputError(f"--name may have {{photo}}, {{style}} and {{number}}, not {shown(field)}")


def check_name(name: str) -> None:
    """Raise InputError unless a name is that of a picture in the folder itself."""
    if "/" in name or "\\" in name:
        raise InputError(f"a picture's name may not lead into another folder: {shown(name)}")
    if name.startswith(".") or not name.isprintable():
        raise InputError(f"{shown(name)} is no name for a picture: a hidden one, or it cannot be printed")
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise InputError(f"a picture's name may have {LONGEST_NAME} bytes, and this has more: {shown(name)}")
    format_of(name)


def check_unique(pairs: Sequence[Pair]) -> None:
    """Raise InputError if two pictures would have one name, also where capitals make no difference."""
    taken: dict[str, Pair] = {}
    for pair in pairs:
        other = taken.setdefault(pair.output.casefold(), pair)
        if other is not pair:
            raise InputError(
                f"two pictures would be called {pair.output}: {other.photo} in the style of {other.style}, and"
                f" {pair.photo} in the style of {pair.style}; add {{number}} to --name"
            )
