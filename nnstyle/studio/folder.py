"""The folder of a studio: the pictures that were given, and those that were made.

``inputs/`` has each picture that was given, under the SHA-256 of its file, a small one to look at, and the name that
its user knows it by. ``0012.png`` is a painting, ``0012.json`` how it is to be made and how far it is, ``0012.webp`` a
small picture to look at, and ``0012.png.nnstyle`` the checkpoint of one that is not finished.
Names of files that a user gives are texts to be shown; no path is ever made of them.
"""

import contextlib
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from ..checkpoint import checkpoint_path
from ..errors import InputError
from ..files import cut, write_over
from ..pictures import load_image
from ..pictures.resize import preview, size_within
from ..pictures.saving import encoded_by_pillow

try:
    import fcntl
except ImportError:  # Windows: there, two studios in one folder are not noticed
    fcntl = None  # type: ignore[assignment]

MOST_PICTURES = 1000  # that were given; those that no painting needs make room
MOST_LETTERS = 1 << 20  # of a JSON file
LONGEST_SHOWN = 1024  # px, of the small pictures to look at
LONGEST_NAME = 80  # bytes of a name that is shown
# The ending of a file's name, by its first bytes. For people who look into the folder: nothing depends on it.
ENDINGS = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"RIFF": ".webp", b"II*\0": ".tif", b"MM\0*": ".tif"}
NUMBERED = re.compile(r"([0-9]{4,9})\.json")
TAKEN = re.compile(r"([0-9]{1,9})\..*")  # by whomever
PICTURE_FILE = re.compile(r"([0-9a-f]{64})\.json")


@dataclass(frozen=True)
class Picture:
    """A picture that was given.

    Attributes
    ----------
    id : str
        SHA-256 of its file.
    name : str
        What its user calls it.
    path, small : Path
        Its file, and that of the small picture.
    """

    id: str
    name: str
    path: Path
    small: Path


