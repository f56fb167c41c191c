"""Saving a picture with its settings inside, whole or not at all."""

import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from ..errors import InputError
from ..files import check_writable, whole_file, write_beside
from .memory import is_lack_of_memory

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {"optimize": True},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
# The same pixels in a larger file, with less memory.
PLAIN_OPTIONS: dict[str, dict[str, Any]] = OPTIONS | {
    "PNG": {"compress_level": 1},
    "WEBP": {"lossless": True, "method": 0, "quality": 0},  # of what is lossless, quality is the effort
    "TIFF": {},
}
IMAGE_DESCRIPTION = 270  # the EXIF and TIFF tag


def check_output(path: str | os.PathLike) -> None:
    """Raise InputError unless a picture can be written to `path`; to be called before the work."""
    format_of(path)
    check_writable(path)


def format_of(path: str | os.PathLike) -> str:
    """Pillow's name of the format that a file's ending chooses."""
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"the output must be a path, not {type(path).__name__}")
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise InputError(f"{path} must end in {', '.join(FORMATS)}, which chooses the format")
    return FORMATS[ending]


def check_no_input_is_replaced(output: str | os.PathLike, inputs: Iterable[object]) -> None:
    """Raise InputError if writing to `output` would replace one of the inputs.

    Files are compared, not their names, so that a link to an input counts as the input.

    Parameters
    ----------
    output : path
    inputs : iterable
        Paths; anything else (an array, None) is no file and cannot be replaced.
    """
    for path in inputs:
        if isinstance(path, (str, os.PathLike)) and is_same_file(output, path):
            raise InputError(f"the output {output} would replace an input: choose another name")


def is_same_file(a: str | os.PathLike, b: str | os.PathLike) -> bool:
    """Whether both paths lead to one file that exists."""
    try:
        return os.path.samefile(a, b)
    except (OSError, ValueError):  # one of them is not there, or cannot be
        return False


def save_image(
    image: np.ndarray,
    path: str | os.PathLike,
    settings: dict[str, Any],
    plain: bool = False,
    replace: bool = True,
) -> Path:
    """Write a picture in the format that its ending names.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    path : path ending in .png, .jpg, .jpeg, .webp, .tif or .tiff
    settings : dict
        Stored as JSON: in PNG's text chunk "nnstyle", elsewhere as the image description.
    plain : bool
        Spend less memory on making the file small.
    replace : bool
        Whether an earlier file of this name is replaced. If not, and there is one, the picture goes
        beside it: ``x-unfinished.png``.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    InputError
        For another ending.
    OSError
        If the file cannot be written. An earlier file of this name is then still there.
    MemoryError
        If there is not enough memory to encode the picture. Likewise.
    """
    data = encoded(image, format_of(path), settings, plain)
    if not replace:
        return write_beside(path, data)
    with whole_file(path) as file:
        file.write(data)
    return Path(path)


def encoded(image: np.ndarray, format: str, settings: dict[str, Any], plain: bool) -> bytes:
    """The bytes of a picture's file. Pillow, writing to a full disk, might not notice it."""
    picture, text = Image.fromarray(image), json.dumps(settings)
    options = dict((PLAIN_OPTIONS if plain else OPTIONS)[format])
    if format == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("nnstyle", text)
    else:
        options["exif"] = Image.Exif()
        options["exif"][IMAGE_DESCRIPTION] = text
    memory = io.BytesIO()
    try:
        picture.save(memory, format, **options)
    except OSError as error:
        if is_lack_of_memory(error):
            raise MemoryError from error
        raise
    return memory.getvalue()
