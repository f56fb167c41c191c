"""What is sent to a worker, and what comes back: bytes and settings, no paths."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..pictures import pictures_in
from ..pictures.decode import open_file
from ..settings import INITIAL_IMAGES, Settings
from ..version import __version__
from .pairs import Pair

MOST_BYTES = 1 << 30  # of a picture's file


@dataclass(frozen=True)
class File:
    """A file's name, without its folder, and what is in it."""

    name: str
    data: bytes

    @property
    def sha256(self) -> str:
        """Digest of its content, as hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Common:
    """What all pictures of a batch have in common.

    Attributes
    ----------
    weights_sha256 : str
        Of the network.
    initial : File or None
        The picture to start from, where the setting ``init`` names a file.
    rescale_over : tuple of File
        The pictures of that setting's folder.
    rescale_folder : str
        The folder's name.
    """

    weights_sha256: str
    initial: File | None = None
    rescale_over: tuple[File, ...] = ()
    rescale_folder: str = ""


@dataclass(frozen=True)
class Order:
    """A picture to be painted, with all that a worker needs and does not have.

    Attributes
    ----------
    photo : File
    style : tuple of File
        The painting; or several, of a folder, in the order of their names.
    output : str
        The picture's name. Its ending chooses the format.
    settings : Settings
    initial : File or None
        The picture before it, where each starts from the one before.
    """

    photo: File
    style: tuple[File, ...]
    output: str
    settings: Settings
    initial: File | None = None

    def checksum(self, common: Common) -> str:
        """SHA-256 of all that decides the picture, as hexadecimal digits: files count by their content."""
        settings = dataclasses.asdict(self.settings)
        if settings["init"] not in INITIAL_IMAGES:
            settings["init"] = common.initial.sha256 if common.initial else ""
        if settings["rescale_over"] is not None:
            settings["rescale_over"] = [file.sha256 for file in common.rescale_over]
        decides = {
            "photo": self.photo.sha256,
            "style": [file.sha256 for file in self.style],
            "format": Path(self.output).suffix.lower(),
            "settings": settings,
            "previous": self.initial.sha256 if self.initial else None,
            "weights": common.weights_sha256,
            "nnstyle": __version__,
        }
        return hashlib.sha256(json.dumps(decides).encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What became of an order.

    Attributes
    ----------
    data : bytes
        The picture's file, with its settings inside; none if it failed.
    reason : str
        Why it failed, or "".
    thumbnail : bytes
        A small JPEG of it.
    notes : tuple of str
        What a user should know.
    seconds : float
        That it took on the worker.
    iterations : int
    job : str
        The digest of the `nnstyle.Job`, as hexadecimal digits.
    worker : str
        Who painted it.
    """

    data: bytes = b""
    reason: str = ""
    thumbnail: bytes = b""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    iterations: int = 0
    job: str = ""
    worker: str = ""


def read_file(path: str | os.PathLike) -> File:
    """A picture's file as it is, not decoded.

    Raises
    ------
    InputError
        If it cannot be read, or is too large for a picture.
    """
    with open_file(Path(path)) as file:
        if file.size > MOST_BYTES:
            raise InputError(f"{path} has more than {MOST_BYTES >> 30} GB")
        try:
            return File(Path(path).name, file.read())
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from None


def read_files(path: Path) -> tuple[File, ...]:
    """A file, or all pictures in a folder."""
    paths: Sequence[Path] = pictures_in(path) if path.is_dir() else [path]
    return tuple(map(read_file, paths))


def read_order(pair: Pair, settings: Settings, initial: File | None = None) -> Order:
    """The order of a picture.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    return Order(read_file(pair.photo), read_files(pair.style), pair.output, settings, initial)


def read_common(settings: Settings, weights_sha256: str) -> Common:
    """The files that the settings of a batch name.

    Raises
    ------
    InputError
        If one cannot be read.
    """
    initial = None if settings.init in INITIAL_IMAGES else read_file(settings.init)
    if settings.rescale_over is None:
        return Common(weights_sha256, initial)
    over = Path(settings.rescale_over)
    return Common(
        weights_sha256, initial, tuple(map(read_file, pictures_in(over))), over.resolve().name or "over"
    )