class Folder:
    """A folder that belongs to one studio at a time.

    Parameters
    ----------
    path : path
        Created if it is not there.

    Raises
    ------
    InputError
        If it cannot be used, or another studio uses it.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.inputs = self.path / "inputs"
        try:
            self.inputs.mkdir(parents=True, exist_ok=True)
            self.lock: BinaryIO = open(self.path / ".lock", "ab")  # until the end
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise InputError(f"the folder {path} cannot be used: {reason}") from None
        if fcntl:
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.lock.close()
                raise InputError(
                    f"another studio uses the folder {path}: stop it, or choose another --folder"
                ) from None
            except OSError:  # a file system without locks
                pass
        self.pictures = {picture.id: picture for picture in self.stored_pictures()}

    def close(self) -> None:
        """Leave the folder to others."""
        self.lock.close()

    # Pictures that were given

    def stored_pictures(self) -> Iterator[Picture]:
        """The pictures that are there, the oldest first."""
        files = [path for path in self.inputs.iterdir() if PICTURE_FILE.fullmatch(path.name)]
        for file in sorted(files, key=lambda file: file.stat().st_mtime):
            with contextlib.suppress(ValueError, TypeError, KeyError, OSError):  # damaged: it is not there
                about = read_json(file)
                name, ending = label(about["name"]), str(about["ending"])
                picture = self.picture_of(file.stem, name, ending if ending in ENDINGS.values() else "")
                if picture.path.is_file() and picture.small.is_file():
                    yield picture

    def picture_of(self, id: str, name: str, ending: str) -> Picture:
        """A picture, wherever its files are or will be."""
        return Picture(id, name, self.inputs / f"{id}{ending}", self.inputs / f"{id}-small.webp")

    def picture(self, id: str) -> Picture:
        """The picture of this id; InputError if there is none."""
        try:
            return self.pictures[id]
        except KeyError:
            raise InputError("a picture is not there any more: choose it again") from None

    def add(self, data: bytes, name: str, in_use: set[str] | None = None) -> Picture:
        """Keep a picture that was given.

        Parameters
        ----------
        data : bytes
            What is in its file.
        name : str
            What its user calls it.
        in_use : set of str
            Ids of pictures that must stay.

        Raises
        ------
        InputError
            If it is no picture that can be read, or there are too many.
        OSError
            If it cannot be written.
        """
        id = hashlib.sha256(data).hexdigest()
        if id in self.pictures:
            return self.pictures[id]
        image = load_image(data, LONGEST_SHOWN)  # it looks at the number of pixels first
        self.make_room(in_use or set())
        ending = next((ending for start, ending in ENDINGS.items() if data.startswith(start)), "")
        picture = self.picture_of(id, label(name), ending)
        about = {"name": picture.name, "ending": ending}
        try:
            write_over(picture.path, data)
            write_over(picture.small, small_picture(image, LONGEST_SHOWN))
            write_over(self.inputs / f"{id}.json", json.dumps(about).encode())
        except BaseException:  # a full disk: what would never be used must not fill it
            self.remove_picture(picture)
            raise
        self.pictures[id] = picture
        return picture

    def remove_picture(self, picture: Picture) -> None:
        """Remove the files of a picture."""
        for path in (self.inputs / f"{picture.id}.json", picture.path, picture.small):
            path.unlink(missing_ok=True)

    def make_room(self, in_use: set[str]) -> None:
        """Remove the oldest picture that nobody needs, where there are as many as may be."""
        if len(self.pictures) < MOST_PICTURES:
            return
        unused = [id for id in self.pictures if id not in in_use]
        if not unused:
            raise InputError("there are too many pictures: delete some of what was made")
        self.remove_picture(self.pictures.pop(unused[0]))

    # Paintings

    def output(self, number: int) -> Path:
        """Where a painting is."""
        return self.path / f"{number:04}.png"

    def small(self, number: int) -> Path:
        """Where the small picture of a painting is."""
        return self.path / f"{number:04}.webp"

    def checkpoint(self, number: int) -> Path:
        """Where the checkpoint of a painting is."""
        return checkpoint_path(self.output(number))

    def about(self, number: int) -> Path:
        """Where it is told how a painting is made."""
        return self.path / f"{number:04}.json"

    def stored_paintings(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The number of each painting, in order, and what its file tells."""
        found = [match for path in self.path.iterdir() if (match := NUMBERED.fullmatch(path.name))]
        for number in sorted({int(match[1]) for match in found}):
            with contextlib.suppress(ValueError, OSError):
                yield number, read_json(self.about(number))

    def latest_number(self) -> int:
        """The highest number that a file here has for its name, 0 if there is none: nobody's file is replaced."""
        found = [match for path in self.path.iterdir() if (match := TAKEN.fullmatch(path.name))]
        return max((int(match[1]) for match in found), default=0)

    def write_about(self, number: int, about: dict[str, Any]) -> None:
        """Write how a painting is made, and how far it is."""
        write_over(self.about(number), json.dumps(about).encode())

    def write_small(self, number: int, image: np.ndarray) -> None:
        """Write the small picture of a painting."""
        write_over(self.small(number), small_picture(image, LONGEST_SHOWN))

    def remove(self, number: int) -> None:
        """Remove a painting and all that belongs to it."""
        for path in (self.about(number), self.output(number), self.small(number), self.checkpoint(number)):
            path.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """What is in a file of JSON, if it is not absurdly long; ValueError else."""
    with open(path, "rb") as file:
        text = file.read(MOST_LETTERS + 1)
    if len(text) > MOST_LETTERS:
        raise ValueError
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError from None
    if not isinstance(found, dict):
        raise ValueError
    return found


def label(name: Any) -> str:
    """A file's name as it is shown: its last part, in letters that can be printed, not too long."""
    last = re.split(r"[/\\]", str(name))[-1]
    return cut("".join(filter(str.isprintable, last)).strip(), LONGEST_NAME) or "picture"


def small_picture(image: np.ndarray, longest: int, quality: int = 85) -> bytes:
    """A picture to look at, as WebP."""
    shown = preview(image, *size_within(image.shape, longest))
    return encoded_by_pillow(Image.fromarray(shown), "WEBP", quality=quality, method=0)


def png_of(image: np.ndarray) -> bytes:
    """A picture without loss, as PNG."""
    memory = io.BytesIO()
    Image.fromarray(image).save(memory, "PNG", compress_level=1)
    return memory.getvalue()
